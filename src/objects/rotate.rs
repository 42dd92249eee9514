//! Gives a country's key a new version, wraps all subject keys again with it and, where asked, destroys the versions before.
//!
//! No data is written again, and nothing fails meanwhile: until the last step every version opens what it wrapped. It can be broken off
//! at any point. What is left is found by walking the subject keys: those whose wrapping names an older version.
//!
//! A version is destroyed only when nothing needs it: creations of keys that began before the new version have ended, a whole walk has
//! found no wrapping of an older version, and the country's sites know the new ones from the journal.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use parking_lot::Mutex;
use serde::Serialize;

use crate::audit::{Actor, CountryKeyVersion, Event, Kind};
use crate::kms::{KeyState, KeyVersion, KmsError};
use crate::objects::{ObjectError, Objects};
use crate::types::{Country, KeyId};

/// Subject keys looked at in one step.
const PAGE: usize = 256;
/// Subject keys wrapped at the same time.
const TOGETHER: usize = 8;
/// How often what fails is tried again, with pauses that double from this on.
const RETRIES: u32 = 4;
const PAUSE: Duration = Duration::from_secs(1);
/// How long the journal may take to know of the last wrapping, and between two looks at it.
const JOURNAL: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(50);

/// What a renewal is to come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Renewal {
    /// The last version that may no longer be the primary one. Without it there is a new version, unless keys are still wrapped by
    /// versions older than the primary one: then an earlier renewal goes on.
    pub through: Option<u32>,
    /// Whether the versions before the primary one are destroyed.
    pub destroy: bool,
}

/// How far a renewal has come.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Renewed {
    /// The primary version.
    pub version: Option<u32>,
    /// Whether this renewal made it.
    pub new: bool,
    /// Subject keys wrapped again.
    pub rewrapped: u64,
    /// Those that could not be, so far or for good.
    pub failed: u64,
    /// The versions destroyed.
    pub destroyed: Vec<u32>,
    /// Those whose destruction is ordered: their holder waits before it destroys them, and they open nothing meanwhile.
    pub destroying: Vec<u32>,
    /// Owners whose subject keys were renewed too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject_keys: Option<u64>,
}

/// How far the destruction of some versions has come; the least of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Destruction {
    /// One of them still opens something.
    Open,
    /// They open nothing, but their holder could take that back.
    Ordered,
    /// They are gone.
    Done,
}

impl Destruction {
    const fn of(state: KeyState) -> Self {
        match state {
            KeyState::Primary | KeyState::DecryptOnly => Self::Open,
            KeyState::Destroying => Self::Ordered,
            KeyState::Destroyed => Self::Done,
        }
    }
}

/// Counts while a renewal goes on.
#[derive(Debug, Default)]
pub struct Renewing(pub(super) Mutex<Renewed>);

impl Renewing {
    /// As of now.
    pub fn progress(&self) -> Renewed {
        self.0.lock().clone()
    }
}

impl Objects {
    /// Renews a country's key.
    ///
    /// # Errors
    /// When the provider cannot be had, the index fails, or the journal is not written in time. What could not be wrapped again is counted
    /// instead; no version is destroyed then.
    pub async fn renew_country_key(&self, key: &KeyId, renewal: Renewal, counting: &Renewing) -> Result<(), ObjectError> {
        let _one_at_a_time = self.0.renewing.lock().await;
        let country = self.country_of(key)?;
        let (primary, is_new) = self.primary_version(key, country, renewal).await?;
        {
            let mut counts = counting.0.lock();
            (counts.version, counts.new) = (Some(primary), is_new);
        }
        fail::fail_point!("objects::key-rotated", |_| Err(ObjectError::Internal("failpoint".to_owned())));
        self.0.subject_keys.settle(key).await;
        let mut pause = PAUSE;
        for turn in 0..=RETRIES {
            counting.0.lock().failed = 0;
            self.rewrap_all(key, primary, counting).await?;
            if counting.0.lock().failed == 0 {
                break;
            }
            if turn < RETRIES {
                tokio::time::sleep(pause).await;
                pause = pause.saturating_mul(2);
            }
        }
        if counting.0.lock().failed > 0 || !renewal.destroy {
            return Ok(());
        }
        if self.oldest_wrapping(key).await?.is_some_and(|oldest| oldest < primary) {
            return Err(ObjectError::Internal(format!("subject keys are still wrapped by old versions of key `{key}`")));
        }
        self.journalled_in(key, country).await?;
        let mut ordered = Vec::new();
        for KeyVersion { version, .. } in self.versions(key, country).await?.into_iter().filter(|one| is_old(one, primary)) {
            self.record(about(Kind::KeyDestroyed, key, country, Some(version))).await?;
            fail::fail_point!("objects::key-destroyed", |_| Err(ObjectError::Internal("failpoint".to_owned())));
            let destroyed = self.provider_of(key, country)?.destroy_version(version).await;
            destroyed.map_err(|error| ObjectError::from_kms(country, &error))?;
            tracing::info!(%key, version, "a version of a country's key is destroyed, or its destruction ordered");
            ordered.push(version);
        }
        if !ordered.is_empty() {
            let destroying = self.versions(key, country).await?.into_iter().filter(|one| one.state == KeyState::Destroying);
            let destroying: Vec<u32> = destroying.map(|one| one.version).filter(|version| ordered.contains(version)).collect();
            ordered.retain(|version| !destroying.contains(version));
            let mut counts = counting.0.lock();
            (counts.destroyed, counts.destroying) = (ordered, destroying);
        }
        Ok(())
    }

