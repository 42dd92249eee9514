//! Country keys in a security module, by PKCS#11: AES-256 keys that the token makes and never gives away.
//!
//! What is wrapped is the same JWE as the keyring's, encrypted by the token: AES-GCM with the header, and so the context, as additional
//! data. The nonce comes from this process: 96 random bits. Tokens differ in whether they take one, make one or can be told which, and
//! a nonce that is given works on nearly all; one that a token puts in its place is taken over. Random nonces are safe for 2^32
//! wrappings by one version (NIST SP 800-38D, 8.3); each subject key is wrapped once by each version.
//!
//! [`objects`] says what is on the token, [`pool`] how it is talked to: calls block, so they are made on threads of their own, in sessions
//! that are kept.

mod module;
mod objects;
mod pool;
mod settings;

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use async_trait::async_trait;
use cryptoki::{
    error::Error,
    mechanism::{Mechanism, aead::GcmParams},
    object::ObjectHandle,
    session::Session,
};
use parking_lot::Mutex;
use zeroize::Zeroizing;

pub use settings::{Pkcs11Settings, Pkcs11Token};

use self::{
    objects::{Note, Objects},
    pool::{Pool, Trouble},
};
use super::{
    KeyIdentity, KeyOwner, KeyProvider, KeyState, KeyVersion, KmsError, SecretKey, WrapContext, WrappedKey,
    jwe::{self, NONCE_LEN, TAG_LEN, kid, version_in},
};
use crate::{
    clock::Clock,
    digest,
    types::{Generation, Pseudonym, Timestamp},
};

const TAG_BITS: u64 = 8 * TAG_LEN as u64;

/// One country's key in a security module.
pub struct Pkcs11Provider {
    inner: Arc<Inner>,
    pool: Arc<Pool>,
    /// Held while the versions change.
    changing: tokio::sync::Mutex<()>,
}

struct Inner {
    objects: Objects,
    clock: Arc<dyn Clock>,
    known: Mutex<Known>,
}

/// What has been seen on the token.
#[derive(Default)]
struct Known {
    notes: Vec<Note>,
    /// The library's generation, in which the handles are valid.
    generation: u64,
    keys: BTreeMap<u32, ObjectHandle>,
    /// Versions whose keys are no longer there.
    gone: BTreeSet<u32>,
    /// A key of ours that the newest version wrapped, and its wrapping: what it must go on opening.
    proof: Option<(SecretKey, WrappedKey)>,
}

impl Pkcs11Provider {
    /// Prepares the provider. Nothing is loaded yet.
    pub fn new(identity: KeyIdentity, settings: &Pkcs11Settings, clock: Arc<dyn Clock>) -> Self {
        let pool = Arc::new(Pool::new(identity.id.clone(), settings));
        let objects = Objects { identity, label: settings.label.clone() };
        Self { inner: Arc::new(Inner { objects, clock, known: Mutex::default() }), pool, changing: tokio::sync::Mutex::default() }
    }

    async fn run<T: Send + 'static>(
        &self,
        mut work: impl FnMut(&Inner, &Session, u64) -> Result<T, Trouble> + Send + 'static,
    ) -> Result<T, KmsError> {
        let inner = Arc::clone(&self.inner);
        let work = move |session: &Session, generation: u64| {
            let outcome = work(&inner, session, generation);
            if matches!(outcome, Err(Trouble::Library(_))) {
                // A handle may have become void: the next attempt looks again.
                inner.known.lock().keys.clear();
            }
            outcome
        };
        self.pool.run(work).await
    }
}

impl Inner {
    const fn identity(&self) -> &KeyIdentity {
        &self.objects.identity
    }

    /// The versions, as they are on the token now.
    fn look(&self, session: &Session) -> Result<Vec<Note>, Trouble> {
        let notes = self.objects.versions(session, self.clock.now())?;
        self.known.lock().notes.clone_from(&notes);
        Ok(notes)
    }

    fn notes(&self, session: &Session) -> Result<Vec<Note>, Trouble> {
        let known = self.known.lock().notes.clone();
        if known.is_empty() { self.look(session) } else { Ok(known) }
    }

    /// The newest version, which wraps.
    fn primary(&self, session: &Session) -> Result<Note, Trouble> {
        let newest = self.notes(session)?.pop();
        newest.ok_or_else(|| Trouble::Known(KmsError::UnknownKey(self.identity().id.clone())))
    }

