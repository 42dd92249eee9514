//! Stores the copies that a `first` leaves for later: the primary was durable before the answer, these follow.
//!
//! Before its first byte a copy becomes a pending row of its record, with the key that seals it and the attempts that name its blobs.
//! Whatever happens then, the record's row, or the garbage row that succeeds it, names them; and a try after a failure writes the same
//! names under the same key, so a late answer of the one before does no harm. The placement is decided again before a byte moves and
//! held against the committer's view before and after: a policy that no longer allows the copy stops it, and takes away what is there
//! of it.
//!
//! Every site has a loop of its own: one that is slow or down holds up no other.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use futures_util::future::join_all;

use crate::audit::{Actor, Event, Kind};
use crate::backend::Receipt;
use crate::index::{AddCopyChange, Bucket, Change, CommitError, CopyRow, FoundRecord};
use crate::objects::copying::{Copying, Names};
use crate::objects::record_keys::{Target, new_attempt_id};
use crate::objects::standing::Standing;
use crate::objects::{ObjectError, Objects};
use crate::residency::{Availability, Placement, PlannedCopy, Refusal};
use crate::types::{ObjectKey, RecordId, SiteId};

/// Records looked at in one step.
const ROUND: usize = 64;
/// The longest pause between two tries of a copy, and between two looks at the queue.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// Failed records remembered for one site. Beyond it they are tried more often than they need be.
const REMEMBERED: usize = 65_536;

/// When the copies that could not be stored at one site are tried again.
#[derive(Default)]
struct Waiting(HashMap<RecordId, Wait>);

struct Wait {
    until: Instant,
    pause: Duration,
    /// Whether what was there of the copy has been taken away, since the policy does not allow it.
    removed: bool,
}

impl Waiting {
    fn is_due(&self, record: RecordId) -> bool {
        self.0.get(&record).is_none_or(|wait| wait.until <= Instant::now())
    }

    fn is_removed(&self, record: RecordId) -> bool {
        self.0.get(&record).is_some_and(|wait| wait.removed)
    }

    /// Each failure doubles the pause.
    fn failed(&mut self, record: RecordId, removed: bool) {
        if self.0.len() >= REMEMBERED {
            self.0.retain(|_, wait| wait.until > Instant::now());
        }
        if self.0.len() >= REMEMBERED {
            self.0.clear();
        }
        let before = self.0.get(&record).map_or(Duration::from_secs(1), |wait| wait.pause);
        let pause = (before * 2).min(LONGEST_PAUSE);
        self.0.insert(record, Wait { until: Instant::now() + pause, pause, removed });
    }
}

/// What became of one queued copy.
enum Outcome {
    Stored,
    /// The record is gone or the copy is stored already.
    Done,
    /// The policy in force does not allow it; nothing of it is at the site any more.
    Removed,
}

impl Objects {
    /// Stores queued copies until the task is dropped. Meant to be spawned once.
    pub async fn replicate(&self, pause: Duration) {
        join_all(self.sites.iter().map(|site| self.replicate_to(&site.spec().id, pause))).await;
    }

    /// Tries every queued copy once; answers with how many were stored.
    ///
    /// # Errors
    /// Only those of the index; a copy that cannot be stored stays queued.
    pub async fn replicate_round(&self) -> Result<usize, ObjectError> {
        let rounds = self.sites.iter().map(|site| async move {
            let mut waiting = Waiting::default();
            self.round_to(&site.spec().id, &mut waiting).await
        });
        join_all(rounds).await.into_iter().sum()
    }

    async fn replicate_to(&self, site: &SiteId, pause: Duration) {
        let mut waiting = Waiting::default();
        loop {
            let began = Instant::now();
            let stored = self.round_to(site, &mut waiting).await.unwrap_or_else(|error| {
                tracing::warn!(%site, error = %error, "storing queued copies");
                0
            });
            // A queue that is long and does not move is not read over and over.
            let rest = if stored == 0 { (began.elapsed() * 10).min(LONGEST_PAUSE) } else { Duration::ZERO };
            tokio::time::sleep(pause.max(rest)).await;
        }
    }

