//! Where blobs are stored: the [`Backend`] contract, its implementations, and the [`Site`]s made of them.
//!
//! A backend moves opaque bytes under opaque names and knows nothing of records. A [`Site`] is a backend in a country whose identity
//! has been checked; it alone mints a [`Receipt`], the proof that a sealed blob is durable where its placement wants it. A [`Source`] is no
//! site: a foreign bucket, whose objects an import reads.
//!
//! Failpoints, with the feature `failpoints`: `backend::removed` (after each blob) and `backend::marker-written` (before the index
//! knows of it; can `return` an error).

#[doc(hidden)]
pub mod conformance;
mod contract;
mod error;
mod findings;
mod fs;
mod health;
mod identity;
mod inspection;
mod measure;
#[doc(hidden)]
pub mod memory;
mod posture;
mod probe;
mod s3;
mod site;
mod sites;
mod source;

pub use contract::{Backend, BlobInfo, BlobRead, BlobStream, Listing};
pub use error::{BackendError, Cause};
pub use findings::{Finding, SiteChecks, Standing};
pub use fs::FsBackend;
pub use health::SiteState;
pub use identity::{Claim, IdentityError, Installation, KnownSites};
pub use inspection::Looked;
pub use posture::{Check, Posture, Severity, Unknown, UnknownCheck, Verdict};
pub use probe::Probe;
pub use s3::{Addressing, S3Backend, S3Config, S3Credentials, S3Source};
pub use site::{Receipt, Site, SiteLimits};
pub use sites::Sites;
pub use source::{Source, SourceEntry, SourceError, SourceObject, SourcePart, SourceStream};
