//! A Transit key as a provider.

use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use base64::{Engine, engine::general_purpose::STANDARD};
use futures_util::future::join3;
use http::Method;
use parking_lot::{Mutex, RwLock};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, de::DeserializeOwned};
use zeroize::Zeroizing;

use super::{
    VaultSettings,
    fit::TransitKey,
    server::{Failure, Server},
    session::Session,
    text,
};
use crate::kms::{KeyIdentity, KeyOwner, KeyProvider, KeyVersion, KmsError, SecretKey, WrapContext, WrappedKey};
use crate::types::{Generation, Pseudonym};

/// A country's key that a Transit engine holds.
pub struct VaultProvider {
    identity: KeyIdentity,
    settings: VaultSettings,
    server: Server,
    session: Session,
    /// What the server last said of the key.
    known: RwLock<Option<TransitKey>>,
    /// A key of ours that it wrapped, and its wrapping: what it must go on opening.
    proof: Mutex<Option<(SecretKey, WrappedKey)>>,
    warned: AtomicBool,
}

#[derive(Deserialize)]
struct Ciphertext {
    ciphertext: String,
}

#[derive(Deserialize)]
struct Plaintext {
    plaintext: SecretString,
}

#[derive(Deserialize)]
struct Cluster {
    cluster_id: Option<String>,
}

impl VaultProvider {
    /// Prepares to talk to the server; the first call connects.
    ///
    /// # Errors
    /// When the settings cannot be used, as an authority's file without a certificate.
    pub fn new(identity: KeyIdentity, settings: VaultSettings) -> Result<Self, KmsError> {
        Ok(Self {
            server: Server::new(identity.id.clone(), &settings)?,
            session: Session::new(settings.login.clone()),
            identity,
            settings,
            known: RwLock::new(None),
            proof: Mutex::new(None),
            warned: AtomicBool::new(false),
        })
    }

    /// Asks the engine, once more with another token where the first was refused and there is one.
    async fn ask<T: DeserializeOwned>(&self, method: Method, path: &str, body: Option<&[u8]>) -> Result<T, Failure> {
        let body = || body.map(|body| Zeroizing::new(body.to_vec()));
        let path = format!("{}/{path}", self.settings.mount);
        let pass = self.session.pass(&self.server).await?;
        match self.server.ask(method.clone(), &path, &pass.token, body()).await {
            Err(failure) if failure.is_forbidden() => match self.session.instead_of(&self.server, &pass).await {
                Some(pass) => self.server.ask(method, &path, &pass.token, body()).await,
                None => Err(failure),
            },
            answer => answer,
        }
    }

    /// Has the engine do something to the key.
    async fn order(&self, what: &str, body: &serde_json::Value) -> Result<(), KmsError> {
        let path = format!("{}/keys/{}/{what}", self.settings.mount, self.settings.name);
        let body = Zeroizing::new(body.to_string().into_bytes());
        let done = match self.session.pass(&self.server).await {
            Ok(pass) => self.server.order(&path, &pass.token, body).await,
            Err(failure) => Err(failure),
        };
        done.map_err(|failure| self.server.error(failure))
    }

    /// What the server says of the key now.
    pub(super) async fn read(&self) -> Result<TransitKey, KmsError> {
        let answer: Result<TransitKey, Failure> = self.ask(Method::GET, &format!("keys/{}", self.settings.name), None).await;
        let key = answer.map_err(|failure| self.server.error(failure))?;
        *self.known.write() = Some(key.clone());
        Ok(key)
    }

    /// Refuses a key that must not be used. The first call of all asks the server; after that it is asked each second anyway.
    async fn fit(&self) -> Result<(), KmsError> {
        let known = self.known.read().as_ref().map(TransitKey::faults);
        let faults = match known {
            Some(faults) => faults,
            None => self.read().await?.faults(),
        };
        match faults {
            Some(reason) => Err(KmsError::Unsuitable { key: self.identity.id.clone(), reason }),
            None => Ok(()),
        }
    }

    fn refused(&self, reason: impl Into<String>) -> KmsError {
        KmsError::Refused { key: self.identity.id.clone(), reason: reason.into() }
    }

