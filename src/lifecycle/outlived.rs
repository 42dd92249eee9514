//! The walk for what is older than the policies let it be.

use std::sync::Arc;
use std::time::Instant;

use futures_util::stream::{self, StreamExt};

use super::sweep::{Goes, PAGE, TOGETHER, Tally};
use crate::index::{Bucket, Record, Version, VersionItem, VersionsQuery};
use crate::objects::{Ceilings, ObjectError, Objects};
use crate::types::{ObjectKey, Timestamp};

/// Walks over one bucket, if any policy has a ceiling.
pub(super) async fn one(objects: &Objects, bucket: &Arc<Bucket>, tally: &mut Tally) -> Result<(), ObjectError> {
    let mut marker = (None, None);
    loop {
        let Some(ceilings) = Ceilings::of(&objects.policies.load()) else { return Ok(()) };
        let began = Instant::now();
        let query = VersionsQuery {
            bucket: bucket.id,
            prefix: String::new(),
            delimiter: None,
            key_marker: marker.0,
            version_marker: marker.1,
            limit: PAGE,
        };
        let page = objects.index.versions(query).await?;
        let now = objects.clock.now();
        let mut due = Vec::new();
        // The oldest of a key first: what it leaves behind, if anything, is a delete marker.
        for item in page.versions.iter().rev() {
            let young = item.summary.delete_marker || !ceilings.can_reach(item.summary.modified, now);
            due.extend(if young { None } else { outlived(objects, bucket, item, now)? });
        }
        let mut gone = stream::iter(due)
            .map(|(key, record)| async move { objects.let_outlived_go(bucket, &key, &record).await })
            .buffered(TOGETHER);
        while let Some(went) = gone.next().await {
            tally.went(Goes::Outlived, went?);
        }
        drop(gone);
        let Some((key, version)) = page.next else { return Ok(()) };
        if objects.index.bucket(&bucket.name)?.is_none_or(|now| now.id != bucket.id) {
            return Ok(());
        }
        marker = (Some(key), version);
        tokio::time::sleep(began.elapsed()).await;
    }
}

/// The version, if the policies in force want it gone.
fn outlived(
    objects: &Objects,
    bucket: &Bucket,
    item: &VersionItem,
    now: Timestamp,
) -> Result<Option<(ObjectKey, Record)>, ObjectError> {
    let Ok(key) = ObjectKey::new(&item.key) else { return Ok(None) };
    let found = objects.index.version(bucket, &key, item.summary.version)?.and_then(Version::into_record);
    let is_over = |record: &Record| record.summary.id == item.summary.id && objects.term(bucket, &key, record).is_over(now);
    Ok(found.filter(is_over).map(|record| (key, record)))
}
