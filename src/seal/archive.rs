//! A sealed file of a length that is not known beforehand: the stream of [`super::stream`] under a salt of its own, behind a prelude in the
//! clear that it authenticates. Whatever is cut off, added, moved or changed does not open.

use std::io::{self, Read};

use bytes::BytesMut;

use super::{
    SealError,
    stream::{HEADER_LEN, SEGMENT_LEN, SEGMENT_PLAIN, StreamKey, TAG_LEN},
};
use crate::{digest, kms::SecretKey};

/// Seals what is pushed.
pub struct ArchiveSealer {
    key: StreamKey,
    /// What is sealed and not yet taken, then the segment in the making.
    buffer: Vec<u8>,
    /// Where that segment begins.
    start: usize,
    number: u64,
}

impl ArchiveSealer {
    /// Begins a file with `prelude`, which stays readable.
    ///
    /// # Errors
    /// [`SealError::Crypto`].
    pub fn new(key: &SecretKey, prelude: &[u8]) -> Result<Self, SealError> {
        let mut header = [HEADER_LEN as u8; HEADER_LEN];
        header[1..].copy_from_slice(&digest::random::<{ HEADER_LEN - 1 }>());
        let buffer = [prelude, &header].concat();
        let start = buffer.len();
        Ok(Self { key: StreamKey::from_header(key, prelude, header)?, buffer, start, number: 0 })
    }

    /// Adds plaintext.
    ///
    /// # Errors
    /// [`SealError::TooLarge`] after 256 TiB.
    pub fn push(&mut self, mut plain: &[u8]) -> Result<(), SealError> {
        while !plain.is_empty() {
            let room = capacity(self.number) - (self.buffer.len() - self.start);
            // A full segment waits for what follows it: the last one is sealed otherwise.
            if room == 0 {
                self.seal(false)?;
                continue;
            }
            let (now, later) = plain.split_at(room.min(plain.len()));
            self.buffer.extend_from_slice(now);
            plain = later;
        }
        Ok(())
    }

    /// What can be written by now.
    pub fn take(&mut self) -> Vec<u8> {
        let open = self.buffer.split_off(self.start);
        self.start = 0;
        std::mem::replace(&mut self.buffer, open)
    }

    /// Ends the file; the rest of it.
    ///
    /// # Errors
    /// As [`ArchiveSealer::push`].
    pub fn finish(mut self) -> Result<Vec<u8>, SealError> {
        self.seal(true)?;
        Ok(self.buffer)
    }

    fn seal(&mut self, last: bool) -> Result<(), SealError> {
        self.key.seal(&mut self.buffer, self.start, self.number, last)?;
        self.start = self.buffer.len();
        self.number += 1;
        Ok(())
    }
}

/// The plaintext that a segment holds.
const fn capacity(number: u64) -> usize {
    if number == 0 { SEGMENT_PLAIN - HEADER_LEN } else { SEGMENT_PLAIN }
}

/// Opens what [`ArchiveSealer`] made, as it is read. A read fails with a [`SealError`] inside where the file is not what was sealed; nothing
/// that was read before it is to be trusted then, and the end is one only when a read has answered 0.
pub struct ArchiveOpener<R> {
    key: StreamKey,
    source: R,
    /// Sealed bytes, up to one more than a segment: without it the segment is the last.
    held: Vec<u8>,
    segment: BytesMut,
    number: u64,
    ended: bool,
}

