//! Which blobs a record consists of, and blobs that nothing needs any more.

use serde::{Deserialize, Serialize};

use super::{CopyRow, CopyState, Index, IndexError, Layout, PartEntry, Record, codec::decode, keys::kind, list::Step};
use crate::{
    digest,
    policy::Role,
    residency::PlannedCopy,
    seal::{BlobName, EXTENT_SIZE, ExtentId, HEAD_LEN, stream_len},
    types::{AttemptId, Country, RecordId, SiteId, Timestamp, UploadId},
};

/// A blob at a site.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Blob {
    /// Where.
    pub site: SiteId,
    /// Under which name.
    pub name: BlobName,
    /// How long; `None` where only the blob itself knows.
    pub len: Option<u64>,
}

/// Names a row of garbage.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GarbageKey(pub(super) Vec<u8>);

/// Blobs that nothing needs any more. One row for a record, however many blobs it has.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Garbage {
    /// Since when.
    pub since: Timestamp,
    /// Why.
    pub why: GarbageReason,
    /// What.
    pub what: Waste,
}

/// Why blobs are garbage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GarbageReason {
    /// A newer record took the key.
    Superseded,
    /// The record was deleted.
    Deleted,
    /// The upload was aborted.
    Aborted,
    /// The part was uploaded again, or left out of the completed upload.
    Replaced,
    /// The request failed before its commit.
    Abandoned,
    /// The record lives elsewhere now.
    Relocated,
    /// The key was wrapped again.
    Rewrapped,
    /// The subject was erased. Such garbage waits for no grace: nothing is to bring it back.
    Erased,
}

/// A site and its country, which together with an extent's id name a blob.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredAt {
    /// The site.
    pub site: SiteId,
    /// Its country.
    pub country: Country,
}

/// The blobs of one piece of garbage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Waste {
    /// Blobs of an attempt that did not commit.
    Blobs {
        /// The record it was for; such blobs are not collected while the record is pinned.
        record: RecordId,
        /// Site and name.
        blobs: Vec<(SiteId, BlobName)>,
    },
    /// A whole record, or the copies that it had before it moved. Its part table is the garbage's own.
    Record {
        /// The record.
        record: RecordId,
        /// Plaintext bytes.
        size: u64,
        /// Its copies.
        copies: Vec<CopyRow>,
        /// How it is cut.
        layout: Layout,
    },
    /// One part of an upload.
    Part {
        /// The record that the upload was to become.
        record: RecordId,
        /// Where.
        at: Vec<StoredAt>,
        /// The part.
        part: PartEntry,
    },
    /// The rows of a closed upload, and the blobs of those parts that the part table does not name.
    Upload {
        /// The record.
        record: RecordId,
        /// Where.
        at: Vec<StoredAt>,
        /// The upload.
        upload: UploadId,
    },
    /// Wrappings of subject keys. Whoever reads under such a key has opened it.
    Keys {
        /// Site and name.
        blobs: Vec<(SiteId, BlobName)>,
    },
}

impl Waste {
    /// The record whose readers must be gone before the blobs are.
    pub const fn record(&self) -> Option<RecordId> {
        match self {
            Self::Blobs { record, .. }
            | Self::Record { record, .. }
            | Self::Part { record, .. }
            | Self::Upload { record, .. } => Some(*record),
            Self::Keys { .. } => None,
        }
    }
}

/// As [`CopyRow::attempt`], for a copy that has no row yet.
pub fn moved_attempt(moved: Option<AttemptId>, attempt: AttemptId) -> AttemptId {
    let Some(moved) = moved else { return attempt };
    let hash = digest::sha256(&[b"domicile moved attempt v1".as_slice(), moved.as_bytes(), attempt.as_bytes()].concat());
    AttemptId::from_bytes(std::array::from_fn(|at| hash[at]))
}

/// The number of extents of a body: at least one.
pub(super) fn extents(size: u64) -> u32 {
    u32::try_from(size.div_ceil(EXTENT_SIZE as u64)).unwrap_or(u32::MAX).max(1)
}

/// The extents of one run: names and stored lengths.
pub(super) fn run(at: StoredAt, record: RecordId, part: u32, attempt: AttemptId, size: u64) -> impl Iterator<Item = Blob> + Send {
    (0..extents(size)).map(move |extent| {
        let plain = size.saturating_sub(u64::from(extent) * EXTENT_SIZE as u64).min(EXTENT_SIZE as u64);
        let name = BlobName::of(at.country, &ExtentId { record, part, attempt, extent });
        Blob { site: at.site.clone(), name, len: Some(HEAD_LEN as u64 + stream_len(plain)) }
    })
}

