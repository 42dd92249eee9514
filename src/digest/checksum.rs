//! The five additional checksums of S3 (`x-amz-checksum-*`).

use std::{fmt, str::FromStr};

use base64::{Engine, engine::general_purpose::STANDARD};
use crc_fast::CrcAlgorithm;
use ring::digest;
use serde::{Deserialize, Serialize};

/// A checksum algorithm, as `x-amz-checksum-algorithm` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum ChecksumAlgorithm {
    /// CRC-32 of ISO/IEC 8802-3.
    Crc32,
    /// CRC-32 with Castagnoli's polynomial (RFC 3720).
    Crc32c,
    /// CRC-64 of the NVM Express specification.
    Crc64Nvme,
    /// SHA-1.
    Sha1,
    /// SHA-256.
    Sha256,
}

/// What a multipart object's checksum covers, as `x-amz-checksum-type` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ChecksumKind {
    /// The checksum of the parts' checksums.
    Composite,
    /// The checksum of the bytes.
    FullObject,
}

/// A checksum with its algorithm. A composite one knows its number of parts, which S3 writes behind the value: `…=-3`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "ChecksumText", into = "ChecksumText")]
pub struct Checksum {
    algorithm: ChecksumAlgorithm,
    /// The first `algorithm.len()` bytes count, the rest is zero.
    value: [u8; 32],
    parts: Option<u32>,
}

/// A text that is not an algorithm or a checksum.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidChecksum {
    /// No such algorithm.
    #[error("unknown checksum algorithm `{0}`: use CRC32, CRC32C, CRC64NVME, SHA1 or SHA256")]
    Algorithm(String),
    /// A value of another length, or not base64.
    #[error("not a {algorithm} checksum: expected {} bytes as base64", algorithm.len())]
    Value {
        /// The algorithm that the value should be of.
        algorithm: ChecksumAlgorithm,
    },
}

/// Computes a checksum over data that arrives in pieces.
#[derive(Clone)]
pub struct ChecksumHasher(State);

#[derive(Clone)]
enum State {
    Crc(ChecksumAlgorithm, crc_fast::Digest),
    Sha(ChecksumAlgorithm, digest::Context),
}

impl ChecksumAlgorithm {
    /// Every algorithm.
    pub const ALL: [Self; 5] = [Self::Crc32, Self::Crc32c, Self::Crc64Nvme, Self::Sha1, Self::Sha256];

    /// The name S3 uses: `CRC64NVME`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Crc32 => "CRC32",
            Self::Crc32c => "CRC32C",
            Self::Crc64Nvme => "CRC64NVME",
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
        }
    }

    /// The header or trailer that carries the value.
    pub const fn header_name(self) -> &'static str {
        match self {
            Self::Crc32 => "x-amz-checksum-crc32",
            Self::Crc32c => "x-amz-checksum-crc32c",
            Self::Crc64Nvme => "x-amz-checksum-crc64nvme",
            Self::Sha1 => "x-amz-checksum-sha1",
            Self::Sha256 => "x-amz-checksum-sha256",
        }
    }

    /// The algorithm whose value the header `name` carries, in either case.
    pub fn from_header_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.header_name().eq_ignore_ascii_case(name))
    }

    /// The value's length in bytes.
    #[expect(clippy::len_without_is_empty, reason = "no checksum is empty")]
    pub const fn len(self) -> usize {
        match self {
            Self::Crc32 | Self::Crc32c => 4,
            Self::Crc64Nvme => 8,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
        }
    }

    pub(super) const fn crc(self) -> Option<CrcAlgorithm> {
        match self {
            Self::Crc32 => Some(CrcAlgorithm::Crc32IsoHdlc),
            Self::Crc32c => Some(CrcAlgorithm::Crc32Iscsi),
            Self::Crc64Nvme => Some(CrcAlgorithm::Crc64Nvme),
            Self::Sha1 | Self::Sha256 => None,
        }
    }
}

