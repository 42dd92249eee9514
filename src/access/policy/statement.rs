//! One statement, and whether it applies to a request.

use super::{condition::Condition, principal::Principals};
use crate::access::{Action, context::Source, facts::Facts, wildcard::Pattern};

/// Rule: whom it speaks of, what for, and under which conditions.
#[derive(Debug)]
pub(super) struct Statement {
    /// Its place in the document.
    pub(super) index: usize,
    pub(super) sid: Option<String>,
    pub(super) effect: Effect,
    pub(super) principals: Principals,
    pub(super) actions: ActionSet,
    /// Each action of the document by itself, to be held against the resources.
    pub(super) named_actions: Vec<ActionSet>,
    pub(super) resources: Resources,
    /// All have to hold.
    pub(super) conditions: Vec<Condition>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    Allow,
    Deny,
}

/// Whether a statement applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Match {
    Yes,
    No,
    NeedsObject,
}

/// Buckets and objects, without `arn:aws:s3:::`.
#[derive(Debug)]
pub(super) struct Resources {
    pub(super) patterns: Vec<Pattern>,
    /// `NotResource`.
    pub(super) negated: bool,
}

/// A set of actions, one bit each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct ActionSet(u128);

const _: () = assert!(Action::ALL.len() <= 128, "an `ActionSet` has 128 bits");

impl ActionSet {
    /// The actions that the pattern covers; their case does not count.
    pub(super) fn matching(pattern: &str) -> Self {
        let lower = pattern.to_ascii_lowercase();
        let Ok(pattern) = Pattern::read(&lower, false) else { return Self::default() };
        Action::ALL.iter().filter(|action| pattern.matches(&action.name().to_ascii_lowercase())).copied().collect()
    }

    pub(super) const fn contains(self, action: Action) -> bool {
        self.0 & (1 << action as u32) != 0
    }

    pub(super) const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) const fn complement(self) -> Self {
        Self(!self.0)
    }

    pub(super) fn iter(self) -> impl Iterator<Item = Action> {
        Action::ALL.iter().copied().filter(move |action| self.contains(*action))
    }
}

impl FromIterator<Action> for ActionSet {
    fn from_iter<I: IntoIterator<Item = Action>>(actions: I) -> Self {
        Self(actions.into_iter().fold(0, |set, action| set | (1 << action as u32)))
    }
}

impl Statement {
    /// By what a log or an answer calls it.
    pub(super) fn name(&self) -> String {
        self.sid.clone().unwrap_or_else(|| format!("Statement[{}]", self.index))
    }

    /// Asks the cheap things first, and conditions only of a statement that speaks of this request.
    pub(super) fn applies(&self, facts: &Facts<'_>) -> Match {
        let speaks_of_it = self.actions.contains(facts.action())
            && self.principals.cover(facts.caller())
            && self.resources.cover(facts, self.effect);
        if !speaks_of_it {
            return Match::No;
        }
        let of_object = |condition: &&Condition| condition.key.source() == Source::Object;
        let holds = |condition: &Condition| condition.holds(facts, self.effect);
        if !self.conditions.iter().filter(|condition| !of_object(condition)).all(holds) {
            return Match::No;
        }
        let mut of_object = self.conditions.iter().filter(of_object).peekable();
        if facts.lacks_object() && of_object.peek().is_some() {
            return Match::NeedsObject;
        }
        if of_object.all(holds) { Match::Yes } else { Match::No }
    }
}

impl Resources {
    /// A pattern whose variable has no value covers nothing, which for `NotResource` must not widen what is allowed.
    fn cover(&self, facts: &Facts<'_>, effect: Effect) -> bool {
        let mut unresolved = false;
        let named = self.patterns.iter().any(|pattern| match pattern.resolve(&|name| facts.variable(name)) {
            Some(resolved) => resolved.matches(facts.resource()),
            None => {
                unresolved = true;
                false
            }
        });
        match (self.negated, named) {
            (false, named) => named,
            (true, true) => false,
            (true, false) => !(unresolved && effect == Effect::Allow),
        }
    }
}
