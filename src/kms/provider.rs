//! The trait that every holder of country keys implements.

use std::fmt;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::{KmsError, SecretKey, WrapContext};
use crate::types::Timestamp;

/// A key as its provider wrapped it. Safe to store anywhere; what the text looks like is the provider's matter (the keyring
/// writes a JWE).
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WrappedKey(String);

impl WrappedKey {
    /// Takes a provider's text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The provider's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for WrappedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WrappedKey({} bytes)", self.0.len())
    }
}

/// What a key version is still good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyState {
    /// Wraps and unwraps. A key has exactly one primary version.
    Primary,
    /// Unwraps what it wrapped before a rotation.
    DecryptOnly,
    /// Gone: what it wrapped is erased.
    Destroyed,
}

/// One version of a country's key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyVersion {
    /// Counts from 1.
    pub version: u32,
    /// What it is good for.
    pub state: KeyState,
    /// When it was made.
    pub created: Timestamp,
}

/// Holds one country's key-encryption key.
///
/// An implementer owes: a key wrapped under one context never unwraps under another; unwrapping works for every version that is
/// not destroyed and for none that is; an error never carries key bytes. `kms::conformance` is the test of all that.
#[async_trait]
pub trait KeyProvider: Send + Sync + 'static {
    /// What kind of provider it is, as the configuration names it.
    fn kind(&self) -> &'static str {
        "other"
    }

    /// Wraps `key` with the primary version, bound to `context`.
    async fn wrap(&self, context: &WrapContext, key: &SecretKey) -> Result<WrappedKey, KmsError>;

    /// Opens what [`KeyProvider::wrap`] made under the same context.
    async fn unwrap(&self, context: &WrapContext, wrapped: &WrappedKey) -> Result<SecretKey, KmsError>;

    /// Wraps the same key again with the primary version.
    async fn rewrap(&self, context: &WrapContext, wrapped: &WrappedKey) -> Result<WrappedKey, KmsError>;

    /// The version that wrapped a key, as its text says: nothing to trust before it unwraps. It may be destroyed by now.
    fn version_of(&self, wrapped: &WrappedKey) -> Result<u32, KmsError>;

    /// Every version, oldest first, destroyed ones too.
    async fn describe(&self) -> Result<Vec<KeyVersion>, KmsError>;

    /// Makes a new primary version; the one before it only decrypts from now on.
    async fn rotate(&self) -> Result<KeyVersion, KmsError>;

    /// Destroys a version for good. Refused for the primary one; a version destroyed already stays so without an error.
    async fn destroy_version(&self, version: u32) -> Result<(), KmsError>;

    /// Whether the key can be used now.
    async fn health(&self) -> Result<(), KmsError>;
}
