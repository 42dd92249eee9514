//! Stores the copies that a `first` leaves for later: the primary was durable before the answer, these follow.
//!
//! A copy's blobs have the names they would have had in the write itself, so a copy that is tried again overwrites what the attempt
//! before it left, under a new data key. The placement is decided again before a byte moves and held against the committer's view at
//! the end: a policy that no longer allows the copy stops it.

use std::time::Duration;

use crate::audit::{Actor, Event, Kind};
use crate::backend::Receipt;
use crate::index::{AddCopyChange, Change, CommitError, FoundRecord, Layout};
use crate::objects::copy::body_of;
use crate::objects::ingest::{Ingest, store_manifest};
use crate::objects::record_keys::{Target, new_attempt_id};
use crate::objects::{Manifest, ObjectError, Objects};
use crate::residency::{Placement, PlannedCopy};
use crate::types::{AttemptId, ObjectKey};

/// Records looked at in one round.
const ROUND: usize = 64;

impl Objects {
    /// Stores queued copies until the task is dropped. Meant to be spawned once.
    pub async fn replicate(&self, pause: Duration) {
        loop {
            if let Err(error) = self.replicate_round().await {
                tracing::warn!(error = %error, "storing queued copies");
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// Tries every queued copy once; answers with how many were stored.
    ///
    /// # Errors
    /// Only those of the index; a copy that cannot be stored stays queued.
    pub async fn replicate_round(&self) -> Result<usize, ObjectError> {
        let (mut stored, mut after) = (0, None);
        loop {
            let (records, next) = self.index.pending(after, ROUND).await?;
            for found in records {
                match self.replicate_record(&found).await {
                    Ok(count) => stored += count,
                    Err(error) => tracing::debug!(record = %found.record.summary.id, error = %error, "a queued copy has to wait"),
                }
            }
            let Some(next) = next else { return Ok(stored) };
            after = Some(next);
        }
    }

    async fn replicate_record(&self, found: &FoundRecord) -> Result<usize, ObjectError> {
        let detail = &found.record.detail;
        let placement = self.residency.resume_stored(&detail.placement, &found.bucket, &found.key)?;
        let mut stored = 0;
        for copy in found.record.queued() {
            self.store_copy(found, &placement, copy).await?;
            stored += 1;
        }
        Ok(stored)
    }

    async fn store_copy(&self, found: &FoundRecord, placement: &Placement, copy: &PlannedCopy) -> Result<(), ObjectError> {
        let record = &found.record;
        let bucket = self.bucket(&found.bucket)?;
        let owner = self.key_owner(placement.subject(), &bucket.name);
        let target = self.new_target(None, placement, copy, &owner, record.summary.id).await?;
        let targets = std::slice::from_ref(&target);
        let parts = match record.detail.layout {
            Layout::Parts { table, .. } => self.index.parts_of(table)?.to_vec(),
            Layout::Whole { .. } | Layout::Extents { .. } => Vec::new(),
        };
        let manifest = Manifest::new(&bucket.name, bucket.id, &found.key, record, &parts).encode()?;

        let mut receipts: Vec<Receipt> = Vec::new();
        let attempt = match record.detail.layout {
            Layout::Whole { attempt } => attempt,
            Layout::Extents { .. } | Layout::Parts { .. } => new_attempt_id(),
        };
        let head_len = match record.detail.layout {
            Layout::Whole { attempt } => {
                let body = body_of(self.open_record(record, 0..record.summary.size).await?);
                let whole = self.run(targets, found, 0, attempt, record.summary.size).whole(body).await?;
                self.same_bytes(found, whole.hashes.etag() == record.summary.etag)?;
                keep(whole.store(targets, &manifest, None).await?, &mut receipts)
            }
            Layout::Extents { attempt: of_body } => {
                let body = body_of(self.open_record(record, 0..record.summary.size).await?);
                let run = self.run(targets, found, 0, of_body, record.summary.size);
                let (hashes, stored) = run.extents(body, None).await?;
                receipts.extend(stored);
                self.same_bytes(found, hashes.etag() == record.summary.etag)?;
                keep(store_manifest(targets, record.summary.id, attempt, &manifest, None).await?, &mut receipts)
            }
            Layout::Parts { .. } => {
                let mut start = 0;
                for part in &parts {
                    let body = body_of(self.open_record(record, start..start + part.size).await?);
                    let run = self.run(targets, found, part.number, part.attempt, part.size);
                    let (hashes, stored) = run.extents(body, None).await?;
                    receipts.extend(stored);
                    self.same_bytes(found, hashes.etag() == part.etag)?;
                    start += part.size;
                }
                keep(store_manifest(targets, record.summary.id, attempt, &manifest, None).await?, &mut receipts)
            }
        };
        let change = AddCopyChange {
            bucket: bucket.id,
            key: found.key.clone(),
            record: record.summary.id,
            copy: target.stored_row(attempt, head_len, self.clock.now()),
            receipts: receipts.clone(),
            basis: placement.basis(),
        };
        match self.index.commit(Change::AddCopy(Box::new(change)), self.copy_event(found, &target, &found.key)).await {
            Ok(_) => Ok(()),
            // The record was replaced or deleted meanwhile: nothing in the index names these blobs.
            Err(CommitError::NoSuchKey) => {
                for receipt in &receipts {
                    target.site.remove(receipt.name()).await.map_err(|error| ObjectError::from_backend(copy.country, &error))?;
                }
                Ok(())
            }
            Err(other) => Err(other.into()),
        }
    }

    fn run<'a>(&'a self, targets: &'a [Target], found: &FoundRecord, part: u32, attempt: AttemptId, length: u64) -> Ingest<'a> {
        Ingest {
            memory: &self.memory,
            targets,
            record: found.record.summary.id,
            part,
            attempt,
            length,
            content_md5: None,
            checksum: None,
        }
    }

    fn same_bytes(&self, found: &FoundRecord, same: bool) -> Result<(), ObjectError> {
        if same {
            return Ok(());
        }
        tracing::error!(record = %found.record.summary.id, "the bytes of a record do not match its entity tag; its copy is not stored");
        Err(ObjectError::BadDigest("entity tag"))
    }

    fn copy_event(&self, found: &FoundRecord, target: &Target, key: &ObjectKey) -> Event {
        let event = Event {
            bucket: Some(self.pseudonyms.bucket(&found.bucket)),
            key: Some(self.pseudonyms.key(&found.bucket, key)),
            record: Some(found.record.summary.id),
            ..Event::new(Kind::CopyStored, Actor::System)
        };
        let event = self.with_placement(event, &found.record.detail.placement);
        Event { countries: vec![target.seal.country()], sites: vec![target.seal.site().clone()], ..event }
    }
}

/// Keeps the one receipt of a manifest; answers with the length of its head.
fn keep(stored: Vec<(Receipt, u32)>, receipts: &mut Vec<Receipt>) -> u32 {
    let mut length = 0;
    for (receipt, head_len) in stored {
        length = head_len;
        receipts.push(receipt);
    }
    length
}
