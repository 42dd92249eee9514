//! The layer inside the seal: a record under a key that its client brings with each request and that nobody keeps.
//!
//! A body is enciphered with AES-256-CTR before it is sealed. The seal authenticates what lies under it, so this layer needs no tags and
//! keeps every length and offset; copies of a record share it, so a copy can be sealed for another country without the client's key.
//! The key is derived anew for each attempt, so no key stream is used twice.

use std::{fmt, sync::Arc};

use aes::Aes256;
use bytes::{Bytes, BytesMut};
use ctr::{
    Ctr128BE,
    cipher::{KeyIvInit, StreamCipher, StreamCipherSeek},
};
use serde::{Deserialize, Serialize};

use super::SealError;
use crate::{
    digest::{self, Checksum, Md5},
    kms::SecretKey,
    types::{AttemptId, RecordId, Ticket},
};

/// A key that came with a request. Wiped with the last clone; never stored or shown.
#[derive(Clone)]
pub struct CustomerKey(Arc<SecretKey>);

impl CustomerKey {
    /// Copies the key's bytes; `None` unless there are 32.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        SecretKey::from_slice(bytes).map(|secret| Self(Arc::new(secret)))
    }

    /// The key's MD5, by which clients check that it arrived unchanged. Answered to who sent the key, never stored.
    pub fn md5(&self) -> [u8; 16] {
        let mut md5 = Md5::new();
        md5.update(self.0.expose());
        md5.finish()
    }
}

impl fmt::Debug for CustomerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CustomerKey([redacted])")
    }
}

/// What is kept of a customer key: enough to tell whether a key is the one, and nothing to find it by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustomerSeal {
    #[serde(with = "serde_bytes")]
    salt: [u8; 32],
    #[serde(with = "serde_bytes")]
    verifier: [u8; 32],
}

impl CustomerSeal {
    /// Binds a new record to `key`.
    pub fn new(key: &CustomerKey, record: RecordId) -> (Self, InnerKey) {
        let salt = digest::random();
        let inner = InnerKey::of(key, &salt, record);
        (Self { salt, verifier: inner.verifier() }, inner)
    }

    /// Opens the layer of `record` with the key that it was bound to.
    ///
    /// # Errors
    /// [`SealError::WrongKey`] with any other.
    pub fn open(&self, key: &CustomerKey, record: RecordId) -> Result<InnerKey, SealError> {
        let inner = InnerKey::of(key, &self.salt, record);
        if digest::constant_time_eq(&self.verifier, &inner.verifier()) { Ok(inner) } else { Err(SealError::WrongKey) }
    }
}

/// The key of one record's inner layer, in all its copies. Wiped with the last clone.
#[derive(Clone)]
pub struct InnerKey(Arc<Inner>);

struct Inner {
    record: RecordId,
    root: SecretKey,
}

/// Whose checksum is masked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Masked {
    /// The object's that this ticket committed.
    Object(Ticket),
    /// A part's.
    Part {
        /// Its number.
        number: u32,
        /// The attempt that stored it.
        attempt: AttemptId,
    },
}

impl InnerKey {
    fn of(key: &CustomerKey, salt: &[u8; 32], record: RecordId) -> Self {
        let root = key.0.derive(salt, &[b"domicile customer key v1", record.as_bytes()]);
        Self(Arc::new(Inner { record, root }))
    }

    fn verifier(&self) -> [u8; 32] {
        *self.0.root.derive(b"", &[b"domicile customer verifier v1"]).expose()
    }

    /// Enciphers or deciphers the run of bytes that `attempt` stored as `part`, from byte `offset` of the run on.
    pub fn cipher(&self, part: u32, attempt: AttemptId, offset: u64) -> InnerCipher {
        let info: [&[u8]; 3] = [b"domicile customer stream v1", self.0.record.as_bytes(), &part.to_be_bytes()];
        let key = self.0.root.derive(attempt.as_bytes(), &info);
        let mut stream = Ctr128BE::<Aes256>::new(key.expose().into(), &[0; 16].into());
        stream.seek(offset);
        InnerCipher(stream)
    }

    /// Hides a checksum of the plaintext, or shows a hidden one.
    pub fn mask(&self, of: Masked, checksum: &Checksum) -> Checksum {
        let (number, id) = match of {
            Masked::Object(ticket) => (u32::MAX, ticket.0.to_be_bytes().to_vec()),
            Masked::Part { number, attempt } => (number, attempt.as_bytes().to_vec()),
        };
        let mask = self.0.root.derive(b"", &[b"domicile customer checksum v1", &number.to_be_bytes(), &id]);
        checksum.masked(mask.expose())
    }
}

impl fmt::Debug for InnerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InnerKey({})", self.0.record)
    }
}

/// One run's key stream, at some place of it. Wiped on drop.
pub struct InnerCipher(Ctr128BE<Aes256>);

impl InnerCipher {
    /// The run's next bytes on the other side of the layer. They are changed where they lie unless somebody shares them.
    pub fn apply(&mut self, bytes: Bytes) -> Bytes {
        let mut bytes = bytes.try_into_mut().unwrap_or_else(|shared| BytesMut::from(&shared[..]));
        self.0.apply_keystream(&mut bytes);
        bytes.freeze()
    }
}

