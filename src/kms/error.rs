//! What can go wrong with keys.

use std::{io, path::PathBuf, sync::Arc};

use crate::types::KeyId;

/// A key operation that failed. Fails closed: no variant is ever answered by going on without the key.
#[derive(Debug, Clone, thiserror::Error)]
pub enum KmsError {
    /// No key of that id is configured, or the keyring holds none.
    #[error("no key `{0}`: add it to the configuration and the keyring")]
    UnknownKey(KeyId),
    /// The provider cannot be reached; worth trying again.
    #[error("key `{key}` is unavailable: {reason}")]
    Unavailable {
        /// The key.
        key: KeyId,
        /// What the provider's side said.
        reason: String,
    },
    /// The provider answers but will not use the key: sealed, disabled or forbidden.
    #[error("the provider refuses to use key `{key}`: {reason}")]
    Refused {
        /// The key.
        key: KeyId,
        /// What the provider said.
        reason: String,
    },
    /// The key is not what a country's key must be, as one that can be exported: it is not used however willing its provider.
    #[error("key `{key}` must not be used: {reason}")]
    Unsuitable {
        /// The key.
        key: KeyId,
        /// What is wrong with it, and what would be right.
        reason: String,
    },
    /// The version that wrapped the key has been destroyed, or its destruction ordered: what it wrapped is erased.
    #[error("version {version} of key `{key}` is destroyed")]
    Destroyed {
        /// The key.
        key: KeyId,
        /// The version.
        version: u32,
    },
    /// No such version.
    #[error("key `{key}` has no version {version}")]
    UnknownVersion {
        /// The key.
        key: KeyId,
        /// The version asked for.
        version: u32,
    },
    /// The version in use cannot be destroyed.
    #[error("version {version} of key `{key}` is its primary one: rotate the key and rewrap before destroying it")]
    PrimaryVersion {
        /// The key.
        key: KeyId,
        /// The version.
        version: u32,
    },
    /// A wrapped key was made for another installation, country, owner or generation.
    #[error("the wrapped key is bound to another context than the one it is used in")]
    WrongContext,
    /// A wrapped key does not open: altered, or wrapped by another key.
    #[error("the wrapped key does not open: it was altered or another key wrapped it")]
    Corrupt,
    /// A file that others may read.
    #[error("`{}` can be read by others (mode {mode:o}): run `chmod 600 {}`", path.display(), path.display())]
    Permissions {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A file that is there already; key files are never overwritten.
    #[error("`{}` exists already: move it away if it is not in use, or open it instead of creating another", .0.display())]
    Exists(PathBuf),
    /// A key file cannot be read or written.
    #[error("cannot use key file `{}`: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: Arc<io::Error>,
    },
    /// A key file with other content than it should have.
    #[error("`{}` is not usable: {reason}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, without any of its content.
        reason: String,
    },
    /// The cryptographic library refused; nothing a caller can act on.
    #[error("the cryptographic library refused an operation")]
    Crypto,
}

impl KmsError {
    /// A word for it, for the ledger and the metrics.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::UnknownKey(_) => "UnknownKey",
            Self::Unavailable { .. } => "KeyUnavailable",
            Self::Refused { .. } => "KeyRefused",
            Self::Unsuitable { .. } => "KeyUnsuitable",
            Self::Destroyed { .. } => "KeyVersionDestroyed",
            Self::UnknownVersion { .. } => "UnknownKeyVersion",
            Self::PrimaryVersion { .. } => "PrimaryKeyVersion",
            Self::WrongContext => "WrongContext",
            Self::Corrupt => "WrappedKeyCorrupt",
            Self::Permissions { .. } | Self::Exists(_) | Self::Io { .. } | Self::Format { .. } => "KeyFileUnusable",
            Self::Crypto => "CryptoFailure",
        }
    }
}

impl From<ring::error::Unspecified> for KmsError {
    fn from(_: ring::error::Unspecified) -> Self {
        Self::Crypto
    }
}
