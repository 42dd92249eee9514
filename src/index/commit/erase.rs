//! The erasure of a subject: one change destroys its keys in every country and forgets what is known of it; its rows follow one by one.

use std::{
    collections::BTreeSet,
    ops::{Bound, ControlFlow},
    sync::atomic::Ordering,
};

use super::{
    group::{Group, sealed},
    plan::{Draft, Planned},
    subject_keys::key_blobs,
};
use crate::{
    index::{
        BucketId, CommitError, CopyRow, DeleteChange, EraseChange, EraseRecordChange, ErasedKey, Erasure, ErasureStep,
        GarbageReason, IndexError, SubjectRow, Upload, UploadState, Version, Waste, WriteCondition,
        journal::Base,
        keys::{self, kind, successor},
        names::SaltRow,
    },
    kms::KeyOwner,
    types::{Attributes, Country, Generation, KeyId, ObjectKey, Ticket, UploadId, VersionId},
};

/// Delete markers that go in one change with the last record of their key.
pub(super) const MARKERS: usize = 200;

impl Group<'_> {
    pub(super) fn erase(&self, erase: &EraseChange) -> Planned {
        if !erase.watch.is_quiet(self.state.policy) {
            return Err(CommitError::Conflict);
        }
        let pseudonym = self.inner.keys.pseudonyms.subject(&erase.subject);
        let mut draft = Draft::default();
        let mut countries: BTreeSet<Country> = self.inner.journal.chains().map(|chains| chains.home).into_iter().collect();
        countries.extend(self.row::<Base>(keys::JOURNAL)?.iter().flat_map(Base::homes));
        let mut erased = Vec::new();
        let owner = KeyOwner::Subject(pseudonym);
        for key in self.country_keys()? {
            // Those of before too: each opens records of its time.
            for (row, wrapped) in self.keys_of_owner(&key, &owner)? {
                countries.extend(wrapped.countries());
                erased.push(ErasedKey { key: key.clone(), generation: wrapped.generation });
                self.queue(&mut draft, key_blobs(&wrapped), GarbageReason::Erased)?;
                draft.delete(row);
            }
            draft.gone_keys.push((key, owner.clone()));
        }
        // The row stays, without the name: a decision of before must not fit a generation of after. It does not say when: the ledger would say of
        // that moment which erasure it was, and so which records.
        let row = keys::subject(&pseudonym);
        let old: Option<SubjectRow> = self.row(&row)?;
        countries.extend(old.iter().flat_map(SubjectRow::told_in));
        for next in old.iter().flat_map(|old| &old.coming) {
            draft.delete(keys::appointed(next.effective, &pseudonym));
        }
        let generation = Generation(old.map_or(0, |old| old.at(self.now).generation.0).saturating_add(1));
        let known = SubjectRow { erased: Some(generation), ..SubjectRow::unknown(generation) };
        draft.put(row, sealed(&known)?);
        draft.delete(keys::unsettled(&pseudonym));
        // From here on nobody can tell any more which entries of the ledger were about it.
        let salt = keys::salt(&pseudonym);
        if let Some(kept) = self.row::<SaltRow>(&salt)? {
            countries.extend(kept.country);
            draft.delete(salt);
        }
        draft.gone_salt = Some(pseudonym);

        let erasure = Erasure {
            // Tickets never repeat, so neither do the numbers of erasures.
            id: self.inner.tickets.next.fetch_add(1, Ordering::Relaxed),
            accepted: self.now,
            subject: Some(pseudonym),
            keys: erased,
            countries,
            at_once: erase.at_once,
            step: ErasureStep::Sweep,
        };
        draft.put(keys::erasure(erasure.id), sealed(&erasure)?);
        draft.committed.erasure = Some(erasure);
        Ok(draft)
    }

    /// The country keys that wrap any subject key.
    fn country_keys(&self) -> Result<BTreeSet<KeyId>, IndexError> {
        let mut found = BTreeSet::new();
        let id = |row: &[u8]| {
            let end = row.iter().position(|byte| *byte == 0)?;
            KeyId::new(std::str::from_utf8(row.get(1..end)?).ok()?).ok()
        };
        let end = [kind::SUBJECT_KEY + 1];
        let mut from = vec![kind::SUBJECT_KEY];
        loop {
            let mut next = None;
            self.inner.engine.scan(Bound::Included(&from), Bound::Excluded(&end), &mut |row, _| {
                next = id(row);
                ControlFlow::Break(())
            })?;
            let Some(key) = next else { break };
            let Some(behind) = successor(&[&[kind::SUBJECT_KEY], key.as_str().as_bytes(), &[0]].concat()) else { break };
            from = behind;
            found.insert(key);
        }
        found.extend(self.planned(&[kind::SUBJECT_KEY], &end).filter_map(id));
        Ok(found)
    }

    pub(super) fn erase_record(&self, erase: EraseRecordChange) -> Planned {
        let EraseRecordChange { erasure, bucket, key, version, ticket, record: id } = erase;
        let record = match self.record_at(bucket, &key, ticket, id) {
            Ok((_, record)) if self.erases(erasure, &record.detail.copies) => record,
            // It went in another way, or came after the erasure.
            Ok(_) | Err(CommitError::NoSuchKey) => return Ok(Draft::default()),
            Err(other) => return Err(other),
        };
        let markers = self.lone_markers(bucket, &key, ticket)?;
        let mut draft = Draft::default();
        if markers.len() <= MARKERS {
            let delete = DeleteChange {
                bucket,
                key: key.clone(),
                version: Some(version),
                record: Some(id),
                owner: record.summary.owner.clone(),
                ticket,
                marker: version,
                condition: WriteCondition::None,
                seen: Vec::new(),
                bypass_governance: false,
            };
            draft = self.delete_version(&delete, version, GarbageReason::Erased)?;
        }
        for (row, is_null) in markers.into_iter().take(MARKERS) {
            draft.delete(row);
            if is_null {
                draft.delete(keys::null_version(bucket, key.as_str()));
            }
        }
        Ok(draft)
    }

    /// The delete markers of a key that has no record but that of `ticket`: they would go on telling its name, and hide nothing. One more
    /// than go at once, at the most.
    pub(super) fn lone_markers(
        &self,
        bucket: BucketId,
        key: &ObjectKey,
        ticket: Ticket,
    ) -> Result<Vec<(Vec<u8>, bool)>, IndexError> {
        let mut markers = Vec::new();
        if self.record(&keys::record(bucket, key.as_str()))?.is_some_and(|current| current.summary.ticket != ticket) {
            return Ok(markers);
        }
        let prefix = keys::versions(bucket, key.as_str());
        let mut from = prefix.clone();
        while let Some((row, version)) = self.first_version(&prefix, &from)? {
            from = [row.as_slice(), &[0]].concat();
            match version {
                Version::Marker(marker) => markers.push((row, marker.version == VersionId::Null)),
                Version::Record(other) if other.summary.ticket != ticket => return Ok(Vec::new()),
                Version::Record(_) => {}
            }
            if markers.len() > MARKERS {
                break;
            }
        }
        Ok(markers)
    }

    pub(super) fn erase_upload(&self, erasure: u64, bucket: BucketId, key: &ObjectKey, id: UploadId) -> Planned {
        let mut draft = Draft::default();
        let row = keys::upload(bucket, key.as_str(), &id);
        let closed = keys::closed_upload(&id);
        if let Some(mut upload) = self.row::<Upload>(&row)?.filter(|upload| self.erases(erasure, &upload.copies)) {
            draft.delete(row);
            upload.state = UploadState::Aborted;
            let at = upload.copies.iter().map(CopyRow::stored_at).collect();
            self.queue(&mut draft, Waste::Upload { record: upload.record, at, upload: id }, GarbageReason::Erased)?;
            draft.put(closed, sealed(&nameless(upload))?);
        } else if let Some(upload) = self.row::<Upload>(&closed)?.filter(|upload| self.erases(erasure, &upload.copies)) {
            // Its garbage is queued since it was closed, and still needs the row.
            draft.put(closed, sealed(&nameless(upload))?);
        }
        Ok(draft)
    }

    pub(super) fn erasure_step(&self, id: u64, step: ErasureStep) -> Planned {
        let row = keys::erasure(id);
        let mut erasure: Erasure = self.row(&row)?.ok_or(CommitError::NoSuchErasure)?;
        if erasure.is_complete() {
            return Err(CommitError::NoSuchErasure);
        }
        erasure.step = step;
        if erasure.is_complete() {
            erasure.subject = None;
            erasure.keys = Vec::new();
            erasure.countries = BTreeSet::new();
        }
        let mut draft = Draft::default();
        draft.put(row, sealed(&erasure)?);
        draft.committed.erasure = Some(erasure);
        Ok(draft)
    }

    fn erases(&self, erasure: u64, copies: &[CopyRow]) -> bool {
        self.state.erasures.get(&erasure).is_some_and(|erasure| erasure.reaches(copies))
    }
}

/// What the collection of an upload needs, without whose it was.
fn nameless(upload: Upload) -> Upload {
    let mut placement = upload.placement;
    placement.subject = None;
    placement.attributes = Attributes::new();
    placement.assumed = BTreeSet::new();
    placement.origins = Vec::new();
    Upload {
        key: ObjectKey::new("erased").unwrap_or(upload.key),
        content: Default::default(),
        metadata: Default::default(),
        tags: Vec::new(),
        acl: None,
        placement,
        ..upload
    }
}
