//! Country keys at the top, subject keys below, the open ones cached.

mod open_keys;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Arc, OnceLock},
    time::Duration,
};

use futures_util::{FutureExt, future::join_all};

use self::open_keys::{CacheKey, OpenKeys};
use super::{
    KeyObserver, KeyOwner, KeyProvider, KeyStanding, KmsError, SecretKey, SubjectKey, WrapContext, WrappedSubjectKey,
    guard::Guard,
};
use crate::{
    digest,
    types::{Country, Generation, KeyId},
};

/// Every country key of the installation and the subject keys below them.
///
/// Open subject keys are cached for 300 s, 60 s when idle, 10,000 at the most; an erased owner's are evicted, a refused country
/// key's as soon as [`Hierarchy::health`] hears of it. What is evicted is wiped at once, or as soon as those who use it end. Data keys are
/// never cached.
pub struct Hierarchy {
    keys: BTreeMap<KeyId, CountryKey>,
    installation: [u8; 16],
    open: OpenKeys,
    observer: Arc<OnceLock<Arc<dyn KeyObserver>>>,
}

struct CountryKey {
    country: Country,
    guard: Arc<Guard>,
    provider: Arc<dyn KeyProvider>,
}

impl Hierarchy {
    /// The installation's id.
    pub const fn installation(&self) -> [u8; 16] {
        self.installation
    }

    /// Over the providers of an installation's country keys.
    pub fn new(keys: Vec<(KeyId, Country, Arc<dyn KeyProvider>)>, installation: [u8; 16]) -> Self {
        let observer = Arc::new(OnceLock::new());
        let keys = keys.into_iter().map(|(id, country, provider)| {
            let guard = Arc::new(Guard::new(id.clone(), country, provider, Arc::clone(&observer)));
            let provider = Arc::clone(&guard) as Arc<dyn KeyProvider>;
            (id, CountryKey { country, guard, provider })
        });
        Self { keys: keys.collect(), installation, open: OpenKeys::new(), observer }
    }

    /// Tells `observer` of every call to a provider from now on; of one observer, the first.
    pub fn observe(&self, observer: Arc<dyn KeyObserver>) {
        let _ = self.observer.set(observer);
    }

    /// Has a country's key open a subject key of before, once, before it is used.
    pub fn hold_to(&self, facts: &WrappedSubjectKey) -> Result<(), KmsError> {
        let context = self.context(facts.country, &facts.owner, facts.generation);
        self.country_key(&facts.key)?.guard.hold_to(context, facts.wrapped.clone());
        Ok(())
    }

    /// The country keys and their countries.
    pub fn countries(&self) -> impl Iterator<Item = (&KeyId, Country)> {
        self.keys.iter().map(|(id, key)| (id, key.country))
    }

    /// The country of a country key; `None` where the configuration has no such key.
    pub fn country_of(&self, key: &KeyId) -> Option<Country> {
        self.keys.get(key).map(|key| key.country)
    }

    /// The provider of a country key, to describe, rotate or destroy it. Guarded: it fails at once while it is known to be down.
    pub fn provider(&self, key: &KeyId) -> Result<&Arc<dyn KeyProvider>, KmsError> {
        self.country_key(key).map(|key| &key.provider)
    }

    /// Makes a subject key for `owner` under `key`. It is of no use until its wrapped form is durable in the index and at the site.
    ///
    /// Its generation is random, not counted: an owner that comes back after an erasure, or after the index was lost, gets another
    /// without anyone having to remember the last.
    pub async fn create_subject_key(
        &self,
        key: &KeyId,
        owner: KeyOwner,
    ) -> Result<(Arc<SubjectKey>, WrappedSubjectKey), KmsError> {
        let CountryKey { country, provider, .. } = self.country_key(key)?;
        let began = self.open.evictions();
        let generation = random_generation();
        let context = self.context(*country, &owner, generation);
        let secret = SecretKey::random();
        let wrapped = provider.wrap(&context, &secret).await?;
        let facts = WrappedSubjectKey {
            owner,
            key: key.clone(),
            country: *country,
            generation,
            wrapped,
            sites: BTreeSet::new(),
            abroad: BTreeMap::new(),
            created: None,
            wraps: 0,
        };
        let opened = Arc::new(SubjectKey::new(&facts, secret));
        self.open.remember(CacheKey::of(&facts), &opened, provider.version_of(&facts.wrapped)?, began);
        Ok((opened, facts))
    }

