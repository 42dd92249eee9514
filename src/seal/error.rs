//! What can go wrong when sealing and opening.

use crate::kms::KmsError;

/// A blob that does not open, or cannot be made. No variant carries plaintext or key bytes, and after any of them nothing that
/// was read is to be trusted.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// Not a blob of ours, or of a version this build does not know.
    #[error("not a Domicile blob: {0}")]
    Foreign(&'static str),
    /// Too few bytes to tell; ask for at least `need` from the blob's start.
    #[error("the blob's head needs {need} bytes, {have} were given")]
    Short {
        /// The bytes needed.
        need: usize,
        /// The bytes given.
        have: usize,
    },
    /// The head breaks the format.
    #[error("the blob's head is malformed: {0}")]
    Malformed(&'static str),
    /// The blob is another than the one that was asked for.
    #[error("the blob is another one than expected: its {0} differs")]
    Mismatch(&'static str),
    /// The data key is not the one that sealed the blob.
    #[error("the blob was sealed under another data key")]
    WrongKey,
    /// Altered at the site, or sealed under another name.
    #[error("the blob's {0} does not authenticate: it was altered")]
    Tampered(&'static str),
    /// The blob is not as long as it must be.
    #[error("the blob has {got} bytes where {expected} are due")]
    WrongLength {
        /// The length that the record's facts require.
        expected: u64,
        /// The length seen; when more than expected, the length at which reading stopped.
        got: u64,
    },
    /// The stream failed before; nothing more comes out of it.
    #[error("the blob failed to open before")]
    Failed,
    /// More plaintext than an extent holds.
    #[error("an extent holds at most {} bytes", super::EXTENT_SIZE)]
    TooLarge,
    /// A manifest longer than a head may be.
    #[error("a manifest of {0} bytes does not fit a blob's head")]
    ManifestTooLarge(usize),
    /// The key hierarchy refused.
    #[error(transparent)]
    Key(#[from] KmsError),
    /// The cryptographic library refused; nothing a caller can act on.
    #[error("the cryptographic library refused an operation")]
    Crypto,
}

impl From<ring::error::Unspecified> for SealError {
    fn from(_: ring::error::Unspecified) -> Self {
        Self::Crypto
    }
}
