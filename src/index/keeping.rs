//! How long the policies want versions kept. It is asked where versions are removed, in the committer, so that nothing comes between the answer and
//! the removal: neither another version nor another policy.

use std::sync::Arc;

use super::{Index, Record, catalogue::Inner};
use crate::types::{BucketName, InstrumentId, ObjectKey, PolicyRevision, Timestamp};

/// How long the policies want a version kept.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Term {
    /// The first moment at which it may be removed. Nobody may do so before, whatever their rights.
    pub at_least: Option<Timestamp>,
    /// The first moment at which it has to go, once it may.
    pub at_most: Option<Timestamp>,
    /// The instruments that say so.
    pub instruments: Vec<InstrumentId>,
}

/// A version, as far as its term depends on it.
#[derive(Debug, Clone, Copy)]
pub struct Kept<'a> {
    /// Its bucket.
    pub bucket: &'a BucketName,
    /// Its key.
    pub key: &'a ObjectKey,
    /// What it is.
    pub record: &'a Record,
}

/// Knows what the policies say of how long versions are kept.
pub trait Keeper: Send + Sync + 'static {
    /// What the set `revision` says of a version; `None` when another set is the one that is asked here, which passes in a moment.
    fn term(&self, revision: PolicyRevision, version: Kept<'_>) -> Option<Term>;
}

impl Term {
    /// Until when it has to stay.
    pub fn kept_until(&self, now: Timestamp) -> Option<Timestamp> {
        self.at_least.filter(|until| now < *until)
    }

    /// Whether it has to go.
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.kept_until(now).is_none() && self.at_most.is_some_and(|at_most| at_most <= now)
    }
}

impl Index {
    /// Names who knows how long versions are kept, before anything is removed. Without, nothing is kept for the policies' sake.
    pub fn keep_by(&self, keeper: Arc<dyn Keeper>) {
        *self.inner.keeper.write() = Some(keeper);
    }
}

impl Inner {
    /// How long the set `policy` wants a version kept; `None` while the gateway decides by another.
    pub(super) fn term(&self, policy: Option<PolicyRevision>, version: Kept<'_>) -> Option<Term> {
        let keeper = self.keeper.read().clone();
        match (keeper, policy) {
            (Some(keeper), Some(policy)) => keeper.term(policy, version),
            _ => Some(Term::default()),
        }
    }
}
