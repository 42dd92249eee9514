//! What can go wrong at a site.

use std::{error::Error, sync::Arc};

use crate::types::{Country, SiteId};

/// The underlying error, kept for logs. Shared, so that the enum stays cloneable.
pub type Cause = Arc<dyn Error + Send + Sync>;

/// Why an operation at a site failed. Blob names are opaque, so messages may be logged and shown to operators.
#[derive(Debug, Clone, thiserror::Error)]
pub enum BackendError {
    /// There is no such blob.
    #[error("site `{site}` has no blob `{name}`")]
    NotFound {
        /// Where it was looked for.
        site: SiteId,
        /// The blob's name.
        name: String,
    },
    /// The site cannot be reached, or has not been let into service.
    #[error("site `{site}` is unavailable: {reason}")]
    Unavailable {
        /// The site.
        site: SiteId,
        /// What happened, in words for an operator.
        reason: String,
        /// The underlying error, where there is one.
        #[source]
        cause: Option<Cause>,
    },
    /// The site was reached, but did not answer in time.
    #[error("site `{site}` did not answer in time: {reason}")]
    Timeout {
        /// The site.
        site: SiteId,
        /// Which wait ended.
        reason: String,
    },
    /// The site answered that it cannot do this now: throttling, an internal error, a full disk.
    #[error("site `{site}` could not serve the request: {reason}")]
    Busy {
        /// The site.
        site: SiteId,
        /// What it said.
        reason: String,
        /// The underlying error, where there is one.
        #[source]
        cause: Option<Cause>,
    },
    /// The site does not let this gateway do it, or the request makes no sense there. An operator has to act: credentials,
    /// permissions, bucket, region.
    #[error("site `{site}` refused the request: {reason}")]
    Refused {
        /// The site.
        site: SiteId,
        /// What it said.
        reason: String,
        /// The underlying error, where there is one.
        #[source]
        cause: Option<Cause>,
    },
    /// What the site holds or answered is not what was stored there.
    #[error("site `{site}` answered with something else than was stored: {reason}")]
    Corrupt {
        /// The site.
        site: SiteId,
        /// What was wrong.
        reason: String,
    },
    /// The request may or may not have taken effect. The blob must be left to a scrub, never assumed absent.
    #[error("site `{site}` may or may not have done it: {cause}")]
    UnknownOutcome {
        /// The site.
        site: SiteId,
        /// How the request failed.
        #[source]
        cause: Box<BackendError>,
    },
    /// A blob was handed to a site that it was not sealed for. Nothing was sent.
    #[error("a blob sealed for site `{sealed_for}` in {country} was handed to site `{site}`")]
    WrongSite {
        /// The site that was asked to store it.
        site: SiteId,
        /// The site that the blob is for.
        sealed_for: SiteId,
        /// The country that the blob is for.
        country: Country,
    },
}

impl BackendError {
    /// Whether the same request may succeed later without anyone changing anything.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Unavailable { .. } | Self::Timeout { .. } | Self::Busy { .. } | Self::UnknownOutcome { .. } => true,
            Self::NotFound { .. } | Self::Refused { .. } | Self::Corrupt { .. } | Self::WrongSite { .. } => false,
        }
    }

    /// Whether the site could not be talked to at all, so that it should count as down.
    pub fn is_connection_failure(&self) -> bool {
        match self {
            Self::Unavailable { .. } | Self::Timeout { .. } => true,
            Self::UnknownOutcome { cause, .. } => cause.is_connection_failure(),
            _ => false,
        }
    }

    /// The site that failed.
    pub fn site(&self) -> &SiteId {
        match self {
            Self::NotFound { site, .. }
            | Self::Unavailable { site, .. }
            | Self::Timeout { site, .. }
            | Self::Busy { site, .. }
            | Self::Refused { site, .. }
            | Self::Corrupt { site, .. }
            | Self::UnknownOutcome { site, .. }
            | Self::WrongSite { site, .. } => site,
        }
    }

    /// A short constant word for metrics and log fields.
    pub fn label(&self) -> &'static str {
        match self {
            Self::NotFound { .. } => "not-found",
            Self::Unavailable { .. } => "unavailable",
            Self::Timeout { .. } => "timeout",
            Self::Busy { .. } => "busy",
            Self::Refused { .. } => "refused",
            Self::Corrupt { .. } => "corrupt",
            Self::UnknownOutcome { .. } => "unknown-outcome",
            Self::WrongSite { .. } => "wrong-site",
        }
    }

    /// The same failure of a request that may have taken effect before it failed.
    pub(super) fn with_unknown_outcome(self) -> Self {
        Self::UnknownOutcome { site: self.site().clone(), cause: Box::new(self) }
    }
}
