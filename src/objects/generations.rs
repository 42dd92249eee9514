//! New generations of subject keys.
//!
//! From a rotation on, records of the owner are sealed under the new key. What is stored stays as it is and needs the old one, which stays
//! and goes on to open it, to be wrapped again with its country's key and to be destroyed by an erasure. A record comes under the
//! new key when it is sealed anew: when it moves, is copied, or is put back after damage. So a rotation bounds how much one key wraps; it takes
//! nothing away from who has the old key.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt};

use crate::audit::{Actor, Event, Kind};
use crate::backend::Site;
use crate::index::{Change, CommitError};
use crate::kms::{KeyOwner, WrappedSubjectKey};
use crate::objects::{ObjectError, Objects, Renewing};
use crate::seal::{self, SealTarget};
use crate::types::{Generation, KeyId, RequestId, SubjectId};

/// Subject keys looked at in one step.
const PAGE: usize = 256;
/// Owners whose keys are renewed at the same time.
const TOGETHER: usize = 8;

/// When a subject key gets another generation with the next write under it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubjectKeyLife {
    /// Its age; one of which nobody knows the age is old.
    pub max_age: Option<Duration>,
    /// How much it has wrapped, about.
    pub max_wraps: u64,
}

impl SubjectKeyLife {
    /// The most that may be set. Nonces are random: at 2³² wrappings two of one key are the same with a probability of 2⁻³³.
    pub const MOST_WRAPS: u64 = 1 << 31;
}

impl Default for SubjectKeyLife {
    fn default() -> Self {
        Self { max_age: None, max_wraps: 1 << 30 }
    }
}

impl Objects {
    /// Sets when subject keys get another generation by themselves.
    pub fn set_subject_key_life(&self, life: SubjectKeyLife) {
        self.0.key_life.store(Arc::new(life));
    }

    pub(super) fn is_due(&self, key: &WrappedSubjectKey) -> bool {
        if matches!(key.owner, KeyOwner::Site(_)) {
            return false;
        }
        let life = self.0.key_life.load();
        let is_old = |most: Duration| {
            let most = i64::try_from(most.as_millis()).unwrap_or(i64::MAX);
            key.created.is_none_or(|created| self.clock.now().millis().saturating_sub(created.millis()) >= most)
        };
        key.wraps >= life.max_wraps || life.max_age.is_some_and(is_old)
    }

    /// The next generation of a key that is due, for the site that asks. Where it cannot be had the old one goes on, up to the bound that
    /// its nonces have. The caller holds the lock of the owner's keys.
    pub(super) async fn rotate_due(
        &self,
        request: Option<&RequestId>,
        site: &Arc<Site>,
        target: &SealTarget,
        old: Arc<WrappedSubjectKey>,
    ) -> Result<Arc<WrappedSubjectKey>, ObjectError> {
        match self.next_generation(request, site, target, &old).await {
            Ok(new) => Ok(new),
            Err(error) if old.wraps < SubjectKeyLife::MOST_WRAPS && old.sites.contains(target.site()) => {
                tracing::warn!(key = %old.key, %error, "a subject key that is due cannot be renewed now");
                Ok(old)
            }
            Err(error) => Err(error),
        }
    }

    /// Gives a subject's keys a new generation, in every country. Answers with those that are new.
    ///
    /// # Errors
    /// When a country's key or all sites that hold the old key cannot be had; what was done before stands.
    pub async fn rotate_subject_keys(&self, subject: &SubjectId) -> Result<Vec<(KeyId, Generation)>, ObjectError> {
        let owner = KeyOwner::Subject(self.pseudonyms.subject(subject));
        let mut made = Vec::new();
        let keys: Vec<KeyId> = self.hierarchy.countries().map(|(id, _)| id.clone()).collect();
        for key in keys {
            if let Some(new) = self.rotate_owner(&key, &owner, None).await? {
                made.push((key, new.generation));
            }
        }
        Ok(made)
    }

