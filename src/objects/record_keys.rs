//! The keys of a record: one for each copy, wrapped by the key of its subject (or bucket) in that country. A subject key is a blob at
//! every site that holds records under it.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::future::try_join_all;
use parking_lot::Mutex;

use crate::audit::{Actor, Event, Kind};
use crate::backend::Site;
use crate::digest;
use crate::index::{Change, CommitError, CopyRow, CopyState};
use crate::kms::{KeyOwner, KmsError, SubjectKey, WrappedSubjectKey};
use crate::objects::{ObjectError, Objects};
use crate::policy::Role;
use crate::residency::{Placement, PlannedCopy};
use crate::seal::{self, RecordKey, SealTarget};
use crate::types::{AttemptId, BucketName, Country, Generation, KeyId, RecordId, RequestId, SiteId, SubjectId, Timestamp};

/// Where one copy of a record goes, with the key that seals it there.
#[derive(Clone)]
pub(super) struct Target {
    pub(super) site: Arc<Site>,
    pub(super) seal: SealTarget,
    pub(super) key: RecordKey,
    pub(super) owner: KeyOwner,
    pub(super) sk_generation: Generation,
    pub(super) role: Role,
}

impl Target {
    /// The index's row for this copy, before its manifest is stored.
    pub(super) fn pending_row(&self) -> CopyRow {
        CopyRow {
            site: self.seal.site().clone(),
            country: self.seal.country(),
            key: self.seal.key().clone(),
            owner: self.owner.clone(),
            sk_generation: self.sk_generation,
            dek: *self.key.wrapped(),
            role: self.role,
            state: CopyState::Pending,
            manifest_head_len: 0,
            manifest_attempt: AttemptId::from_bytes([0; 16]),
            moved: None,
            entry: None,
        }
    }

    /// The row once the manifest is durable.
    pub(super) fn stored_row(&self, attempt: AttemptId, head_len: u32, at: Timestamp) -> CopyRow {
        CopyRow { state: CopyState::Stored { at }, manifest_head_len: head_len, manifest_attempt: attempt, ..self.pending_row() }
    }
}

/// One lock for each subject key that is being created or stored, so that two first writes of a subject make one key.
#[derive(Default)]
pub(super) struct CreationLocks(Mutex<HashMap<(KeyId, KeyOwner), CreationLock>>);

type CreationLock = Arc<tokio::sync::Mutex<()>>;

impl CreationLocks {
    /// Waits for the creations of subject keys under a country key that have begun. Those that begin later find the key as it is now.
    pub(super) async fn settle(&self, key: &KeyId) {
        let begun: Vec<CreationLock> =
            self.0.lock().iter().filter(|((of, _), _)| of == key).map(|(_, lock)| Arc::clone(lock)).collect();
        for lock in begun {
            drop(lock.lock().await);
        }
    }

    pub(super) fn of(&self, key: &KeyId, owner: &KeyOwner) -> CreationLock {
        let mut locks = self.0.lock();
        // Locks that nobody holds are dropped here, so the map stays as small as the number of creations under way.
        locks.retain(|_, lock| Arc::strong_count(lock) > 1);
        Arc::clone(locks.entry((key.clone(), owner.clone())).or_default())
    }

    /// Whether somebody holds the lock, or waits for it.
    pub(super) fn is_held(&self, key: &KeyId, owner: &KeyOwner) -> bool {
        self.0.lock().get(&(key.clone(), owner.clone())).is_some_and(|lock| Arc::strong_count(lock) > 1)
    }
}

impl Objects {
    /// Makes the keys of a new record: one target for every copy that must be stored before the answer.
    pub(super) async fn new_targets(
        &self,
        request: Option<&RequestId>,
        placement: &Placement,
        bucket: &BucketName,
        record: RecordId,
    ) -> Result<Vec<Target>, ObjectError> {
        let owner = self.key_owner(placement.subject(), bucket);
        let copies = placement.copies().iter().filter(|copy| copy.role != Role::Queued);
        try_join_all(copies.map(|copy| self.new_target(request, placement, copy, &owner, record))).await
    }