    /// The key of a version, looked up and looked at once in a generation.
    fn key(&self, session: &Session, generation: u64, version: u32) -> Result<ObjectHandle, Trouble> {
        {
            let mut known = self.known.lock();
            if known.generation != generation {
                known.generation = generation;
                known.keys.clear();
            }
            if let Some(key) = known.keys.get(&version) {
                return Ok(*key);
            }
        }
        let notes = self.notes(session)?;
        if !notes.iter().any(|note| note.version == version) {
            return Err(KmsError::UnknownVersion { key: self.identity().id.clone(), version }.into());
        }
        let Some(key) = self.found(session, version)? else {
            return Err(match notes.last().filter(|newest| newest.version == version) {
                Some(_) => self.refused("the token holds its primary version no more".to_owned()).into(),
                None => KmsError::Destroyed { key: self.identity().id.clone(), version }.into(),
            });
        };
        self.known.lock().keys.insert(version, key);
        Ok(key)
    }

    /// The key of a version as it is on the token now.
    fn found(&self, session: &Session, version: u32) -> Result<Option<ObjectHandle>, Trouble> {
        let key = self.objects.key(session, version)?;
        let gone = &mut self.known.lock().gone;
        if key.is_none() {
            gone.insert(version)
        } else {
            gone.remove(&version)
        };
        Ok(key)
    }

    fn wrap(&self, session: &Session, generation: u64, context: &WrapContext, secret: &SecretKey) -> Result<WrappedKey, Trouble> {
        let version = self.primary(session)?.version;
        let key = self.key(session, generation, version)?;
        let header = jwe::header(&kid(&self.identity().id, version), context)?;
        let given: [u8; NONCE_LEN] = digest::random();
        let mut nonce = given;
        let params = GcmParams::new(&mut nonce, header.as_bytes(), TAG_BITS.into())?;
        let sealed = session.encrypt(&Mechanism::AesGcm(params), key, secret.expose())?;
        match sealed.split_at_checked(secret.expose().len()) {
            Some((text, tag)) if tag.len() == TAG_LEN => Ok(jwe::join(&header, &nonce, text, tag)),
            _ => Err(self.refused("the token encrypts to another length than AES-GCM does".to_owned()).into()),
        }
    }

    fn unwrap(
        &self,
        session: &Session,
        generation: u64,
        context: &WrapContext,
        wrapped: &WrappedKey,
    ) -> Result<SecretKey, Trouble> {
        let version = self.version_of(wrapped)?;
        let key = self.key(session, generation, version)?;
        let jwe::Sealed { header, mut nonce, text } = jwe::split(context, wrapped)?;
        let params = GcmParams::new(&mut nonce, header.as_bytes(), TAG_BITS.into())?;
        match session.decrypt(&Mechanism::AesGcm(params), key, &text) {
            Ok(opened) => Ok(SecretKey::from_slice(&Zeroizing::new(opened)).ok_or(KmsError::Corrupt)?),
            Err(error) if objects::is_wrong_text(&error) => Err(self.blame(session, version, error)),
            Err(error) => Err(error.into()),
        }
    }

    /// Says that a text is corrupt only when the key is there and works: modules say the same of a token that is going.
    fn blame(&self, session: &Session, version: u32, error: Error) -> Trouble {
        let mut nonce: [u8; NONCE_LEN] = digest::random();
        let works = self.objects.key(session, version).is_ok_and(|key| {
            key.is_some_and(|key| {
                GcmParams::new(&mut nonce, b"domicile", TAG_BITS.into())
                    .and_then(|params| session.encrypt(&Mechanism::AesGcm(params), key, &[0; 16]))
                    .is_ok()
            })
        });
        if works { KmsError::Corrupt.into() } else { error.into() }
    }

    fn version_of(&self, wrapped: &WrappedKey) -> Result<u32, KmsError> {
        version_in(&jwe::key_id(wrapped)?, &self.identity().id).ok_or(KmsError::Corrupt)
    }

    fn describe(&self, session: &Session) -> Result<Vec<KeyVersion>, Trouble> {
        let notes = self.look(session)?;
        let newest = notes.last().map(|note| note.version);
        let version = |note: &Note| {
            let state = match self.found(session, note.version)? {
                None => KeyState::Destroyed,
                Some(_) if newest == Some(note.version) => KeyState::Primary,
                Some(_) => KeyState::DecryptOnly,
            };
            Ok(KeyVersion { version: note.version, state, created: Some(note.created) })
        };
        notes.iter().map(version).collect()
    }

    fn rotate(&self, session: &Session, now: Timestamp) -> Result<KeyVersion, Trouble> {
        let newest = self.look(session)?.last().map_or(0, |note| note.version);
        let version = newest.saturating_add(1);
        self.objects.generate(session, version)?;
        let note = self.objects.add_note(session, version, now)?;
        self.known.lock().notes.push(note);
        Ok(KeyVersion { version, state: KeyState::Primary, created: Some(now) })
    }