impl<R: Read> ArchiveOpener<R> {
    /// Goes on behind a `prelude` that has been read from `source`.
    ///
    /// # Errors
    /// Those of reading.
    pub fn new(key: &SecretKey, prelude: &[u8], mut source: R) -> io::Result<Self> {
        let mut header = [0; HEADER_LEN];
        source.read_exact(&mut header).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => tampered(),
            _ => error,
        })?;
        if usize::from(header[0]) != HEADER_LEN {
            return Err(tampered());
        }
        let key = StreamKey::from_header(key, prelude, header).map_err(io::Error::other)?;
        Ok(Self { key, source, held: Vec::new(), segment: BytesMut::new(), number: 0, ended: false })
    }

    fn open_next(&mut self) -> io::Result<()> {
        let length = if self.number == 0 { SEGMENT_LEN - HEADER_LEN } else { SEGMENT_LEN };
        let wanted = length + 1 - self.held.len();
        self.source.by_ref().take(wanted as u64).read_to_end(&mut self.held)?;
        self.ended = self.held.len() <= length;
        if self.held.len() < TAG_LEN {
            return Err(tampered());
        }
        let rest = self.held.split_off(length.min(self.held.len()));
        self.segment = BytesMut::from(&self.held[..]);
        self.held = rest;
        self.key.open(&mut self.segment, self.number, self.ended).map_err(io::Error::other)?;
        self.number += 1;
        Ok(())
    }
}

impl<R: Read> Read for ArchiveOpener<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.segment.is_empty() {
            if self.ended {
                return Ok(0);
            }
            self.open_next()?;
        }
        let length = into.len().min(self.segment.len());
        into[..length].copy_from_slice(&self.segment.split_to(length));
        Ok(length)
    }
}

fn tampered() -> io::Error {
    io::Error::other(SealError::Tampered("content"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRELUDE: &[u8] = b"what anybody may read";

    fn key(byte: u8) -> SecretKey {
        SecretKey::from_slice(&[byte; 32]).unwrap()
    }

    fn sealed(plain: &[u8], piece: usize) -> Vec<u8> {
        let mut sealer = ArchiveSealer::new(&key(1), PRELUDE).unwrap();
        let mut file = Vec::new();
        for piece in plain.chunks(piece) {
            sealer.push(piece).unwrap();
            file.extend(sealer.take());
        }
        file.extend(sealer.finish().unwrap());
        file
    }

    fn opened(key: &SecretKey, file: &[u8]) -> io::Result<Vec<u8>> {
        let (prelude, mut rest) = file.split_at(PRELUDE.len().min(file.len()));
        let mut plain = Vec::new();
        ArchiveOpener::new(key, prelude, &mut rest)?.read_to_end(&mut plain)?;
        Ok(plain)
    }

    #[test]
    fn what_is_sealed_opens_at_every_length_around_a_segment() {
        let first = SEGMENT_PLAIN - HEADER_LEN;
        for length in [0, 1, first - 1, first, first + 1, first + SEGMENT_PLAIN, first + SEGMENT_PLAIN + 1, 3 * SEGMENT_PLAIN] {
            let plain: Vec<u8> = (0..length).map(|n| (n % 251) as u8).collect();
            for piece in [1000, first, 1 << 20] {
                let file = sealed(&plain, piece);
                assert_eq!(file.len() as u64, PRELUDE.len() as u64 + super::super::stream_len(length as u64));
                assert!(opened(&key(1), &file).unwrap() == plain, "{length} by {piece}");
            }
        }
    }

    #[test]
    fn what_is_changed_cut_or_lengthened_does_not_open() {
        let file = sealed(&[7; 140_000], 1 << 20);
        let error = |key: &SecretKey, file: &[u8]| opened(key, file).unwrap_err().downcast::<SealError>().unwrap();
        assert!(matches!(error(&key(2), &file), SealError::Tampered(_)));
        for at in (0..file.len()).step_by(997).chain(0..PRELUDE.len() + HEADER_LEN) {
            let mut changed = file.clone();
            changed[at] ^= 1;
            error(&key(1), &changed);
        }
        // At the border of a segment too.
        let borders = [1, 2].map(|segments| PRELUDE.len() + segments * SEGMENT_LEN);
        for length in (PRELUDE.len()..file.len()).step_by(499).chain(borders) {
            error(&key(1), &file[..length]);
        }
        error(&key(1), &[&file[..], b"x"].concat());
        error(&key(1), &[&file[..], &file[file.len() - 1000..]].concat());
        let (one, two) = (PRELUDE.len() + SEGMENT_LEN, PRELUDE.len() + 2 * SEGMENT_LEN);
        error(&key(1), &[&file[..PRELUDE.len() + HEADER_LEN], &file[one..two], &file[one..]].concat());
    }
}
