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
    backend::Receipt,
    index::{
        AddCopyChange, Bucket, BucketId, Change, CommitError, Committed, CompletedUpload, CopyRow, CopyState, Counter, Garbage,
        GarbageKey, GarbageReason, IndexError, Layout, Part, PartEntry, PutChange, PutPartChange, Record, SiteRow, Stale,
        SubjectRow, Upload, UploadState, Waste, WriteCondition,
        codec::encode_record,
        counters::counters_of,
        garbage::run,
        keys::{self, Secondary, kind},
    },
    kms::WrappedSubjectKey,
    policy::Role,
    residency::Basis,
    seal::BlobName,
    types::{
        AttemptId, Attributes, BucketName, Generation, KeyId, ObjectKey, PolicyRevision, PrincipalId, RecordId, SubjectId,
        Ticket, UploadId,
    },
};

/// A planned change.
#[derive(Default)]
pub(super) struct Draft {
    pub(super) writes: Vec<(Vec<u8>, Option<Body>)>,
    pub(super) counts: Vec<(Counter, u64, bool)>,
    pub(super) resolved: Vec<(RecordId, AttemptId)>,
    pub(super) created: Option<Arc<Bucket>>,
    pub(super) deleted: Option<(BucketName, BucketId)>,
    pub(super) policy: Option<PolicyRevision>,
    pub(super) key: Option<(KeyId, crate::kms::KeyOwner, Generation)>,
    pub(super) committed: Committed,
}

type Planned = Result<Draft, CommitError>;

impl From<IndexError> for CommitError {
    fn from(error: IndexError) -> Self {
        Self::Fatal(error)
    }
}

impl Draft {
    fn put(&mut self, row: Vec<u8>, body: Body) {
        self.writes.push((row, Some(body)));
    }

    fn delete(&mut self, row: Vec<u8>) {
        self.writes.push((row, None));
    }
}

