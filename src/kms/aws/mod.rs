//! Country keys at AWS KMS.
//!
//! A version is a KMS key of its own, and the primary one is where the alias leads; [`chain`] says how the versions are told. A rotation
//! makes a key, complete with its tags, and then leads the alias to it. Broken off in between it leaves a key that nothing was ever
//! wrapped with; the next rotation of the same process uses it.
//!
//! KMS destroys a key after a wait of days, within which its owner may cancel it: such a version is `destroying`, opens nothing, and no
//! erasure is complete before KMS no longer knows it. KMS itself refuses keys that are disabled or wait for their deletion; their state is
//! looked at all the same, at the latest after [`STATES`], so that it does not hang on the service alone.

mod chain;
mod regions;
mod service;
mod settings;
mod text;

#[cfg(test)]
mod tests;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use aws_sdk_kms::{config::SharedHttpClient, types::KeyMetadata};
use parking_lot::Mutex;
use tokio::time::Instant;

pub use regions::country_of_region;
pub use settings::AwsKmsSettings;

use self::{
    chain::{Chain, DESTROYING, INSTALLATION, MOST_EARLIER, Member},
    service::Service,
};
use super::{KeyIdentity, KeyProvider, KeyState, KeyVersion, KmsError, SecretKey, WrapContext, WrappedKey};
use crate::clock::Clock;

/// How long it is believed in what state a key is and where the alias leads.
const STATES: Duration = Duration::from_secs(5);

/// One country's key at AWS KMS.
pub struct AwsKms {
    identity: KeyIdentity,
    region: String,
    alias: String,
    window: u8,
    service: Service,
    known: Mutex<Known>,
    /// Held while the versions change.
    changing: tokio::sync::Mutex<()>,
    clock: Arc<dyn Clock>,
}

#[derive(Default)]
struct Known {
    chain: Option<(Arc<Chain>, Instant)>,
    /// By key id.
    states: HashMap<String, (State, Instant)>,
    /// Keys whose destruction was ordered here.
    ordered: HashSet<String>,
    /// Made by a rotation that did not come to its end.
    spare: Option<Member>,
}

/// What can be done with a version now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Enabled,
    /// KMS does not let it be used.
    Shut(&'static str),
    /// It cannot be reached, as one whose cluster is not connected.
    Away,
    /// It waits for its deletion, and not on our order.
    Condemned,
    Destroying,
    Gone,
}

impl AwsKms {
    /// Prepares the provider. Nothing is sent yet.
    pub fn new(identity: KeyIdentity, settings: &AwsKmsSettings, clock: Arc<dyn Clock>) -> Self {
        Self::over(identity, settings, clock, service::http_client())
    }

    fn over(identity: KeyIdentity, settings: &AwsKmsSettings, clock: Arc<dyn Clock>, http: SharedHttpClient) -> Self {
        Self {
            service: Service::new(identity.id.clone(), settings, http),
            identity,
            region: settings.region.clone(),
            alias: settings.alias.clone(),
            window: settings.deletion_window_days,
            known: Mutex::default(),
            changing: tokio::sync::Mutex::default(),
            clock,
        }
    }

    /// The versions; asked for again when they have not been for a while.
    async fn chain(&self) -> Result<Arc<Chain>, KmsError> {
        let known = self.known.lock().chain.clone();
        match known {
            Some((chain, asked)) if asked.elapsed() < STATES => Ok(chain),
            _ => self.fresh_chain().await,
        }
    }

    /// The versions as KMS has them now.
    async fn fresh_chain(&self) -> Result<Arc<Chain>, KmsError> {
        let before = self.known.lock().chain.clone().map(|(chain, _)| chain);
        let Some(key) = self.service.describe(&self.alias).await? else {
            return Err(self.refused(format!("there is no KMS key under `{}` in region {}", self.alias, self.region)));
        };
        chain::check(&self.identity, &self.region, &key)?;
        if let Some(before) = before.as_ref().filter(|before| before.primary.key_id == key.key_id()) {
            self.note(&key).await?;
            return Ok(self.remember(Arc::clone(before)));
        }
        let found = self.read_chain(&key).await?;
        if let Some(before) = before {
            // KMS may tell for minutes where an alias led before.
            if before.primary.version > found.primary.version {
                let primary = self.service.describe(&before.primary.key_id).await?;
                let primary = primary.ok_or_else(|| self.refused("the KMS key of its primary version is gone".to_owned()))?;
                self.note(&primary).await?;
                return Ok(self.remember(before));
            }
            if found.member(before.primary.version).is_none_or(|member| member.key_id != before.primary.key_id) {
                return Err(self.refused(format!("`{}` leads to a KMS key that does not follow the one in use", self.alias)));
            }
        }
        self.note(&key).await?;
        Ok(self.remember(Arc::new(found)))
    }

