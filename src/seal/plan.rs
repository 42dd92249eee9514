//! Which bytes of a blob a range of its plaintext needs.

use std::ops::Range;

use super::{
    SealError,
    stream::{HEADER_LEN, SEGMENT_LEN, SEGMENT_PLAIN, TAG_LEN, segment_count, segment_of, segment_start, stream_len},
};

/// How to read a range of one extent: the blob's bytes to fetch, and what comes out of them.
///
/// Whole segments are fetched, since only whole ones authenticate. A range that includes the first plaintext byte is fetched from
/// the blob's start, so that the head is verified too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadPlan {
    /// The bytes of the blob to fetch.
    pub blob_range: Range<u64>,
    /// The length that the whole blob must have.
    pub blob_len: u64,
    head_len: u32,
    plain_len: u64,
    range: Range<u64>,
    first: u64,
    last: u64,
}

impl ReadPlan {
    /// For `range` of the extent's plaintext, cut to its length. An empty range still reads and verifies one segment.
    pub fn new(head_len: u32, plain_len: u64, range: Range<u64>) -> Self {
        let end = range.end.min(plain_len);
        let start = range.start.min(end);
        let at_most = plain_len.saturating_sub(1);
        let first = segment_of(start.min(at_most));
        let last = segment_of(end.saturating_sub(1).min(at_most)).max(first);
        let (head, segment) = (u64::from(head_len), SEGMENT_LEN as u64);
        let stream = stream_len(plain_len);
        let blob_start = if first == 0 { 0 } else { head.saturating_add(first.saturating_mul(segment)) };
        let blob_end = head.saturating_add(stream.min(last.saturating_add(1).saturating_mul(segment)));
        let blob_len = head.saturating_add(stream);
        Self { blob_range: blob_start..blob_end, blob_len, head_len, plain_len, range: start..end, first, last }
    }

    /// The plaintext that comes out, as a range of the extent.
    pub const fn plain_range(&self) -> &Range<u64> {
        &self.range
    }

    /// Checks the whole blob's length as its site tells it: some implementations of the format would take a tail.
    pub const fn check_total(&self, total: u64) -> Result<(), SealError> {
        if total == self.blob_len { Ok(()) } else { Err(SealError::WrongLength { expected: self.blob_len, got: total }) }
    }

    pub(super) const fn head_len(&self) -> usize {
        self.head_len as usize
    }

    pub(super) const fn plain_len(&self) -> u64 {
        self.plain_len
    }

    pub(super) const fn first_segment(&self) -> u64 {
        self.first
    }

    pub(super) const fn last_segment(&self) -> u64 {
        self.last
    }

    /// Whether segment `number` is the last of the stream.
    pub(super) const fn ends_stream(&self, number: u64) -> bool {
        number + 1 == segment_count(self.plain_len)
    }

    /// The plaintext of segment `number`, as a range of the extent.
    pub(super) fn segment_range(&self, number: u64) -> Range<u64> {
        segment_start(number)..segment_start(number.saturating_add(1)).min(self.plain_len)
    }

    /// The length of segment `number` with its tag; never more than a full one.
    pub(super) fn segment_len(&self, number: u64) -> usize {
        let Range { start, end } = self.segment_range(number);
        let full = if number == 0 { SEGMENT_PLAIN - HEADER_LEN } else { SEGMENT_PLAIN };
        usize::try_from(end.saturating_sub(start)).unwrap_or(full).min(full) + TAG_LEN
    }
}
