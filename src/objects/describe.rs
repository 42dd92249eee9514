//! What a stored version says of itself: its tags, and what keeps it from being deleted.

use std::sync::Arc;

use crate::access::Action;
use crate::audit::Kind;
use crate::bucket::{Retention, check_object_tags};
use crate::digest::Checksum;
use crate::index::{Bucket, Change, CommitError, PartEntry, Record, RecordUpdate, Stale, UpdateChange};
use crate::objects::authorize::On;
use crate::objects::commit::{WAIT, WAITS};
use crate::objects::customer::{Unlocked, checksum_of_part};
use crate::objects::facts::{Setting, What};
use crate::objects::{ObjectError, Objects, ReadCondition, Request};
use crate::residency::{Basis, Directory, Refusal, Signals, until};
use crate::types::{BucketName, ObjectKey, VersionId};

/// A version that a request names.
#[derive(Clone, Copy, Debug)]
pub struct VersionName<'a> {
    /// The bucket.
    pub bucket: &'a BucketName,
    /// The key.
    pub key: &'a ObjectKey,
    /// The version; the current one when absent.
    pub version: Option<VersionId>,
}

impl VersionName<'_> {
    /// The action on it: S3 has one for the current version and another for one that is named.
    pub(super) const fn action(&self, current: Action, named: Action) -> Action {
        if self.version.is_some() { named } else { current }
    }
}

/// What GetObjectAttributes tells of.
#[derive(Clone, Debug)]
pub struct ObjectAttributes {
    /// The version.
    pub record: Record,
    /// Its parts, when it was uploaded in parts; see [`ObjectAttributes::checksum_of`].
    pub parts: Option<Arc<[PartEntry]>>,
    unlocked: Unlocked,
}

impl ObjectAttributes {
    /// A part's checksum, which is kept masked where the object is under a key of the client.
    pub fn checksum_of(&self, part: &PartEntry) -> Option<Checksum> {
        checksum_of_part(self.unlocked.inner(), part)
    }
}

impl Objects {
    /// A version and its part table, for whoever may see both it and its attributes, as AWS wants it.
    ///
    /// # Errors
    /// Those of [`Objects::head`].
    pub async fn attributes(
        &self,
        request: &Request<'_>,
        name: VersionName<'_>,
        condition: &ReadCondition,
    ) -> Result<ObjectAttributes, ObjectError> {
        let read = name.action(Action::GetObject, Action::GetObjectVersion);
        self.authorize(request, name.bucket, read, On::Object(name.key, name.version)).await?;
        let action = name.action(Action::GetObjectAttributes, Action::GetObjectVersionAttributes);
        let (_, mut record) = self.find(request, name, &Default::default(), action).await?;
        let unlocked = Unlocked::record(&record, request.keys.object.as_ref())?;
        condition.check(&record.summary)?;
        unlocked.show(&mut record);
        let parts = self.part_table(&record)?;
        Ok(ObjectAttributes { record, parts, unlocked })
    }

    /// The names of the user metadata that says, by the policies in force, whose data a record is or what is known of them.
    pub fn metadata_of_subjects(&self) -> Vec<String> {
        self.policies.load().gateway().metadata().map(str::to_owned).collect()
    }

    /// A version whose tags the caller may see.
    ///
    /// # Errors
    /// Those of [`Objects::head`].
    pub async fn tagged(&self, request: &Request<'_>, name: VersionName<'_>) -> Result<Record, ObjectError> {
        let action = name.action(Action::GetObjectTagging, Action::GetObjectVersionTagging);
        Ok(self.find(request, name, &Default::default(), action).await?.1)
    }

    /// A version whose retention or legal hold, as `action` says, the caller may see.
    ///
    /// # Errors
    /// Those of [`Objects::head`], and [`ObjectError::ObjectLockMissing`].
    pub async fn describe_lock(
        &self,
        request: &Request<'_>,
        name: VersionName<'_>,
        action: Action,
    ) -> Result<Record, ObjectError> {
        let (bucket, record) = self.version_of(request, name, action).await?;
        check_object_lock(&bucket)?;
        Ok(record)
    }