    async fn encrypt(&self, context: &WrapContext, key: &SecretKey) -> Result<WrappedKey, KmsError> {
        let plaintext = Zeroizing::new(STANDARD.encode(key.expose()));
        let context = STANDARD.encode(context.canonical_bytes());
        let body = Zeroizing::new(format!(r#"{{"plaintext":"{}","context":"{context}"}}"#, plaintext.as_str()));
        let answer = self.ask(Method::POST, &format!("encrypt/{}", self.settings.name), Some(body.as_bytes())).await;
        let Ciphertext { ciphertext } = answer.map_err(|failure| self.server.error(failure))?;
        self.written(ciphertext)
    }

    async fn decrypt(&self, context: &WrapContext, wrapped: &WrappedKey) -> Result<SecretKey, KmsError> {
        let version = text::version(wrapped)?;
        let body = request(context, wrapped);
        let answer = self.ask(Method::POST, &format!("decrypt/{}", self.settings.name), Some(body.as_bytes())).await;
        let Plaintext { plaintext } = match answer {
            Ok(plaintext) => plaintext,
            Err(failure) => return Err(self.not_opened(failure, version).await),
        };
        let bytes = STANDARD.decode(plaintext.expose_secret()).map(Zeroizing::new).map_err(|_| KmsError::Corrupt)?;
        SecretKey::from_slice(&bytes).ok_or(KmsError::Corrupt)
    }

    /// A wrapping of the engine's, held against what it must look like before anything depends on it.
    fn written(&self, ciphertext: String) -> Result<WrappedKey, KmsError> {
        let wrapped = WrappedKey::new(ciphertext);
        match text::version(&wrapped) {
            Ok(_) => Ok(wrapped),
            Err(_) => Err(self.refused("its engine answers with something else than a ciphertext")),
        }
    }

    /// Why a version does not open what it wrapped: it is gone, or only disallowed.
    async fn not_opened(&self, failure: Failure, version: u32) -> KmsError {
        let key = || self.identity.id.clone();
        if failure.is_too_new() {
            return KmsError::UnknownVersion { key: key(), version };
        }
        if !failure.is_too_old() {
            return self.server.error(failure);
        }
        match self.read().await {
            Ok(facts) if facts.is_destroyed(version) => KmsError::Destroyed { key: key(), version },
            Ok(facts) => {
                let floor = facts.min_decryption_version;
                self.refused(format!("version {version} is not allowed to open anything (min_decryption_version is {floor})"))
            }
            Err(error) => error,
        }
    }

    /// Whether the server belongs to the cluster that the configuration names.
    async fn check_cluster(&self) -> Result<(), KmsError> {
        let Some(expected) = &self.settings.cluster else { return Ok(()) };
        // Asked so that a standby answers as well; a sealed server is told by the error.
        let answer = self.server.public::<Cluster>("sys/health?standbyok=true&perfstandbyok=true").await;
        let Cluster { cluster_id } = answer.map_err(|failure| self.server.error(failure))?;
        if cluster_id.as_ref() == Some(expected) {
            return Ok(());
        }
        let found = cluster_id.unwrap_or_else(|| "none".to_owned());
        let reason = format!("its server is of cluster {found}, not of {expected} as `cluster-id` says");
        Err(KmsError::Unsuitable { key: self.identity.id.clone(), reason })
    }

    /// Opens the value that the key wrapped before, when there is one; with the version that wrapped it. One that was destroyed, or disallowed,
    /// proves nothing any more, and is no fault of the key.
    pub(super) async fn reopen(&self) -> Option<(u32, Result<(), KmsError>)> {
        let (secret, wrapped) = self.proof.lock().clone()?;
        let version = text::version(&wrapped).ok()?;
        let another = || self.refused("another key stands under its name now: it does not open what the key wrapped before");
        let opened = match self.decrypt(&self.proof_context(), &wrapped).await {
            Ok(opened) if opened.expose() == secret.expose() => Ok(()),
            Ok(_) | Err(KmsError::Corrupt | KmsError::UnknownVersion { .. }) => Err(another()),
            Err(KmsError::Destroyed { .. }) => return None,
            // As the server has just said of the key, when it refused to open.
            Err(_) if !self.opens(version) => return None,
            Err(error) => Err(error),
        };
        Some((version, opened))
    }

    /// What [`Self::reopen`] came to, unless its version may not open anything any more. The primary version wraps a value for the next time.
    pub(super) async fn prove(&self, facts: &TransitKey, reopened: Option<(u32, Result<(), KmsError>)>) -> Result<(), KmsError> {
        let version = match reopened {
            Some((version, opened)) if version >= facts.floor() => opened.map(|()| Some(version))?,
            _ => None,
        };
        if version != Some(facts.latest_version) {
            let secret = SecretKey::random();
            let wrapped = self.encrypt(&self.proof_context(), &secret).await?;
            *self.proof.lock() = Some((secret, wrapped));
        }
        Ok(())
    }

    /// A context that no subject key has: generation 0 is never given out, and no bucket's pseudonym is all zeroes.
    fn proof_context(&self) -> WrapContext {
        let KeyIdentity { country, installation, .. } = self.identity.clone();
        let owner = KeyOwner::Bucket(Pseudonym::from_bytes([0; 16]));
        WrapContext { installation, country, owner, generation: Generation(0) }
    }
}

#[async_trait]
impl KeyProvider for VaultProvider {
    fn kind(&self) -> &'static str {
        "vault"
    }

    async fn wrap(&self, context: &WrapContext, key: &SecretKey) -> Result<WrappedKey, KmsError> {
        self.identity.check(context)?;
        self.fit().await?;
        self.encrypt(context, key).await
    }

    async fn unwrap(&self, context: &WrapContext, wrapped: &WrappedKey) -> Result<SecretKey, KmsError> {
        self.identity.check(context)?;
        self.fit().await?;
        self.decrypt(context, wrapped).await
    }

    /// The key stays within the engine.
    async fn rewrap(&self, context: &WrapContext, wrapped: &WrappedKey) -> Result<WrappedKey, KmsError> {
        self.identity.check(context)?;
        self.fit().await?;
        let version = text::version(wrapped)?;
        let body = request(context, wrapped);
        match self.ask(Method::POST, &format!("rewrap/{}", self.settings.name), Some(body.as_bytes())).await {
            Ok(Ciphertext { ciphertext }) => self.written(ciphertext),
            Err(failure) => Err(self.not_opened(failure, version).await),
        }
    }

    fn version_of(&self, wrapped: &WrappedKey) -> Result<u32, KmsError> {
        text::version(wrapped)
    }

    fn opens(&self, version: u32) -> bool {
        self.known.read().as_ref().is_none_or(|facts| version >= facts.floor())
    }

    async fn describe(&self) -> Result<Vec<KeyVersion>, KmsError> {
        Ok(self.read().await?.versions())
    }

    async fn rotate(&self) -> Result<KeyVersion, KmsError> {
        self.fit().await?;
        self.order("rotate", &serde_json::json!({})).await?;
        let made = self.read().await?.versions().pop();
        made.ok_or_else(|| self.refused("it has no version after its rotation"))
    }

    /// The engine destroys from the oldest version on (`trim`), and only what is not allowed to be used any more. So the versions before must
    /// be gone, and the key's settings are raised first. Backups and snapshots of the server's own storage are the server's: what they hold
    /// is not destroyed by this.
    async fn destroy_version(&self, version: u32) -> Result<(), KmsError> {
        let key = || self.identity.id.clone();
        let facts = self.read().await?;
        if version == 0 || version > facts.latest_version {
            return Err(KmsError::UnknownVersion { key: key(), version });
        }
        if version == facts.latest_version {
            return Err(KmsError::PrimaryVersion { key: key(), version });
        }
        if facts.is_destroyed(version) {
            return Ok(());
        }
        if version > facts.oldest() {
            let oldest = facts.oldest();
            return Err(self.refused(format!("Transit destroys from the oldest version on: destroy version {oldest} first")));
        }
        let floor = version.saturating_add(1);
        let settings = serde_json::json!({
            "min_decryption_version": facts.min_decryption_version.max(floor),
            "min_encryption_version": facts.min_encryption_version.max(floor),
        });
        self.order("config", &settings).await?;
        self.order("trim", &serde_json::json!({ "min_available_version": floor })).await?;
        if self.read().await?.is_destroyed(version) {
            Ok(())
        } else {
            Err(self.refused(format!("its engine took the order to destroy version {version} and still has it")))
        }
    }

    /// All at the same time: the server may be far, and has little time to answer.
    async fn health(&self) -> Result<(), KmsError> {
        self.session.keep_fresh(&self.server).await.map_err(|failure| self.server.error(failure))?;
        let (cluster, facts, reopened) = join3(self.check_cluster(), self.read(), self.reopen()).await;
        cluster?;
        let facts = facts?;
        self.fit().await?;
        if facts.soft_deleted {
            return Err(self.refused("it is deleted, and can still be restored"));
        }
        if facts.deletion_allowed && !self.warned.swap(true, Ordering::Relaxed) {
            let advice = "set deletion_allowed=false on it: whoever deletes it erases its country";
            tracing::warn!(key = %self.identity.id, advice, "a key can be deleted");
        }
        self.prove(&facts, reopened).await
    }
}

fn request(context: &WrapContext, wrapped: &WrappedKey) -> String {
    let context = STANDARD.encode(context.canonical_bytes());
    format!(r#"{{"ciphertext":"{}","context":"{context}"}}"#, wrapped.as_str())
}
