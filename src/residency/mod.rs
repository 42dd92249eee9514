//! Where a record must live: who asks, what the request says, what the subject directory knows and what the policies require become a
//! [`Placement`], the proof that sealing asks for. Only this module can make one.

mod availability;
mod choose;
mod collect;
mod directory;
mod explain;
mod judge;
mod placement;
mod refusal;
mod residency;
mod signals;

pub use availability::{Availability, SiteSpec};
pub use collect::SeenSignal;
pub use directory::{Directory, DirectoryEntry, DirectoryError};
pub use explain::{ConsideredSite, Outcome, ResidencyExplanation};
pub use placement::{Basis, Origin, Placement, PlacementRecord, PlannedCopy};
pub use refusal::Refusal;
pub use residency::Residency;
pub use signals::{PrincipalFacts, Signals, SourceFacts};