    /// Tries the copies queued for one site, unless it is down.
    async fn round_to(&self, site: &SiteId, waiting: &mut Waiting) -> Result<usize, ObjectError> {
        let (mut stored, mut after) = (0, None);
        while self.sites.is_up(site) {
            let (records, next) = self.index.pending(after, ROUND).await?;
            for found in records {
                let id = found.record.summary.id;
                let queued = found.record.queued().any(|copy| copy.site == *site);
                if !queued || !waiting.is_due(id) || !self.sites.is_up(site) {
                    continue;
                }
                match self.replicate_record(&found, site, waiting.is_removed(id)).await {
                    Ok(Outcome::Stored) => {
                        stored += 1;
                        waiting.0.remove(&id);
                    }
                    Ok(Outcome::Done) => drop(waiting.0.remove(&id)),
                    Ok(Outcome::Removed) => waiting.failed(id, true),
                    Err(error) => {
                        tracing::debug!(record = %id, %site, error = %error, "a queued copy has to wait");
                        waiting.failed(id, false);
                    }
                }
            }
            let Some(next) = next else { break };
            after = Some(next);
        }
        Ok(stored)
    }

    async fn replicate_record(&self, found: &FoundRecord, site: &SiteId, removed: bool) -> Result<Outcome, ObjectError> {
        let id = found.record.summary.id;
        // The record's garbage stays while its copy is written: the collector comes after the last byte.
        let _pin = self.index.pin(id);
        let Ok(bucket) = self.bucket(&found.bucket) else { return Ok(Outcome::Done) };
        let current =
            self.index.current(&bucket, &found.key)?.filter(|record| record.summary.id == id && !self.is_erased(record));
        let Some(record) = current else { return Ok(Outcome::Done) };
        let Some(copy) = record.queued().find(|copy| copy.site == *site).cloned() else { return Ok(Outcome::Done) };
        let found = FoundRecord { record, ..found.clone() };
        match self.residency.resume_stored(&found.record.detail.placement, &found.bucket, &found.key) {
            Ok(placement) => self.store_copy(&found, &bucket, &placement, &copy).await,
            Err(refusal) => {
                if self.forbids(&refusal, &found) {
                    if !removed {
                        self.remove_begun(&found, site).await?;
                    }
                    return Ok(Outcome::Removed);
                }
                Err(refusal.into())
            }
        }
    }

    /// Whether a refusal is the policy's own: it would be the same with every site in service.
    fn forbids(&self, refusal: &Refusal, found: &FoundRecord) -> bool {
        let all_up = || found.record.detail.placement.copies.iter().all(|copy| self.sites.is_up(&copy.site));
        match refusal {
            Refusal::Conflict { .. } | Refusal::Denied { .. } => true,
            Refusal::Stale { .. } => all_up(),
            Refusal::Unknown { .. } | Refusal::Unavailable { .. } | Refusal::DirectoryUnavailable => false,
        }
    }

    /// Takes away what has been written of a copy that the policy no longer allows. Its row stays: it names what may still arrive, and
    /// a policy that allows the copy again goes on with it.
    async fn remove_begun(&self, found: &FoundRecord, site: &SiteId) -> Result<(), ObjectError> {
        let record = &found.record;
        let Some(row) = record.detail.copies.iter().find(|row| row.site == *site && !row.is_stored()) else { return Ok(()) };
        let at = self.sites.get(site).ok_or(ObjectError::SiteUnavailable { country: row.country })?;
        let parts = self.parts_of(found)?;
        for blob in record.blobs(&parts).filter(|blob| blob.site == *site) {
            at.remove(&blob.name).await.map_err(|error| ObjectError::from_backend(row.country, &error))?;
        }
        tracing::info!(record = %record.summary.id, %site, "the policy no longer allows a queued copy; what was written of it is removed");
        let event = self.copy_event(found, Kind::Collected, row, &found.key);
        self.index.commit(Change::Note, event).await?;
        Ok(())
    }

