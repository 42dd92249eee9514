//! From decision to commit: the last step of every write.
//!
//! The committer holds a change against the policy revision, subject and bucket of its decision. When one of them moved on meanwhile
//! the decision is taken again: the same placement commits, another one is refused and its blobs are garbage.

use std::time::Duration;

use crate::audit::Event;
use crate::backend::Receipt;
use crate::index::{Bucket, Change, CommitError, Committed, CopyRow, CopyState, PutChange, Record, Stale, WriteCondition};
use crate::objects::error::erased_meanwhile;
use crate::objects::expire::expiration;
use crate::objects::put::manifest_receipts;
use crate::objects::record_keys::Target;
use crate::objects::{ObjectError, Objects, Request, Residence, Stored};
use crate::policy::Role;
use crate::residency::{Placement, PlacementRecord, Refusal, SourceFacts};
use crate::types::{AttemptId, ObjectKey};

/// How often a write decides again before it gives up. Each turn needs a change of policy, subject or keys in between.
pub(super) const ATTEMPTS: usize = 5;

/// How long and how often a write waits until the gateway decides by the policy set that the index has in force.
pub(super) const WAIT: Duration = Duration::from_millis(10);
pub(super) const WAITS: usize = 100;

/// What a change was decided on.
#[derive(Clone, Copy)]
pub(super) struct Decided<'a> {
    pub(super) bucket: &'a Bucket,
    pub(super) key: &'a ObjectKey,
    pub(super) placement: &'a Placement,
    /// The records whose bytes were found to satisfy the placement.
    pub(super) sources: &'a [SourceFacts],
}

/// Why a change that depends on a placement did not commit.
pub(super) enum NotCommitted {
    /// The placement does not stand any more; the refusal is recorded.
    Refused(ObjectError),
    /// The committer's answer.
    Commit(CommitError),
}

impl From<ObjectError> for NotCommitted {
    fn from(error: ObjectError) -> Self {
        Self::Refused(error)
    }
}

impl From<NotCommitted> for ObjectError {
    fn from(error: NotCommitted) -> Self {
        match error {
            NotCommitted::Refused(error) => error,
            NotCommitted::Commit(error) => error.into(),
        }
    }
}

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
        let stored = stored(bucket, key, &new.row);
        let event = new.row.summary.describe(event);
        let put = PutChange {
            bucket: bucket.id,
            key: key.clone(),
            record: new.row,
            receipts: new.receipts,
            basis: placement.basis(),
            condition,
        };
        let decided = Decided { bucket, key, placement, sources: &[] };
        self.commit_decided(request, decided, event, |placement| Change::Put(Box::new(put.decided(placement)))).await?;
        Ok(stored)
    }

    /// Commits a change that depends on a placement, deciding again when what it was based on moved on. `change` makes the change
    /// under the placement that is given to it, so that the rows and the ledger carry the decision that let them commit.
    pub(super) async fn commit_decided(
        &self,
        request: &Request<'_>,
        decided: Decided<'_>,
        event: Event,
        change: impl Fn(&Placement) -> Change,
    ) -> Result<Committed, NotCommitted> {
        fail::fail_point!("objects::before-commit", |_| Err(ObjectError::Internal("failpoint".to_owned()).into()));
        let kind = event.kind;
        let mut placement = decided.placement.clone();
        let (place, subject) = ((&decided.bucket.name, Some(decided.key)), placement.subject().cloned());
        let (mut decisions, mut waits) = (0, 0);
        let refusal = loop {
            let event = self.with_placement(event.clone(), placement.record());
            let stale = match self.index.commit(change(&placement), event).await {
                Ok(committed) => {
                    fail::fail_point!("objects::after-commit", |_| Err(ObjectError::Internal("failpoint".to_owned()).into()));
                    return Ok(committed);
                }
                Err(CommitError::Stale(Stale::Erased)) => break erased_meanwhile(),
                Err(CommitError::Stale(what @ (Stale::Policy | Stale::Subject))) => what,
                Err(kept @ CommitError::Kept { .. }) => {
                    self.record_refusal_of(request, kind, place, subject.as_ref(), "AccessDenied").await?;
                    return Err(NotCommitted::Commit(kept));
                }
                Err(other) => return Err(NotCommitted::Commit(other)),
            };
            tracing::debug!(request = %request.id, ?stale, "deciding again");
            let again = match self.decide_again(request, decided, placement.record()) {
                Ok(again) => again,
                Err(refusal) => break refusal,
            };
            // The index learns of a policy set a moment before the gateway decides by it.
            if again.basis() == placement.basis() {
                waits += 1;
                tokio::time::sleep(WAIT).await;
            } else {
                decisions += 1;
            }
            placement = again;
            if decisions == ATTEMPTS || waits == WAITS {
                break Refusal::Stale { reason: "what the decision rests on changes too fast".to_owned() };
            }
        };
        self.record_refusal_of(request, kind, place, subject.as_ref(), refusal.code()).await?;
        Err(NotCommitted::Refused(refusal.into()))
    }

    /// Refuses what was decided before its subject was erased: under a new decision it would pass for data of after.
    pub(super) fn check_not_erased(&self, earlier: &PlacementRecord) -> Result<(), Refusal> {
        let Some(subject) = &earlier.subject else { return Ok(()) };
        let erased = self.index.erased_at(subject).map_err(|_| Refusal::DirectoryUnavailable)?;
        if erased.is_some_and(|erased| earlier.subject_generation < erased) { Err(erased_meanwhile()) } else { Ok(()) }
    }

    /// Decides a change again as of now; the same copies, or a refusal.
    pub(super) fn decide_again(
        &self,
        request: &Request<'_>,
        decided: Decided<'_>,
        earlier: &PlacementRecord,
    ) -> Result<Placement, Refusal> {
        self.check_not_erased(earlier)?;
        let again = self.residency.resume(request.auth, earlier, &decided.bucket.name, decided.key)?;
        self.residency.satisfies(again.record(), decided.sources)?;
        Ok(again)
    }
}

impl PutChange {
    /// The same under a decision of now.
    pub(super) fn decided(&self, placement: &Placement) -> Self {
        let mut put = Self { basis: placement.basis(), ..self.clone() };
        put.record.detail.placement = placement.record().clone();
        put
    }
}

/// What a client is told of a stored record.
pub(super) fn stored(bucket: &Bucket, key: &ObjectKey, row: &Record) -> Stored {
    Stored {
        etag: row.summary.etag,
        version: row.summary.version,
        checksum: row.detail.checksum,
        size: row.summary.size,
        modified: row.summary.modified,
        customer: row.detail.customer.is_some(),
        residence: residence(row),
        expiration: expiration(bucket, key, row),
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