impl Checksum {
    /// From the value's bytes; `parts` is the number of parts of a composite checksum.
    pub fn from_bytes(algorithm: ChecksumAlgorithm, bytes: &[u8], parts: Option<u32>) -> Result<Self, InvalidChecksum> {
        if bytes.len() != algorithm.len() {
            return Err(InvalidChecksum::Value { algorithm });
        }
        let mut value = [0; 32];
        value[..bytes.len()].copy_from_slice(bytes);
        Ok(Self { algorithm, value, parts })
    }

    /// Parses the value of an `x-amz-checksum-*` header: base64, for a composite checksum followed by `-` and the number of parts.
    pub fn parse(algorithm: ChecksumAlgorithm, text: &str) -> Result<Self, InvalidChecksum> {
        let invalid = InvalidChecksum::Value { algorithm };
        let (value, parts) = match text.split_once('-') {
            Some((value, parts)) => (value, Some(parts.parse().map_err(|_| invalid.clone())?)),
            None => (text, None),
        };
        Self::from_bytes(algorithm, &STANDARD.decode(value).map_err(|_| invalid)?, parts)
    }

    /// The algorithm.
    pub const fn algorithm(&self) -> ChecksumAlgorithm {
        self.algorithm
    }

    /// The value's bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.value[..self.algorithm.len()]
    }

    /// What the checksum covers.
    pub const fn kind(&self) -> ChecksumKind {
        if self.parts.is_some() { ChecksumKind::Composite } else { ChecksumKind::FullObject }
    }

    /// The number of parts of a composite checksum.
    pub const fn parts(&self) -> Option<u32> {
        self.parts
    }

    /// The same with a value XORed with the beginning of `mask`.
    pub fn masked(&self, mask: &[u8; 32]) -> Self {
        let mut masked = *self;
        masked.value[..self.algorithm.len()].iter_mut().zip(mask).for_each(|(byte, mask)| *byte ^= mask);
        masked
    }

    /// The value alone as base64, without a number of parts.
    pub fn to_base64(&self) -> String {
        STANDARD.encode(self.as_bytes())
    }
}

impl ChecksumHasher {
    /// Starts with no data.
    pub fn new(algorithm: ChecksumAlgorithm) -> Self {
        let sha = |kind| State::Sha(algorithm, digest::Context::new(kind));
        Self(match algorithm {
            ChecksumAlgorithm::Sha1 => sha(&digest::SHA1_FOR_LEGACY_USE_ONLY),
            ChecksumAlgorithm::Sha256 => sha(&digest::SHA256),
            crc => State::Crc(crc, crc_fast::Digest::new(crc.crc().unwrap_or(CrcAlgorithm::Crc32IsoHdlc))),
        })
    }

    /// Takes the next piece.
    pub fn update(&mut self, data: &[u8]) {
        match &mut self.0 {
            State::Crc(_, digest) => digest.update(data),
            State::Sha(_, context) => context.update(data),
        }
    }

    /// The full-object checksum of all pieces.
    pub fn finish(self) -> Checksum {
        match self.0 {
            State::Crc(algorithm, digest) => from_crc(algorithm, digest.finalize()),
            State::Sha(algorithm, context) => {
                let digest = context.finish();
                let mut value = [0; 32];
                value[..algorithm.len()].copy_from_slice(digest.as_ref());
                Checksum { algorithm, value, parts: None }
            }
        }
    }
}

/// A full-object checksum from a CRC register; S3 writes them big-endian.
pub(super) fn from_crc(algorithm: ChecksumAlgorithm, crc: u64) -> Checksum {
    let mut value = [0; 32];
    value[..algorithm.len()].copy_from_slice(&crc.to_be_bytes()[8 - algorithm.len()..]);
    Checksum { algorithm, value, parts: None }
}

pub(super) const fn composite_of(checksum: Checksum, parts: u32) -> Checksum {
    Checksum { parts: Some(parts), ..checksum }
}

