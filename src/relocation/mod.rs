//! Records that the policies want elsewhere: which they are.
//!
//! A policy that changes, and a subject that moves, bind what is stored already as well as what is written from then on. [`plan`] goes
//! through the catalogue and says what would have to move, under the set in force or one that is only thought of; it changes nothing.

mod plan;
#[cfg(test)]
mod tests;

pub use plan::{Move, Plan, Refused, plan};
