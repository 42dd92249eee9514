//! A call under way, which is told of however it ends.

use std::time::Instant;

use super::{Guard, KeyOperation, KeyOwner, KeyUse, KmsError};
use crate::kms::KeyOutcome;

/// Dropped before its end, it tells that whoever asked went away. A call that never began has nothing to tell.
pub(super) struct Pending<'g> {
    guard: &'g Guard,
    operation: KeyOperation,
    version: Option<u32>,
    owner: Option<KeyOwner>,
    since: Instant,
    begun: bool,
}

impl<'g> Pending<'g> {
    pub(super) fn new(guard: &'g Guard, operation: KeyOperation) -> Self {
        Self { guard, operation, version: None, owner: None, since: Instant::now(), begun: false }
    }

    pub(super) fn of_owner(mut self, owner: &KeyOwner) -> Self {
        self.owner = Some(owner.clone());
        self
    }

    pub(super) const fn of_version(mut self, version: Option<u32>) -> Self {
        self.version = version;
        self
    }

    /// The provider is asked now.
    pub(super) const fn begins(&mut self) {
        self.begun = true;
    }

    /// The provider has answered, or is not waited for any more. `made` is the version that it used.
    pub(super) fn ended<T>(mut self, result: &Result<T, KmsError>, made: Option<u32>) {
        if self.begun {
            self.begun = false;
            self.version = made.or(self.version);
            self.tell(KeyOutcome::of(result));
        }
    }

    fn tell(&mut self, outcome: KeyOutcome) {
        self.guard.told(KeyUse {
            key: self.guard.key.clone(),
            country: self.guard.country,
            operation: self.operation,
            version: self.version,
            owner: self.owner.take(),
            outcome,
            took: self.since.elapsed(),
        });
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        if self.begun {
            self.tell(KeyOutcome::Abandoned);
        }
    }
}
