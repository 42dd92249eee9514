//! The sealed format: what a site holds instead of a record's bytes.
//!
//! A body is cut into extents of at most [`EXTENT_SIZE`] bytes. Each becomes one blob: a head that says, sealed or opaque, what
//! the blob is, then a Tink Streaming AEAD stream (`AES256_GCM_HKDF`, HKDF over SHA-256, 64 KiB segments) that PyPI `tink` opens
//! with the record's data key and [`ExtentId::associated_data`].
//!
//! Only a [`SealTarget`] can be sealed for, and only a placement yields one; only a [`SealedBlob`] can be stored. So plaintext
//! cannot reach a backend, and nothing can reach one that was not placed there.

mod archive;
mod blob;
mod customer;
mod error;
mod head;
mod id;
mod opener;
mod plan;
mod record_key;
mod sealer;
mod small;
mod stream;
mod target;

#[cfg(test)]
mod tests;

pub use archive::{ArchiveOpener, ArchiveSealer};
pub use blob::SealedBlob;
pub use customer::{CustomerKey, CustomerSeal, InnerCipher, InnerKey, Masked};
pub use error::SealError;
pub use head::{BlobKind, HEAD_LEN, Head, MAX_HEAD_LEN, PREFIX_LEN, blob_kind, head_len, parse_head};
pub use id::{BlobName, ExtentId, InvalidBlobName};
pub use opener::ExtentOpener;
pub use plan::ReadPlan;
pub use record_key::RecordKey;
pub use sealer::ExtentSealer;
pub use small::{MarkerContent, open_marker, parse_subject_key_blob, seal_marker, subject_key_blob};
pub use stream::stream_len;
pub use target::SealTarget;

/// The most plaintext one blob holds, in bytes.
pub const EXTENT_SIZE: usize = 8 * 1024 * 1024;
