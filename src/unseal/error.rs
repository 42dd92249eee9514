//! Why a record does not come out.

use std::{fmt, io, path::PathBuf};

use crate::{
    kms::{KeyOwner, KmsError},
    seal::{BlobName, SealError},
    types::{Country, Generation, KeyId, RecordId},
};

/// A piece of a record, as its error names it. Extents count from 0, as in the format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// 0 for a body that was not uploaded in parts.
    pub part: u32,
    /// The extent of the part.
    pub extent: u32,
}

impl fmt::Display for Piece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.part {
            0 => write!(f, "extent {} of the body", self.extent),
            part => write!(f, "extent {} of part {part}", self.extent),
        }
    }
}

/// A record that cannot be unsealed, or what stands in the way of looking.
#[derive(Debug, thiserror::Error)]
pub enum UnsealError {
    /// A file or folder cannot be read or written.
    #[error("`{}`: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A key file cannot be used.
    #[error(transparent)]
    KeyFile(KmsError),
    /// The manifest's file is no manifest of ours, or was altered.
    #[error("`{}` is not usable: {reason}", path.display())]
    Manifest {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The key that wraps the record's data key is not among the keys or the blobs.
    #[error("{} for {country}, generation {}, is not {place}", owned(owner, key), generation.0)]
    NoKey {
        /// Whose.
        owner: KeyOwner,
        /// The country key that wraps it.
        key: KeyId,
        /// The country.
        country: Country,
        /// Which of the owner's.
        generation: Generation,
        /// Where it was looked for, as the end of a sentence.
        place: String,
    },
    /// It is there and does not open.
    #[error("{} for {country} does not open: {source}", owned(owner, key))]
    Key {
        /// Whose.
        owner: KeyOwner,
        /// The country key that wraps it.
        key: KeyId,
        /// The country.
        country: Country,
        /// Why.
        source: KmsError,
    },
    /// A blob is not there.
    #[error("{piece}: blob {name} is not in `{}`", folder.display())]
    Missing {
        /// What it holds.
        piece: Piece,
        /// Its name.
        name: BlobName,
        /// Where it was looked for.
        folder: PathBuf,
    },
    /// A blob does not open.
    #[error("{piece}: `{}`: {source}", path.display())]
    Damaged {
        /// What it should hold.
        piece: Piece,
        /// The file.
        path: PathBuf,
        /// Why.
        source: SealError,
    },
    /// All blobs open, and together they are not what was stored.
    #[error("the content is not what was stored: its {0} differs")]
    Content(&'static str),
    /// The record is under a client's key (SSE-C) and none was given.
    #[error("record {0} is under a key of its client's (SSE-C): give it with --customer-key")]
    NeedsCustomerKey(RecordId),
    /// Another key than the record's.
    #[error("the customer key is not that of record {0}")]
    WrongCustomerKey(RecordId),
    /// No manifest of that object is in the folder.
    #[error("no manifest of {what} that opens is in `{}`", folder.display())]
    NoSuchRecord {
        /// What was asked for.
        what: String,
        /// Where it was looked for.
        folder: PathBuf,
    },
    /// There is something already, and nothing is overwritten.
    #[error("`{}` is there already; nothing is overwritten", .0.display())]
    Exists(PathBuf),
}

impl UnsealError {
    pub(super) fn io(path: impl Into<PathBuf>, source: io::Error) -> Self {
        let path = path.into();
        match source.kind() {
            io::ErrorKind::AlreadyExists => Self::Exists(path),
            _ => Self::Io { path, source },
        }
    }
}

fn owned(owner: &KeyOwner, key: &KeyId) -> String {
    let whose = match owner {
        KeyOwner::Subject(pseudonym) => format!("the key of subject {pseudonym}"),
        KeyOwner::Bucket(pseudonym) => format!("the key of bucket {pseudonym}"),
        KeyOwner::Site(site) => format!("the key of site {site}"),
    };
    format!("{whose} (under country key `{key}`)")
}
