//! What keeps a gateway from starting.

use std::{io, path::PathBuf};

use crate::authn::DuplicateAccessKey;
use crate::backend::BackendError;
use crate::diagnostics::Diagnostic;
use crate::index::{CommitError, EngineError, ImportedIndex, IndexError};
use crate::kms::KmsError;
use crate::server::{AddressError, TlsError};
use crate::types::{PolicyRevision, SiteId};

/// Why a gateway does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A file or folder.
    #[error("cannot use `{}`: {source}", path.display())]
    File {
        /// Its path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Two gateways, one data folder.
    #[error("another gateway uses `{}`: stop it, or name another folder (`data-dir`, --data-dir)", data_dir.display())]
    Locked {
        /// The folder.
        data_dir: PathBuf,
    },
    /// There is an index, but not the keyring that it was written with.
    #[error("there is an index but no keyring at `{}`: put the keyring back; nothing can be read without it", path.display())]
    KeyringMissing {
        /// Where it should be.
        path: PathBuf,
    },
    /// The index was imported without some of its sites.
    #[error(
        "the index is of {} and lacks what only {} can tell since then; what is written now could take the place of what is missing. Run \
         `domicile index import` once more with every site, or `domicile index rebuild`; or start with --accept-imported",
        .0.exported.to_rfc3339(), names(&.0.without)
    )]
    Behind(Box<ImportedIndex>),
    /// The policies are wrong.
    #[error("the policies cannot be used:\n{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Policies(Vec<Diagnostic>),
    /// The set that was last in force has to be served or compared, and cannot be.
    #[error(
        "the policy set that was last in force, {revision}, cannot be used any more, so nothing can be held against it:\n{}\nPut the \
         folder's set in its place by starting once with `[policy-approval] require = \"never\"` and a changed folder",
        mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    )]
    KeptPolicies {
        /// The set.
        revision: PolicyRevision,
        /// What is wrong with it.
        mistakes: Vec<Diagnostic>,
    },
    /// An address cannot be listened on.
    #[error("{0}; choose another address (`listen` of `[s3]` and `[admin]`, or --s3 and --admin)")]
    Listen(#[from] AddressError),
    /// Witnesses or a time-stamping authority cannot be asked.
    #[error("nobody can be asked to vouch for the ledger: {0}")]
    Notary(String),
    /// Keys.
    #[error(transparent)]
    Keys(#[from] KmsError),
    /// The index's engine.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The index.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// A commit that has to precede service.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// A site's settings.
    #[error(transparent)]
    Site(#[from] BackendError),
    /// The OpenID provider's authorities.
    #[error("`[oidc]`: {0}")]
    Oidc(String),
    /// A listener's certificates.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Principals.
    #[error(transparent)]
    Principals(#[from] DuplicateAccessKey),
}

fn names(sites: &[SiteId]) -> String {
    sites.iter().map(|site| format!("`{site}`")).collect::<Vec<_>>().join(", ")
}
