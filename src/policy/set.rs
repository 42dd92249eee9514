//! The policy set.

use super::{Decision, Denial, Facts};
use crate::{diagnostics::Diagnostic, types::PolicyRevision};

/// One file of the policy folder.
#[derive(Debug, Clone)]
pub struct PolicyFile {
    /// Its path relative to the policy folder, with `/`: `gateway.toml`, `pk-cpoh-2020/policy.toml`, `pk-cpoh-2020/cases.toml`.
    pub path: String,
    /// Its text.
    pub text: String,
}

/// A complete, checked set of policies.
#[derive(Debug)]
pub struct PolicySet {
    revision: PolicyRevision,
    warnings: Vec<Diagnostic>,
}

impl PolicySet {
    /// Reads all files. The diagnostics are all mistakes of all files.
    pub fn parse(files: &[PolicyFile]) -> Result<Self, Vec<Diagnostic>> {
        todo!()
    }

    /// SHA-256 of the normalised set.
    pub const fn revision(&self) -> PolicyRevision {
        self.revision
    }

    /// What is allowed but probably not meant.
    pub fn warnings(&self) -> &[Diagnostic] {
        &self.warnings
    }

    /// The meet of all instruments that match.
    pub fn decide(&self, facts: &Facts<'_>) -> Result<Decision, Denial> {
        todo!()
    }
}
