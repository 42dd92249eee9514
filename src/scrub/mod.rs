//! Holds what lies at the sites against the index, in both directions.
//!
//! Forward, every blob that the index names is looked at where it should lie ([`named`]): it can be missing, have another length, not open, or
//! lie where the policy in force no longer wants it. Backward, every name at a site is looked for in the index ([`strays`]): what no row
//! names is something that a commit has replaced, the remains of a write that never committed, a stranger, or, when the index is older
//! than the sites, perhaps an acknowledged record.
//!
//! Which of these a stray is, is not guessed. The journal says whether the index is as young as what lies at the sites
//! ([`crate::objects::Agreement`]): when it is not, everything that this installation has sealed counts as unindexed and nothing is removed. When
//! it is, the ledger says whether the blob's record was ever acknowledged ([`evidence`]), and whether a rebuild may have lost it since.
//!
//! What is found is kept in the index and the ledger until it is so no longer. Nothing is put right unless the order says so ([`repair`]).

mod background;
mod evidence;
mod jobs;
mod journal;
mod named;
mod order;
mod progress;
mod record;
mod repair;
mod run;
mod strays;
#[cfg(test)]
mod tests;

pub use background::{Continuous, register, scrub};
pub use jobs::{Job, Scrubs, View};
pub use order::{Order, Sample};
pub use progress::{Counting, Phase, Progress};
pub use run::{Stage, run};
