//! The law as data: instruments are parsed, validated and evaluated here.
//!
//! Pure: no I/O and no clock. Files come in as text, the date comes in with the facts, a [`Decision`] or a [`Denial`] goes out. How
//! several instruments meet in one decision is told in the module `meet`.
mod decision;
mod facts;
mod set;
pub use decision::{Decision, DecisionSource, Denial, DenialKind, KeyRule, PlannedCountry, Role};
pub use facts::Facts;
pub use set::{PolicyFile, PolicySet};
