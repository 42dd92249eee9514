//! Why an index cannot be rebuilt.

use crate::backend::{BackendError, IdentityError};
use crate::index::{CommitError, ExportError, IndexError};
use crate::kms::KmsError;
use crate::types::{Country, SiteId};

/// Why an index cannot be rebuilt. What was read stays as it was.
#[derive(Debug, thiserror::Error)]
pub enum RecoveryError {
    /// A site cannot be read: without it, what only it holds would be missing.
    #[error("site `{site}` cannot be read: {cause}; bring it back, or rebuild without what only it holds by `--without {site}`")]
    Site {
        /// The site.
        site: SiteId,
        /// Why.
        cause: String,
    },
    /// No site holds a journal.
    #[error("no site holds a journal: these are not the sites of this installation, or it never ran with a journal")]
    NoJournal,
    /// What the journal said since an export is in part no longer there.
    #[error(
        "the journal of {country} has been compacted since the export was made: it says everything by itself now, and no longer what is \
         gone since then; use `domicile index rebuild`"
    )]
    Compacted {
        /// The country.
        country: Country,
    },
    /// The export.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// The keys of a country do not open its journal.
    #[error("the journal of {country} does not open with the keys there are: {cause}")]
    Keys {
        /// The country.
        country: Country,
        /// Why.
        #[source]
        cause: KmsError,
    },
    /// The new index.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// A commit to the new index.
    #[error(transparent)]
    Commit(#[from] CommitError),
}

impl RecoveryError {
    pub(super) fn backend(site: &SiteId, error: &BackendError) -> Self {
        Self::Site { site: site.clone(), cause: error.to_string() }
    }

    /// A site that is not what it should be.
    pub fn identity(site: &SiteId, error: &IdentityError) -> Self {
        Self::Site { site: site.clone(), cause: error.to_string() }
    }
}