    /// Gives every subject key under a country's key a new generation. What cannot be had is counted and stays as it is.
    ///
    /// # Errors
    /// Those of the index, and when there is no such key.
    pub async fn rotate_all_subject_keys(&self, key: &KeyId, counting: &Renewing) -> Result<(), ObjectError> {
        self.country_of(key)?;
        let mut after = None;
        counting.0.lock().subject_keys = Some(0);
        loop {
            let page = self.index.subject_keys_of(key.clone(), after.take(), PAGE).await?;
            after = page.last().filter(|_| page.len() >= PAGE).map(|last| last.owner.clone());
            // Those of before are passed over: only the one in use is what it was.
            stream::iter(page)
                .for_each_concurrent(TOGETHER, |found| async move {
                    match self.rotate_owner(key, &found.owner, Some(found.generation)).await {
                        Ok(None) => {}
                        Ok(Some(_)) => {
                            let mut counts = counting.0.lock();
                            counts.subject_keys = counts.subject_keys.map(|count| count + 1);
                        }
                        Err(error) => {
                            tracing::warn!(%key, %error, "a subject key cannot be renewed");
                            counting.0.lock().failed += 1;
                        }
                    }
                })
                .await;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    /// A new generation of an owner's key where it is in use and, if that is asked for, still of generation `from`.
    async fn rotate_owner(
        &self,
        key: &KeyId,
        owner: &KeyOwner,
        from: Option<Generation>,
    ) -> Result<Option<Arc<WrappedSubjectKey>>, ObjectError> {
        if matches!(owner, KeyOwner::Site(_)) {
            return Ok(None);
        }
        let lock = self.0.subject_keys.of(key, owner);
        let _one_at_a_time = lock.lock().await;
        let Some(old) = self.index.subject_key(key, owner)? else { return Ok(None) };
        if from.is_some_and(|from| from != old.generation) {
            return Ok(None);
        }
        let mut failure = ObjectError::SiteUnavailable { country: old.country };
        // One is enough: at the others it is stored with the first record that goes there. Not abroad unless it is nowhere else: what a policy
        // put there before need not be what it wants there now.
        let only_abroad = old.sites.len() == old.abroad.len();
        let holding = self.sites.iter().filter(|site| {
            let id = &site.spec().id;
            old.sites.contains(id) && (only_abroad || !old.abroad.contains_key(id))
        });
        for (site, target) in holding.filter_map(|site| Some((site, SealTarget::of_key(site.spec(), &old)?))) {
            match self.next_generation(None, site, &target, &old).await {
                Ok(new) => return Ok(Some(new)),
                Err(ObjectError::NoSuchKey) => return Ok(None),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    /// Makes, stores, commits. A crash in between leaves a blob that no row names, as at the making of any subject key.
    async fn next_generation(
        &self,
        request: Option<&RequestId>,
        site: &Arc<Site>,
        target: &SealTarget,
        old: &WrappedSubjectKey,
    ) -> Result<Arc<WrappedSubjectKey>, ObjectError> {
        let created = self.hierarchy.create_subject_key(&old.key, old.owner.clone()).await;
        let (_, mut new) = created.map_err(|error| ObjectError::from_kms(old.country, &error))?;
        new.created = Some(self.clock.now());
        let blob = seal::subject_key_blob(target, &new)?;
        let stored = site.store(&blob).await;
        stored.map_err(|error| ObjectError::from_backend(target.country(), &error))?;
        fail::fail_point!("objects::subject-key-rotated", |_| Err(ObjectError::Internal("failpoint".to_owned())));
        new.kept_at(target.site(), target.country());
        let event = Event {
            request: request.cloned(),
            countries: vec![target.country()],
            sites: vec![target.site().clone()],
            ..Event::new(Kind::KeyCreated, Actor::System)
        };
        let change = Change::RotateSubjectKey(Box::new(new.clone()), old.generation);
        match self.index.commit(change, event).await {
            Ok(_) => {
                tracing::info!(key = %new.key, country = %new.country, "a subject key has a new generation");
                Ok(Arc::new(new))
            }
            Err(error) => {
                if self.index.is_healthy() {
                    self.forget_blob(site, &blob).await;
                }
                // Its owner was erased meanwhile, or somebody was faster: what there is now is for the next look.
                Err(match error {
                    CommitError::Stale(_) | CommitError::KeyExists(_) => ObjectError::NoSuchKey,
                    other => other.into(),
                })
            }
        }
    }

    pub(super) async fn forget_blob(&self, site: &Arc<Site>, blob: &seal::SealedBlob) {
        if let Err(error) = site.remove(blob.name()).await {
            tracing::warn!(site = %site.spec().id, %error, "a wrapped key that nobody needs stays");
        }
    }
}