    fn destroy(&self, session: &Session, version: u32) -> Result<(), Trouble> {
        let (key, notes) = (self.identity().id.clone(), self.look(session)?);
        if !notes.iter().any(|note| note.version == version) {
            return Err(KmsError::UnknownVersion { key, version }.into());
        }
        if notes.last().is_some_and(|newest| newest.version == version) {
            return Err(KmsError::PrimaryVersion { key, version }.into());
        }
        if let Some(object) = self.objects.key(session, version)? {
            session.destroy_object(object)?;
        }
        self.known.lock().keys.remove(&version);
        match self.found(session, version)? {
            None => Ok(()),
            Some(_) => Err(self.refused(format!("the token says that version {version} is destroyed and still holds it")).into()),
        }
    }

    /// Has the newest version open what it wrapped before: another key can have been put in its place, under its label.
    fn prove(&self, session: &Session, generation: u64, version: u32) -> Result<(), Trouble> {
        // A context that no subject key has: generation 0 is never given out, and no bucket's pseudonym is all zeroes.
        let KeyIdentity { country, installation, .. } = *self.identity();
        let owner = KeyOwner::Bucket(Pseudonym::from_bytes([0; 16]));
        let context = WrapContext { installation, country, owner, generation: Generation(0) };
        let proof = self.known.lock().proof.clone();
        if let Some((secret, wrapped)) = proof.filter(|(_, wrapped)| self.version_of(wrapped).is_ok_and(|of| of == version)) {
            let another =
                || self.refused("another key stands under its label now: it does not open what the key wrapped before".into());
            return match self.unwrap(session, generation, &context, &wrapped) {
                Ok(opened) if opened.expose() == secret.expose() => Ok(()),
                Ok(_) | Err(Trouble::Known(KmsError::Corrupt)) => Err(another().into()),
                Err(error) => Err(error),
            };
        }
        let secret = SecretKey::random();
        let wrapped = self.wrap(session, generation, &context, &secret)?;
        self.known.lock().proof = Some((secret, wrapped));
        Ok(())
    }

    fn refused(&self, reason: String) -> KmsError {
        KmsError::Refused { key: self.identity().id.clone(), reason }
    }
}

#[async_trait]
impl KeyProvider for Pkcs11Provider {
    fn kind(&self) -> &'static str {
        "pkcs11"
    }

    async fn wrap(&self, context: &WrapContext, key: &SecretKey) -> Result<WrappedKey, KmsError> {
        self.inner.identity().check(context)?;
        let (context, key) = (context.clone(), key.clone());
        self.run(move |inner, session, generation| inner.wrap(session, generation, &context, &key)).await
    }

    async fn unwrap(&self, context: &WrapContext, wrapped: &WrappedKey) -> Result<SecretKey, KmsError> {
        self.inner.identity().check(context)?;
        // What cannot be right is not worth a session.
        jwe::split(context, wrapped)?;
        let (context, wrapped) = (context.clone(), wrapped.clone());
        self.run(move |inner, session, generation| inner.unwrap(session, generation, &context, &wrapped)).await
    }

    async fn rewrap(&self, context: &WrapContext, wrapped: &WrappedKey) -> Result<WrappedKey, KmsError> {
        let key = self.unwrap(context, wrapped).await?;
        self.wrap(context, &key).await
    }

    fn version_of(&self, wrapped: &WrappedKey) -> Result<u32, KmsError> {
        self.inner.version_of(wrapped)
    }

    fn opens(&self, version: u32) -> bool {
        !self.inner.known.lock().gone.contains(&version)
    }

    async fn describe(&self) -> Result<Vec<KeyVersion>, KmsError> {
        self.run(|inner, session, _| inner.describe(session)).await
    }

    async fn rotate(&self) -> Result<KeyVersion, KmsError> {
        let _alone = self.changing.lock().await;
        self.run(|inner, session, _| inner.rotate(session, inner.clock.now())).await
    }

    async fn destroy_version(&self, version: u32) -> Result<(), KmsError> {
        let _alone = self.changing.lock().await;
        self.run(move |inner, session, _| inner.destroy(session, version)).await
    }

    async fn health(&self) -> Result<(), KmsError> {
        self.run(|inner, session, generation| {
            inner.look(session)?;
            let version = inner.primary(session)?.version;
            match inner.found(session, version)? {
                Some(_) => inner.prove(session, generation, version),
                None => Err(inner.refused("the token holds its primary version no more".to_owned()).into()),
            }
        })
        .await
    }
}
