//! Getting the index back when it is lost: from the sites and the keys alone.
//!
//! [`read_journal`] replays what the sites were told ([`crate::index::journal`]) into an empty index; [`adopt`] then looks through the
//! blobs that no row names, and takes in the records that were written after the journal's end. What the journal says was deleted,
//! overwritten, refused or moved away is not taken in again: only its end can be uncertain, and how far is reported.

mod adopt;
mod error;
mod journal;
mod report;
mod sites;

pub use adopt::{Adopted, adopt};
pub use error::RecoveryError;
pub use journal::{Chain, Journals, Pieces, list_journal, read_journal};
pub use report::{Progress, Rebuild};