    /// Makes the key of one copy.
    pub(super) async fn new_target(
        &self,
        request: Option<&RequestId>,
        placement: &Placement,
        copy: &PlannedCopy,
        owner: &KeyOwner,
        record: RecordId,
    ) -> Result<Target, ObjectError> {
        let (site, seal) = self.place_of(placement, &copy.site, copy.country)?;
        let (subject_key, wrapped) = self.subject_key(request, &site, &seal, owner).await?;
        let key = RecordKey::create(&subject_key, record, seal.country())?;
        Ok(Target { site, seal, key, owner: owner.clone(), sk_generation: wrapped.generation, role: copy.role })
    }

    /// Opens the keys of a record that exists, as an upload that goes on or a copy that is read.
    pub(super) async fn open_targets(
        &self,
        placement: &Placement,
        rows: &[CopyRow],
        record: RecordId,
    ) -> Result<Vec<Target>, ObjectError> {
        let open = rows.iter().map(|row| async move {
            let (site, seal) = self.place_of(placement, &row.site, row.country)?;
            let key = self.record_key(row, record).await?;
            Ok(Target { site, seal, key, owner: row.owner.clone(), sk_generation: row.sk_generation, role: row.role })
        });
        try_join_all(open).await
    }

    /// The key that opens one copy of a record.
    pub(super) async fn record_key(&self, row: &CopyRow, record: RecordId) -> Result<RecordKey, ObjectError> {
        let Some(wrapped) = self.index.subject_key_of(&row.key, &row.owner, row.sk_generation)? else {
            // Of an erased record the key goes first and the row later.
            let erased = self.index.is_erased(&row.key, row.sk_generation);
            let country = self.country_of(&row.key)?;
            return Err(if erased { ObjectError::NoSuchKey } else { ObjectError::KeysUnavailable { country } });
        };
        let subject_key = self.open(&wrapped).await?;
        Ok(RecordKey::open(&subject_key, record, row.country, &row.dek)?)
    }

    /// Whose key wraps a record's: the subject's, or the bucket's where there is no subject.
    pub(super) fn key_owner(&self, subject: Option<&SubjectId>, bucket: &BucketName) -> KeyOwner {
        match subject {
            Some(subject) => KeyOwner::Subject(self.pseudonyms.subject(subject)),
            None => KeyOwner::Bucket(self.pseudonyms.bucket(bucket)),
        }
    }

    /// The site that holds a copy, and the proof that `placement` put it there.
    fn place_of(&self, placement: &Placement, site: &SiteId, country: Country) -> Result<(Arc<Site>, SealTarget), ObjectError> {
        let target = SealTarget::of(placement, site)
            .ok_or_else(|| ObjectError::Internal("a copy lies outside its placement".to_owned()))?;
        let site = Arc::clone(self.sites.get(site).ok_or(ObjectError::SiteUnavailable { country })?);
        Ok((site, target))
    }

    async fn open(&self, wrapped: &WrappedSubjectKey) -> Result<Arc<SubjectKey>, ObjectError> {
        let mut opened = self.hierarchy.open_subject_key(wrapped).await;
        // Since it was looked up it may have been wrapped again, and the version destroyed that wrapped it then.
        if matches!(opened, Err(KmsError::Destroyed { .. }))
            && let Some(now) = self.index.subject_key_of(&wrapped.key, &wrapped.owner, wrapped.generation)?
        {
            opened = self.hierarchy.open_subject_key(&now).await;
        }
        opened.map_err(|error| ObjectError::from_kms(wrapped.country, &error))
    }