    /// The versions as a primary one's tags tell them; claims a first one that is nobody's yet.
    async fn read_chain(&self, key: &KeyMetadata) -> Result<Chain, KmsError> {
        for claimed in [false, true] {
            let tags = self.service.tags(key.key_id()).await?;
            if let Some(chain) = Chain::read(&self.identity, key, &tags)? {
                return Ok(chain);
            }
            if !claimed {
                self.service.tag(key.key_id(), INSTALLATION, &hex::encode(self.identity.installation)).await?;
            }
        }
        let reason = "KMS does not tell yet that its key was claimed".to_owned();
        Err(KmsError::Unavailable { key: self.identity.id.clone(), reason })
    }

    /// Keeps the versions, unless newer ones have become known since these were asked for.
    fn remember(&self, chain: Arc<Chain>) -> Arc<Chain> {
        let mut known = self.known.lock();
        if let Some((newer, _)) = known.chain.as_ref().filter(|(known, _)| known.primary.version > chain.primary.version) {
            return Arc::clone(newer);
        }
        known.chain = Some((Arc::clone(&chain), Instant::now()));
        chain
    }

    /// Keeps in which state a key is.
    async fn note(&self, key: &KeyMetadata) -> Result<State, KmsError> {
        use aws_sdk_kms::types::KeyState as Said;
        let id = key.key_id().to_owned();
        let state = match key.key_state() {
            // What was asked before the order and is told after it, or what somebody has brought back.
            Some(Said::Enabled) if self.known.lock().ordered.contains(&id) => State::Shut("to be destroyed"),
            Some(Said::Enabled) => State::Enabled,
            Some(Said::Disabled) => State::Shut("disabled"),
            Some(Said::PendingImport) => State::Shut("without material"),
            Some(Said::Creating | Said::Updating | Said::Unavailable) => State::Away,
            Some(Said::PendingDeletion | Said::PendingReplicaDeletion) if self.is_ordered(&id).await? => State::Destroying,
            Some(Said::PendingDeletion | Said::PendingReplicaDeletion) => State::Condemned,
            _ => State::Shut("in a state that is not known here"),
        };
        self.known.lock().states.insert(id, (state, Instant::now()));
        Ok(state)
    }

    async fn is_ordered(&self, id: &str) -> Result<bool, KmsError> {
        let known = self.known.lock().ordered.contains(id);
        if known || !self.service.tags(id).await?.contains_key(DESTROYING) {
            return Ok(known);
        }
        self.known.lock().ordered.insert(id.to_owned());
        Ok(true)
    }

    async fn state(&self, member: &Member) -> Result<State, KmsError> {
        let known = self.known.lock().states.get(&member.key_id).copied();
        match known {
            Some((state, asked)) if asked.elapsed() < STATES => Ok(state),
            _ => self.fresh_state(member).await,
        }
    }

    async fn fresh_state(&self, member: &Member) -> Result<State, KmsError> {
        match self.service.describe(&member.key_id).await? {
            Some(key) => self.note(&key).await,
            None => {
                self.known.lock().states.insert(member.key_id.clone(), (State::Gone, Instant::now()));
                Ok(State::Gone)
            }
        }
    }

