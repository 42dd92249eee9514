//! What each change does to the rows: everything is checked before anything is written.

use std::{
    collections::BTreeSet,
    ops::ControlFlow,
    sync::{Arc, atomic::Ordering},
};

use super::{
    SWEEP_PARTS,
    group::{Body, Group, sealed},
};
use crate::{
    audit::Kind,
    backend::Standing,
    bucket::{BucketSettings, Setting},
    index::{
        Bucket, BucketId, Change, CommitError, Committed, Counter, Garbage, GarbageKey, GarbageReason, IndexError, Layout,
        PolicyStanding, SiteRow, Stale, Waste,
        directory::Entry,
        keys::{self, kind},
    },
    residency::Basis,
    types::{
        AccountId, AttemptId, BucketName, Country, Generation, KeyId, PolicyRevision, RecordId, SiteId, SubjectId, Timestamp,
    },
};

/// A planned change.
#[derive(Default)]
pub(super) struct Draft {
    pub(super) writes: Vec<(Vec<u8>, Option<Body>)>,
    pub(super) counts: Vec<(Counter, u64, bool)>,
    pub(super) resolved: Vec<(RecordId, AttemptId)>,
    pub(super) bucket: Option<Arc<Bucket>>,
    pub(super) deleted: Option<(BucketName, BucketId)>,
    pub(super) policy: Option<PolicyRevision>,
    pub(super) policies: Option<PolicyStanding>,
    /// Further entries of the ledger about the same, behind the event's own.
    pub(super) also: Vec<Kind>,
    pub(super) key: Option<(KeyId, crate::kms::KeyOwner, Generation)>,
    pub(super) gone_keys: Vec<(KeyId, crate::kms::KeyOwner)>,
    pub(super) committed: Committed,
    /// The records that are garbage from then on.
    pub(super) gone: Vec<RecordId>,
    /// Where rows belong whose text does not say it.
    pub(super) audiences: Vec<(Vec<u8>, BTreeSet<Country>)>,
}

pub(super) type Planned = Result<Draft, CommitError>;

impl From<IndexError> for CommitError {
    fn from(error: IndexError) -> Self {
        Self::Fatal(error)
    }
}

impl Draft {
    pub(super) fn put(&mut self, row: Vec<u8>, body: Body) {
        self.writes.push((row, Some(body)));
    }

    /// Writes a row that belongs to these countries although its text does not say so.
    pub(super) fn put_for(&mut self, row: Vec<u8>, body: Body, countries: BTreeSet<Country>) {
        self.audiences.push((row.clone(), countries));
        self.put(row, body);
    }

    pub(super) fn delete(&mut self, row: Vec<u8>) {
        self.writes.push((row, None));
    }
}

