//! Sealing an extent as its bytes arrive.

use zeroize::Zeroize;

use super::{
    BlobName, EXTENT_SIZE, ExtentId, RecordKey, SealError, SealTarget, SealedBlob, head,
    stream::{HEADER_LEN, SEGMENT_PLAIN, StreamKey, stream_len},
};

/// Seals one extent in place in one buffer: each byte is copied once, from the piece it arrived in.
///
/// At most one segment of plaintext (64 KiB) is held; it is wiped when the sealer is dropped unfinished.
pub struct ExtentSealer {
    target: SealTarget,
    id: ExtentId,
    key: RecordKey,
    stream: StreamKey,
    /// The stream's header, sealed segments, then the plaintext of the open segment.
    buffer: Vec<u8>,
    /// Where the open segment begins.
    open: usize,
    segment: u64,
    plain_len: usize,
}

impl ExtentSealer {
    /// Begins an extent. `key` must be the record's key for the target's country. `expected_len` sizes the buffer: more bytes than
    /// that move it (see [`ExtentSealer::reserve`]), up to [`EXTENT_SIZE`] may follow.
    pub fn new(target: &SealTarget, id: ExtentId, key: &RecordKey, expected_len: usize) -> Result<Self, SealError> {
        if target.country() != key.country() {
            return Err(SealError::Mismatch("country"));
        }
        if *target.key() != key.facts().key {
            return Err(SealError::Mismatch("key"));
        }
        if id.record != key.record() {
            return Err(SealError::Mismatch("record"));
        }
        let stream = StreamKey::of(key.secret(), &id, key.country())?;
        let capacity = stream_len(expected_len.min(EXTENT_SIZE) as u64);
        let mut buffer = Vec::with_capacity(usize::try_from(capacity).map_err(|_| SealError::TooLarge)?);
        buffer.extend_from_slice(stream.header());
        Ok(Self { target: target.clone(), id, key: key.clone(), stream, buffer, open: HEADER_LEN, segment: 0, plain_len: 0 })
    }

    /// Takes the next bytes of the extent, sealing each segment once it is full and known not to be the last.
    pub fn push(&mut self, mut data: &[u8]) -> Result<(), SealError> {
        if data.len() > self.room() {
            return Err(SealError::TooLarge);
        }
        self.plain_len += data.len();
        self.reserve(self.plain_len);
        while !data.is_empty() {
            let room = self.segment_plain() - (self.buffer.len() - self.open);
            if room == 0 {
                self.seal_segment(false)?;
                continue;
            }
            let (now, later) = data.split_at(room.min(data.len()));
            self.buffer.extend_from_slice(now);
            data = later;
        }
        Ok(())
    }

    /// Makes the buffer large enough for `plain_len` bytes in all. A buffer that moves leaves no plaintext behind.
    pub fn reserve(&mut self, plain_len: usize) {
        let wanted = usize::try_from(stream_len(plain_len.min(EXTENT_SIZE) as u64)).unwrap_or(usize::MAX);
        if wanted <= self.buffer.capacity() {
            return;
        }
        let mut larger = Vec::with_capacity(wanted);
        larger.extend_from_slice(&self.buffer);
        self.wipe();
        self.buffer = larger;
    }

    /// The plaintext taken so far, in bytes.
    pub const fn len(&self) -> usize {
        self.plain_len
    }

    /// Whether no plaintext was taken.
    pub const fn is_empty(&self) -> bool {
        self.plain_len == 0
    }

    /// How much more fits, in bytes.
    pub const fn room(&self) -> usize {
        EXTENT_SIZE - self.plain_len
    }

    /// Seals the last segment and the head, with `manifest` in it when this blob carries one (never an empty one).
    pub fn finish(self, manifest: Option<&[u8]>) -> Result<SealedBlob, SealError> {
        let name = BlobName::of(self.key.country(), &self.id);
        self.finish_as(name, manifest)
    }

    /// Seals the last segment and the head of a piece of the journal that reaches up to commit `number`.
    pub fn finish_journal(self, number: u64) -> Result<SealedBlob, SealError> {
        let name = BlobName::of_journal(number, &self.id).ok_or(SealError::Mismatch("part"))?;
        self.finish_as(name, None)
    }

    fn finish_as(mut self, name: BlobName, manifest: Option<&[u8]>) -> Result<SealedBlob, SealError> {
        if manifest.is_some_and(<[u8]>::is_empty) {
            return Err(SealError::Malformed("its manifest is empty"));
        }
        let plain_len = self.plain_len as u64;
        let head = head::write(&self.key, &self.id, plain_len, manifest.unwrap_or_default())?;
        self.seal_segment(true)?;
        let stream = std::mem::take(&mut self.buffer);
        Ok(SealedBlob::new(self.target.clone(), name, Some(self.id), head, stream, plain_len))
    }

    /// Overwrites the plaintext of the open segment.
    fn wipe(&mut self) {
        if let Some(plain) = self.buffer.get_mut(self.open..) {
            plain.zeroize();
        }
    }

    const fn segment_plain(&self) -> usize {
        if self.segment == 0 { SEGMENT_PLAIN - HEADER_LEN } else { SEGMENT_PLAIN }
    }

    fn seal_segment(&mut self, last: bool) -> Result<(), SealError> {
        self.stream.seal(&mut self.buffer, self.open, self.segment, last)?;
        self.open = self.buffer.len();
        self.segment += 1;
        Ok(())
    }
}

impl Drop for ExtentSealer {
    fn drop(&mut self) {
        self.wipe();
    }
}

impl std::fmt::Debug for ExtentSealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ExtentSealer").field("id", &self.id).field("plain_len", &self.plain_len).finish_non_exhaustive()
    }
}