    /// Replaces a version's tags. Returns the version whose they are.
    ///
    /// # Errors
    /// A residency refusal when the policies in force would put the record elsewhere, or count it as somebody else's, under the new tags.
    pub async fn set_tags(
        &self,
        request: &Request<'_>,
        name: VersionName<'_>,
        tags: Vec<(String, String)>,
    ) -> Result<VersionId, ObjectError> {
        check_object_tags(&tags).map_err(crate::bucket::SettingError::from)?;
        let action = if tags.is_empty() {
            name.action(Action::DeleteObjectTagging, Action::DeleteObjectVersionTagging)
        } else {
            name.action(Action::PutObjectTagging, Action::PutObjectVersionTagging)
        };
        let facts = Setting { request: request.facts, what: What::Tags(&tags) };
        let asking = Request { facts: &facts, ..*request };
        for _ in 0..WAITS {
            let (bucket, record) = self.version_of(&asking, name, action).await?;
            let basis = self.basis_now(&record)?;
            let detail = &record.detail;
            let signals = Signals {
                bucket: name.bucket,
                key: name.key,
                metadata: &detail.metadata,
                tags: &tags,
                sources: &[],
                stated: None,
            };
            if let Err(refusal) = self.residency.retag(request.auth, &detail.placement, &detail.tags, &signals) {
                self.record_refusal(request, Kind::DescribeObject, name.bucket, Some(name.key), refusal.code()).await?;
                return Err(refusal.into());
            }
            match self.update(request, &bucket, name.key, &record, RecordUpdate::Tags(tags.clone()), Some(basis)).await {
                Ok(()) => return Ok(record.summary.version),
                // The index learns of a policy set a moment before the gateway decides by it.
                Err(CommitError::Stale(Stale::Policy | Stale::Subject)) => tokio::time::sleep(WAIT).await,
                Err(other) => return Err(other.into()),
            }
        }
        Err(Refusal::Stale { reason: "what the decision rests on changes too fast".to_owned() }.into())
    }

    /// Sets until when a version is kept; `None` ends its retention.
    ///
    /// # Errors
    /// [`ObjectError::ObjectLockMissing`]; [`ObjectError::Locked`] when the retention in force does not allow the change.
    pub async fn set_retention(
        &self,
        request: &Request<'_>,
        name: VersionName<'_>,
        retention: Option<Retention>,
        bypass_governance: bool,
    ) -> Result<(), ObjectError> {
        let facts = Setting { request: request.facts, what: What::Retention(retention) };
        let asking = Request { facts: &facts, ..*request };
        let (bucket, record) = self.version_of(&asking, name, Action::PutObjectRetention).await?;
        check_object_lock(&bucket)?;
        if bypass_governance {
            let on = On::Object(name.key, name.version);
            self.authorize_in(&asking, &bucket, Action::BypassGovernanceRetention, on).await?;
        }
        if let Some(retention) = retention {
            retention.check(self.clock.now())?;
        }
        let update = RecordUpdate::Retention { retention, bypass_governance };
        Ok(self.update(request, &bucket, name.key, &record, update, None).await?)
    }

    /// Says whether a version is kept until further notice.
    ///
    /// # Errors
    /// [`ObjectError::ObjectLockMissing`].
    pub async fn set_legal_hold(&self, request: &Request<'_>, name: VersionName<'_>, on: bool) -> Result<(), ObjectError> {
        let facts = Setting { request: request.facts, what: What::LegalHold(on) };
        let asking = Request { facts: &facts, ..*request };
        let (bucket, record) = self.version_of(&asking, name, Action::PutObjectLegalHold).await?;
        check_object_lock(&bucket)?;
        Ok(self.update(request, &bucket, name.key, &record, RecordUpdate::LegalHold(on), None).await?)
    }

    /// What a decision about `record` depends on at this moment.
    fn basis_now(&self, record: &Record) -> Result<Basis, ObjectError> {
        let set = self.policies.load();
        let entry = match &record.detail.placement.subject {
            Some(subject) => self.index.lookup(subject).map_err(|_| Refusal::DirectoryUnavailable)?,
            None => None,
        };
        let subject_generation = entry.unwrap_or_default().generation;
        Ok(Basis { policy: set.revision(), subject_generation, until: until(&set, self.clock.now()) })
    }

    /// Changes what a version says of itself.
    pub(super) async fn update(
        &self,
        request: &Request<'_>,
        bucket: &Bucket,
        key: &ObjectKey,
        record: &Record,
        update: RecordUpdate,
        basis: Option<Basis>,
    ) -> Result<(), CommitError> {
        let event = record.summary.describe(self.event(request, Kind::DescribeObject, &bucket.name, Some(key)));
        let (id, ticket) = (record.summary.id, record.summary.ticket);
        let change = UpdateChange { bucket: bucket.id, key: key.clone(), record: id, ticket, update, basis };
        self.index.commit(Change::Update(Box::new(change)), event).await.map(drop)
    }
}

fn check_object_lock(bucket: &Bucket) -> Result<(), ObjectError> {
    if bucket.settings.object_lock.is_some() { Ok(()) } else { Err(ObjectError::ObjectLockMissing) }
}
