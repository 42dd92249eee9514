//! The ledger: what happened, as leaves of an RFC 6962 Merkle tree, so that an edit, a deletion, a reordering or a truncation shows.

mod checkpoint;
mod details;
pub mod entry;
mod event;
mod facets;
mod merkle;
pub mod note;
pub mod period;
mod policy;
pub mod proof;
pub mod residence;
mod story;
mod throttle;
pub mod tile;
mod told;
mod verify;

pub use checkpoint::{Checkpoint, SignedCheckpoint};
pub use details::{Asked, CountryKeyVersion, FromExport, KeyExport, LeantOn, ProviderCalls, Rebuilt, Scrubbed, SiteCheck};
pub use event::{Actor, Event, Kind, Outcome};
pub use facets::{Class, Facets};
pub use merkle::{Frontier, leaf_hash, node_hash};
pub use policy::{By, PolicyStep};
pub use story::{CopyStanding, CopyStory, Moment, Placing, Story, VersionStory};
pub use throttle::Throttle;
pub use told::{CollectedCopies, DecidedBy, PlacedCopy, PopulationGiven};
pub use verify::{Fault, FaultKind, LedgerHead, Own, Report, Verifier, verify};
