//! Country keys of services that wait before they destroy a version.

use std::{collections::BTreeSet, sync::Arc};

use async_trait::async_trait;
use parking_lot::Mutex;

use super::World;
use crate::{
    kms::{KeyProvider, KeyState, KeyVersion, KmsError, SecretKey, WrapContext, WrappedKey},
    types::KeyId,
};

/// Whether they wait, and what was ordered since.
#[derive(Default)]
pub(crate) struct Wait(Mutex<(bool, BTreeSet<(KeyId, u32)>)>);

impl World {
    /// Whether destroying takes its time. When it no longer does, what was ordered is destroyed.
    pub(crate) fn destroying_waits(&self, waits: bool) {
        self.kept.waiting.0.lock().0 = waits;
    }

    /// The service's own operators keep a version after all.
    pub(super) fn take_back(&self, key: KeyId, version: u32) {
        assert!(self.kept.waiting.0.lock().1.remove(&(key, version)));
    }
}

pub(super) struct Waiting {
    key: KeyId,
    inner: Arc<dyn KeyProvider>,
    wait: Arc<Wait>,
}

impl Waiting {
    pub(super) fn over(key: KeyId, inner: Arc<dyn KeyProvider>, wait: &Arc<Wait>) -> Self {
        Self { key, inner, wait: Arc::clone(wait) }
    }

    fn is_ordered(&self, version: u32) -> bool {
        self.wait.0.lock().1.contains(&(self.key.clone(), version))
    }
}

#[async_trait]
impl KeyProvider for Waiting {
    fn kind(&self) -> &'static str {
        "test"
    }

    async fn wrap(&self, context: &WrapContext, key: &SecretKey) -> Result<WrappedKey, KmsError> {
        self.inner.wrap(context, key).await
    }

    async fn unwrap(&self, context: &WrapContext, wrapped: &WrappedKey) -> Result<SecretKey, KmsError> {
        let version = self.version_of(wrapped)?;
        if self.is_ordered(version) {
            return Err(KmsError::Destroyed { key: self.key.clone(), version });
        }
        self.inner.unwrap(context, wrapped).await
    }

    async fn rewrap(&self, context: &WrapContext, wrapped: &WrappedKey) -> Result<WrappedKey, KmsError> {
        let key = self.unwrap(context, wrapped).await?;
        self.inner.wrap(context, &key).await
    }

    fn version_of(&self, wrapped: &WrappedKey) -> Result<u32, KmsError> {
        self.inner.version_of(wrapped)
    }

    async fn describe(&self) -> Result<Vec<KeyVersion>, KmsError> {
        if !self.wait.0.lock().0 {
            let (ours, others): (BTreeSet<_>, BTreeSet<_>) =
                std::mem::take(&mut self.wait.0.lock().1).into_iter().partition(|(key, _)| *key == self.key);
            self.wait.0.lock().1 = others;
            for (_, version) in ours {
                self.inner.destroy_version(version).await?;
            }
        }
        let mut versions = self.inner.describe().await?;
        for version in versions.iter_mut().filter(|one| self.is_ordered(one.version)) {
            version.state = KeyState::Destroying;
        }
        Ok(versions)
    }

    async fn rotate(&self) -> Result<KeyVersion, KmsError> {
        self.inner.rotate().await
    }

    async fn destroy_version(&self, version: u32) -> Result<(), KmsError> {
        {
            let (waits, ordered) = &mut *self.wait.0.lock();
            if *waits {
                ordered.insert((self.key.clone(), version));
                return Ok(());
            }
        }
        self.inner.destroy_version(version).await
    }

    async fn health(&self) -> Result<(), KmsError> {
        self.inner.health().await
    }
}
