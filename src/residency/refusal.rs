//! Why a record is not stored.

use serde::Serialize;

use crate::{
    policy::ProcessingDenial,
    types::{Country, InstrumentId},
};

/// No placement. Every message is safe to show to the client: it names signals, countries and instruments, never a subject, an
/// attribute's value or a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(tag = "refusal", rename_all = "kebab-case")]
pub enum Refusal {
    /// It cannot be told whose data this is, or what has to be known of the subject. Nothing the server can put right.
    #[error("{reason}")]
    Unknown {
        /// Which signal is missing or malformed.
        reason: String,
    },
    /// Two signals disagree, or a copy or change would take the record out of what placed it.
    #[error("{reason}")]
    Conflict {
        /// Which signals disagree.
        reason: String,
    },
    /// A country that must have a copy has no site that answers. The same request can succeed later.
    #[error("no site in {country} can take the record now; it may not be stored elsewhere")]
    Unavailable {
        /// The country.
        country: Country,
    },
    /// The sites that an earlier decision chose are not those of the policy in force, or do not answer. The upload has to begin again.
    #[error("the placement decided earlier does not stand any more: {reason}")]
    Stale {
        /// What changed.
        reason: String,
    },
    /// The subject directory could not be read.
    #[error("the subject directory cannot be read now")]
    DirectoryUnavailable,
    /// The policies that apply leave no country, or do not let content be processed where it would be.
    #[error("{reason}")]
    Denied {
        /// The instruments that clash.
        instruments: Vec<InstrumentId>,
        /// Why.
        reason: String,
    },
}

impl From<ProcessingDenial> for Refusal {
    fn from(denial: ProcessingDenial) -> Self {
        Self::Denied { instruments: denial.instruments, reason: denial.message }
    }
}

impl Refusal {
    /// The S3 error code. `ResidencyUnavailable` goes with 503, the others with 403.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unknown { .. } => "ResidencyUnknown",
            Self::Conflict { .. } | Self::Denied { .. } => "ResidencyConflict",
            Self::Unavailable { .. } | Self::Stale { .. } | Self::DirectoryUnavailable => "ResidencyUnavailable",
        }
    }

    /// Whether the same request can succeed later: 503 with `Retry-After`, not 403.
    pub const fn is_retryable(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Stale { .. } | Self::DirectoryUnavailable)
    }
}
