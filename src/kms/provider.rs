//! The trait that every holder of country keys implements.

use std::fmt;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::{KmsError, SecretKey, WrapContext};
use crate::types::{Country, KeyId, Timestamp};

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
    /// Its destruction is ordered and it opens nothing any more, but its holder could still take the order back: a service that waits.
    Destroying,
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
    /// When it was made, as far as the provider still says: some forget it of a version that is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<Timestamp>,
}

/// Which key a provider holds, and for whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyIdentity {
    /// Its name in the configuration.
    pub id: KeyId,
    /// The country whose records it seals.
    pub country: Country,
    /// The installation that uses it.
    pub installation: [u8; 16],
}

impl KeyIdentity {
    /// Refuses a context of another country or installation before anything is sent to the provider's side.
    pub fn check(&self, context: &WrapContext) -> Result<(), KmsError> {
        let ours = context.country == self.country && context.installation == self.installation;
        if ours { Ok(()) } else { Err(KmsError::WrongContext) }
    }
}

/// Holds one country's key-encryption key.
///
/// An implementer owes: a key wrapped under one context never unwraps under another; unwrapping works for every version that is
/// not destroyed and for none that is; an error never carries key bytes. `kms::conformance` is the test of all that.
///
/// Making a provider talks to nobody: one that cannot be reached must not keep other countries from being served.
#[async_trait]
pub trait KeyProvider: Send + Sync + 'static {
    /// What kind of provider it is, as the configuration names it.
    fn kind(&self) -> &'static str;

    /// Wraps `key` with the primary version, bound to `context`.
    async fn wrap(&self, context: &WrapContext, key: &SecretKey) -> Result<WrappedKey, KmsError>;

    /// Opens what [`KeyProvider::wrap`] made under the same context. [`KmsError::Destroyed`] as soon as the version's destruction is
    /// ordered through this trait.
    async fn unwrap(&self, context: &WrapContext, wrapped: &WrappedKey) -> Result<SecretKey, KmsError>;

    /// Wraps the same key again with the primary version.
    async fn rewrap(&self, context: &WrapContext, wrapped: &WrappedKey) -> Result<WrappedKey, KmsError>;

    /// The version that wrapped a key, as its text says: nothing to trust before it unwraps. It may be destroyed by now.
    fn version_of(&self, wrapped: &WrappedKey) -> Result<u32, KmsError>;

    /// Whether a version still opens what it wrapped, as far as is known without asking. What is cached of a version that does not is
    /// not used any more.
    fn opens(&self, version: u32) -> bool {
        let _ = version;
        true
    }

    /// Every version, oldest first, destroyed ones too.
    async fn describe(&self) -> Result<Vec<KeyVersion>, KmsError>;

    /// Makes a new primary version; the one before it only decrypts from now on.
    async fn rotate(&self) -> Result<KeyVersion, KmsError>;

    /// Destroys a version for good, or orders it where the holder waits: [`KeyProvider::describe`] says which. Refused for the primary
    /// one; a version destroyed already stays so without an error.
    async fn destroy_version(&self, version: u32) -> Result<(), KmsError>;

    /// Whether the key can be used now: asked at the start, each second after it, and when calls fail. [`KmsError::Unsuitable`] says
    /// that it must not be, as a key that can be exported or is not in its country; that stops the start.
    async fn health(&self) -> Result<(), KmsError>;
}