impl Group<'_> {
    pub(super) fn plan(&mut self, change: Change) -> Planned {
        match change {
            Change::CreateBucket { name, owner, region } => self.create_bucket(name, owner, region),
            Change::DeleteBucket { name, id } => self.delete_bucket(name, id),
            Change::Put(put) => self.put(&put),
            Change::Delete { bucket, key, ticket, condition } => self.delete(bucket, &key, ticket, &condition),
            Change::CreateUpload { upload, basis } => self.create_upload(&upload, basis),
            Change::PutPart(part) => self.put_part(&part),
            Change::CompleteUpload { put, upload, parts, parts_digest } => self.complete(&put, upload, &parts, parts_digest),
            Change::AbortUpload { bucket, key, upload } => self.abort(bucket, &key, upload),
            Change::SubjectKey { key, rewrap } => self.subject_key(*key, rewrap),
            Change::Subject { id, attributes } => self.subject(id, attributes),
            Change::Policy { revision } => {
                let mut draft = Draft { policy: Some(revision), ..Draft::default() };
                draft.put(keys::POLICY.to_vec(), sealed(&revision)?);
                Ok(draft)
            }
            Change::AddCopy(add) => self.add_copy(*add),
            Change::Site(site) => self.site(site),
            Change::Collected { garbage } => self.collected(garbage),
            Change::Note => Ok(Draft::default()),
        }
    }

    fn create_bucket(&self, name: BucketName, owner: PrincipalId, region: Option<String>) -> Planned {
        if let Some(bucket) = self.state.buckets.get(&name) {
            return Err(CommitError::BucketExists { owner: bucket.owner.clone() });
        }
        // Tickets never repeat, so neither do bucket numbers.
        let id = BucketId(self.inner.tickets.next.fetch_add(1, Ordering::Relaxed));
        let bucket = Arc::new(Bucket { name, id, created: self.now, owner, region });
        let mut draft = Draft { created: Some(Arc::clone(&bucket)), ..Draft::default() };
        draft.put(keys::bucket(id), sealed(bucket.as_ref())?);
        draft.committed.bucket = Some(bucket);
        Ok(draft)
    }

    fn delete_bucket(&self, name: BucketName, id: BucketId) -> Planned {
        if self.state.buckets.get(&name).is_none_or(|bucket| bucket.id != id) {
            return Err(CommitError::NoSuchBucket);
        }
        if self.has_rows(&keys::under(kind::RECORD, id, ""))? || self.has_rows(&keys::under(kind::UPLOAD, id, ""))? {
            return Err(CommitError::BucketNotEmpty);
        }
        let mut draft = Draft { deleted: Some((name, id)), ..Draft::default() };
        draft.delete(keys::bucket(id));
        Ok(draft)
    }

    fn put(&mut self, put: &PutChange) -> Planned {
        self.check_bucket(put.bucket)?;
        let detail = &put.record.detail;
        self.check_basis(put.basis, detail.placement.subject.as_ref())?;
        check_receipts(&put.record, &put.receipts)?;
        self.check_keys(&detail.copies)?;
        let row = keys::record(put.bucket, put.key.as_str());
        let current = self.record(&row)?;
        check_condition(&put.condition, current.as_ref())?;
        let mut draft = Draft::default();
        let attempts = detail.copies.iter().map(|copy| copy.manifest_attempt).chain(match detail.layout {
            Layout::Whole { attempt } | Layout::Extents { attempt } => Some(attempt),
            Layout::Parts { .. } => None,
        });
        let attempts: BTreeSet<_> = attempts.collect();
        draft.resolved.extend(attempts.into_iter().map(|attempt| (put.record.summary.id, attempt)));
        if let Some(current) = current {
            if current.summary.ticket >= put.record.summary.ticket {
                if put.condition != WriteCondition::None || current.summary.id == put.record.summary.id {
                    return Err(CommitError::Conflict);
                }
                draft.committed.superseded = true;
                self.discard(&mut draft, &put.record, GarbageReason::Superseded)?;
                return Ok(draft);
            }
            self.remove(&mut draft, put.bucket, &put.key, &current, GarbageReason::Superseded)?;
            draft.committed.replaced = Some(current.summary);
        }
        draft.put(row, Body::Sealed(encode_record(&put.record)?));
        for row in self.secondary(put.bucket, &put.key, &put.record) {
            draft.put(row, Body::Clear(Vec::new()));
        }
        let size = put.record.summary.size;
        draft.counts.extend(counters_of(put.bucket, &put.record).map(|counter| (counter, size, true)));
        Ok(draft)
    }

    fn delete(&self, bucket: BucketId, key: &ObjectKey, ticket: Ticket, condition: &WriteCondition) -> Planned {
        self.check_bucket(bucket)?;
        let row = keys::record(bucket, key.as_str());
        let current = self.record(&row)?;
        check_condition(condition, current.as_ref())?;
        let mut draft = Draft::default();
        let Some(current) = current else { return Ok(draft) };
        if current.summary.ticket > ticket {
            draft.committed.superseded = true;
            return if *condition == WriteCondition::None { Ok(draft) } else { Err(CommitError::Conflict) };
        }
        draft.delete(row);
        self.remove(&mut draft, bucket, key, &current, GarbageReason::Deleted)?;
        draft.committed.replaced = Some(current.summary);
        Ok(draft)
    }

    fn create_upload(&mut self, upload: &Upload, basis: Basis) -> Planned {
        self.check_bucket(upload.bucket)?;
        self.check_basis(basis, upload.placement.subject.as_ref())?;
        self.check_keys(&upload.copies)?;
        let mut draft = Draft::default();
        draft.put(keys::upload(upload.bucket, upload.key.as_str(), &upload.id), sealed(upload)?);
        Ok(draft)
    }

    fn open_upload(&self, bucket: BucketId, key: &ObjectKey, id: &UploadId) -> Result<Upload, CommitError> {
        if let Some(upload) = self.row::<Upload>(&keys::upload(bucket, key.as_str(), id))? {
            return Ok(upload);
        }
        match self.row::<Upload>(&keys::closed_upload(id))?.map(|upload| upload.state) {
            Some(UploadState::Completed(done)) => Err(CommitError::UploadCompleted(Box::new(done))),
            _ => Err(CommitError::NoSuchUpload),
        }
    }

    fn put_part(&mut self, put: &PutPartChange) -> Planned {
        self.check_bucket(put.bucket)?;
        let mut upload = self.open_upload(put.bucket, &put.key, &put.upload)?;
        self.check_basis(put.basis, upload.placement.subject.as_ref())?;
        let part = put.part.entry;
        for copy in upload.copies.iter().filter(|copy| copy.role != Role::Queued) {
            let stored: BTreeSet<_> =
                put.receipts.iter().filter(|receipt| receipt.site() == &copy.site).map(|receipt| *receipt.name()).collect();
            let mut extents = run(copy.stored_at(), upload.record, part.number, part.attempt, part.size);
            if !extents.all(|blob| stored.contains(&blob.name)) {
                return Err(CommitError::NotStored { site: copy.site.clone() });
            }
        }
        let row = keys::part(&put.upload, part.number);
        let mut draft = Draft::default();
        if let Some(old) = self.row::<Part>(&row)?.filter(|old| old.entry.attempt != part.attempt) {
            let at = upload.copies.iter().map(CopyRow::stored_at).collect();
            let what = Waste::Part { record: upload.record, at, part: old.entry };
            self.queue(&mut draft, what, GarbageReason::Replaced)?;
        }
        draft.put(row, sealed(&put.part)?);
        if upload.placement.add_origins(&put.origins) {
            draft.put(keys::upload(put.bucket, put.key.as_str(), &put.upload), sealed(&upload)?);
        }
        draft.resolved.push((upload.record, part.attempt));
        Ok(draft)
    }

    fn complete(&mut self, put: &PutChange, id: UploadId, parts: &[PartEntry], parts_digest: [u8; 32]) -> Planned {
        let mut upload = self.open_upload(put.bucket, &put.key, &id)?;
        for entry in parts {
            let part = self.row::<Part>(&keys::part(&id, entry.number))?;
            if part.is_none_or(|part| part.entry != *entry) {
                return Err(CommitError::InvalidPart(entry.number));
            }
        }
        // A part that came after the decision may have brought bytes that are bound otherwise.
        let decided = &put.record.detail.placement.origins;
        if upload.placement.origins.iter().any(|origin| !decided.contains(origin)) {
            return Err(CommitError::Stale(Stale::Upload));
        }
        let mut draft = self.put(put)?;
        let summary = &put.record.summary;
        upload.state = UploadState::Completed(CompletedUpload {
            record: summary.id,
            version: summary.version,
            etag: summary.etag,
            parts_digest,
        });
        draft.put(keys::part_table(&id), sealed(&parts)?);
        self.close(&mut draft, &upload, GarbageReason::Replaced)?;
        Ok(draft)
    }

    fn abort(&self, bucket: BucketId, key: &ObjectKey, id: UploadId) -> Planned {
        let mut upload = self.open_upload(bucket, key, &id)?;
        upload.state = UploadState::Aborted;
        let mut draft = Draft::default();
        self.close(&mut draft, &upload, GarbageReason::Aborted)?;
        Ok(draft)
    }

    /// Flips one row; the sweep of the garbage row follows.
    fn close(&self, draft: &mut Draft, upload: &Upload, why: GarbageReason) -> Result<(), IndexError> {
        draft.delete(keys::upload(upload.bucket, upload.key.as_str(), &upload.id));
        draft.put(keys::closed_upload(&upload.id), sealed(upload)?);
        let at = upload.copies.iter().map(CopyRow::stored_at).collect();
        self.queue(draft, Waste::Upload { record: upload.record, at, upload: upload.id }, why)
    }

    fn subject_key(&self, mut key: WrappedSubjectKey, rewrap: bool) -> Planned {
        let row = keys::subject_key(&key.key, &key.owner);
        match self.row::<WrappedSubjectKey>(&row)? {
            Some(old) if old.generation == key.generation && old.wrapped == key.wrapped => key.sites.extend(old.sites),
            Some(old) if old.generation > key.generation || (old.generation == key.generation && !rewrap) => {
                return Err(CommitError::KeyExists(Box::new(old)));
            }
            _ => {}
        }
        let mut draft = Draft::default();
        draft.put(row, sealed(&key)?);
        draft.key = Some((key.key, key.owner, key.generation));
        Ok(draft)
    }

    fn subject(&self, id: SubjectId, attributes: Option<Attributes>) -> Planned {
        let row = keys::subject(&self.inner.keys.pseudonyms.subject(&id));
        let old: Option<SubjectRow> = self.row(&row)?;
        let generation = Generation(old.map_or(0, |old| old.generation.0).saturating_add(1));
        let removed = attributes.is_none();
        let subject = SubjectRow { id, attributes: attributes.unwrap_or_default(), generation, updated: self.now, removed };
        let mut draft = Draft::default();
        draft.put(row, sealed(&subject)?);
        Ok(draft)
    }

    fn add_copy(&self, add: AddCopyChange) -> Planned {
        let AddCopyChange { bucket, key, record: id, copy, receipts, basis } = add;
        self.check_bucket(bucket)?;
        let row = keys::record(bucket, key.as_str());
        let current = self.record(&row)?.filter(|record| record.summary.id == id);
        let mut record = current.ok_or(CommitError::NoSuchKey)?;
        self.check_basis(basis, record.detail.placement.subject.as_ref())?;
        let planned = record.queued().any(|planned| planned.site == copy.site && planned.country == copy.country);
        let begun = record.detail.copies.iter().position(|old| old.site == copy.site);
        let mut draft = Draft::default();
        if copy.is_stored() {
            let begun = begun.and_then(|at| record.detail.copies.get_mut(at)).filter(|old| planned && same_blobs(old, &copy));
            let begun = begun.ok_or(CommitError::Conflict)?;
            let name = BlobName::of(copy.country, &copy.manifest(id, record.detail.layout));
            if !receipts.iter().any(|receipt| receipt.site() == &copy.site && *receipt.name() == name) {
                return Err(CommitError::NotStored { site: copy.site });
            }
            let counter = Counter::Site(copy.country, copy.site.clone(), bucket);
            draft.counts.push((counter, record.summary.size, true));
            draft.put(Secondary::Site(&copy.site).row(bucket, key.as_str(), record.summary.ticket), Body::Clear(Vec::new()));
            *begun = copy;
        } else {
            if !planned || begun.is_some() {
                return Err(CommitError::Conflict);
            }
            record.detail.copies.push(copy);
        }
        if record.queued().next().is_none() {
            draft.delete(Secondary::Pending.row(bucket, key.as_str(), record.summary.ticket));
        }
        draft.put(row, Body::Sealed(encode_record(&record)?));
        Ok(draft)
    }

    fn site(&self, mut site: SiteRow) -> Planned {
        let row = keys::site(&site.site);
        if let Some(old) = self.row::<SiteRow>(&row)? {
            if old.country != site.country || old.epoch > site.epoch {
                return Err(CommitError::SiteConflict);
            }
            site.first_seen = old.first_seen;
        }
        let mut draft = Draft::default();
        draft.put(row, sealed(&site)?);
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

    /// Takes a record's secondary rows and counters away and queues its blobs; the primary row is the caller's.
    fn remove(
        &self,
        draft: &mut Draft,
        bucket: BucketId,
        key: &ObjectKey,
        record: &Record,
        why: GarbageReason,
    ) -> Result<(), IndexError> {
        for row in self.secondary(bucket, key, record) {
            draft.delete(row);
        }
        let size = record.summary.size;
        draft.counts.extend(counters_of(bucket, record).map(|counter| (counter, size, false)));
        self.discard(draft, record, why)
    }

    fn discard(&self, draft: &mut Draft, record: &Record, why: GarbageReason) -> Result<(), IndexError> {
        let (id, size, layout) = (record.summary.id, record.summary.size, record.detail.layout);
        let what = Waste::Record { record: id, size, copies: record.detail.copies.clone(), layout };
        self.queue(draft, what, why)
    }

    fn queue(&self, draft: &mut Draft, what: Waste, why: GarbageReason) -> Result<(), IndexError> {
        draft.writes.push(self.garbage_row(&Garbage { since: self.now, why, what })?);
        Ok(())
    }

    fn secondary(&self, bucket: BucketId, key: &ObjectKey, record: &Record) -> Vec<Vec<u8>> {
        let ticket = record.summary.ticket;
        let placement = &record.detail.placement;
        let subject = placement.subject.as_ref().map(|subject| self.inner.keys.pseudonyms.subject(subject));
        let of_subject = subject.iter().map(Secondary::Subject);
        let of_sites = record.detail.copies.iter().filter(|copy| copy.is_stored()).map(|copy| Secondary::Site(&copy.site));
        let of_instruments = placement.instruments.iter().map(Secondary::Instrument);
        let pending = record.queued().next().map(|_| Secondary::Pending);
        of_subject.chain(of_sites).chain(of_instruments).chain(pending).map(|row| row.row(bucket, key.as_str(), ticket)).collect()
    }

    fn check_bucket(&self, bucket: BucketId) -> Result<(), CommitError> {
        let exists = self.state.bucket_ids.contains_key(&bucket);
        if exists { Ok(()) } else { Err(CommitError::Stale(Stale::Bucket)) }
    }

    fn check_basis(&self, basis: Basis, subject: Option<&SubjectId>) -> Result<(), CommitError> {
        if self.state.policy != Some(basis.policy) {
            return Err(CommitError::Stale(Stale::Policy));
        }
        let Some(subject) = subject else { return Ok(()) };
        let row: Option<SubjectRow> = self.row(&keys::subject(&self.inner.keys.pseudonyms.subject(subject)))?;
        let generation = row.map_or(Generation::default(), |row| row.generation);
        if generation == basis.subject_generation { Ok(()) } else { Err(CommitError::Stale(Stale::Subject)) }
    }

    fn check_keys(&mut self, copies: &[CopyRow]) -> Result<(), CommitError> {
        for copy in copies {
            let id = (copy.key.clone(), copy.owner.clone());
            let known = match self.state.key_generations.get(&id) {
                Some(generation) => Some(*generation),
                None => {
                    let row: Option<WrappedSubjectKey> = self.row(&keys::subject_key(&id.0, &id.1))?;
                    row.map(|row| {
                        self.remember_key(id.0, id.1, row.generation);
                        row.generation
                    })
                }
            };
            if known != Some(copy.sk_generation) {
                return Err(CommitError::Stale(Stale::Key));
            }
        }
        Ok(())
    }
}

