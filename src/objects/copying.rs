//! The bytes of a stored record, read once and sealed anew for other sites.

use crate::backend::Receipt;
use crate::index::{Bucket, CopyRow, FoundRecord, IntentGuard, Layout, PartEntry, Record, moved_attempt};
use crate::objects::copy::body_of;
use crate::objects::customer::Unlocked;
use crate::objects::ingest::{Ingest, store_manifest};
use crate::objects::record_keys::{Target, new_attempt_id};
use crate::objects::standing::Standing;
use crate::objects::{Length, Manifest, ObjectError, Objects};
use crate::types::{AttemptId, Timestamp};

/// What names the blobs of a copy that comes after the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Names {
    /// As [`CopyRow::manifest_attempt`].
    pub(super) manifest: AttemptId,
    /// As [`CopyRow::moved`].
    pub(super) moved: Option<AttemptId>,
}

impl Names {
    pub(super) fn new(layout: Layout, moved: Option<AttemptId>) -> Self {
        let manifest = match layout {
            Layout::Whole { attempt } => moved_attempt(moved, attempt),
            Layout::Extents { .. } | Layout::Parts { .. } => new_attempt_id(),
        };
        Self { manifest, moved }
    }
}

/// Where a record's bytes go once more.
#[derive(Clone, Copy)]
pub(super) struct Copying<'a> {
    pub(super) bucket: &'a Bucket,
    /// The record as the manifest of the new copies describes it.
    pub(super) described: &'a Record,
    pub(super) targets: &'a [Target],
    pub(super) names: Names,
}

/// Copies whose blobs are all durable.
pub(super) struct Written {
    /// Of each target's manifest, with the length of its head.
    manifests: Vec<(Receipt, u32)>,
    extents: Vec<Receipt>,
}

impl Written {
    /// The row of the copy at `target`.
    pub(super) fn row(&self, target: &Target, names: Names, at: Timestamp) -> Result<CopyRow, ObjectError> {
        let stored = self.manifests.iter().find(|(receipt, _)| receipt.site() == target.seal.site());
        let (_, head_len) = stored.ok_or_else(|| ObjectError::Internal("a copy without a manifest".to_owned()))?;
        Ok(CopyRow { moved: names.moved, ..target.stored_row(names.manifest, *head_len, at) })
    }

    pub(super) fn into_receipts(self) -> Vec<Receipt> {
        self.manifests.into_iter().map(|(receipt, _)| receipt).chain(self.extents).collect()
    }
}

impl Objects {
    /// Reads the record and stores its bytes and a manifest at every target. The bytes are those that its entity tag was taken of.
    pub(super) async fn write_copies(
        &self,
        found: &FoundRecord,
        Copying { bucket, described, targets, names }: Copying<'_>,
        standing: &mut Standing<'_>,
        mut intent: Option<&mut IntentGuard>,
    ) -> Result<Written, ObjectError> {
        let record = &found.record;
        let parts = self.parts_of(found)?;
        let manifest = Manifest::new(&bucket.name, bucket.id, &found.key, described, &parts).moved(names.moved).encode()?;
        let mut extents: Vec<Receipt> = Vec::new();
        // A layer of the client's key stays on: the copy needs no key, and has the bytes that its entity tag was taken of.
        let stored = Unlocked::as_stored();
        let run = |part, attempt, length| self.run(targets, found, part, moved_attempt(names.moved, attempt), length);
        match record.detail.layout {
            Layout::Whole { attempt } => {
                let body = body_of(self.open_record(record, 0..record.summary.size, &stored).await?);
                let whole = run(0, attempt, record.summary.size).whole(body).await?;
                self.same_bytes(found, whole.hashes.etag() == record.summary.etag)?;
                standing.check().await?;
                return Ok(Written { manifests: whole.store(targets, &manifest, intent).await?, extents });
            }
            Layout::Extents { attempt } => {
                let body = body_of(self.open_record(record, 0..record.summary.size, &stored).await?);
                let run = run(0, attempt, record.summary.size);
                let (hashes, receipts) = run.extents(body, standing, intent.as_deref_mut()).await?;
                extents.extend(receipts);
                self.same_bytes(found, hashes.etag() == record.summary.etag)?;
            }
            Layout::Parts { .. } => {
                let mut start = 0;
                for part in &parts {
                    let body = body_of(self.open_record(record, start..start + part.size, &stored).await?);
                    let run = run(part.number, part.attempt, part.size);
                    let (hashes, receipts) = run.extents(body, standing, intent.as_deref_mut()).await?;
                    extents.extend(receipts);
                    self.same_bytes(found, hashes.etag() == part.etag)?;
                    start += part.size;
                }
            }
        }
        standing.check().await?;
        let manifests = store_manifest(targets, record.summary.id, names.manifest, &manifest, intent).await?;
        Ok(Written { manifests, extents })
    }

    pub(super) fn parts_of(&self, found: &FoundRecord) -> Result<Vec<PartEntry>, ObjectError> {
        match found.record.detail.layout {
            Layout::Parts { table, .. } => Ok(self.index.parts_of(table)?.to_vec()),
            Layout::Whole { .. } | Layout::Extents { .. } => Ok(Vec::new()),
        }
    }

    fn run<'a>(&'a self, targets: &'a [Target], found: &FoundRecord, part: u32, attempt: AttemptId, length: u64) -> Ingest<'a> {
        Ingest {
            memory: &self.memory,
            targets,
            record: found.record.summary.id,
            part,
            attempt,
            length: Length::Exact(length),
            content_md5: None,
            checksum: None,
            inner: None,
        }
    }

    pub(super) fn same_bytes(&self, found: &FoundRecord, same: bool) -> Result<(), ObjectError> {
        if same {
            return Ok(());
        }
        tracing::error!(record = %found.record.summary.id, "the bytes of a record do not match its entity tag; its copy is not stored");
        Err(ObjectError::BadDigest("entity tag"))
    }
}
