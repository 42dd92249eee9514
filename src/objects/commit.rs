//! From decision to commit: the last step of every write.
//!
//! The committer holds a change against the policy revision, subject and bucket of its decision. When one of them moved on meanwhile
//! the decision is taken again: the same placement commits, another one is refused and its blobs are garbage.

use crate::audit::Event;
use crate::backend::Receipt;
use crate::index::{Bucket, Change, CommitError, Committed, CopyRow, CopyState, PutChange, Record, WriteCondition};
use crate::objects::put::manifest_receipts;
use crate::objects::record_keys::Target;
use crate::objects::{ObjectError, Objects, Request, Residence, Stored};
use crate::policy::Role;
use crate::residency::{Basis, Placement, Refusal};
use crate::types::{AttemptId, ObjectKey};

/// How often a write decides again before it gives up. Each turn needs a change of policy, subject or keys in between.
const ATTEMPTS: usize = 5;

/// A record whose blobs are all durable.
pub(super) struct NewRecord {
    pub(super) row: Record,
    pub(super) receipts: Vec<Receipt>,
}

impl NewRecord {
    /// Completes `row` with the copies that `stored` proves.
    pub(super) fn new(mut row: Record, targets: &[Target], attempt: AttemptId, stored: Vec<(Receipt, u32)>) -> Self {
        let (copies, receipts) = manifest_receipts(targets, attempt, stored, row.summary.modified);
        row.detail.copies = copies;
        Self { row, receipts }
    }

    /// Adds the receipts of the extents that the manifest describes.
    pub(super) fn with(mut self, receipts: Vec<Receipt>) -> Self {
        self.receipts.extend(receipts);
        self
    }
}

impl Objects {
    /// Commits a stored record as the current version of its key.
    #[expect(clippy::too_many_arguments, reason = "the proofs of every stage before meet here")]
    pub(super) async fn commit_record(
        &self,
        request: &Request<'_>,
        bucket: &Bucket,
        key: &ObjectKey,
        placement: &Placement,
        new: NewRecord,
        condition: WriteCondition,
        event: Event,
    ) -> Result<Stored, ObjectError> {
        let stored = stored(&new.row);
        let put = PutChange {
            bucket: bucket.id,
            key: key.clone(),
            record: new.row,
            receipts: new.receipts,
            basis: placement.basis(),
            condition,
        };
        self.commit_decided(request, bucket, key, placement, event, |basis| {
            Change::Put(Box::new(PutChange { basis, ..put.clone() }))
        })
        .await?;
        Ok(stored)
    }

    /// Commits a change that depends on `placement`, deciding again when what it was based on moved on.
    pub(super) async fn commit_decided(
        &self,
        request: &Request<'_>,
        bucket: &Bucket,
        key: &ObjectKey,
        placement: &Placement,
        event: Event,
        change: impl Fn(Basis) -> Change,
    ) -> Result<Committed, ObjectError> {
        let event = self.with_placement(event, placement.record());
        let mut basis = placement.basis();
        for _ in 0..ATTEMPTS {
            match self.index.commit(change(basis), event.clone()).await {
                Ok(committed) => return Ok(committed),
                Err(CommitError::Stale(what)) => {
                    tracing::debug!(request = %request.id, stale = ?what, "deciding again");
                    basis = match self.residency.resume(request.auth, placement.record(), &bucket.name, key) {
                        Ok(again) => again.basis(),
                        Err(refusal) => {
                            self.record_refusal(request, event.kind, &bucket.name, Some(key), refusal.code()).await?;
                            return Err(refusal.into());
                        }
                    };
                }
                Err(other) => return Err(other.into()),
            }
        }
        Err(Refusal::Stale { reason: "what the decision rests on changes too fast".to_owned() }.into())
    }
}

/// What a client is told of a stored record.
pub(super) fn stored(row: &Record) -> Stored {
    Stored {
        etag: row.summary.etag,
        version: row.summary.version,
        checksum: row.detail.checksum,
        size: row.summary.size,
        modified: row.summary.modified,
        residence: residence(row),
    }
}

/// Where a record lives, for the response headers.
pub(super) fn residence(row: &Record) -> Residence {
    let mut copies: Vec<&CopyRow> =
        row.detail.copies.iter().filter(|copy| matches!(copy.state, CopyState::Stored { .. })).collect();
    copies.sort_by_key(|copy| copy.role != Role::Primary);
    Residence {
        countries: copies.iter().map(|copy| copy.country).collect(),
        sites: copies.iter().map(|copy| copy.site.clone()).collect(),
        instruments: row.detail.placement.instruments.clone(),
    }
}
