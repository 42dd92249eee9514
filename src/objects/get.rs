//! GetObject and HeadObject. HEAD never leaves the index.

use std::ops::Range;
use std::sync::Arc;

use crate::access::{Action, Denial};
use crate::audit::Kind;
use crate::bucket::Versioning;
use crate::digest::Checksum;
use crate::index::{Bucket, Layout, PartEntry, Record, Version};
use crate::objects::authorize::On;
use crate::objects::commit::residence;
use crate::objects::customer::{Unlocked, checksum_of_part};
use crate::objects::expire::expiration;
use crate::objects::{Found, GetRequest, ObjectError, Objects, ReadBody, ReadCondition, Request, VersionName};
use crate::types::{BucketName, ObjectKey, VersionId};

/// How often a read begins again because its record was replaced just then.
pub(super) const ATTEMPTS: usize = 16;

impl Objects {
    /// What the index says of a record.
    ///
    /// # Errors
    /// See [`Objects::get`].
    pub async fn head(&self, request: &Request<'_>, get: GetRequest) -> Result<Found, ObjectError> {
        self.unlock(request, get).await.map(|(found, _)| found)
    }

    /// What the index says of a record to who brings its key, and what leads to its bytes.
    async fn unlock(&self, request: &Request<'_>, get: GetRequest) -> Result<(Found, Unlocked), ObjectError> {
        let name = VersionName { bucket: &get.bucket, key: &get.key, version: get.version };
        let action = name.action(Action::GetObject, Action::GetObjectVersion);
        let (bucket, mut record) = self.find(request, name, &Default::default(), action).await?;
        let parts = self.part_table(&record)?;
        let part = get.part.map(|number| part_range(&record, parts.as_deref(), number)).transpose()?;
        let unlocked = Unlocked::record(&record, request.keys.object.as_ref())?;
        get.condition.check(&record.summary)?;
        unlocked.show(&mut record);
        tracing::trace!(bucket = %bucket.name, record = %record.summary.id, "found");
        let size = record.summary.size;
        let range = match (part, get.range) {
            (Some(part), _) => Some(part),
            (None, Some(range)) => Some(range.resolve(size).ok_or(ObjectError::InvalidRange { size })?),
            (None, None) => None,
        };
        let found = Found {
            length: range.as_ref().map_or(size, |range| range.end - range.start),
            parts: parts.as_ref().map(|parts| u32::try_from(parts.len()).unwrap_or(u32::MAX)),
            checksum: checksum_of(&record, parts.as_deref(), &get, &unlocked),
            residence: residence(&record),
            expiration: if get.version.is_none() { expiration(&bucket, &get.key, &record) } else { None },
            range,
            record,
        };
        Ok((found, unlocked))
    }

    /// A record and its bytes. The first segment has been verified when this returns.
    ///
    /// # Errors
    /// [`ObjectError::NoSuchKey`] only to callers who may list the bucket; others learn nothing from the answer, as S3 does it. A residency refusal
    /// where the policy does not let the content be read from where the caller processes.
    pub async fn get(&self, request: &Request<'_>, get: GetRequest) -> Result<(Found, ReadBody), ObjectError> {
        for _ in 0..ATTEMPTS {
            let (found, unlocked) = self.unlock(request, get.clone()).await?;
            // A pin holds what is still there when it is taken: the row is read again under it.
            let _pin = self.index.pin(found.record.summary.id);
            if !self.is_still_there(&get.bucket, &get.key, get.version, &found.record)? {
                continue;
            }
            self.check_may_read(request, &get.bucket, &get.key, &found.record).await?;
            let range = found.range.clone().unwrap_or(0..found.record.summary.size);
            let entry = self.entry_of_read(request, (&get.bucket, &get.key), &found.record, range.end - range.start);
            let opening = self.open_record(&found.record, range, &unlocked);
            let body = match entry {
                None => opening.await?,
                Some(entry) => {
                    // Beside each other, and on the heap: what is not recorded pays nothing for it.
                    let both = Box::pin(async { tokio::join!(opening, self.record_read(Some(entry))) });
                    let (opened, recorded) = both.await;
                    recorded?;
                    opened?
                }
            };
            return Ok((found, body));
        }
        Err(ObjectError::Overloaded)
    }

    /// Refuses to open content for a reader, or at a gateway, in a country that the policy in force does not let process it.
    pub(super) async fn check_may_read(
        &self,
        request: &Request<'_>,
        bucket: &BucketName,
        key: &ObjectKey,
        record: &Record,
    ) -> Result<(), ObjectError> {
        let reader = self.residency.reader_country(request.auth);
        match self.residency.read_permission(&record.detail.placement, bucket, key, reader) {
            Ok(_) => Ok(()),
            Err(refusal) => {
                let subject = record.detail.placement.subject.as_ref();
                self.record_refusal_of(request, Kind::Refused, (bucket, Some(key)), subject, refusal.code()).await?;
                Err(refusal.into())
            }
        }
    }

