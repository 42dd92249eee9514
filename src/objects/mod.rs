//! The use cases: what happens between an authenticated S3 request and the index, one file each.
//!
//! The way of a write: `residency` places it before a byte of the body is read, [`ingest`] seals the body extent by extent and
//! stores it at every required site, the manifest follows under a ticket of the index, and [`commit`] makes it visible. Until that
//! commit nothing of the write can be seen, and whatever a failure leaves behind is garbage with a name.

mod body;
mod bucket;
mod budget;
mod commit;
mod conditions;
mod copy;
mod delete;
mod error;
mod garbage;
mod get;
mod hashing;
mod ingest;
mod limits;
mod list;
mod lock;
mod manifest;
mod multipart;
mod put;
mod read;
mod record_keys;
mod recording;
mod replicate;
mod request;
mod settings;
mod subjects;
mod versions;

use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::backend::Sites;
use crate::clock::Clock;
use crate::index::Index;
use crate::kms::{Hierarchy, Pseudonyms};
use crate::policy::PolicySet;
use crate::residency::Residency;

pub use body::{Body, BodyError, Piece};
pub use bucket::Created;
pub use budget::{Lease, MemoryBudget};
pub use error::ObjectError;
pub use garbage::GarbagePolicy;
pub use limits::*;
pub use list::ListRequest;
pub use manifest::Manifest;
pub use multipart::{PartsPage, PartsRequest};
pub use read::{ReadBody, ReadError};
pub use request::*;
pub use versions::VersionsRequest;

/// What the use cases work with. `app` builds it.
pub struct ObjectsParts {
    /// The catalogue.
    pub index: Index,
    /// Decides where records live.
    pub residency: Arc<Residency>,
    /// The policies in force, shared with `residency`.
    pub policies: Arc<ArcSwap<PolicySet>>,
    /// The key hierarchy.
    pub hierarchy: Arc<Hierarchy>,
    /// Keyed hashes for the ledger and the index.
    pub pseudonyms: Arc<Pseudonyms>,
    /// The storage locations.
    pub sites: Arc<Sites>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Memory for extents in flight.
    pub memory: MemoryBudget,
}

/// The use cases. A clone is another handle on the same gateway.
#[derive(Clone)]
pub struct Objects(Arc<Inner>);

struct Inner {
    parts: ObjectsParts,
    subject_keys: record_keys::CreationLocks,
    throttle: recording::RefusalThrottle,
}

impl std::ops::Deref for Objects {
    type Target = ObjectsParts;

    fn deref(&self) -> &ObjectsParts {
        &self.0.parts
    }
}

impl Objects {
    /// Puts the parts together.
    pub fn new(parts: ObjectsParts) -> Self {
        Self(Arc::new(Inner { parts, subject_keys: Default::default(), throttle: Default::default() }))
    }
}
