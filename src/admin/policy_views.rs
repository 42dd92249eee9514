//! Policy sets as the API shows them: in force, proposed, past, and what two of them decide differently.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::audit::By;
use crate::diagnostics::Diagnostic;
use crate::index::{PolicyEntry, PolicyState, Said};
use crate::policy::{DecisionChange, Example, PolicyDiff, ResultExplanation};
use crate::types::PolicyRevision;

/// The policies in force, and what waits.
#[derive(Debug, Clone, Serialize)]
pub struct PoliciesView {
    /// SHA-256 of the normalised set.
    pub revision: PolicyRevision,
    /// Where they come from.
    pub source: String,
    /// Allowed but probably not meant.
    pub warnings: Vec<Diagnostic>,
    /// Which changes need approval: `never`, `loosening`, `always`.
    pub approval: &'static str,
    /// Since when they are in force, by whom and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_force: Option<PolicyEntryView>,
    /// What waits for approval.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proposal: Option<PolicyEntryView>,
    /// What the folder held when it was last read.
    pub folder: PolicyFolderView,
}

/// What the policy folder held when it was last read: at the start, at a reload or at a rollback.
#[derive(Debug, Clone, Serialize)]
pub struct PolicyFolderView {
    /// The set.
    pub revision: PolicyRevision,
    /// Whether it is the one in force.
    pub in_force: bool,
    /// Whether it was put aside: it comes into force by a reload or a change alone, and not by a start.
    pub put_aside: bool,
}

/// One time that a set was proposed or came into force.
#[derive(Debug, Clone, Serialize)]
pub struct PolicyEntryView {
    /// Its place in the history.
    pub number: u64,
    /// The set.
    pub revision: PolicyRevision,
    /// `proposed`, `in-force`, `superseded`, `rejected`, `rolled-back`.
    pub state: PolicyState,
    /// The set in force before it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<PolicyRevision>,
    /// Who asked for it.
    pub asked: SaidView,
    /// Who approved or rejected it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decided: Option<SaidView>,
    /// Since when it was in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_force: Option<String>,
    /// Until when, or until when it was proposed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended: Option<String>,
    /// Whether an earlier set was asked back.
    pub rollback: bool,
    /// Whether it allows more than the set before, where that was looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allows_more: Option<bool>,
}

/// What somebody did about a set.
#[derive(Debug, Clone, Serialize)]
pub struct SaidView {
    /// When.
    pub at: String,
    /// `"system"`, `"signal"` or `{"token": id}`.
    pub by: By,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

/// A kept set.
#[derive(Debug, Clone, Serialize)]
pub struct PolicyRevisionView {
    /// Its name.
    pub revision: PolicyRevision,
    /// Its files, by their paths in the policy folder.
    pub files: BTreeMap<String, String>,
}

/// A set to compare: a kept one by its name, or files by their paths.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum SetToCompare {
    /// By name.
    Kept(String),
    /// As they are.
    Files(BTreeMap<String, String>),
}

/// What two sets decide differently.
#[derive(Debug, Clone, Serialize)]
pub struct PolicyDiffView {
    /// The one set.
    pub from: PolicyRevision,
    /// The other.
    pub to: PolicyRevision,
    /// One example for each way in which decisions change.
    pub changes: Vec<DecisionChangeView>,
    /// What changes in where facts come from, in words.
    pub signals: Vec<String>,
    /// Records of which instruments ask less, though where they are written nothing more is allowed, in words.
    pub asked_less: Vec<String>,
    /// Whether the other allows anything that the one does not.
    pub allows_more: bool,
    /// Whether every decision has been looked at.
    pub exhaustive: bool,
}

/// One decision that changes.
#[derive(Debug, Clone, Serialize)]
pub struct DecisionChangeView {
    /// What of the example matters, in words.
    pub records: String,
    /// Facts that show it.
    pub example: Example,
    /// What the one set decides.
    pub before: ResultExplanation,
    /// What the other decides.
    pub after: ResultExplanation,
    /// Whether the other allows something here that the one does not.
    pub allows_more: bool,
}

impl PolicyDiffView {
    /// The difference between two sets.
    pub fn new(from: PolicyRevision, to: PolicyRevision, diff: PolicyDiff) -> Self {
        let PolicyDiff { changes, asked_less, allows_more, exhaustive, signals } = diff;
        let asked_less = asked_less.iter().map(ToString::to_string).collect();
        let changes = changes.into_iter().map(|change| {
            let DecisionChange { example, before, after, allows_more, .. } = change;
            DecisionChangeView { records: example.to_string(), example, before, after, allows_more }
        });
        Self { from, to, changes: changes.collect(), signals, asked_less, allows_more, exhaustive }
    }

    /// Whether nothing is decided otherwise.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.signals.is_empty() && self.asked_less.is_empty() && self.exhaustive
    }
}

impl From<&Said> for SaidView {
    fn from(said: &Said) -> Self {
        Self { at: said.at.to_rfc3339(), by: said.by.clone(), comment: said.comment.clone() }
    }
}

impl From<&PolicyEntry> for PolicyEntryView {
    fn from(entry: &PolicyEntry) -> Self {
        Self {
            number: entry.number,
            revision: entry.revision,
            state: entry.state,
            before: entry.before,
            asked: SaidView::from(&entry.asked),
            decided: entry.decided.as_ref().map(SaidView::from),
            in_force: entry.in_force.map(|at| at.to_rfc3339()),
            ended: entry.ended.map(|at| at.to_rfc3339()),
            rollback: entry.rollback,
            allows_more: entry.allows_more,
        }
    }
}
