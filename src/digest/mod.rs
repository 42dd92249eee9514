//! Hashes, checksums and randomness: the S3 checksums and ETags, and the primitives that keys and the ledger are built from.

pub mod as_hex;
mod checksum;
mod combine;
mod etag;
mod hash;
mod random;

pub use checksum::{Checksum, ChecksumAlgorithm, ChecksumHasher, ChecksumKind, InvalidChecksum};
pub use combine::{combine_crc, composite};
pub use etag::{ETag, InvalidETag};
pub use hash::{Md5, Sha256, constant_time_eq, hkdf_sha256, hmac_sha256, sha256};
pub use random::random;