impl Group<'_> {
    pub(super) fn plan(&mut self, change: Change) -> Planned {
        match change {
            Change::CreateBucket { name, owner, region, settings } => self.create_bucket(name, owner, region, *settings),
            Change::SetBucket { name, id, setting } => self.set_bucket(&name, id, *setting),
            Change::DeleteBucket { name, id } => self.delete_bucket(name, id),
            Change::Put(put) => self.put_record(&put),
            Change::Delete(delete) => self.delete_record(&delete),
            Change::Expire(expire) => self.expire(*expire),
            Change::Outlived(delete) => self.outlived(&delete),
            Change::Update(update) => self.update(*update),
            Change::CreateUpload { upload, basis } => self.create_upload(&upload, basis),
            Change::PutPart(part) => self.put_part(&part),
            Change::CompleteUpload { put, upload, parts, parts_digest } => self.complete(&put, upload, &parts, parts_digest),
            Change::AbortUpload { bucket, key, upload } => self.abort(bucket, &key, upload),
            Change::SubjectKey { key, replaces } => self.subject_key(*key, replaces.map(|old| *old)),
            Change::RotateSubjectKey(key, replaces) => self.rotate_subject_key(*key, replaces),
            Change::RetiredSubjectKey(key) => self.retired_subject_key(&key),
            Change::Subject(change) => self.subject(*change),
            Change::Due(subject) => self.due(&subject),
            Change::Policy(change) => self.policy(*change),
            Change::AddCopy(add) => self.add_copy(*add),
            Change::Relocate(relocate) => self.relocate(*relocate),
            Change::Settled { subject, generation } => self.settled(&subject, generation),
            Change::Erase(erase) => self.erase(&erase),
            Change::EraseRecord(erase) => self.erase_record(*erase),
            Change::EraseUpload { erasure, bucket, key, upload } => self.erase_upload(erasure, bucket, &key, upload),
            Change::Erasure { id, step } => self.erasure_step(id, step),
            Change::Adopt(adopt) => self.adopt(&adopt),
            Change::Site(site) => self.site(site),
            Change::SiteFinding { site, country, finding, stands } => self.site_finding(site, country, finding, stands),
            Change::Collected { garbage } => self.collected(garbage),
            Change::Found(finding) => {
                let mut draft = Draft::default();
                draft.put(finding.row(), sealed(finding.as_ref())?);
                Ok(draft)
            }
            Change::Cleared(finding) => {
                let mut draft = Draft::default();
                draft.delete(finding.row());
                Ok(draft)
            }
            Change::Forgotten { record, attempt } => {
                let mut draft = Draft::default();
                draft.delete(keys::intent(&record, &attempt));
                Ok(draft)
            }
            Change::Note => Ok(Draft::default()),
        }
    }

    fn create_bucket(&self, name: BucketName, owner: AccountId, region: Option<String>, settings: BucketSettings) -> Planned {
        if let Some(bucket) = self.state.buckets.get(&name) {
            return Err(CommitError::BucketExists { owner: bucket.owner.clone() });
        }
        // Tickets never repeat, so neither do bucket numbers.
        let id = BucketId(self.inner.tickets.next.fetch_add(1, Ordering::Relaxed));
        let bucket = Arc::new(Bucket { name, id, created: self.now, owner, region, settings });
        let mut draft = Draft { bucket: Some(Arc::clone(&bucket)), ..Draft::default() };
        draft.put(keys::bucket(id), sealed(bucket.as_ref())?);
        draft.committed.bucket = Some(bucket);
        Ok(draft)
    }

    fn set_bucket(&self, name: &BucketName, id: BucketId, setting: Setting) -> Planned {
        let bucket = self.state.buckets.get(name).filter(|bucket| bucket.id == id).ok_or(CommitError::NoSuchBucket)?;
        let mut bucket = Bucket::clone(bucket);
        bucket.settings.apply(setting).map_err(CommitError::Setting)?;
        let bucket = Arc::new(bucket);
        let mut draft = Draft { bucket: Some(Arc::clone(&bucket)), ..Draft::default() };
        draft.put(keys::bucket(id), sealed(bucket.as_ref())?);
        draft.committed.bucket = Some(bucket);
        Ok(draft)
    }

    fn delete_bucket(&self, name: BucketName, id: BucketId) -> Planned {
        if self.state.buckets.get(&name).is_none_or(|bucket| bucket.id != id) {
            return Err(CommitError::NoSuchBucket);
        }
        for kind in [kind::RECORD, kind::HISTORY, kind::UPLOAD] {
            if self.has_rows(&keys::under(kind, id, ""))? {
                return Err(CommitError::BucketNotEmpty);
            }
        }
        let mut draft = Draft { deleted: Some((name, id)), ..Draft::default() };
        draft.delete(keys::bucket(id));
        Ok(draft)
    }

    fn site(&self, mut site: SiteRow) -> Planned {
        let row = keys::site(&site.site);
        if let Some(old) = self.row::<SiteRow>(&row)? {
            if old.country != site.country || old.epoch > site.epoch {
                return Err(CommitError::SiteConflict);
            }
            site.first_seen = old.first_seen;
            site.standing = old.standing;
        }
        let mut draft = Draft::default();
        draft.put(row, sealed(&site)?);
        Ok(draft)
    }

    fn site_finding(&self, site: SiteId, country: Country, finding: Standing, stands: bool) -> Planned {
        let row = keys::site(&site);
        let old = self.row::<SiteRow>(&row)?;
        let mut new = old.unwrap_or(SiteRow { site, country, first_seen: self.now, epoch: 0, standing: Vec::new() });
        if new.country != country {
            return Err(CommitError::SiteConflict);
        }
        new.standing.retain(|standing| standing.check != finding.check);
        if stands {
            new.standing.push(finding);
        }
        let mut draft = Draft::default();
        draft.put(row, sealed(&new)?);
        Ok(draft)
    }

    fn collected(&self, garbage: Vec<GarbageKey>) -> Planned {
        let mut draft = Draft::default();
        for GarbageKey(row) in garbage {
            // What does not fit a batch stays: its blobs are gone, so the next round has nothing to do but this.
            if draft.writes.len() >= super::GROUP_OPERATIONS {
                break;
            }
            match self.row::<Garbage>(&row)?.map(|garbage| garbage.what) {
                None => continue,
                Some(Waste::Record { layout: Layout::Parts { table, .. }, .. }) => draft.delete(keys::part_table(&table)),
                Some(Waste::Upload { upload, .. }) => {
                    let mut swept = 0;
                    self.inner.each(&keys::parts(&upload), |part, _| {
                        swept += 1;
                        if swept > SWEEP_PARTS {
                            return Ok(ControlFlow::Break(()));
                        }
                        draft.delete(part.to_vec());
                        Ok(ControlFlow::Continue(()))
                    })?;
                    if swept > SWEEP_PARTS {
                        continue;
                    }
                    draft.delete(keys::closed_upload(&upload));
                }
                Some(_) => {}
            }
            draft.delete(row);
        }
        Ok(draft)
    }

    pub(super) fn queue(&self, draft: &mut Draft, what: Waste, why: GarbageReason) -> Result<(), IndexError> {
        let since = if why == GarbageReason::Erased { Timestamp::default() } else { self.now };
        draft.writes.push(self.garbage_row(&Garbage { since, why, what })?);
        Ok(())
    }

    pub(super) fn check_bucket(&self, bucket: BucketId) -> Result<(), CommitError> {
        let exists = self.state.bucket_ids.contains_key(&bucket);
        if exists { Ok(()) } else { Err(CommitError::Stale(Stale::Bucket)) }
    }

    pub(super) fn check_basis(&self, basis: Basis, subject: Option<&SubjectId>) -> Result<(), CommitError> {
        if self.state.policy != Some(basis.policy) {
            return Err(CommitError::Stale(Stale::Policy));
        }
        let Some(subject) = subject else { return Ok(()) };
        let row: Option<Entry> = self.row(&keys::subject(&self.inner.keys.pseudonyms.subject(subject)))?;
        if row.as_ref().and_then(|row| row.erased).is_some_and(|erased| basis.subject_generation < erased) {
            return Err(CommitError::Stale(Stale::Erased));
        }
        let generation = row.map_or(Generation::default(), |row| row.at(self.now).generation);
        if generation == basis.subject_generation { Ok(()) } else { Err(CommitError::Stale(Stale::Subject)) }
    }
}