    /// Stores one copy; the pending row comes first.
    async fn store_copy(
        &self,
        found: &FoundRecord,
        bucket: &Bucket,
        placement: &Placement,
        copy: &PlannedCopy,
    ) -> Result<Outcome, ObjectError> {
        let (target, names) = match self.begin_copy(found, bucket, placement, copy).await? {
            Some(begun) => begun,
            None => return Ok(Outcome::Done),
        };
        fail::fail_point!("objects::copy-begun", |_| Err(ObjectError::Internal("failpoint".to_owned())));
        let mut standing = Standing::of_copy((self, bucket, &found.key), placement.clone());
        let to = Copying { bucket, described: &found.record, targets: std::slice::from_ref(&target), names };
        let written = self.write_copies(found, to, &mut standing, None).await?;
        fail::fail_point!("objects::copy-written", |_| Err(ObjectError::Internal("failpoint".to_owned())));
        let row = written.row(&target, names, self.clock.now())?;
        match self.add_copy(found, bucket, standing.placement(), row, written.into_receipts()).await {
            Ok(()) => Ok(Outcome::Stored),
            // The record was replaced or deleted meanwhile: its garbage names these blobs.
            Err(CommitError::NoSuchKey) => Ok(Outcome::Done),
            Err(other) => Err(other.into()),
        }
    }

    /// The key and the names of a copy: those of its pending row, which is committed here when there is none yet. `None` when
    /// the record is gone.
    async fn begin_copy(
        &self,
        found: &FoundRecord,
        bucket: &Bucket,
        placement: &Placement,
        copy: &PlannedCopy,
    ) -> Result<Option<(Target, Names)>, ObjectError> {
        let record = &found.record;
        if let Some(row) = record.detail.copies.iter().find(|row| row.site == copy.site) {
            let mut opened = self.open_targets(placement, std::slice::from_ref(row), record.summary.id).await?;
            return Ok(opened.pop().map(|target| (target, Names { manifest: row.manifest_attempt, moved: row.moved })));
        }
        let owner = self.key_owner(placement.subject(), &bucket.name);
        let target = self.new_target(None, placement, copy, &owner, record.summary.id).await?;
        // Where the record has been at the site before, what it left there has the names that it was written with.
        let names = Names::new(record.detail.layout, (record.detail.moves > 0).then(new_attempt_id));
        let row = CopyRow { manifest_attempt: names.manifest, moved: names.moved, ..target.pending_row() };
        match self.add_copy(found, bucket, placement, row, Vec::new()).await {
            Ok(()) => Ok(Some((target, names))),
            Err(CommitError::NoSuchKey) => Ok(None),
            Err(other) => Err(other.into()),
        }
    }

    async fn add_copy(
        &self,
        found: &FoundRecord,
        bucket: &Bucket,
        placement: &Placement,
        copy: CopyRow,
        receipts: Vec<Receipt>,
    ) -> Result<(), CommitError> {
        let kind = if copy.is_stored() { Kind::CopyStored } else { Kind::CopyBegun };
        let event = self.copy_event(found, kind, &copy, &found.key);
        let change = AddCopyChange {
            bucket: bucket.id,
            key: found.key.clone(),
            record: found.record.summary.id,
            ticket: found.record.summary.ticket,
            copy,
            receipts,
            basis: placement.basis(),
        };
        self.index.commit(Change::AddCopy(Box::new(change)), event).await.map(drop)
    }

    fn copy_event(&self, found: &FoundRecord, kind: Kind, copy: &CopyRow, key: &ObjectKey) -> Event {
        let event = Event {
            bucket: Some(self.pseudonyms.bucket(&found.bucket)),
            key: Some(self.pseudonyms.key(&found.bucket, key)),
            record: Some(found.record.summary.id),
            ..Event::new(kind, Actor::System)
        };
        let event = self.with_placement(event, &found.record.detail.placement);
        let mut copies = event.copies;
        copies.retain(|placed| placed.site == copy.site);
        copies.iter_mut().for_each(|placed| placed.pending = !copy.is_stored());
        Event { countries: vec![copy.country], sites: vec![copy.site.clone()], copies, ..event }
    }
}
