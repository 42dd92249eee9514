//! Where a record must live: who asks, what the request says, what the subject directory knows and what the policies require become a
//! [`Placement`], the proof that sealing asks for. Only this module can make one.

mod availability;
mod choose;
mod collect;
mod directory;
mod explain;
mod judge;
mod place;
mod placement;
mod refusal;
mod signals;
mod stored;
#[cfg(test)]
mod tests;

pub use availability::{Availability, SiteSpec};
pub use collect::SeenSignal;
pub use directory::{Directory, DirectoryEntry, DirectoryError};
pub use explain::{ConsideredSite, Outcome, ResidencyExplanation};
pub use place::{Residency, today, until};
pub use placement::{Basis, Origin, Placement, PlacementRecord, PlannedCopy};
pub use refusal::Refusal;
pub use signals::{PrincipalFacts, Signals, SourceFacts, Stated};