    /// Whether the key, or that version of it, is `record` now.
    pub(super) fn is_still_there(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        version: Option<VersionId>,
        record: &Record,
    ) -> Result<bool, ObjectError> {
        let Some(bucket) = self.index.bucket(bucket)? else { return Ok(false) };
        let now = match version {
            Some(version) => self.index.version(&bucket, key, version)?.and_then(Version::into_record),
            None => self.index.current(&bucket, key)?,
        };
        Ok(now.is_some_and(|now| now.summary.id == record.summary.id))
    }

    /// The version of a key that a read asks for, after permissions and conditions.
    pub(super) async fn find(
        &self,
        request: &Request<'_>,
        name: VersionName<'_>,
        condition: &ReadCondition,
        action: Action,
    ) -> Result<(Arc<Bucket>, Record), ObjectError> {
        let VersionName { bucket, key, version } = name;
        let bucket = self.reach(request, bucket, action, On::Object(key, version)).await?;
        let found = match version {
            Some(version) => self.index.version(&bucket, key, version)?,
            None => self.newest(&bucket, key)?,
        };
        // What is decided about is what is served.
        self.authorize_in(request, &bucket, action, On::Found(key, version, found.as_ref())).await?;
        self.check_expected_owner(request, &bucket).await?;
        match found {
            Some(Version::Record(record)) => {
                condition.check(&record.summary)?;
                Ok((bucket, *record))
            }
            absent => {
                if !self.may_list(request, &bucket, key)? {
                    return Err(self.deny(request, &bucket, Some(key), Denial::NotGranted).await?);
                }
                Err(match (absent, version) {
                    (Some(marker), None) => ObjectError::Deleted { marker: marker.summary().version },
                    (Some(marker), Some(version)) => {
                        ObjectError::DeleteMarker { marker: version, modified: marker.summary().modified }
                    }
                    (None, Some(_)) => ObjectError::NoSuchVersion,
                    (None, None) => ObjectError::NoSuchKey,
                })
            }
        }
    }

    /// The version that a change of its description names, if the caller may do `action` to it.
    pub(super) async fn version_of(
        &self,
        request: &Request<'_>,
        name: VersionName<'_>,
        action: Action,
    ) -> Result<(Arc<Bucket>, Record), ObjectError> {
        match self.find(request, name, &Default::default(), action).await {
            Err(ObjectError::Deleted { .. }) => {
                let bucket = self.bucket(name.bucket)?;
                let marker = self.newest(&bucket, name.key)?.ok_or(ObjectError::NoSuchKey)?;
                let summary = marker.summary();
                Err(ObjectError::DeleteMarker { marker: summary.version, modified: summary.modified })
            }
            other => other,
        }
    }

    /// The newest version of a key. A bucket that never had versioning has no delete markers to look for.
    pub(super) fn newest(&self, bucket: &Bucket, key: &ObjectKey) -> Result<Option<Version>, ObjectError> {
        Ok(match bucket.settings.versioning {
            Versioning::Off => self.index.current(bucket, key)?.map(|record| Version::Record(Box::new(record))),
            Versioning::Enabled | Versioning::Suspended => self.index.latest(bucket, key)?,
        })
    }

    pub(super) fn part_table(&self, record: &Record) -> Result<Option<Arc<[PartEntry]>>, ObjectError> {
        match &record.detail.layout {
            Layout::Parts { table, .. } => Ok(Some(self.index.parts_of(*table)?)),
            Layout::Whole { .. } | Layout::Extents { .. } => Ok(None),
        }
    }
}

/// The checksum of the bytes that a read asks for.
fn checksum_of(record: &Record, parts: Option<&[PartEntry]>, get: &GetRequest, unlocked: &Unlocked) -> Option<Checksum> {
    match (get.part, parts) {
        (Some(number), Some(parts)) => {
            let part = parts.get(usize::try_from(number).ok()?.checked_sub(1)?)?;
            checksum_of_part(unlocked.inner(), part)
        }
        _ => record.detail.checksum.filter(|_| get.range.is_none()),
    }
}

/// The bytes of part `number`; an object that was not uploaded in parts is its own part 1.
fn part_range(record: &Record, parts: Option<&[PartEntry]>, number: u32) -> Result<Range<u64>, ObjectError> {
    let count = parts.map_or(1, <[PartEntry]>::len);
    let position = usize::try_from(number).unwrap_or(usize::MAX).wrapping_sub(1);
    if position >= count {
        return Err(ObjectError::NoSuchPart { number });
    }
    let Some(parts) = parts else { return Ok(0..record.summary.size) };
    let start: u64 = parts[..position].iter().map(|part| part.size).sum();
    Ok(start..start + parts[position].size)
}