    /// Opens a subject key, from the cache when it is there. Those who ask for the same key at the same time wait for one call.
    pub async fn open_subject_key(&self, facts: &WrappedSubjectKey) -> Result<Arc<SubjectKey>, KmsError> {
        let CountryKey { country, provider, .. } = self.country_key(&facts.key)?;
        if *country != facts.country {
            return Err(KmsError::WrongContext);
        }
        let key = CacheKey::of(facts);
        if let Some((opened, version)) = self.open.get(&key) {
            if provider.opens(version) {
                return Ok(opened);
            }
            self.open.forget(&key);
        }
        let version = provider.version_of(&facts.wrapped)?;
        let provider = Arc::clone(provider);
        let context = self.context(facts.country, &facts.owner, facts.generation);
        let facts = facts.clone();
        let opening = async move {
            let secret = provider.unwrap(&context, &facts.wrapped).await?;
            Ok(Arc::new(SubjectKey::new(&facts, secret)))
        };
        self.open.open_once(key, version, || opening.boxed()).await
    }

    /// Wraps a subject key again with the primary version of its country's key. The new wrapping is at no site yet; the old one is the
    /// caller's to delete.
    pub async fn rewrap_subject_key(&self, facts: &WrappedSubjectKey) -> Result<WrappedSubjectKey, KmsError> {
        let key = self.country_key(&facts.key)?;
        if key.country != facts.country {
            return Err(KmsError::WrongContext);
        }
        let context = self.context(facts.country, &facts.owner, facts.generation);
        let wrapped = key.provider.rewrap(&context, &facts.wrapped).await?;
        Ok(WrappedSubjectKey { wrapped, ..facts.nowhere() })
    }

    /// The version of its country's key that wrapped a subject key.
    pub fn version_of(&self, facts: &WrappedSubjectKey) -> Result<u32, KmsError> {
        self.provider(&facts.key)?.version_of(&facts.wrapped)
    }

    /// Forgets every open key of `owner`. A request that holds one already finishes with it.
    pub fn evict(&self, owner: &KeyOwner) {
        let owner = owner.clone();
        self.open.evict_where(move |cached| cached.owner == owner);
    }

    /// What is known of a country key; asks nobody.
    pub fn standing(&self, key: &KeyId) -> Result<KeyStanding, KmsError> {
        Ok(self.country_key(key)?.guard.standing())
    }

    /// Asks a country key's provider whether it can be used. When it answers that the key is refused or gone, its open subject
    /// keys are forgotten; an unreachable provider only stops what is not cached.
    pub async fn health(&self, key: &KeyId) -> Result<(), KmsError> {
        let result = self.country_key(key)?.provider.health().await;
        if result.as_ref().is_err_and(|error| !matches!(error, KmsError::Unavailable { .. })) {
            let key = key.clone();
            self.open.evict_where(move |cached| cached.key == key);
        }
        result
    }

    /// Asks every provider, all at the same time.
    pub async fn health_of_all(&self) -> Vec<(KeyId, Result<(), KmsError>)> {
        join_all(self.keys.keys().map(|key| async move { (key.clone(), self.health(key).await) })).await
    }

    /// Asks every provider again and again, each `every` so often and sooner when calls fail, and wipes what has expired. Does not end;
    /// providers do not wait for each other.
    pub async fn watch(&self, every: Duration) {
        join_all(self.keys.iter().map(|(id, key)| async move {
            loop {
                key.guard.due(every).await;
                // Told by the guard where it is another than before.
                let _ = self.health(id).await;
                self.open.sweep();
            }
        }))
        .await;
    }

    fn country_key(&self, key: &KeyId) -> Result<&CountryKey, KmsError> {
        self.keys.get(key).ok_or_else(|| KmsError::UnknownKey(key.clone()))
    }

    fn context(&self, country: Country, owner: &KeyOwner, generation: Generation) -> WrapContext {
        WrapContext { installation: self.installation, country, owner: owner.clone(), generation }
    }
}

/// 52 bits: exact also in a JSON reader that knows only floating point.
fn random_generation() -> Generation {
    Generation(u64::from_be_bytes(digest::random()) >> 12)
}

impl fmt::Debug for Hierarchy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hierarchy").field("keys", &self.keys.keys()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
