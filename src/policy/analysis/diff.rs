//! What a changed policy set decides otherwise.

use serde::Serialize;

use super::Example;
use crate::policy::{PolicySet, ResultExplanation};

/// What two policy sets decide differently, from a day on.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct PolicyDiff {
    /// One example for each way in which decisions change.
    pub changes: Vec<DecisionChange>,
    /// Whether the new set allows anything that the old one does not. What could not be looked at counts as allowing more.
    pub allows_more: bool,
    /// Whether every decision has been looked at.
    pub exhaustive: bool,
    /// What changes besides decisions, in words: where facts come from. Each counts as allowing more.
    pub signals: Vec<String>,
}

/// One decision that changes.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct DecisionChange {
    /// Facts that show it.
    pub example: Example,
    /// What the old set decides.
    pub before: ResultExplanation,
    /// What the new set decides.
    pub after: ResultExplanation,
    /// Whether the new set allows something here that the old one does not.
    pub allows_more: bool,
}

/// Compares two sets for all facts, on `today` and every day after it: a rule that lapses tomorrow is a change too.
pub fn diff(old: &PolicySet, new: &PolicySet, today: time::Date) -> PolicyDiff {
    // Until the regions are walked, nothing is known.
    let _ = today;
    let same = old.revision() == new.revision();
    PolicyDiff { changes: Vec::new(), allows_more: !same, exhaustive: same, signals: Vec::new() }
}
