//! What can be told about policies without any record: where instruments clash, what never applies, and what a change changes.
//!
//! The space of facts is cut into regions in which every condition is either true or false: attributes by the values that conditions name,
//! names by exact intersection of their patterns (`language`), days by the dates on which something begins or ends. A decision tree walks
//! the regions and splits only on conditions that can still matter. In each region one example stands for all facts, and the evaluator
//! itself says what it decides: there is no second set of rules here that could drift from the first.

mod diff;
mod example;
mod language;

pub use diff::{DecisionChange, PolicyDiff, diff};
pub use example::Example;
