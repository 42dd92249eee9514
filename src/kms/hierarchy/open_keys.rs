//! The open subject keys: bounded, wiped when they go, and opened once however many ask.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::future::{BoxFuture, FutureExt, Shared, WeakShared};
use moka::sync::Cache;
use parking_lot::Mutex;

use crate::{
    digest,
    kms::{KeyOwner, KmsError, SubjectKey, WrappedSubjectKey},
    types::{Generation, KeyId},
};

const ENTRIES: u64 = 10_000;
const LIFE: Duration = Duration::from_secs(300);
const IDLE: Duration = Duration::from_secs(60);
/// Openings under way beyond which those that nobody waits for any more are looked for.
const MANY: usize = 1024;

/// Includes the hash of the wrapping: two requests that make a first key for the same owner must not read each other's.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct CacheKey {
    pub(super) key: KeyId,
    pub(super) owner: KeyOwner,
    generation: Generation,
    wrapping: [u8; 32],
}

/// Holds a key until it is evicted. The cache lets go of an entry's memory when it suits it; the key in it goes at once.
struct Slot {
    opened: Mutex<Option<Arc<SubjectKey>>>,
    /// Of the country's key, that wrapped it.
    version: u32,
}

type Opening = Shared<BoxFuture<'static, Result<Arc<SubjectKey>, KmsError>>>;
type WeakOpening = WeakShared<BoxFuture<'static, Result<Arc<SubjectKey>, KmsError>>>;

pub(super) struct OpenKeys {
    cache: Cache<CacheKey, Arc<Slot>>,
    /// Openings under way, each with the count of evictions when it began.
    under_way: Mutex<HashMap<CacheKey, (WeakOpening, u64)>>,
    /// Counts evictions, so that an opening that began before one does not put its key back after it.
    evictions: AtomicU64,
}

impl OpenKeys {
    pub(super) fn new() -> Self {
        let cache = Cache::builder()
            .max_capacity(ENTRIES)
            .time_to_live(LIFE)
            .time_to_idle(IDLE)
            .support_invalidation_closures()
            .eviction_listener(|_, slot: Arc<Slot>, _| drop(slot.opened.lock().take()))
            .build();
        Self { cache, under_way: Mutex::new(HashMap::new()), evictions: AtomicU64::new(0) }
    }

    /// An open key, and the version of the country's key that wrapped it.
    pub(super) fn get(&self, key: &CacheKey) -> Option<(Arc<SubjectKey>, u32)> {
        let slot = self.cache.get(key)?;
        let opened = slot.opened.lock().clone();
        Some((opened?, slot.version))
    }

    /// How many evictions there have been.
    pub(super) fn evictions(&self) -> u64 {
        self.evictions.load(Ordering::SeqCst)
    }

    /// Caches an open key unless something was evicted since the count was `began`. Checked after the insertion too: an eviction
    /// between check and insertion would miss the entry.
    pub(super) fn remember(&self, key: CacheKey, opened: &Arc<SubjectKey>, version: u32, began: u64) {
        let unchanged = || self.evictions() == began;
        if unchanged() {
            self.cache.insert(key.clone(), Arc::new(Slot { opened: Mutex::new(Some(Arc::clone(opened))), version }));
            if !unchanged() {
                self.cache.invalidate(&key);
            }
        }
    }

    /// Opens a key by what `open` makes, unless somebody is at it already. Whoever asks after an eviction does not get what was begun before.
    pub(super) async fn open_once(
        &self,
        key: CacheKey,
        version: u32,
        open: impl FnOnce() -> BoxFuture<'static, Result<Arc<SubjectKey>, KmsError>>,
    ) -> Result<Arc<SubjectKey>, KmsError> {
        let (opening, began) = self.opening(&key, open);
        let result = opening.clone().await;
        if let Ok(opened) = &result {
            self.remember(key.clone(), opened, version, began);
        }
        let mut under_way = self.under_way.lock();
        let is_this = |(other, _): &(WeakOpening, u64)| other.upgrade().is_none_or(|other| other.ptr_eq(&opening));
        if under_way.get(&key).is_some_and(is_this) {
            under_way.remove(&key);
        }
        result
    }

    fn opening(
        &self,
        key: &CacheKey,
        open: impl FnOnce() -> BoxFuture<'static, Result<Arc<SubjectKey>, KmsError>>,
    ) -> (Opening, u64) {
        let now = self.evictions();
        let mut under_way = self.under_way.lock();
        let known = under_way.get(key).filter(|(_, began)| *began == now).and_then(|(weak, _)| weak.upgrade());
        if let Some(opening) = known {
            return (opening, now);
        }
        if under_way.len() >= MANY {
            under_way.retain(|_, (weak, _)| weak.upgrade().is_some());
        }
        let opening = open().shared();
        if let Some(weak) = opening.downgrade() {
            under_way.insert(key.clone(), (weak, now));
        }
        (opening, now)
    }

    pub(super) fn forget(&self, key: &CacheKey) {
        self.cache.invalidate(key);
    }

    pub(super) fn evict_where(&self, doomed: impl Fn(&CacheKey) -> bool + Send + Sync + 'static) {
        self.evictions.fetch_add(1, Ordering::SeqCst);
        // Fails only on a cache built without support for closures, which would then be emptied instead.
        if self.cache.invalidate_entries_if(move |key, _| doomed(key)).is_err() {
            self.cache.invalidate_all();
        }
        self.sweep();
    }

    /// Wipes what was evicted or has expired; the cache would do it some time later.
    pub(super) fn sweep(&self) {
        self.cache.run_pending_tasks();
    }
}

impl CacheKey {
    pub(super) fn of(facts: &WrappedSubjectKey) -> Self {
        Self {
            key: facts.key.clone(),
            owner: facts.owner.clone(),
            generation: facts.generation,
            wrapping: digest::sha256(facts.wrapped.as_str().as_bytes()),
        }
    }
}
