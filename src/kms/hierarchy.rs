//! Country keys at the top, subject keys below, the open ones cached.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use moka::sync::Cache;

use super::{KeyOwner, KeyProvider, KmsError, SecretKey, SubjectKey, WrapContext, WrappedSubjectKey};
use crate::{
    digest,
    types::{Country, Generation, KeyId},
};

const CACHE_ENTRIES: u64 = 10_000;
const CACHE_LIFE: Duration = Duration::from_secs(300);
const CACHE_IDLE: Duration = Duration::from_secs(60);

/// Every country key of the installation and the subject keys below them.
///
/// Open subject keys are cached for 300 s, 60 s when idle, 10,000 at the most; an erased owner's are evicted, a refused country
/// key's as soon as [`Hierarchy::health`] hears of it. Data keys are never cached.
pub struct Hierarchy {
    keys: BTreeMap<KeyId, CountryKey>,
    installation: [u8; 16],
    open: Cache<CacheKey, Arc<SubjectKey>>,
    /// Counts evictions, so that an opening that began before one does not put its key back after it.
    evictions: AtomicU64,
}

struct CountryKey {
    country: Country,
    provider: Arc<dyn KeyProvider>,
}

/// Includes the hash of the wrapping: two requests that make a first key for the same owner must not read each other's.
#[derive(Clone, PartialEq, Eq, Hash)]
struct CacheKey {
    key: KeyId,
    owner: KeyOwner,
    generation: Generation,
    wrapping: [u8; 32],
}

impl Hierarchy {
    /// The installation's id.
    pub const fn installation(&self) -> [u8; 16] {
        self.installation
    }

    /// Over the providers of an installation's country keys.
    pub fn new(keys: Vec<(KeyId, Country, Arc<dyn KeyProvider>)>, installation: [u8; 16]) -> Self {
        let open = Cache::builder()
            .max_capacity(CACHE_ENTRIES)
            .time_to_live(CACHE_LIFE)
            .time_to_idle(CACHE_IDLE)
            .support_invalidation_closures()
            .build();
        let keys = keys.into_iter().map(|(id, country, provider)| (id, CountryKey { country, provider })).collect();
        Self { keys, installation, open, evictions: AtomicU64::new(0) }
    }

    /// The country keys and their countries.
    pub fn countries(&self) -> impl Iterator<Item = (&KeyId, Country)> {
        self.keys.iter().map(|(id, key)| (id, key.country))
    }

    /// The provider of a country key, to describe, rotate or destroy it.
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
        let CountryKey { country, provider } = self.country_key(key)?;
        let began = self.evictions.load(Ordering::SeqCst);
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
        };
        let opened = Arc::new(SubjectKey::new(&facts, secret));
        self.remember(&facts, &opened, began);
        Ok((opened, facts))
    }

    /// Opens a subject key, from the cache when it is there.
    pub async fn open_subject_key(&self, facts: &WrappedSubjectKey) -> Result<Arc<SubjectKey>, KmsError> {
        let CountryKey { country, provider } = self.country_key(&facts.key)?;
        if *country != facts.country {
            return Err(KmsError::WrongContext);
        }
        if let Some(opened) = self.open.get(&CacheKey::of(facts)) {
            return Ok(opened);
        }
        let began = self.evictions.load(Ordering::SeqCst);
        let context = self.context(facts.country, &facts.owner, facts.generation);
        let secret = provider.unwrap(&context, &facts.wrapped).await?;
        let opened = Arc::new(SubjectKey::new(facts, secret));
        self.remember(facts, &opened, began);
        Ok(opened)
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
        self.evict_where(move |cached| cached.owner == owner);
    }

    /// Asks a country key's provider whether it can be used. When it answers that the key is refused or gone, its open subject
    /// keys are forgotten; an unreachable provider only stops what is not cached.
    pub async fn health(&self, key: &KeyId) -> Result<(), KmsError> {
        let result = self.country_key(key)?.provider.health().await;
        if result.as_ref().is_err_and(|error| !matches!(error, KmsError::Unavailable { .. })) {
            let key = key.clone();
            self.evict_where(move |cached| cached.key == key);
        }
        result
    }

    fn country_key(&self, key: &KeyId) -> Result<&CountryKey, KmsError> {
        self.keys.get(key).ok_or_else(|| KmsError::UnknownKey(key.clone()))
    }

    fn context(&self, country: Country, owner: &KeyOwner, generation: Generation) -> WrapContext {
        WrapContext { installation: self.installation, country, owner: owner.clone(), generation }
    }

    /// Caches an open key unless something was evicted since the count was `began`. Checked after the insertion too: an eviction
    /// between check and insertion would miss the entry.
    fn remember(&self, facts: &WrappedSubjectKey, opened: &Arc<SubjectKey>, began: u64) {
        let unchanged = || self.evictions.load(Ordering::SeqCst) == began;
        if unchanged() {
            let key = CacheKey::of(facts);
            self.open.insert(key.clone(), Arc::clone(opened));
            if !unchanged() {
                self.open.invalidate(&key);
            }
        }
    }

    fn evict_where(&self, doomed: impl Fn(&CacheKey) -> bool + Send + Sync + 'static) {
        self.evictions.fetch_add(1, Ordering::SeqCst);
        // Fails only on a cache built without support for closures, which would then be emptied instead.
        if self.open.invalidate_entries_if(move |key, _| doomed(key)).is_err() {
            self.open.invalidate_all();
        }
    }
}

impl CacheKey {
    fn of(facts: &WrappedSubjectKey) -> Self {
        Self {
            key: facts.key.clone(),
            owner: facts.owner.clone(),
            generation: facts.generation,
            wrapping: digest::sha256(facts.wrapped.as_str().as_bytes()),
        }
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
