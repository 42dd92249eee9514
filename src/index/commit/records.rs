//! Records and their versions: what a put and a change of description do to the rows of one key.
//!
//! The newest version is the current row when it has bytes. Every other version and every delete marker is a history row. So a current
//! row's ticket is greater than those of the history, and a key whose newest version is a marker has no current row.

use std::collections::BTreeSet;

use super::{
    group::{Body, Group, sealed},
    plan::{Draft, Planned},
};
use crate::{
    access::Acl,
    backend::Receipt,
    bucket::{BucketSettings, Versioning},
    index::{
        AddCopyChange, BucketId, CommitError, CopyRow, CopyState, GarbageReason, IndexError, Kept, Layout, PutChange, Record,
        RecordUpdate, Stale, Summary, Term, UpdateChange, Version, Waste, WriteCondition,
        codec::encode_record,
        counters::counters_of,
        keys::{self, Secondary},
        names::of_copies as of_subject,
        replay::secondary_rows,
    },
    policy::Role,
    seal::BlobName,
    types::{ObjectKey, RecordId, Ticket, VersionId},
};

/// The rows of one key as a change finds them.
pub(super) struct Versions {
    /// The current record.
    pub(super) current: Option<Record>,
    /// The newest row of the history, where it may matter: not in a bucket that never had versioning.
    newest: Option<Version>,
    /// The `null` version, when it is in the history.
    pub(super) null: Option<Version>,
}

