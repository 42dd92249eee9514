//! What Transit says of a key, and whether it is what a country's key must be.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::{
    kms::{KeyState, KeyVersion},
    types::Timestamp,
};

/// The facts of a key, as the server tells them.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct TransitKey {
    #[serde(rename = "type")]
    kind: String,
    derived: bool,
    exportable: bool,
    allow_plaintext_backup: bool,
    #[serde(default)]
    convergent_encryption: bool,
    #[serde(default)]
    imported_key: bool,
    #[serde(default)]
    pub(super) soft_deleted: bool,
    #[serde(default)]
    pub(super) deletion_allowed: bool,
    keys: BTreeMap<u32, i64>,
    pub(super) latest_version: u32,
    #[serde(default)]
    pub(super) min_available_version: u32,
    pub(super) min_decryption_version: u32,
    #[serde(default)]
    pub(super) min_encryption_version: u32,
}

impl TransitKey {
    /// What is wrong with it, all of it; none when it is fit.
    pub(super) fn faults(&self) -> Option<String> {
        let faults = [
            (self.kind != "aes256-gcm96", format!("its type is {}, not aes256-gcm96", self.kind)),
            (
                !self.derived,
                "it is not derived (`derived=true`), so nothing binds what it wraps to a country and a subject".to_owned(),
            ),
            (self.convergent_encryption, "its encryption is convergent: equal keys would look equal".to_owned()),
            (self.exportable, "it is exportable: it could be taken to another country".to_owned()),
            (self.allow_plaintext_backup, "it allows plaintext backups: it could be taken to another country".to_owned()),
            (self.imported_key, "it was imported: it also is, or was, somewhere else".to_owned()),
        ];
        let found: Vec<String> = faults.into_iter().filter_map(|(is, fault)| is.then_some(fault)).collect();
        (!found.is_empty()).then(|| format!("{}. Make another key", found.join("; ")))
    }

    /// The oldest version that still opens what it wrapped.
    pub(super) fn floor(&self) -> u32 {
        self.min_available_version.max(self.min_decryption_version).max(1)
    }

    /// Whether a version is gone for good, as one that is only disallowed is not.
    pub(super) fn is_destroyed(&self, version: u32) -> bool {
        version < self.min_available_version
    }

    /// The oldest version that is there, allowed or not.
    pub(super) fn oldest(&self) -> u32 {
        self.min_available_version.max(1)
    }

    pub(super) fn versions(&self) -> Vec<KeyVersion> {
        let state = |version| match version {
            _ if version == self.latest_version => KeyState::Primary,
            _ if self.is_destroyed(version) => KeyState::Destroyed,
            _ => KeyState::DecryptOnly,
        };
        // Of versions behind its floor the server does not say when they were made.
        let created = |version| self.keys.get(&version).map(|seconds| Timestamp::from_seconds(*seconds));
        (1..=self.latest_version)
            .map(|version| KeyVersion { version, state: state(version), created: created(version) })
            .collect()
    }
}
