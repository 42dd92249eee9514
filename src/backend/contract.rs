//! What every place that stores blobs must do.

use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;

use super::{BackendError, Check, Posture};
use crate::{seal::BlobName, types::Timestamp};

/// The bytes of a blob as they arrive, in order. Ends after its last byte or with one error.
pub type BlobStream = BoxStream<'static, Result<Bytes, BackendError>>;

/// A flat store of immutable blobs. [`super::conformance`] states this contract as tests and runs on every implementation.
///
/// No method looks at what the bytes mean, and none retries for longer than its implementation's own limits: a caller that gives
/// up may drop the future at any point, and whatever is left behind is garbage that a listing shows.
#[async_trait]
pub trait Backend: Send + Sync + 'static {
    /// Stores the pieces, one after the other, as one blob.
    ///
    /// `Ok` means durable: the whole blob survives a crash of this process and of the place. Readers see either no blob (or the one
    /// that had the name before) or all of it. An existing blob of the same name is replaced. After
    /// [`BackendError::UnknownOutcome`] the blob may or may not be there; after any other error it isn't there because of this call.
    async fn put(&self, name: &BlobName, pieces: &[Bytes]) -> Result<(), BackendError>;

    /// Opens a blob, or the half-open `range` of its bytes, for reading.
    ///
    /// A range that goes past the blob's end is cut there. One that is empty, or starts at or past the end, is
    /// [`BackendError::Corrupt`]: ranges come from lengths that were recorded when the blob was stored. An absent blob is
    /// [`BackendError::NotFound`]. Both are found before this returns, not in the stream.
    async fn get(&self, name: &BlobName, range: Option<Range<u64>>) -> Result<BlobRead, BackendError>;

    /// Removes a blob, durably. A blob that isn't there is a success.
    async fn delete(&self, name: &BlobName) -> Result<(), BackendError>;

    /// Up to `limit` blobs whose names come after `after`, in byte order of their names. Fewer than `limit` means that these are the
    /// last. What lies among them under names that cannot be blobs is told apart.
    async fn list(&self, after: Option<&BlobName>, limit: usize) -> Result<Listing, BackendError>;

    /// Finds out, cheaply, whether the place answers and accepts this gateway.
    async fn probe(&self) -> Result<(), BackendError>;

    /// What [`Backend::inspect`] looks at, in that order.
    fn checks(&self) -> &'static [Check];

    /// Looks at how the place is set up, as far as that endangers where blobs are or whether they stay. Changes nothing.
    ///
    /// What could not be looked at is [`super::Verdict::Unknown`], and never fine. An error means that nothing could be.
    async fn inspect(&self) -> Result<Posture, BackendError>;
}

/// An opened blob.
pub struct BlobRead {
    /// Length of the whole blob in bytes, whatever range was asked for.
    pub total_len: u64,
    /// The bytes that `body` yields, as asked and cut to the blob's length.
    pub range: Range<u64>,
    /// The bytes. Exactly `range` unless it yields an error.
    pub body: BlobStream,
}

/// One page of a listing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Listing {
    /// The blobs, in byte order of their names.
    pub blobs: Vec<BlobInfo>,
    /// Other names that were met on the way, before the last blob or, at the end, behind it. Whose they are is not known.
    pub strangers: Vec<String>,
}

/// One line of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobInfo {
    /// The blob's name.
    pub name: BlobName,
    /// Its length in bytes.
    pub len: u64,
    /// When it was stored, by the clock of the place.
    pub modified: Timestamp,
}

impl std::fmt::Debug for BlobRead {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BlobRead").field("total_len", &self.total_len).field("range", &self.range).finish_non_exhaustive()
    }
}

/// Cuts `range` to a blob of `len` bytes; `None` when nothing of it is left.
pub(super) fn cut_range(range: Option<Range<u64>>, len: u64) -> Option<Range<u64>> {
    match range {
        None => Some(0..len),
        Some(range) if range.start < range.end && range.start < len => Some(range.start..range.end.min(len)),
        Some(_) => None,
    }
}
