//! Lifecycle rules: what a bucket lets go of by itself, and when.

mod check;
mod due;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

pub use check::MAX_KEPT;
pub use due::{Candidate, Due};

use crate::bucket::SettingError;
use crate::types::Timestamp;

/// A bucket's rules.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Lifecycle {
    rules: Vec<Rule>,
}

/// One rule. Transitions are not among what a rule can do: data stays at its country's site.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Rule {
    /// Its name, unique in the bucket, at most 255 characters; [`Lifecycle::new`] makes one where it is empty.
    pub id: String,
    /// Whether it is in force.
    pub enabled: bool,
    /// What it is for.
    pub scope: Scope,
    /// When current versions go.
    pub expiration: Option<Expiration>,
    /// When noncurrent versions go.
    pub noncurrent: Option<NoncurrentExpiration>,
    /// Days after which an upload that was not completed is aborted.
    pub abort_uploads_after: Option<u32>,
}

/// How a rule says what it is for; kept apart so that it is answered as it was given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Scope {
    /// The `Prefix` of older clients, directly in the rule.
    Prefix(String),
    /// A `Filter`.
    Filter(Filter),
}

/// What a rule is for: everything that meets all of it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Filter {
    /// What keys begin with.
    pub prefix: Option<String>,
    /// Tags that must all be there.
    pub tags: Vec<(String, String)>,
    /// Size in bytes, exclusive.
    pub larger_than: Option<u64>,
    /// Size in bytes, exclusive.
    pub smaller_than: Option<u64>,
    /// Whether it was written as `And`.
    pub and: bool,
}

/// When current versions go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Expiration {
    /// Days after they were written.
    Days(u32),
    /// From a date on.
    Date(Timestamp),
    /// Not at all, but delete markers with no version behind them do (`ExpiredObjectDeleteMarker`; `false` is kept and does nothing).
    LoneMarkers(bool),
}

/// When noncurrent versions go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct NoncurrentExpiration {
    /// Days after they became noncurrent.
    pub days: u32,
    /// How many noncurrent versions of a key, the newest, are kept however old.
    pub keep: Option<u32>,
}

impl Lifecycle {
    /// Checks the rules, and names those without an id.
    pub fn new(mut rules: Vec<Rule>) -> Result<Self, SettingError> {
        check::check(&rules)?;
        name(&mut rules);
        Ok(Self { rules })
    }

    /// Whether a rule in force asks for the tags of what it is for.
    pub fn asks_tags(&self) -> bool {
        self.in_force().any(|rule| matches!(&rule.scope, Scope::Filter(filter) if !filter.tags.is_empty()))
    }

    /// Whether a rule in force lets versions or delete markers go.
    pub fn expires_versions(&self) -> bool {
        self.in_force().any(|rule| rule.expiration.is_some() || rule.noncurrent.is_some())
    }

    /// Whether a rule in force aborts uploads.
    pub fn aborts_uploads(&self) -> bool {
        self.in_force().any(|rule| rule.abort_uploads_after.is_some())
    }

    /// What every key begins with that a rule in force is for.
    pub fn common_prefix(&self) -> &str {
        let mut prefixes = self.in_force().map(|rule| rule.scope.prefix());
        let first = prefixes.next().unwrap_or_default();
        prefixes.fold(first, |common, prefix| {
            let same = common.char_indices().zip(prefix.chars()).find(|((_, a), b)| a != b);
            let end = same.map_or(common.len().min(prefix.len()), |((at, _), _)| at);
            common.get(..end).unwrap_or_default()
        })
    }

    fn in_force(&self) -> impl Iterator<Item = &Rule> {
        self.rules.iter().filter(|rule| rule.enabled)
    }

    /// The rules.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }
}

impl Scope {
    /// What keys begin with.
    pub fn prefix(&self) -> &str {
        match self {
            Self::Prefix(prefix) => prefix,
            Self::Filter(filter) => filter.prefix.as_deref().unwrap_or_default(),
        }
    }
}

impl Filter {
    /// How many conditions it has.
    pub fn conditions(&self) -> usize {
        usize::from(self.prefix.is_some())
            + self.tags.len()
            + usize::from(self.larger_than.is_some())
            + usize::from(self.smaller_than.is_some())
    }
}

impl Default for Scope {
    fn default() -> Self {
        Self::Filter(Filter::default())
    }
}

/// Names the rules without an id `rule-1`, `rule-2` and so on, as far as those are free.
fn name(rules: &mut [Rule]) {
    let taken: BTreeSet<String> = rules.iter().map(|rule| rule.id.clone()).collect();
    let mut free = (1_usize..).map(|number| format!("rule-{number}")).filter(|id| !taken.contains(id));
    for rule in rules.iter_mut().filter(|rule| rule.id.is_empty()) {
        rule.id = free.next().unwrap_or_default();
    }
}
