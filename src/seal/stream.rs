//! Tink Streaming AEAD, `AES256_GCM_HKDF` with SHA-256, a derived key of 32 bytes and ciphertext segments of 64 KiB.
//!
//! Format: <https://developers.google.com/tink/wire-format#streaming-aead>. A stream is a header (its length 40, a salt of 32
//! bytes, a nonce prefix of 7), then segments of AES-256-GCM without associated data. The first segment is shorter by the header.
//! A segment's nonce is the prefix, its number, and 1 for the last segment. The stream's associated data is HKDF's `info`.

use bytes::BytesMut;
use ring::aead::{Aad, LessSafeKey, NONCE_LEN, Nonce};

use super::{ExtentId, SealError};
use crate::{kms::SecretKey, types::Country};

/// The stream's header, in bytes.
pub(super) const HEADER_LEN: usize = 1 + SALT_LEN + PREFIX_LEN;
/// A full segment with its tag, in bytes.
pub(super) const SEGMENT_LEN: usize = 64 * 1024;
/// The plaintext of a full segment but the first, in bytes.
pub(super) const SEGMENT_PLAIN: usize = SEGMENT_LEN - TAG_LEN;
/// The authentication tag of each segment, in bytes.
pub(super) const TAG_LEN: usize = 16;
const SALT_LEN: usize = 32;
const PREFIX_LEN: usize = 7;

/// The length of the stream that holds `plain_len` bytes.
pub const fn stream_len(plain_len: u64) -> u64 {
    let framed = plain_len.saturating_add(HEADER_LEN as u64);
    framed.saturating_add(segment_count(plain_len).saturating_mul(TAG_LEN as u64))
}

/// The number of segments that hold `plain_len` bytes; an empty stream has one.
pub(super) const fn segment_count(plain_len: u64) -> u64 {
    plain_len.saturating_add(HEADER_LEN as u64).div_ceil(SEGMENT_PLAIN as u64)
}

/// The number of the segment that holds plaintext byte `offset`.
pub(super) const fn segment_of(offset: u64) -> u64 {
    offset.saturating_add(HEADER_LEN as u64) / SEGMENT_PLAIN as u64
}

/// The first plaintext byte of segment `number`.
pub(super) const fn segment_start(number: u64) -> u64 {
    number.saturating_mul(SEGMENT_PLAIN as u64).saturating_sub(HEADER_LEN as u64)
}

/// One stream's key and nonces.
pub(super) struct StreamKey {
    key: LessSafeKey,
    header: [u8; HEADER_LEN],
}

impl StreamKey {
    /// The stream of an extent. Salt and nonce prefix derive from the data key and the extent's id, so that a range can be read
    /// without the stream's header.
    pub(super) fn of(dek: &SecretKey, id: &ExtentId, country: Country) -> Result<Self, SealError> {
        let data = id.associated_data(country);
        let mut unique = [0; SALT_LEN + PREFIX_LEN];
        crate::digest::hkdf_sha256(dek.expose(), id.attempt.as_bytes(), &[b"domicile stream v1", &data], &mut unique);
        let mut header = [HEADER_LEN as u8; HEADER_LEN];
        header[1..].copy_from_slice(&unique);
        Self::from_header(dek, &data, header)
    }

    /// The stream that a header begins.
    pub(super) fn from_header(dek: &SecretKey, data: &[u8], header: [u8; HEADER_LEN]) -> Result<Self, SealError> {
        let key = dek.derive(&header[1..=SALT_LEN], &[data]).aes_gcm()?;
        Ok(Self { key, header })
    }

    /// The bytes the stream begins with.
    pub(super) const fn header(&self) -> &[u8; HEADER_LEN] {
        &self.header
    }

    /// Seals the segment that begins at `start` and ends with the buffer, in place, and appends its tag.
    pub(super) fn seal(&self, buffer: &mut Vec<u8>, start: usize, number: u64, last: bool) -> Result<(), SealError> {
        let nonce = self.nonce(number, last)?;
        let tag = self.key.seal_in_place_separate_tag(nonce, Aad::empty(), &mut buffer[start..])?;
        buffer.extend_from_slice(tag.as_ref());
        Ok(())
    }

    /// Opens a whole segment in place and cuts its tag off.
    pub(super) fn open(&self, segment: &mut BytesMut, number: u64, last: bool) -> Result<(), SealError> {
        let nonce = self.nonce(number, last)?;
        let opened = self.key.open_in_place(nonce, Aad::empty(), segment).map_err(|_| SealError::Tampered("data"))?;
        let length = opened.len();
        segment.truncate(length);
        Ok(())
    }

    fn nonce(&self, number: u64, last: bool) -> Result<Nonce, SealError> {
        let number = u32::try_from(number).map_err(|_| SealError::TooLarge)?;
        let mut nonce = [0; NONCE_LEN];
        nonce[..PREFIX_LEN].copy_from_slice(&self.header[1 + SALT_LEN..]);
        nonce[PREFIX_LEN..PREFIX_LEN + 4].copy_from_slice(&number.to_be_bytes());
        nonce[PREFIX_LEN + 4] = u8::from(last);
        Ok(Nonce::assume_unique_for_key(nonce))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_follow_the_format() {
        assert_eq!(stream_len(0), 56);
        for plain in [1, 65_479, 65_480, 65_481, 131_000, 131_001, 8 << 20] {
            assert_eq!(stream_len(plain), plain + 40 + 16 * (plain + 40).div_ceil(65_520));
            assert_eq!(segment_of(plain - 1), segment_count(plain) - 1);
        }
        assert_eq!((segment_start(0), segment_start(1), segment_start(2)), (0, 65_480, 131_000));
        assert_eq!(stream_len(u64::MAX), u64::MAX);
    }
}
