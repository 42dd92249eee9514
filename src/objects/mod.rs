//! The use cases: what happens between an authenticated S3 request and the index, one file each.
//!
//! The way of a write: `residency` places it before a byte of the body is read, [`ingest`] seals the body extent by extent and
//! stores it at every required site, the manifest follows under a ticket of the index, and [`commit`] makes it visible. Until that
//! commit nothing of the write can be seen, and whatever a failure leaves behind is garbage with a name.
//!
//! Failpoints, with the feature `failpoints`; each can `return` an error: `objects::subject-key-stored` (before its commit),
//! `objects::intent-declared`, `objects::copy-stored` (a blob, at one of its sites), `objects::extent-stored` (at all of them),
//! `objects::before-manifest`, `objects::before-commit`, `objects::after-commit` (before the answer), `objects::copy-begun` and
//! `objects::copy-written` (a queued copy), `objects::move-begun`, `objects::move-written` (before it is read back), `objects::before-switch`,
//! `objects::journal-written` (before it is acknowledged), `objects::journal-retold` (before what was told earlier is removed),
//! `objects::garbage-removed` (before its row is), `objects::garbage-collected` (after), `objects::key-version-made` (before its entry), `objects::key-rotated` (before a subject key is wrapped
//! again), `objects::key-rewrapped` (one is, and not committed), `objects::key-destroyed` (before an old version is), `objects::subject-key-rotated` (a new
//! generation is stored and not committed), `objects::erasure-accepted`
//! (before it is answered), `objects::erased` (a record of an erased subject), `objects::journal-renewed`, `objects::before-outlived` (a version that is
//! too old for the policies).
//!
//! Those of other modules: `index::before-apply`, `index::after-apply`, `index::after-sync` (see [`crate::index`]); `backend::marker-written`
//! (before it is remembered), `backend::removed` (a blob); `scrub::before-removal` (of a stray); of a rebuild or an import, which they can only end,
//! `rebuild::loaded` (the export), `rebuild::piece`, `rebuild::replayed`, `rebuild::adopted`, `rebuild::decided` (the new index is the index) and `rebuild::aside`
//! (neither is in place).

mod acl;
mod agreement;
mod authorize;
mod body;
mod bucket;
mod budget;
mod commit;
mod compact;
mod conditions;
mod copy;
mod copying;
mod customer;
mod delete;
mod describe;
mod erase;
mod error;
mod examine;
mod expire;
mod facts;
#[cfg(test)]
mod fixture;
mod garbage;
mod generations;
mod get;
mod hashing;
mod import;
mod ingest;
mod journal;
mod keeping;
mod limits;
mod list;
mod lock;
mod manifest;
mod multipart;
mod pace;
mod put;
mod read;
mod reads;
mod record_keys;
mod recording;
mod relocate;
mod replicate;
mod request;
mod restore;
mod rewrap;
mod rotate;
mod segments;
mod settings;
mod standing;
mod subjects;
#[cfg(test)]
pub(crate) mod tests;
mod versions;

use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::backend::Sites;
use crate::clock::Clock;
use crate::index::Index;
use crate::kms::{Hierarchy, Pseudonyms};
use crate::policy::PolicySet;
use crate::residency::Residency;

pub use acl::AclRequest;
pub use agreement::{Agreement, Reach};
pub use body::{Body, BodyError, Length, Piece};
pub use bucket::Created;
pub use budget::{Lease, MemoryBudget, ReadLease};
pub use customer::CustomerKeyError;
pub use describe::{ObjectAttributes, VersionName};
pub use erase::Erasing;
pub use error::ObjectError;
pub use examine::{Depth, Examined, Fault, Faulty};
pub use expire::Expiring;
pub use garbage::GarbagePolicy;
pub use generations::SubjectKeyLife;
pub use import::{Before, ImportRequest};
pub use keeping::Ceilings;
pub use limits::*;
pub use list::ListRequest;
pub use manifest::Manifest;
pub use multipart::{PartsPage, PartsRequest};
pub use pace::{Gate, Pace};
pub use read::{ReadBody, ReadError};
pub use reads::RecordedReads;
pub use relocate::{Move, Relocated, planned_move};
pub use request::*;
pub use restore::Restored;
pub use rotate::{Destruction, Renewal, Renewed, Renewing};
pub use segments::{SegmentError, SiteKeys, read_segment, site_keys};
pub use subjects::{DirectoryIds, Said};
pub use versions::VersionsRequest;

pub use crate::seal::CustomerKey;

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
    /// Memory for bytes in flight.
    pub memory: MemoryBudget,
    /// What the subject directory keeps of ids.
    pub directory_ids: DirectoryIds,
}

/// The use cases. A clone is another handle on the same gateway.
#[derive(Clone)]
pub struct Objects(Arc<Inner>);

struct Inner {
    parts: ObjectsParts,
    subject_keys: record_keys::CreationLocks,
    refusals: recording::Refusals,
    /// When subject keys get another generation by themselves.
    key_life: ArcSwap<SubjectKeyLife>,
    recorded_reads: ArcSwap<RecordedReads>,
    /// Held while a country's key is renewed.
    renewing: tokio::sync::Mutex<()>,
    /// Held while the journal is told everything again.
    compacting: tokio::sync::Mutex<()>,
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
        parts.index.keep_by(Arc::new(keeping::PolicyKeeper::new(&parts.residency, &parts.policies)));
        Self(Arc::new(Inner {
            parts,
            subject_keys: Default::default(),
            key_life: Default::default(),
            recorded_reads: Default::default(),
            refusals: Default::default(),
            renewing: Default::default(),
            compacting: Default::default(),
        }))
    }
}
