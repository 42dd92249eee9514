//! What is told of every call to a key provider.

use std::time::Duration;

use super::{KeyOwner, KmsError};
use crate::types::{Country, KeyId};

/// Is told of every call to every provider, once it has ended. Called on the data path: takes note and returns.
pub trait KeyObserver: Send + Sync + 'static {
    /// One call has ended.
    fn used(&self, used: KeyUse);
}

/// One call to a key provider, or a change of what its health is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyUse {
    /// The country key.
    pub key: KeyId,
    /// Its country.
    pub country: Country,
    /// What was asked of it.
    pub operation: KeyOperation,
    /// The version concerned, where it is known.
    pub version: Option<u32>,
    /// Whose key was wrapped or opened.
    pub owner: Option<KeyOwner>,
    /// How it ended.
    pub outcome: KeyOutcome,
    /// How long it took, waiting for its turn included.
    pub took: Duration,
}

/// What a provider can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyOperation {
    /// To wrap a new subject key.
    Wrap,
    /// To open a subject key.
    Unwrap,
    /// To wrap a subject key again with the primary version.
    Rewrap,
    /// To list the key's versions.
    Describe,
    /// To make a new version.
    Rotate,
    /// To destroy a version.
    Destroy,
    /// Whether the key can be used. Told only when the answer is another than the last.
    Health,
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyOutcome {
    /// As asked.
    Done,
    /// It failed; [`KmsError::code`].
    Failed(&'static str),
    /// Whoever asked went away before the answer: what came of it is not known.
    Abandoned,
}

impl KeyOperation {
    /// What is asked of a provider because the gateway needs it, and not to see how it is.
    pub(super) const CALLS: [Self; 6] = [Self::Wrap, Self::Unwrap, Self::Rewrap, Self::Describe, Self::Rotate, Self::Destroy];

    /// As the ledger and the metrics write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Wrap => "wrap",
            Self::Unwrap => "unwrap",
            Self::Rewrap => "rewrap",
            Self::Describe => "describe",
            Self::Rotate => "rotate",
            Self::Destroy => "destroy",
            Self::Health => "health",
        }
    }
}

impl KeyOutcome {
    /// As the ledger and the metrics write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "ok",
            Self::Failed(code) => code,
            Self::Abandoned => "Abandoned",
        }
    }

    pub(super) fn of<T>(result: &Result<T, KmsError>) -> Self {
        result.as_ref().err().map_or(Self::Done, |error| Self::Failed(error.code()))
    }
}