    /// The member that a text was wrapped by; destroyed versions and those that never were are errors.
    async fn member(&self, text: &text::Parts<'_>) -> Result<Member, KmsError> {
        let mut chain = self.chain().await?;
        if text.version > chain.primary.version
            && let Some(key) = self.service.describe(text.key_id).await?
        {
            // Wrapped after a rotation that the alias does not show yet, by a process before this one.
            chain::check(&self.identity, &self.region, &key)?;
            let newer = self.read_chain(&key).await?;
            let follows = newer.member(chain.primary.version).is_some_and(|member| member.key_id == chain.primary.key_id);
            if follows && newer.primary.version == text.version {
                chain = self.remember(Arc::new(newer));
            }
        }
        match chain.member(text.version) {
            Some(member) if member.key_id == text.key_id => Ok(member.clone()),
            Some(_) => Err(KmsError::Corrupt),
            None if text.version < chain.primary.version => Err(self.destroyed(text.version)),
            None => Err(KmsError::UnknownVersion { key: self.identity.id.clone(), version: text.version }),
        }
    }

    async fn usable(&self, member: &Member) -> Result<(), KmsError> {
        match self.state(member).await? {
            State::Enabled => Ok(()),
            State::Shut(what) => Err(self.refused(format!("the KMS key of its version {} is {what}", member.version))),
            State::Condemned => {
                let what = format!("the KMS key of its version {} waits for its deletion: cancel that", member.version);
                Err(self.refused(what))
            }
            State::Away => {
                let reason = format!("the KMS key of its version {} cannot be reached by KMS", member.version);
                Err(KmsError::Unavailable { key: self.identity.id.clone(), reason })
            }
            State::Destroying | State::Gone => Err(self.destroyed(member.version)),
        }
    }

    /// What KMS refused may have changed its state since it was looked at.
    fn doubt<T>(&self, member: &Member, outcome: Result<T, KmsError>) -> Result<T, KmsError> {
        if matches!(outcome, Err(KmsError::Refused { .. } | KmsError::Unavailable { .. })) {
            self.known.lock().states.remove(&member.key_id);
        }
        outcome
    }

    fn bound(&self, member: &Member, context: &WrapContext) -> HashMap<String, String> {
        text::encryption_context(&self.identity, member.version, context)
    }

    fn refused(&self, reason: String) -> KmsError {
        KmsError::Refused { key: self.identity.id.clone(), reason }
    }

    fn destroyed(&self, version: u32) -> KmsError {
        KmsError::Destroyed { key: self.identity.id.clone(), version }
    }

    /// The earlier versions that the next one has to tell of: all but, where they are too many, the oldest that are gone.
    async fn kept(&self, chain: &Chain) -> Result<Vec<Member>, KmsError> {
        let mut kept = chain.earlier.as_slice();
        while let Some((oldest, rest)) = kept.split_first().filter(|_| kept.len() >= MOST_EARLIER) {
            if self.fresh_state(oldest).await? != State::Gone {
                let reason = format!("{MOST_EARLIER} earlier versions still exist: destroy some, or wait until KMS has");
                return Err(self.refused(reason));
            }
            kept = rest;
        }
        Ok(kept.to_vec())
    }
}

