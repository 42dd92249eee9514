//! One walk over all that may be due.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::stream::{self, StreamExt};

use super::outlived;
use super::standing::{Standing, Walk};
use crate::bucket::{Candidate, Lifecycle};
use crate::index::{Beside, Bucket, UploadsQuery, Version, VersionItem, VersionsQuery};
use crate::objects::{Expiring, ObjectError, Objects};
use crate::telemetry::metric;
use crate::types::{ObjectKey, Timestamp};

/// Versions or uploads of one page.
pub(super) const PAGE: usize = 1000;
/// Changes that wait for the committer together.
pub(super) const TOGETHER: usize = 16;

/// How much went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Current versions: removed, or behind a delete marker now.
    pub current: u64,
    /// Noncurrent versions and delete markers.
    pub noncurrent: u64,
    /// Delete markers that were alone.
    pub markers: u64,
    /// Uploads.
    pub uploads: u64,
    /// Versions that are older than the policies let them be.
    pub outlived: u64,
    /// What was due and stays: locked, or changed meanwhile.
    pub kept: u64,
}

/// Something that is due.
struct Due {
    key: ObjectKey,
    what: Expiring,
    /// Its tags, where the rules ask for any.
    tags: Option<Vec<(String, String)>>,
    kind: Goes,
}

/// What goes, as the tally and the metric tell it apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Goes {
    Current,
    Noncurrent,
    Marker,
    Upload,
    Outlived,
}

impl Goes {
    pub(super) const ALL: [Self; 5] = [Self::Current, Self::Noncurrent, Self::Marker, Self::Upload, Self::Outlived];

    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Noncurrent => "noncurrent",
            Self::Marker => "marker",
            Self::Upload => "upload",
            Self::Outlived => "outlived",
        }
    }
}

impl Tally {
    fn count(&mut self, goes: Goes) {
        let count = match goes {
            Goes::Current => &mut self.current,
            Goes::Noncurrent => &mut self.noncurrent,
            Goes::Marker => &mut self.markers,
            Goes::Upload => &mut self.uploads,
            Goes::Outlived => &mut self.outlived,
        };
        *count = count.saturating_add(1);
    }

    /// Counts what went, or what was due and stays.
    pub(super) fn went(&mut self, goes: Goes, went: bool) {
        if went {
            metrics::counter!(metric::LIFECYCLE_EXPIRED, "kind" => goes.label()).increment(1);
            self.count(goes);
        } else {
            self.kept = self.kept.saturating_add(1);
        }
    }
}

/// Walks over all buckets that have rules, and over all buckets where the policies let nothing become older than that.
pub(super) async fn all(objects: &Objects, day: Duration) -> Tally {
    let mut tally = Tally::default();
    let buckets = match objects.index.buckets() {
        Ok(buckets) => buckets,
        Err(error) => {
            tracing::error!(%error, "lifecycle rules cannot be read");
            return tally;
        }
    };
    for name in buckets.iter().map(|bucket| &bucket.name) {
        // The walk before may have taken hours: what counts is what the bucket says now.
        let carried_out = match objects.index.bucket(name) {
            Ok(Some(bucket)) => {
                let outlived = outlived::one(objects, &bucket, &mut tally).await;
                one(objects, bucket, day, &mut tally).await.and(outlived)
            }
            Ok(None) => Ok(()),
            Err(error) => Err(error.into()),
        };
        if let Err(error) = carried_out {
            tracing::warn!(bucket = %name, %error, "lifecycle rules were not carried out whole");
        }
    }
    tally
}

/// Walks over one bucket, if it has rules.
pub(super) async fn one(objects: &Objects, bucket: Arc<Bucket>, day: Duration, tally: &mut Tally) -> Result<(), ObjectError> {
    let Some(rules) = bucket.settings.lifecycle.clone().map(Arc::new) else { return Ok(()) };
    Sweep { objects, bucket, rules, day }.run(tally).await
}

/// The walk over one bucket.
struct Sweep<'a> {
    objects: &'a Objects,
    bucket: Arc<Bucket>,
    rules: Arc<Lifecycle>,
    day: Duration,
}