    /// The version that wraps now.
    ///
    /// # Errors
    /// [`ObjectError::KeysUnavailable`].
    pub async fn latest_version(&self, key: &KeyId) -> Result<u32, ObjectError> {
        let country = self.country_of(key)?;
        primary(&self.versions(key, country).await?).ok_or(ObjectError::KeysUnavailable { country })
    }

    /// How far the destruction of every version up to `through` has come.
    ///
    /// # Errors
    /// [`ObjectError::KeysUnavailable`].
    pub async fn destruction(&self, key: &KeyId, through: u32) -> Result<Destruction, ObjectError> {
        let versions = self.versions(key, self.country_of(key)?).await?;
        let least = versions.iter().filter(|one| one.version <= through).map(|one| Destruction::of(one.state)).min();
        Ok(least.unwrap_or(Destruction::Done))
    }

    /// The version to wrap with: a new one where that is wanted.
    async fn primary_version(&self, key: &KeyId, country: Country, renewal: Renewal) -> Result<(u32, bool), ObjectError> {
        let now = primary(&self.versions(key, country).await?).ok_or(ObjectError::KeysUnavailable { country })?;
        let rotate = match renewal.through {
            Some(through) => now <= through,
            None => self.oldest_wrapping(key).await?.is_none_or(|oldest| oldest >= now),
        };
        if !rotate {
            return Ok((now, false));
        }
        // Before, too: a gateway that ends in between leaves a version that would be in no entry.
        self.record(about(Kind::KeyRotating, key, country, None)).await?;
        let made = self.provider_of(key, country)?.rotate().await.map_err(|error| ObjectError::from_kms(country, &error))?;
        fail::fail_point!("objects::key-version-made", |_| Err(ObjectError::Internal("failpoint".to_owned())));
        self.record(about(Kind::KeyRotated, key, country, Some(made.version))).await?;
        tracing::info!(%key, version = made.version, "a country's key has a new version");
        Ok((made.version, true))
    }