#[async_trait]
impl KeyProvider for AwsKms {
    fn kind(&self) -> &'static str {
        "aws-kms"
    }

    async fn wrap(&self, context: &WrapContext, key: &SecretKey) -> Result<WrappedKey, KmsError> {
        self.identity.check(context)?;
        let primary = self.chain().await?.primary.clone();
        self.usable(&primary).await?;
        let wrapped = self.service.encrypt(&primary.key_id, self.bound(&primary, context), key).await;
        Ok(text::write(primary.version, &primary.key_id, &self.doubt(&primary, wrapped)?))
    }

    async fn unwrap(&self, context: &WrapContext, wrapped: &WrappedKey) -> Result<SecretKey, KmsError> {
        self.identity.check(context)?;
        let text = text::read(wrapped)?;
        let member = self.member(&text).await?;
        self.usable(&member).await?;
        let opened = self.service.decrypt(&member.key_id, self.bound(&member, context), text.ciphertext).await;
        self.doubt(&member, opened)
    }

    async fn rewrap(&self, context: &WrapContext, wrapped: &WrappedKey) -> Result<WrappedKey, KmsError> {
        self.identity.check(context)?;
        let text = text::read(wrapped)?;
        let (member, primary) = (self.member(&text).await?, self.chain().await?.primary.clone());
        self.usable(&member).await?;
        self.usable(&primary).await?;
        let from = (member.key_id.as_str(), self.bound(&member, context));
        let to = (primary.key_id.as_str(), self.bound(&primary, context));
        let wrapped = self.service.reencrypt(from, to, text.ciphertext).await;
        let wrapped = self.doubt(&primary, self.doubt(&member, wrapped))?;
        Ok(text::write(primary.version, &primary.key_id, &wrapped))
    }

    fn version_of(&self, wrapped: &WrappedKey) -> Result<u32, KmsError> {
        text::read(wrapped).map(|text| text.version)
    }

    fn opens(&self, version: u32) -> bool {
        let known = self.known.lock();
        let member = known.chain.as_ref().and_then(|(chain, _)| chain.member(version).cloned());
        let state = member.and_then(|member| known.states.get(&member.key_id).map(|(state, _)| *state));
        !matches!(state, Some(State::Shut(_) | State::Condemned | State::Destroying | State::Gone))
    }

    async fn describe(&self) -> Result<Vec<KeyVersion>, KmsError> {
        let chain = self.fresh_chain().await?;
        let mut versions = Vec::with_capacity(chain.earlier.len() + 1);
        for member in &chain.earlier {
            let state = match self.fresh_state(member).await? {
                State::Enabled | State::Shut(_) | State::Away | State::Condemned => KeyState::DecryptOnly,
                State::Destroying => KeyState::Destroying,
                State::Gone => KeyState::Destroyed,
            };
            versions.push(KeyVersion { version: member.version, state, created: member.created });
        }
        let Member { version, created, .. } = chain.primary;
        versions.push(KeyVersion { version, state: KeyState::Primary, created });
        Ok(versions)
    }

    async fn rotate(&self) -> Result<KeyVersion, KmsError> {
        let _alone = self.changing.lock().await;
        let chain = self.fresh_chain().await?;
        let (version, kept) = (chain.primary.version.saturating_add(1), self.kept(&chain).await?);
        let spare = self.known.lock().spare.clone().filter(|spare| spare.version == version);
        let next = match spare {
            Some(spare) => spare,
            None => {
                let model = self.service.describe(&chain.primary.key_id).await?;
                let model = model.ok_or_else(|| self.refused("the KMS key of its primary version is gone".to_owned()))?;
                let description = format!("Domicile: version {version} of key {} of {}", self.identity.id, self.identity.country);
                let tags = chain.next_tags(&self.identity, &kept);
                let made = self.service.create_like(&model, &description, &tags).await?;
                chain::check(&self.identity, &self.region, &made)?;
                chain::member(version, &made)
            }
        };
        self.known.lock().spare = Some(next.clone());
        self.service.point(&self.alias, &next.key_id).await?;
        self.known.lock().spare = None;
        let earlier = kept.into_iter().chain([chain.primary.clone()]).collect();
        let created = next.created;
        self.remember(Arc::new(Chain { primary: next, earlier }));
        Ok(KeyVersion { version, state: KeyState::Primary, created })
    }

    async fn destroy_version(&self, version: u32) -> Result<(), KmsError> {
        let _alone = self.changing.lock().await;
        let chain = self.fresh_chain().await?;
        if version == chain.primary.version {
            return Err(KmsError::PrimaryVersion { key: self.identity.id.clone(), version });
        }
        if version > chain.primary.version || version == 0 {
            return Err(KmsError::UnknownVersion { key: self.identity.id.clone(), version });
        }
        let Some(member) = chain.member(version) else { return Ok(()) };
        match self.fresh_state(member).await? {
            State::Destroying | State::Gone => return Ok(()),
            // A key that waits for its deletion takes no tag, and without it nobody could tell that it is not missed.
            State::Condemned => self.service.cancel_deletion(&member.key_id).await?,
            State::Enabled | State::Shut(_) | State::Away => {}
        }
        self.service.tag(&member.key_id, DESTROYING, &self.clock.now().to_rfc3339()).await?;
        self.service.schedule_deletion(&member.key_id, self.window).await?;
        let mut known = self.known.lock();
        known.ordered.insert(member.key_id.clone());
        known.states.insert(member.key_id.clone(), (State::Destroying, Instant::now()));
        Ok(())
    }

    async fn health(&self) -> Result<(), KmsError> {
        let chain = self.fresh_chain().await?;
        self.usable(&chain.primary).await
    }
}