impl fmt::Debug for InnerCipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InnerCipher")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::digest::ChecksumAlgorithm;

    const RECORD: RecordId = RecordId::from_bytes([1; 16]);
    const ATTEMPT: AttemptId = AttemptId::from_bytes([2; 16]);

    fn key(byte: u8) -> CustomerKey {
        CustomerKey::from_slice(&[byte; 32]).unwrap()
    }

    fn fixed(byte: u8) -> InnerKey {
        InnerKey::of(&key(byte), &[3; 32], RECORD)
    }

    #[test]
    fn only_the_key_it_was_bound_to_opens_a_record() {
        let (seal, inner) = CustomerSeal::new(&key(7), RECORD);
        let opened = seal.open(&key(7), RECORD).unwrap();
        assert_eq!(
            opened.cipher(0, ATTEMPT, 0).apply(Bytes::from_static(b"abc")),
            inner.cipher(0, ATTEMPT, 0).apply("abc".into())
        );
        assert!(matches!(seal.open(&key(8), RECORD), Err(SealError::WrongKey)));
        assert!(matches!(seal.open(&key(7), RecordId::from_bytes([9; 16])), Err(SealError::WrongKey)));
        assert_ne!(CustomerSeal::new(&key(7), RECORD).0, seal, "the same key leaves no trace that could be recognised");
    }

    #[test]
    fn nothing_of_a_key_is_shown_or_kept() {
        let (seal, inner) = CustomerSeal::new(&key(0x41), RECORD);
        let kept = rmp_serde::to_vec_named(&seal).unwrap();
        assert_eq!(rmp_serde::from_slice::<CustomerSeal>(&kept).unwrap(), seal);
        let md5 = key(0x41).md5();
        assert!(!kept.windows(16).any(|bytes| bytes == [0x41; 16] || bytes == md5));
        let shown = format!("{:?} {inner:?} {:?}", key(0x41), inner.cipher(0, ATTEMPT, 0));
        assert!(!shown.contains("65") && !shown.contains("4141") && !shown.contains("AAAA"), "{shown}");
    }

    /// The key stream is AES-256 in counter mode under a key that the format's description gives.
    #[test]
    fn the_stream_is_what_the_format_says() {
        let derive = |ikm: &[u8], salt: &[u8], info: &[&[u8]]| {
            let mut out = [0; 32];
            digest::hkdf_sha256(ikm, salt, info, &mut out);
            out
        };
        let root = derive(&[7; 32], &[3; 32], &[b"domicile customer key v1", &[1; 16]]);
        let key = derive(&root, &[2; 16], &[b"domicile customer stream v1", &[1; 16], &[0, 0, 0, 5]]);
        let mut expected = [0; 48];
        for (counter, block) in expected.chunks_mut(16).enumerate() {
            use ctr::cipher::BlockEncrypt;
            let mut input = [0; 16];
            input[15] = counter as u8;
            let mut input = input.into();
            <Aes256 as ctr::cipher::KeyInit>::new(&key.into()).encrypt_block(&mut input);
            block.copy_from_slice(&input);
        }
        assert_eq!(fixed(7).cipher(5, ATTEMPT, 0).apply(vec![0; 48].into())[..], expected);
    }

    #[test]
    fn runs_records_and_keys_have_streams_of_their_own() {
        let stream = |inner: &InnerKey, part, attempt| inner.cipher(part, attempt, 0).apply(vec![0; 32].into());
        let other = InnerKey::of(&key(7), &[3; 32], RecordId::from_bytes([9; 16]));
        let streams = [
            stream(&fixed(7), 0, ATTEMPT),
            stream(&fixed(7), 1, ATTEMPT),
            stream(&fixed(7), 0, AttemptId::from_bytes([4; 16])),
            stream(&fixed(8), 0, ATTEMPT),
            stream(&other, 0, ATTEMPT),
        ];
        for (at, one) in streams.iter().enumerate() {
            assert!(streams[..at].iter().all(|before| before != one), "{at}");
        }
    }

    #[test]
    fn masked_checksums_come_back_and_differ() {
        for algorithm in ChecksumAlgorithm::ALL {
            let plain = Checksum::from_bytes(algorithm, &vec![5; algorithm.len()], Some(3)).unwrap();
            let places = [
                Masked::Object(Ticket(1)),
                Masked::Object(Ticket(2)),
                Masked::Part { number: 1, attempt: ATTEMPT },
                Masked::Part { number: 2, attempt: ATTEMPT },
            ];
            let hidden = places.map(|place| fixed(7).mask(place, &plain));
            for (at, (place, masked)) in places.iter().zip(&hidden).enumerate() {
                assert_eq!((masked.algorithm(), masked.parts()), (algorithm, Some(3)));
                assert_eq!(fixed(7).mask(*place, masked), plain);
                assert!(*masked != plain && hidden[..at].iter().all(|before| before != masked));
            }
        }
    }

    proptest! {
        #[test]
        fn any_range_in_any_pieces_opens(length in 1_usize..300_000, from in 0.0..1.0_f64, piece in 1_usize..100_000) {
            let plain: Bytes = (0..length).map(|at| (at % 251) as u8).collect();
            let inner = fixed(7).cipher(0, ATTEMPT, 0).apply(plain.clone());
            prop_assert!(length < 16 || inner != plain);
            let start = (length as f64 * from) as usize;
            let mut cipher = fixed(7).cipher(0, ATTEMPT, start as u64);
            let opened: Vec<u8> = inner[start..].chunks(piece).flat_map(|piece| cipher.apply(Bytes::copy_from_slice(piece))).collect();
            prop_assert_eq!(opened, &plain[start..]);
        }
    }
}