    /// Wraps with the primary version what an older one wrapped.
    async fn rewrap_all(&self, key: &KeyId, primary: u32, counting: &Renewing) -> Result<(), ObjectError> {
        let mut after = None;
        loop {
            let page = self.index.subject_keys_of(key.clone(), after.take(), PAGE).await?;
            after = page.last().filter(|_| page.len() >= PAGE).map(|last| last.owner.clone());
            let older = page.into_iter().filter(|wrapped| self.hierarchy.version_of(wrapped).map_or(true, |of| of < primary));
            stream::iter(older)
                .for_each_concurrent(TOGETHER, |wrapped| async move {
                    match self.rewrap(&wrapped, primary).await {
                        Ok(done) => counting.0.lock().rewrapped += u64::from(done),
                        Err(error) => {
                            tracing::warn!(%key, %error, "a subject key cannot be wrapped again");
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

    /// The oldest version that wraps a subject key; a wrapping that no version can be told of counts as the oldest.
    async fn oldest_wrapping(&self, key: &KeyId) -> Result<Option<u32>, ObjectError> {
        let (mut oldest, mut after) = (None, None);
        loop {
            let page = self.index.subject_keys_of(key.clone(), after.take(), PAGE).await?;
            let versions = page.iter().map(|wrapped| self.hierarchy.version_of(wrapped).unwrap_or(0));
            oldest = versions.chain(oldest).min();
            after = page.last().filter(|_| page.len() >= PAGE).map(|last| last.owner.clone());
            if after.is_none() {
                return Ok(oldest);
            }
        }
    }

    /// How many subject keys each version of each country's key wraps: a walk over all of them. One whose version cannot be told counts as
    /// wrapped by 0, which is none.
    ///
    /// # Errors
    /// Those of the index.
    pub async fn subject_keys_by_version(&self) -> Result<BTreeMap<(KeyId, u32), u64>, ObjectError> {
        let (mut counts, mut after) = (BTreeMap::new(), None);
        loop {
            let page = self.index.subject_keys(after.take(), PAGE).await?;
            for wrapped in &page {
                let version = self.hierarchy.version_of(wrapped).unwrap_or(0);
                *counts.entry((wrapped.key.clone(), version)).or_default() += 1;
            }
            after = page.last().filter(|_| page.len() >= PAGE).map(|last| (last.key.clone(), last.owner.clone()));
            if after.is_none() {
                return Ok(counts);
            }
        }
    }

    /// Waits until the sites of the key's country, and of every other that holds subject keys under it, have been told of everything that is
    /// committed: a rebuild must not find wrappings that nothing opens.
    async fn journalled_in(&self, key: &KeyId, country: Country) -> Result<(), ObjectError> {
        let number = self.index.ticket()?.0;
        let deadline = tokio::time::Instant::now() + JOURNAL;
        for country in self.holders(key, country).await? {
            let told = async {
                while !self.index.journal_of_holds(country, number) {
                    tokio::time::sleep(LOOK).await;
                }
            };
            tokio::time::timeout_at(deadline, told).await.map_err(|_| ObjectError::SiteUnavailable { country })?;
        }
        Ok(())
    }

    /// The countries of the sites that hold subject keys under a country's key.
    async fn holders(&self, key: &KeyId, country: Country) -> Result<BTreeSet<Country>, ObjectError> {
        let (mut holders, mut after) = (BTreeSet::from([country]), None);
        loop {
            let page = self.index.subject_keys_of(key.clone(), after.take(), PAGE).await?;
            holders.extend(page.iter().flat_map(|wrapped| wrapped.abroad.values()));
            after = page.last().filter(|_| page.len() >= PAGE).map(|last| last.owner.clone());
            if after.is_none() {
                return Ok(holders);
            }
        }
    }

    pub(super) fn country_of(&self, key: &KeyId) -> Result<Country, ObjectError> {
        let mut countries = self.hierarchy.countries();
        let found = countries.find_map(|(id, country)| (id == key).then_some(country));
        found.ok_or_else(|| ObjectError::Internal(format!("there is no key `{key}` in the configuration")))
    }

    fn provider_of(&self, key: &KeyId, country: Country) -> Result<&std::sync::Arc<dyn crate::kms::KeyProvider>, ObjectError> {
        self.hierarchy.provider(key).map_err(|error: KmsError| ObjectError::from_kms(country, &error))
    }

    async fn versions(&self, key: &KeyId, country: Country) -> Result<Vec<KeyVersion>, ObjectError> {
        let described = self.provider_of(key, country)?.describe().await;
        described.map_err(|error| ObjectError::from_kms(country, &error))
    }
}

/// An event about a country's key, and one version of it where that is known.
fn about(kind: Kind, key: &KeyId, country: Country, version: Option<u32>) -> Event {
    let country_key = Some(Box::new(CountryKeyVersion { key: key.clone(), version }));
    Event { countries: vec![country], country_key, ..Event::new(kind, Actor::System) }
}

fn primary(versions: &[KeyVersion]) -> Option<u32> {
    versions.iter().find(|one| one.state == KeyState::Primary).map(|one| one.version)
}

fn is_old(version: &KeyVersion, primary: u32) -> bool {
    version.version < primary && Destruction::of(version.state) == Destruction::Open
}