/// Whether two rows name the same blobs under the same keys.
fn same_blobs(one: &CopyRow, other: &CopyRow) -> bool {
    let facts = |row: &CopyRow| (row.country, row.sk_generation, row.dek, row.manifest_attempt);
    facts(one) == facts(other) && one.key == other.key && one.owner == other.owner
}

/// A record without stored bytes does not commit.
fn check_receipts(record: &Record, receipts: &[Receipt]) -> Result<(), CommitError> {
    let detail = &record.detail;
    let missing = |copy: &&CopyRow| {
        let name = BlobName::of(copy.country, &copy.manifest(record.summary.id, detail.layout));
        let proven =
            |receipt: &Receipt| receipt.site() == &copy.site && receipt.country() == copy.country && *receipt.name() == name;
        let stored = matches!(copy.state, CopyState::Stored { .. });
        (copy.role != Role::Queued || stored) && !(stored && receipts.iter().any(proven))
    };
    match detail.copies.iter().find(missing) {
        Some(copy) => Err(CommitError::NotStored { site: copy.site.clone() }),
        None => Ok(()),
    }
}

fn check_condition(condition: &WriteCondition, current: Option<&Record>) -> Result<(), CommitError> {
    let current = current.filter(|record| !record.summary.delete_marker);
    let holds = match condition {
        WriteCondition::None => true,
        WriteCondition::IfAbsent => current.is_none(),
        WriteCondition::IfPresent => current.is_some(),
        WriteCondition::IfMatch(etags) => match current {
            Some(record) => etags.contains(&record.summary.etag),
            // S3 answers 404 to If-Match on an absent key.
            None => return Err(CommitError::NoSuchKey),
        },
    };
    if holds { Ok(()) } else { Err(CommitError::PreconditionFailed) }
}
