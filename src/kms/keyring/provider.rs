//! One country's key of a keyring as a provider.

use async_trait::async_trait;

use super::{Keyring, keys::KeySet};
use crate::{
    kms::{
        KeyIdentity, KeyProvider, KeyVersion, KmsError, SecretKey, WrapContext, WrappedKey,
        jwe::{self, kid, version_in},
    },
    types::{Country, KeyId},
};

pub(super) struct KeyringProvider {
    keyring: Keyring,
    identity: KeyIdentity,
}

impl KeyringProvider {
    pub(super) fn new(keyring: Keyring, key: KeyId, country: Country) -> Self {
        let identity = KeyIdentity { id: key, country, installation: keyring.installation_id() };
        Self { keyring, identity }
    }

    /// Changes the keyring on a thread that may block: the file is written and synced.
    async fn change<T: Send + 'static>(
        &self,
        change: impl FnOnce(&mut KeySet) -> Result<T, KmsError> + Send + 'static,
    ) -> Result<T, KmsError> {
        let keyring = self.keyring.clone();
        let changed = tokio::task::spawn_blocking(move || keyring.change(change)).await;
        changed.unwrap_or_else(|_| {
            Err(KmsError::Unavailable { key: self.identity.id.clone(), reason: "the keyring's writer was interrupted".into() })
        })
    }
}

#[async_trait]
impl KeyProvider for KeyringProvider {
    fn kind(&self) -> &'static str {
        "keyring"
    }

    async fn wrap(&self, context: &WrapContext, key: &SecretKey) -> Result<WrappedKey, KmsError> {
        self.identity.check(context)?;
        let (version, kek) = self.keyring.0.keys.read().primary(&self.identity.id)?;
        jwe::seal(&kek, &kid(&self.identity.id, version), context, key)
    }

    async fn unwrap(&self, context: &WrapContext, wrapped: &WrappedKey) -> Result<SecretKey, KmsError> {
        self.identity.check(context)?;
        let version = self.version_of(wrapped)?;
        let kek = self.keyring.0.keys.read().version(&self.identity.id, version)?;
        jwe::open(&kek, context, wrapped)
    }

    async fn rewrap(&self, context: &WrapContext, wrapped: &WrappedKey) -> Result<WrappedKey, KmsError> {
        let key = self.unwrap(context, wrapped).await?;
        self.wrap(context, &key).await
    }

    fn version_of(&self, wrapped: &WrappedKey) -> Result<u32, KmsError> {
        version_in(&jwe::key_id(wrapped)?, &self.identity.id).ok_or(KmsError::Corrupt)
    }

    fn opens(&self, version: u32) -> bool {
        self.keyring.0.keys.read().opens(&self.identity.id, version)
    }

    async fn describe(&self) -> Result<Vec<KeyVersion>, KmsError> {
        self.keyring.0.keys.read().versions(&self.identity.id)
    }

    async fn rotate(&self) -> Result<KeyVersion, KmsError> {
        let (key, now) = (self.identity.id.clone(), self.keyring.0.clock.now());
        self.change(move |keys| keys.rotate(&key, now)).await
    }

    async fn destroy_version(&self, version: u32) -> Result<(), KmsError> {
        let key = self.identity.id.clone();
        self.change(move |keys| keys.destroy(&key, version)).await
    }

    async fn health(&self) -> Result<(), KmsError> {
        self.keyring.0.keys.read().primary(&self.identity.id).map(drop)
    }
}