impl FromStr for ChecksumAlgorithm {
    type Err = InvalidChecksum;

    /// Accepts either case, as S3 does.
    fn from_str(text: &str) -> Result<Self, InvalidChecksum> {
        let found = Self::ALL.into_iter().find(|algorithm| algorithm.as_str().eq_ignore_ascii_case(text));
        found.ok_or_else(|| InvalidChecksum::Algorithm(text.chars().take(32).collect()))
    }
}

impl fmt::Display for ChecksumAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Display for ChecksumKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Composite => "COMPOSITE",
            Self::FullObject => "FULL_OBJECT",
        })
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_base64())?;
        self.parts.map_or(Ok(()), |parts| write!(f, "-{parts}"))
    }
}

impl fmt::Debug for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({self})", self.algorithm)
    }
}

#[derive(Serialize, Deserialize)]
struct ChecksumText {
    algorithm: ChecksumAlgorithm,
    value: String,
}

impl From<Checksum> for ChecksumText {
    fn from(checksum: Checksum) -> Self {
        Self { algorithm: checksum.algorithm, value: checksum.to_string() }
    }
}

impl TryFrom<ChecksumText> for Checksum {
    type Error = InvalidChecksum;

    fn try_from(text: ChecksumText) -> Result<Self, InvalidChecksum> {
        Self::parse(text.algorithm, &text.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The check values of the CRC catalogue and of FIPS 180-4's algorithms over `123456789`.
    const KNOWN: [(ChecksumAlgorithm, &str); 5] = [
        (ChecksumAlgorithm::Crc32, "cbf43926"),
        (ChecksumAlgorithm::Crc32c, "e3069283"),
        (ChecksumAlgorithm::Crc64Nvme, "ae8b14860a799888"),
        (ChecksumAlgorithm::Sha1, "f7c3bc1d808e04732adf679965ccc34ca7ae3441"),
        (ChecksumAlgorithm::Sha256, "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225"),
    ];

    #[test]
    fn known_answers_in_one_piece_and_in_many() {
        for (algorithm, expected) in KNOWN {
            for cut in 0..=9 {
                let mut hasher = ChecksumHasher::new(algorithm);
                hasher.update(&b"123456789"[..cut]);
                hasher.update(&b"123456789"[cut..]);
                assert_eq!(hex::encode(hasher.finish().as_bytes()), expected, "{algorithm} cut at {cut}");
            }
        }
    }

    #[test]
    fn text_and_serde_round_trip() {
        for (algorithm, value) in KNOWN {
            for parts in [None, Some(3)] {
                let checksum = Checksum::from_bytes(algorithm, &hex::decode(value).unwrap(), parts).unwrap();
                assert_eq!(Checksum::parse(algorithm, &checksum.to_string()).unwrap(), checksum);
                let json = serde_json::to_string(&checksum).unwrap();
                assert_eq!(serde_json::from_str::<Checksum>(&json).unwrap(), checksum);
                let packed = rmp_serde::to_vec_named(&checksum).unwrap();
                assert_eq!(rmp_serde::from_slice::<Checksum>(&packed).unwrap(), checksum);
            }
            assert_eq!(algorithm.to_string().to_lowercase().parse::<ChecksumAlgorithm>().unwrap(), algorithm);
            assert_eq!(ChecksumAlgorithm::from_header_name(&algorithm.header_name().to_uppercase()), Some(algorithm));
            assert_eq!(serde_json::to_string(&algorithm).unwrap(), format!("\"{algorithm}\""));
        }
    }

    #[test]
    fn wrong_values_are_refused() {
        for wrong in ["", "AAAA", "AAAAA", "AAAAAA==-x", "AAAAAAAA", "????"] {
            assert!(Checksum::parse(ChecksumAlgorithm::Crc32, wrong).is_err(), "{wrong}");
        }
        assert!("MD5".parse::<ChecksumAlgorithm>().is_err());
    }
}
