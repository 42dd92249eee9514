//! The law as data: instruments are parsed, validated and evaluated here.
//!
//! Pure: no I/O and no clock. Files come in as text, the date comes in with the facts, a [`Decision`] or a [`Denial`] goes out. How
//! several instruments meet in one decision is told in the module `meet`.

mod analysis;
mod approval;
mod bound;
mod cases;
mod check;
mod coverage;
mod decision;
mod exception;
mod explain;
mod facts;
mod gateway;
mod instrument;
mod meet;
mod pattern;
mod read;
mod retention;
mod selector;
mod set;
#[cfg(test)]
mod tests;

pub use analysis::{DecisionChange, Example, PolicyDiff, diff};
pub use approval::Approval;
pub use cases::{CaseOutcome, CaseReport};
pub use check::Available;
pub use coverage::{Coverage, CoveredRule};
pub use decision::{
    Decision, DecisionSource, Denial, DenialKind, KeyRule, PlannedCountry, Processing, ProcessingDenial, ProcessingRule, Role,
};
pub use exception::{Exception, ExceptionBasis, UsedException};
pub use explain::{
    ExceptionExplanation, ExceptionOutcome, Explanation, InstrumentExplanation, MatchExplanation, ResultExplanation,
};
pub use facts::Facts;
pub use gateway::{
    AttributeKind, AttributeRule, AttributeSource, Gateway, NoSubject, OnConflict, OnUnknown, Otherwise, SubjectSource,
};
pub use instrument::{Condition, Copies, Duty, Enforcement, Field, Instrument, LegalStatus, Requirement};
pub use pattern::{Glob, InvalidPattern, KeyPattern, KeyTemplate, Pattern};
pub use retention::{InvalidPeriod, Period, Retention, RetentionLimit, RetentionRule, RetentionTerms, Term};
pub use set::{PolicyFile, PolicySet};