impl Group<'_> {
    pub(super) fn put_record(&mut self, put: &PutChange) -> Planned {
        self.check_bucket(put.bucket)?;
        let detail = &put.record.detail;
        self.check_basis(put.basis, detail.placement.subject.as_ref())?;
        detail.acl.as_ref().map_or(Ok(()), |acl| self.check_acl(put.bucket, acl))?;
        check_receipts(&put.record, &put.receipts)?;
        self.check_keys(&detail.copies)?;
        let mut draft = self.place_record(put)?;
        // Those of an upload were counted when it was created.
        if !matches!(detail.layout, Layout::Parts { .. }) {
            self.count_wraps(&mut draft, &detail.copies)?;
        }
        Ok(draft)
    }

    /// Puts a record among the versions of its key.
    pub(super) fn place_record(&self, put: &PutChange) -> Planned {
        let detail = &put.record.detail;
        let term = self.term(put.bucket, &put.key, &put.record)?;
        if !detail.lock.is_empty() || term.at_least.is_some() {
            self.inner.ongoing.held(detail.placement.subject.as_ref());
        }
        let mut versions = self.versions(put.bucket, &put.key)?;
        put.condition.check(versions.current.as_ref().map(|current| &current.summary))?;
        let mut draft = Draft::default();
        let attempts = detail.copies.iter().map(|copy| copy.manifest_attempt).chain(match detail.layout {
            Layout::Whole { attempt } | Layout::Extents { attempt } => Some(attempt),
            Layout::Parts { .. } => None,
        });
        let attempts: BTreeSet<_> = attempts.collect();
        draft.resolved.extend(attempts.into_iter().map(|attempt| (put.record.summary.id, attempt)));
        let summary = &put.record.summary;
        let overtaken = versions.current.as_ref().is_some_and(|current| current.summary.ticket >= summary.ticket);
        if overtaken && put.condition != WriteCondition::None {
            return Err(CommitError::Conflict);
        }
        if summary.version == VersionId::Null && !self.replace_null(&mut draft, put, &mut versions)? {
            // It would be gone at once, and has to stay.
            if let Some(until) = term.kept_until(self.now) {
                return Err(CommitError::Kept { until });
            }
            draft.committed.superseded = true;
            self.discard(&mut draft, &put.record, GarbageReason::Superseded)?;
            return Ok(draft);
        }
        let body = Body::Sealed(encode_record(&put.record.clone().placed_by(self.next_entry()))?);
        let newest = versions.newest_ticket();
        if newest.is_some_and(|newest| newest == summary.ticket) {
            return Err(CommitError::Conflict);
        }
        if newest.is_some_and(|newest| newest > summary.ticket) {
            draft.committed.superseded = true;
            self.shelve(&mut draft, put.bucket, &put.key, summary, body)?;
        } else {
            if let Some(current) = &versions.current {
                let old = Body::Sealed(encode_record(current)?);
                self.shelve(&mut draft, put.bucket, &put.key, &current.summary, old)?;
            }
            draft.put(keys::record(put.bucket, put.key.as_str()), body);
        }
        for row in self.secondary(put.bucket, &put.key, &put.record) {
            draft.put(row, Body::Clear(Vec::new()));
        }
        let size = summary.size;
        draft.counts.extend(counters_of(put.bucket, &put.record).into_iter().map(|counter| (counter, size, true)));
        Ok(draft)
    }

    /// Makes room for a new `null` version. `false`: the one that is there is newer.
    fn replace_null(&self, draft: &mut Draft, put: &PutChange, versions: &mut Versions) -> Result<bool, CommitError> {
        let ticket = put.record.summary.ticket;
        let current = versions.current.take_if(|current| current.summary.version == VersionId::Null);
        let from_history = current.is_none();
        let Some(old) = current.map(|record| Version::Record(Box::new(record))).or_else(|| versions.null.take()) else {
            return Ok(true);
        };
        if old.summary().id == put.record.summary.id {
            return Err(CommitError::Conflict);
        }
        if old.summary().ticket >= ticket {
            return Ok(false);
        }
        if from_history {
            draft.delete(keys::history(put.bucket, put.key.as_str(), old.summary().ticket));
            draft.delete(keys::null_version(put.bucket, put.key.as_str()));
            if versions.newest.as_ref().is_some_and(|newest| newest.summary().ticket == old.summary().ticket) {
                versions.newest = None;
            }
        }
        self.remove_version(draft, put.bucket, &put.key, old, GarbageReason::Superseded, false)?;
        Ok(true)
    }

    pub(super) fn update(&self, change: UpdateChange) -> Planned {
        let UpdateChange { bucket, key, record: id, ticket, update, basis } = change;
        self.check_bucket(bucket)?;
        let (row, mut record) = self.record_at(bucket, &key, ticket, id)?;
        if self.state.is_erased(&record.detail.copies) {
            return Err(CommitError::NoSuchKey);
        }
        if let Some(basis) = basis {
            self.check_basis(basis, record.detail.placement.subject.as_ref())?;
        }
        match update {
            RecordUpdate::Tags(tags) => record.detail.tags = tags,
            RecordUpdate::Acl(acl) => {
                self.check_acl(bucket, &acl)?;
                record.detail.acl = Some(acl);
            }
            RecordUpdate::Retention { retention, bypass_governance } => {
                let allowed = record.detail.lock.may_change_to(retention, self.now, bypass_governance);
                allowed.map_err(|_| CommitError::Locked)?;
                record.detail.lock.retention = retention;
                self.inner.ongoing.held(record.detail.placement.subject.as_ref());
            }
            RecordUpdate::LegalHold(on) => {
                record.detail.lock.legal_hold = Some(on);
                self.inner.ongoing.held(record.detail.placement.subject.as_ref());
            }
        }
        let mut draft = Draft { whose: of_subject(&record.detail.copies), ..Draft::default() };
        draft.put(row, Body::Sealed(encode_record(&record)?));
        Ok(draft)
    }

    pub(super) fn add_copy(&self, add: AddCopyChange) -> Planned {
        let AddCopyChange { bucket, key, record: id, ticket, mut copy, receipts, basis } = add;
        self.check_bucket(bucket)?;
        let (row, mut record) = self.record_at(bucket, &key, ticket, id)?;
        self.check_basis(basis, record.detail.placement.subject.as_ref())?;
        let planned = record.queued().any(|planned| planned.site == copy.site && planned.country == copy.country);
        let begun = record.detail.copies.iter().position(|old| old.site == copy.site);
        let (size, before) = (record.summary.size, counters_of(bucket, &record));
        let mut draft = Draft::default();
        if copy.is_stored() {
            let begun = begun.and_then(|at| record.detail.copies.get_mut(at)).filter(|old| planned && same_blobs(old, &copy));
            let begun = begun.ok_or(CommitError::Conflict)?;
            let name = BlobName::of(copy.country, &copy.manifest(id, record.detail.layout));
            if !receipts.iter().any(|receipt| receipt.site() == &copy.site && *receipt.name() == name) {
                return Err(CommitError::NotStored { site: copy.site });
            }
            draft.put(Secondary::Site(&copy.site).row(bucket, key.as_str(), record.summary.ticket), Body::Clear(Vec::new()));
            copy.entry = Some(self.next_entry());
            *begun = copy;
        } else {
            if !planned || begun.is_some() {
                return Err(CommitError::Conflict);
            }
            record.detail.copies.push(copy);
            self.tell_part_table(&mut draft, &record)?;
        }
        draft.counts.extend(before.into_iter().map(|counter| (counter, size, false)));
        draft.counts.extend(counters_of(bucket, &record).into_iter().map(|counter| (counter, size, true)));
        if record.queued().next().is_none() {
            draft.delete(Secondary::Pending.row(bucket, key.as_str(), record.summary.ticket));
        }
        draft.put(row, Body::Sealed(encode_record(&record)?));
        Ok(draft)
    }

    pub(super) fn settings(&self, bucket: BucketId) -> Option<&BucketSettings> {
        let name = self.state.bucket_ids.get(&bucket)?;
        self.state.buckets.get(name).map(|bucket| &bucket.settings)
    }

    pub(super) fn versioning(&self, bucket: BucketId) -> Versioning {
        self.settings(bucket).map_or(Versioning::Off, |settings| settings.versioning)
    }

    /// The bucket may have been closed since the ACL was let through.
    fn check_acl(&self, bucket: BucketId, acl: &Acl) -> Result<(), CommitError> {
        self.settings(bucket).map_or(Ok(()), |settings| settings.check_acl(acl)).map_err(CommitError::Setting)
    }

    /// The rows of a key that a put or a delete of the key has to look at.
    pub(super) fn versions(&self, bucket: BucketId, key: &ObjectKey) -> Result<Versions, IndexError> {
        let current = self.record(&keys::record(bucket, key.as_str()))?;
        if self.versioning(bucket) == Versioning::Off {
            return Ok(Versions { current, newest: None, null: None });
        }
        let prefix = keys::versions(bucket, key.as_str());
        let newest = self.first_version(&prefix, &prefix)?.map(|(_, version)| version);
        let null = match self.row::<Ticket>(&keys::null_version(bucket, key.as_str()))? {
            Some(ticket) => self.version(&keys::history(bucket, key.as_str(), ticket))?,
            None => None,
        };
        Ok(Versions { current, newest, null })
    }

    /// How long the policy in force wants a version kept. The gateway decides by it a moment after the index has it.
    pub(super) fn term(&self, bucket: BucketId, key: &ObjectKey, record: &Record) -> Result<Term, CommitError> {
        let Some(bucket) = self.state.bucket_ids.get(&bucket) else { return Ok(Term::default()) };
        self.inner.term(self.state.policy, Kept { bucket, key, record }).ok_or(CommitError::Stale(Stale::Policy))
    }

    /// A version by its id; without one the newest.
    pub(super) fn version_of(
        &self,
        bucket: BucketId,
        key: &ObjectKey,
        version: Option<VersionId>,
    ) -> Result<Option<Version>, IndexError> {
        let current = self.record(&keys::record(bucket, key.as_str()))?.map(|record| Version::Record(Box::new(record)));
        let Some(version) = version else {
            let prefix = keys::versions(bucket, key.as_str());
            return Ok(match current {
                Some(current) => Some(current),
                None => self.first_version(&prefix, &prefix)?.map(|(_, newest)| newest),
            });
        };
        if current.as_ref().is_some_and(|current| current.summary().version == version) {
            return Ok(current);
        }
        let Some(ticket) = self.history_ticket(bucket, key, version)? else { return Ok(None) };
        let found = self.version(&keys::history(bucket, key.as_str(), ticket))?;
        Ok(found.filter(|found| found.summary().version == version))
    }

    pub(super) fn history_ticket(
        &self,
        bucket: BucketId,
        key: &ObjectKey,
        version: VersionId,
    ) -> Result<Option<Ticket>, IndexError> {
        match version.ticket() {
            Some(ticket) => Ok(Some(ticket)),
            None => self.row(&keys::null_version(bucket, key.as_str())),
        }
    }

    /// A version by its ticket, current or not.
    pub(super) fn record_at(
        &self,
        bucket: BucketId,
        key: &ObjectKey,
        ticket: Ticket,
        id: RecordId,
    ) -> Result<(Vec<u8>, Record), CommitError> {
        let row = keys::record(bucket, key.as_str());
        if let Some(record) = self.record(&row)?.filter(|record| record.summary.id == id) {
            return Ok((row, record));
        }
        let row = keys::history(bucket, key.as_str(), ticket);
        let record = self.version(&row)?.and_then(Version::into_record).filter(|record| record.summary.id == id);
        record.map(|record| (row, record)).ok_or(CommitError::NoSuchKey)
    }

    /// Puts a version among the noncurrent ones.
    pub(super) fn shelve(
        &self,
        draft: &mut Draft,
        bucket: BucketId,
        key: &ObjectKey,
        summary: &Summary,
        body: Body,
    ) -> Result<(), IndexError> {
        draft.put(keys::history(bucket, key.as_str(), summary.ticket), body);
        if summary.version == VersionId::Null {
            draft.put(keys::null_version(bucket, key.as_str()), sealed(&summary.ticket)?);
        }
        Ok(())
    }

    /// Takes a version away for good; its own row is the caller's.
    pub(super) fn remove_version(
        &self,
        draft: &mut Draft,
        bucket: BucketId,
        key: &ObjectKey,
        version: Version,
        why: GarbageReason,
        bypass_governance: bool,
    ) -> Result<(), CommitError> {
        if let Version::Record(record) = &version {
            draft.whose = of_subject(&record.detail.copies);
            // An erasure was held against what keeps versions before it was accepted.
            if why != GarbageReason::Erased && record.detail.lock.forbids_removal(self.now, bypass_governance) {
                return Err(CommitError::Locked);
            }
            if why != GarbageReason::Erased
                && let Some(until) = self.term(bucket, key, record)?.kept_until(self.now)
            {
                return Err(CommitError::Kept { until });
            }
            for row in self.secondary(bucket, key, record) {
                draft.delete(row);
            }
            let size = record.summary.size;
            draft.counts.extend(counters_of(bucket, record).into_iter().map(|counter| (counter, size, false)));
            self.discard(draft, record, why)?;
        }
        draft.committed.replaced = Some(version.summary().clone());
        Ok(())
    }

    fn discard(&self, draft: &mut Draft, record: &Record, why: GarbageReason) -> Result<(), IndexError> {
        draft.gone.push(record.summary.id);
        let (id, size, layout) = (record.summary.id, record.summary.size, record.detail.layout);
        let what = Waste::Record { record: id, size, copies: record.detail.copies.clone(), layout };
        self.queue(draft, what, why)
    }

    pub(super) fn secondary(&self, bucket: BucketId, key: &ObjectKey, record: &Record) -> Vec<Vec<u8>> {
        secondary_rows(&self.inner.keys, bucket, key.as_str(), record).collect()
    }
}

impl Versions {
    fn newest_ticket(&self) -> Option<Ticket> {
        let current = self.current.as_ref().map(|record| record.summary.ticket);
        current.max(self.newest.as_ref().map(|version| version.summary().ticket))
    }
}

/// Whether two rows name the same blobs under the same keys.
pub(super) fn same_blobs(one: &CopyRow, other: &CopyRow) -> bool {
    let facts = |row: &CopyRow| (row.country, row.sk_generation, row.dek, row.manifest_attempt, row.moved);
    facts(one) == facts(other) && one.key == other.key && one.owner == other.owner
}

/// A record without stored bytes does not commit.
pub(super) fn check_receipts(record: &Record, receipts: &[Receipt]) -> Result<(), CommitError> {
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