    /// The key of what the gateway itself keeps at a site, durable there.
    pub(super) async fn site_key(&self, site: &Arc<Site>, target: &SealTarget) -> Result<Arc<SubjectKey>, ObjectError> {
        let owner = KeyOwner::Site(site.spec().id.clone());
        Ok(self.subject_key(None, site, target, &owner).await?.0)
    }

    /// The subject's key under the country key that the target asks for, durable as a blob at the target's site: made where there is none, and
    /// stored there too where it is at other sites only. Each site can so be opened without the others, whosever key it is.
    async fn subject_key(
        &self,
        request: Option<&RequestId>,
        site: &Arc<Site>,
        target: &SealTarget,
        owner: &KeyOwner,
    ) -> Result<(Arc<SubjectKey>, Arc<WrappedSubjectKey>), ObjectError> {
        let known = || self.index.subject_key(target.key(), owner);
        let is_there = |wrapped: &Arc<WrappedSubjectKey>| wrapped.sites.contains(target.site());
        if let Some(wrapped) = known()?.filter(|wrapped| is_there(wrapped) && !self.is_due(wrapped)) {
            return Ok((self.open(&wrapped).await?, wrapped));
        }
        let lock = self.0.subject_keys.of(target.key(), owner);
        let _one_at_a_time = lock.lock().await;
        let wrapped = match known()? {
            Some(wrapped) if self.is_due(&wrapped) => self.rotate_due(request, site, target, wrapped).await?,
            Some(wrapped) if is_there(&wrapped) => wrapped,
            Some(wrapped) => self.keep_subject_key(request, site, target, Arc::unwrap_or_clone(wrapped), Kind::KeyStored).await?,
            None => {
                let created = self.hierarchy.create_subject_key(target.key(), owner.clone()).await;
                let country = self.country_of(target.key())?;
                let (_, wrapped) = created.map_err(|error| ObjectError::from_kms(country, &error))?;
                let wrapped = WrappedSubjectKey { created: Some(self.clock.now()), ..wrapped };
                self.keep_subject_key(request, site, target, wrapped, Kind::KeyCreated).await?
            }
        };
        Ok((self.open(&wrapped).await?, wrapped))
    }

    /// Stores a subject key at a site, then enters that into the index. When the index has another by then, that one is kept there.
    pub(super) async fn keep_subject_key(
        &self,
        request: Option<&RequestId>,
        site: &Arc<Site>,
        target: &SealTarget,
        mut wrapped: WrappedSubjectKey,
        mut kind: Kind,
    ) -> Result<Arc<WrappedSubjectKey>, ObjectError> {
        while !wrapped.sites.contains(target.site()) {
            let blob = seal::subject_key_blob(target, &wrapped)?;
            site.store(&blob).await.map_err(|error| ObjectError::from_backend(target.country(), &error))?;
            fail::fail_point!("objects::subject-key-stored", |_| Err(ObjectError::Internal("failpoint".to_owned())));
            wrapped.kept_at(target.site(), target.country());
            let event = Event {
                request: request.cloned(),
                countries: vec![target.country()],
                sites: vec![target.site().clone()],
                ..Event::new(kind, Actor::System)
            };
            match self.index.commit(Change::SubjectKey { key: Box::new(wrapped.clone()), replaces: None }, event).await {
                Ok(_) => {}
                Err(CommitError::KeyExists(existing)) => (wrapped, kind) = (*existing, Kind::KeyStored),
                Err(CommitError::Stale(stale)) => {
                    // Its owner was erased meanwhile: no row will name the blob.
                    self.forget_blob(site, &blob).await;
                    return Err(CommitError::Stale(stale).into());
                }
                Err(other) => return Err(other.into()),
            }
        }
        Ok(Arc::new(wrapped))
    }
}

/// A new record id.
pub(super) fn new_record_id() -> RecordId {
    RecordId::from_bytes(digest::random())
}

/// A new attempt id.
pub(super) fn new_attempt_id() -> AttemptId {
    AttemptId::from_bytes(digest::random())
}