impl CopyRow {
    /// Whether it is durable: only then it counts and can be read.
    pub const fn is_stored(&self) -> bool {
        matches!(self.state, CopyState::Stored { .. })
    }

    /// Where the copy is.
    pub fn stored_at(&self) -> StoredAt {
        StoredAt { site: self.site.clone(), country: self.country }
    }

    /// The attempt that names this copy's extents of the body or part that `attempt` brought. A copy that came later has attempts of its
    /// own, derived from those of the record: where a record comes back to a site, the blobs that it left there have other names, and
    /// part tables stay what they are.
    pub fn attempt(&self, attempt: AttemptId) -> AttemptId {
        moved_attempt(self.moved, attempt)
    }

    /// The extent that names the manifest blob; the only blob for [`Layout::Whole`].
    pub fn manifest(&self, record: RecordId, layout: Layout) -> ExtentId {
        match layout {
            Layout::Whole { attempt } => ExtentId { record, part: 0, attempt: self.attempt(attempt), extent: 0 },
            Layout::Extents { .. } | Layout::Parts { .. } => ExtentId::manifest(record, self.manifest_attempt),
        }
    }
}

/// Every blob of a record, copy by copy, the manifest last. `parts` is the part table of [`Layout::Parts`].
pub(super) fn blobs_of<'a>(
    record: RecordId,
    size: u64,
    layout: Layout,
    copies: &'a [CopyRow],
    parts: &'a [PartEntry],
) -> impl Iterator<Item = Blob> + Send + 'a {
    copies.iter().flat_map(move |copy| {
        let at = copy.stored_at();
        let manifest = Blob {
            site: copy.site.clone(),
            name: BlobName::of(copy.country, &copy.manifest(record, layout)),
            len: (copy.is_stored() && matches!(layout, Layout::Whole { .. }))
                .then(|| u64::from(copy.manifest_head_len) + stream_len(size)),
        };
        let body = match layout {
            Layout::Extents { attempt } => Some(run(at.clone(), record, 0, copy.attempt(attempt), size)),
            Layout::Whole { .. } | Layout::Parts { .. } => None,
        };
        let table = if matches!(layout, Layout::Parts { .. }) { parts } else { &[] };
        let of_parts =
            table.iter().flat_map(move |part| run(at.clone(), record, part.number, copy.attempt(part.attempt), part.size));
        body.into_iter().flatten().chain(of_parts).chain(std::iter::once(manifest))
    })
}

impl Index {
    /// Garbage that has been so since `before` at the latest, the oldest first, from behind `after` on.
    pub async fn garbage(
        &self,
        before: Timestamp,
        after: Option<GarbageKey>,
        limit: usize,
    ) -> Result<Vec<(GarbageKey, Garbage)>, IndexError> {
        let start = after.map(|GarbageKey(row)| [row.as_slice(), &[0]].concat());
        self.blocking(move |inner| {
            let mut due = Vec::new();
            inner.walk(&[kind::GARBAGE], start, |row, sealed| {
                if due.len() >= limit {
                    return Ok(Step::Stop);
                }
                let garbage: Garbage = inner.sealing.open(row, sealed, |body| decode('g', body))?;
                if garbage.since > before {
                    return Ok(Step::Stop);
                }
                due.push((GarbageKey(row.to_vec()), garbage));
                Ok(Step::Next)
            })?;
            Ok(due)
        })
        .await
    }

    /// The blobs of one piece of garbage. `None` while a reader holds its record. Of a closed upload at most a bounded number of parts: after
    /// [`Change::Collected`] the row is still there while there are more.
    pub async fn garbage_blobs(&self, garbage: &Garbage) -> Result<Option<Vec<Blob>>, IndexError> {
        if garbage.what.record().is_some_and(|record| self.inner.ongoing.is_pinned(record)) {
            return Ok(None);
        }
        let waste = garbage.what.clone();
        self.blocking(move |inner| inner.blobs(&waste)).await.map(Some)
    }
}

impl Record {
    /// The queued copies that its placement asks for and that are not stored yet, begun or not.
    pub fn queued(&self) -> impl Iterator<Item = &PlannedCopy> {
        let detail = &self.detail;
        let stored = |copy: &&PlannedCopy| detail.copies.iter().any(|row| row.site == copy.site && row.is_stored());
        detail.placement.copies.iter().filter(|copy| copy.role == Role::Queued).filter(move |copy| !stored(copy))
    }

    /// Every blob of the record, copy by copy, the manifest last. `parts` is its part table ([`super::Index::parts_of`]), empty for
    /// other layouts.
    pub fn blobs<'a>(&'a self, parts: &'a [PartEntry]) -> impl Iterator<Item = Blob> + Send + 'a {
        blobs_of(self.summary.id, self.summary.size, self.detail.layout, &self.detail.copies, parts)
    }
}
