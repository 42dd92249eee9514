//! Records that the policies want elsewhere: which they are, and how they get there.
//!
//! A policy that changes, and a subject that moves, bind what is stored already as well as what is written from then on. [`plan`] goes
//! through the catalogue and says what would have to move, under the set in force or one that is only thought of; it changes nothing. [`run`] moves them when somebody orders it, and [`settle`] those of subjects that moved, by
//! itself. How one record moves, and why nothing is lost on the way, is told in `objects/relocate.rs`.

mod jobs;
mod plan;
mod run;
mod settle;
#[cfg(test)]
mod tests;

pub use jobs::{Job, Relocation, Relocations, View};
pub use plan::{Move, Plan, Refused, plan};
pub use run::{Counting, Failure, Order, Progress, Way, run};
pub use settle::{Waiting, register, settle, settle_round};
