//! What goes because its bucket's rules say so, not because somebody asked.

use std::sync::Arc;
use std::time::Duration;

use crate::audit::{Actor, Event, Kind};
use crate::bucket::{Candidate, Lifecycle};
use crate::digest;
use crate::index::{
    Beside, Bucket, Change, CommitError, DeleteChange, ExpireChange, Expires, Record, Seen, Stale, Version, WriteCondition,
};
use crate::objects::{ObjectError, Objects};
use crate::types::{ObjectKey, RecordId, UploadId, VersionId};

/// A day, as answers count it.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Something that goes, named so exactly that nothing else can go in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expiring {
    /// The current version of a key, as long as it is this record: it goes, or gets a delete marker before it, as the bucket's
    /// versioning has it then.
    Current(RecordId),
    /// This version, or delete marker, as long as it is this record and what stands beside it does so still.
    Version(VersionId, RecordId, Beside),
    /// An open upload.
    Upload(UploadId),
}

/// The value of `x-amz-expiration` for the current version of a key.
pub(super) fn expiration(bucket: &Bucket, key: &ObjectKey, record: &Record) -> Option<String> {
    let rules = bucket.settings.lifecycle.as_ref()?;
    let (summary, tags) = (&record.summary, &record.detail.tags);
    let current = Candidate::Current { key: key.as_str(), size: summary.size, tags, written: summary.modified };
    rules.due(&current, DAY).map(|due| due.expiration_header())
}

impl Objects {
    /// Lets something go that is due by `rules`; `tags` are those that it is due for, where a rule asks for tags. `false` when it stays: by
    /// now it is locked, replaced, gone, current again or tagged otherwise, or the bucket has other rules.
    ///
    /// # Errors
    /// Only those of the index.
    pub async fn expire(
        &self,
        bucket: &Bucket,
        key: &ObjectKey,
        what: Expiring,
        rules: &Arc<Lifecycle>,
        tags: Option<&[(String, String)]>,
    ) -> Result<bool, ObjectError> {
        let version = match what {
            Expiring::Version(version, ..) => Some(version),
            Expiring::Current(_) | Expiring::Upload(_) => None,
        };
        let seen = match tags {
            Some(tags) => match self.still_tagged(bucket, key, version, tags)? {
                Some(seen) => vec![seen],
                None => return Ok(false),
            },
            None => Vec::new(),
        };
        let what = match what {
            Expiring::Current(record) => {
                Expires::Version { delete: self.deletion(bucket, key, (None, record), seen)?, beside: Beside::Anything }
            }
            Expiring::Version(version, record, beside) => {
                Expires::Version { delete: self.deletion(bucket, key, (Some(version), record), seen)?, beside }
            }
            Expiring::Upload(upload) => Expires::Upload { bucket: bucket.id, key: key.clone(), upload },
        };
        let change = Change::Expire(Box::new(ExpireChange { rules: Arc::clone(rules), what }));
        let event = Event {
            bucket: Some(self.pseudonyms.bucket(&bucket.name)),
            key: Some(self.pseudonyms.key(&bucket.name, key)),
            ..Event::new(Kind::Expired, Actor::System)
        };
        match self.index.commit(change, event).await {
            Ok(_) => Ok(true),
            Err(
                CommitError::Locked
                | CommitError::Kept { .. }
                | CommitError::Stale(Stale::Policy)
                | CommitError::Conflict
                | CommitError::NoSuchKey
                | CommitError::NoSuchBucket
                | CommitError::NoSuchUpload
                | CommitError::UploadCompleted(_),
            ) => Ok(false),
            Err(other) => Err(other.into()),
        }
    }

    /// The version as it is, if it has these tags; the newest one where none is named.
    fn still_tagged(
        &self,
        bucket: &Bucket,
        key: &ObjectKey,
        version: Option<VersionId>,
        tags: &[(String, String)],
    ) -> Result<Option<Seen>, ObjectError> {
        let found = match version {
            Some(version) => self.index.version(bucket, key, version)?,
            None => self.newest(bucket, key)?,
        };
        let as_judged = match &found {
            Some(Version::Record(record)) => record.detail.tags == tags,
            Some(Version::Marker(_)) => tags.is_empty(),
            None => false,
        };
        Ok(as_judged.then_some(Seen { version, found }))
    }

    fn deletion(
        &self,
        bucket: &Bucket,
        key: &ObjectKey,
        (version, record): (Option<VersionId>, RecordId),
        seen: Vec<Seen>,
    ) -> Result<Box<DeleteChange>, ObjectError> {
        let ticket = self.index.ticket()?;
        Ok(Box::new(DeleteChange {
            bucket: bucket.id,
            key: key.clone(),
            version,
            record: Some(record),
            owner: bucket.owner.clone(),
            ticket,
            marker: VersionId::new(ticket, digest::random()),
            condition: WriteCondition::None,
            seen,
            bypass_governance: false,
        }))
    }
}
