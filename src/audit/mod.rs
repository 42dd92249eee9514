//! The ledger: what happened, as leaves of an RFC 6962 Merkle tree, so that an edit, a deletion, a reordering or a truncation shows.

mod checkpoint;
pub mod entry;
mod event;
mod merkle;
pub mod note;
mod policy;
pub mod proof;
pub mod residence;
mod throttle;
pub mod tile;
mod verify;

pub use checkpoint::{Checkpoint, SignedCheckpoint};
pub use event::{
    Actor, Asked, CountryKeyVersion, Event, FromExport, Kind, LeantOn, Outcome, ProviderCalls, Rebuilt, Scrubbed, SiteCheck,
};
pub use merkle::{Frontier, leaf_hash, node_hash};
pub use policy::{By, PolicyStep};
pub use throttle::Throttle;
pub use verify::{Fault, FaultKind, LedgerHead, Own, Report, Verifier, verify};
