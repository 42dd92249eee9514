//! The switch of a record to other copies: the version stays, where it lives changes, what it leaves is garbage. And the taking in of a
//! record that lies at the sites already.

use super::{
    group::{Body, Group, sealed},
    plan::{Draft, Planned},
    records::{check_receipts, same_blobs},
};
use crate::{
    digest,
    index::{
        AdoptChange, CommitError, CopyRow, GarbageReason, IndexError, Layout, PartEntry, PutChange, Record, RelocateChange,
        Waste, WriteCondition, codec::encode_record, counters::counters_of, journal::of_copies, keys,
    },
    policy::Role,
    residency::Basis,
    types::UploadId,
};

impl Group<'_> {
    pub(super) fn relocate(&mut self, change: RelocateChange) -> Planned {
        let RelocateChange { bucket, key, record: id, ticket, before, mut after, placement, receipts, basis } = change;
        self.check_bucket(bucket)?;
        let (row, record) = self.record_at(bucket, &key, ticket, id)?;
        if !same_copies(&record.detail.copies, &before) || record.detail.placement.subject != placement.subject {
            return Err(CommitError::Conflict);
        }
        self.check_basis(basis, placement.subject.as_ref())?;
        // What stays is told of by the entry that it has.
        for copy in &mut after {
            let old = record.detail.copies.iter().find(|old| old.site == copy.site && same_blobs(old, copy));
            copy.entry = old.and_then(|old| old.entry);
        }
        let (kept, new): (Vec<CopyRow>, Vec<CopyRow>) =
            after.iter().cloned().partition(|copy| before.iter().any(|old| old.site == copy.site && same_blobs(old, copy)));
        self.check_keys(&new)?;
        check_receipts(&with_copies(&record, new.clone()), &receipts)?;
        let required = placement.copies.iter().filter(|planned| planned.role != Role::Queued);
        let stored = |planned: &&crate::residency::PlannedCopy| {
            after.iter().any(|copy| copy.is_stored() && copy.site == planned.site && copy.country == planned.country)
        };
        if let Some(missing) = required.into_iter().find(|planned| !stored(planned)) {
            return Err(CommitError::NotStored { site: missing.site.clone() });
        }
        if let Some(outside) = after.iter().find(|copy| !placement.copies.iter().any(|planned| planned.site == copy.site)) {
            return Err(CommitError::NotStored { site: outside.site.clone() });
        }

        let mut moved = with_copies(&record, after);
        moved.detail.placement = placement;
        moved.detail.moves = record.detail.moves.saturating_add(1);
        let mut draft = Draft::default();
        self.tell_part_table(&mut draft, &moved)?;
        draft.resolved.extend(new.iter().filter_map(|copy| copy.moved).map(|attempt| (id, attempt)));
        let size = record.summary.size;
        for row in self.secondary(bucket, &key, &record) {
            draft.delete(row);
        }
        draft.counts.extend(counters_of(bucket, &record).into_iter().map(|counter| (counter, size, false)));
        for row in self.secondary(bucket, &key, &moved) {
            draft.put(row, Body::Clear(Vec::new()));
        }
        draft.counts.extend(counters_of(bucket, &moved).into_iter().map(|counter| (counter, size, true)));
        draft.put(row, Body::Sealed(encode_record(&moved.placed_by(self.next_entry()))?));
        let left = before.into_iter().filter(|old| !kept.iter().any(|copy| copy.site == old.site)).collect::<Vec<_>>();
        if !left.is_empty() {
            self.leave(&mut draft, &record, left)?;
        }
        Ok(draft)
    }

    pub(super) fn adopt(&self, adopt: &AdoptChange) -> Planned {
        let AdoptChange { bucket, key, record, parts } = adopt;
        self.check_bucket(*bucket)?;
        let placement = &record.detail.placement;
        let basis = Basis { policy: placement.revision, subject_generation: placement.subject_generation, until: None };
        let put = PutChange {
            bucket: *bucket,
            key: key.clone(),
            record: record.clone(),
            receipts: Vec::new(),
            basis,
            condition: WriteCondition::None,
        };
        let mut draft = self.place_record(&put)?;
        if let Layout::Parts { table, .. } = record.detail.layout {
            draft.put_for(keys::part_table(&table), sealed(parts)?, of_copies(&record.detail.copies));
        }
        Ok(draft)
    }

    /// Writes the part table of a record again, which has come to more countries: it belongs where the record does.
    pub(super) fn tell_part_table(&self, draft: &mut Draft, record: &Record) -> Result<(), IndexError> {
        if let Layout::Parts { table, .. } = record.detail.layout {
            let parts: Vec<PartEntry> = self.row(&keys::part_table(&table))?.ok_or(IndexError::Corrupt { kind: 't' })?;
            draft.put_for(keys::part_table(&table), sealed(&parts)?, of_copies(&record.detail.copies));
        }
        Ok(())
    }

    /// Queues copies as garbage. They get a part table of their own: that of the record goes when the record goes.
    fn leave(&self, draft: &mut Draft, record: &Record, copies: Vec<CopyRow>) -> Result<(), IndexError> {
        let layout = match record.detail.layout {
            Layout::Parts { table, count } => {
                let parts: Vec<PartEntry> = self.row(&keys::part_table(&table))?.ok_or(IndexError::Corrupt { kind: 't' })?;
                let table = UploadId::from_bytes(digest::random());
                draft.put_for(keys::part_table(&table), sealed(&parts)?, of_copies(&copies));
                Layout::Parts { table, count }
            }
            layout => layout,
        };
        let what = Waste::Record { record: record.summary.id, size: record.summary.size, copies, layout };
        self.queue(draft, what, GarbageReason::Relocated)
    }
}

/// Whether they are the same, whichever entries tell of them.
fn same_copies(one: &[CopyRow], other: &[CopyRow]) -> bool {
    let same = |(one, other): (&CopyRow, &CopyRow)| *one == CopyRow { entry: one.entry, ..other.clone() };
    one.len() == other.len() && one.iter().zip(other).all(same)
}

fn with_copies(record: &Record, copies: Vec<CopyRow>) -> Record {
    let mut with = record.clone();
    with.detail.copies = copies;
    with
}