impl Sweep<'_> {
    async fn run(&self, tally: &mut Tally) -> Result<(), ObjectError> {
        if self.rules.expires_versions() {
            self.versions(tally).await?;
        }
        if self.rules.aborts_uploads() && self.stands()? {
            self.uploads(tally).await?;
        }
        Ok(())
    }

    async fn versions(&self, tally: &mut Tally) -> Result<(), ObjectError> {
        let mut walk = Walk::default();
        let mut marker = (None, None);
        loop {
            let began = Instant::now();
            let query = VersionsQuery {
                bucket: self.bucket.id,
                prefix: self.rules.common_prefix().to_owned(),
                delimiter: None,
                key_marker: marker.0,
                version_marker: marker.1,
                limit: PAGE,
            };
            let page = self.objects.index.versions(query).await?;
            let now = self.objects.clock.now();
            let mut due = Vec::new();
            for item in page.versions {
                for (item, standing) in walk.next(item) {
                    due.extend(self.due(&item, standing, &walk, now)?);
                }
            }
            if page.next.is_none()
                && let Some((marker, standing)) = std::mem::take(&mut walk).end()
            {
                due.extend(self.due(&marker, standing, &walk, now)?);
            }
            // The oldest of a key first: each goes while what stood before it still does.
            due.reverse();
            self.let_go(due, tally).await?;
            let Some((key, version)) = page.next else { return Ok(()) };
            if !self.stands()? {
                return Ok(());
            }
            marker = (Some(key), version);
            tokio::time::sleep(began.elapsed()).await;
        }
    }

    async fn uploads(&self, tally: &mut Tally) -> Result<(), ObjectError> {
        let mut marker = (None, None);
        loop {
            let began = Instant::now();
            let query = UploadsQuery {
                bucket: self.bucket.id,
                prefix: self.rules.common_prefix().to_owned(),
                delimiter: None,
                key_marker: marker.0,
                id_marker: marker.1,
                limit: PAGE,
            };
            let page = self.objects.index.uploads(query).await?;
            let now = self.objects.clock.now();
            let is_due = |upload: &crate::index::Upload| {
                let candidate = Candidate::Upload { key: upload.key.as_str(), created: upload.initiated };
                self.is_due(&candidate, now).is_some()
            };
            let due = page.uploads.into_iter().filter(is_due);
            let due = due
                .map(|upload| Due { key: upload.key, what: Expiring::Upload(upload.id), tags: None, kind: Goes::Upload })
                .collect();
            self.let_go(due, tally).await?;
            let Some((key, id)) = page.next else { return Ok(()) };
            if !self.stands()? {
                return Ok(());
            }
            marker = (Some(key), id);
            tokio::time::sleep(began.elapsed()).await;
        }
    }

    /// Whether the bucket is still there with the same rules: others are for the next walk.
    fn stands(&self) -> Result<bool, ObjectError> {
        let now = self.objects.index.bucket(&self.bucket.name)?;
        Ok(now.is_some_and(|now| now.id == self.bucket.id && now.settings.lifecycle.as_ref() == Some(&*self.rules)))
    }

    fn due(&self, item: &VersionItem, standing: Standing, walk: &Walk, now: Timestamp) -> Result<Option<Due>, ObjectError> {
        let (key, summary) = (item.key.as_str(), &item.summary);
        let candidate = |tags| match standing {
            Standing::Current => Candidate::Current { key, size: summary.size, tags, written: summary.modified },
            Standing::Noncurrent { since, newer, .. } => Candidate::Noncurrent { key, size: summary.size, tags, since, newer },
            Standing::LoneMarker => Candidate::LoneMarker { key, written: summary.modified },
        };
        let Ok(name) = ObjectKey::new(key) else { return Ok(None) };
        let asks = self.rules.asks_tags() && !summary.delete_marker;
        let tags = if asks { Some(self.tags(&name, item)?) } else { None };
        let Some(keep) = self.is_due(&candidate(tags.as_deref().unwrap_or_default()), now) else { return Ok(None) };
        let version = |beside| Expiring::Version(summary.version, summary.id, beside);
        let (what, kind) = match standing {
            Standing::Current => (Expiring::Current(summary.id), Goes::Current),
            Standing::Noncurrent { behind, .. } => {
                (version(Beside::Behind { newer: behind, kept: walk.newest(keep).to_vec() }), Goes::Noncurrent)
            }
            Standing::LoneMarker => (version(Beside::Nothing), Goes::Marker),
        };
        Ok(Some(Due { key: name, what, tags, kind }))
    }

    /// Whether a rule lets it go by now, and how many noncurrent versions that rule keeps.
    fn is_due(&self, candidate: &Candidate<'_>, now: Timestamp) -> Option<u32> {
        self.rules.due(candidate, self.day).filter(|due| due.at <= now).map(|due| due.keep)
    }

    fn tags(&self, key: &ObjectKey, item: &VersionItem) -> Result<Vec<(String, String)>, ObjectError> {
        let found = self.objects.index.version(&self.bucket, key, item.summary.version)?;
        Ok(found.and_then(Version::into_record).map(|record| record.detail.tags).unwrap_or_default())
    }

    async fn let_go(&self, due: Vec<Due>, tally: &mut Tally) -> Result<(), ObjectError> {
        let mut done = stream::iter(due)
            .map(|due| async move {
                let tags = due.tags.as_deref();
                (due.kind, self.objects.expire(&self.bucket, &due.key, due.what, &self.rules, tags).await)
            })
            .buffer_unordered(TOGETHER);
        while let Some((kind, went)) = done.next().await {
            tally.went(kind, went?);
        }
        Ok(())
    }
}
