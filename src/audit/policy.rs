//! Who brings policy sets into force, and what an entry says of it.

use serde::{Deserialize, Serialize};

use super::Actor;
use crate::types::{PolicyRevision, PrincipalId};

/// Who asked for a policy set, or decided on one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum By {
    /// The gateway itself, when it starts.
    System,
    /// Whoever may send the process a signal.
    Signal,
    /// A token of the admin API, by its name in the configuration.
    Token(PrincipalId),
}

impl By {
    /// Who an entry is by.
    pub fn of(actor: &Actor) -> Self {
        match actor {
            Actor::Token { id, .. } => Self::Token(id.clone()),
            Actor::Signal => Self::Signal,
            _ => Self::System,
        }
    }
}

/// A step on a policy set's way into force, and out of it. What people said of it stands in the history, and not here: it is text from outside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct PolicyStep {
    /// The number in the history.
    pub number: u64,
    /// The set that it was held against, or that was in force before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<PolicyRevision>,
    /// Who proposed it; whoever approves is the entry's actor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proposed_by: Option<By>,
    /// Whether it allows more than the set before, where that was looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allows_more: Option<bool>,
    /// Whether it was in force before and comes back.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub rollback: bool,
}
