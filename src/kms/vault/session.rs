//! Being let in: tokens from files and roles, renewed before they end.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use http::Method;
use parking_lot::RwLock;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::{
    VaultLogin,
    server::{Failure, Grant, Server},
};

/// Between two tries to renew a token or to be let in anew.
const PAUSE: Duration = Duration::from_secs(5);
/// The lease of a token that says it has none.
const ENDLESS: Duration = Duration::from_secs(365 * 24 * 3600);

/// Who we are to one server.
pub(super) struct Session {
    login: VaultLogin,
    current: RwLock<Option<Arc<Pass>>>,
    /// Held by who gets another token, so that all wait for one.
    getting: tokio::sync::Mutex<Option<Instant>>,
}

/// A token, and what is known of it.
pub(super) struct Pass {
    pub(super) token: SecretString,
    /// Of the file that it was read from.
    stamp: Option<Stamp>,
    /// When to renew it; none where that is of no use.
    renew: RwLock<Option<Instant>>,
}

/// Tells a file from what replaces it.
type Stamp = (u64, u64, Option<SystemTime>);

#[derive(Deserialize)]
struct Looked {
    ttl: u64,
    renewable: bool,
}

impl Session {
    pub(super) fn new(login: VaultLogin) -> Self {
        Self { login, current: RwLock::new(None), getting: tokio::sync::Mutex::new(None) }
    }

    /// The token to ask with.
    pub(super) async fn pass(&self, server: &Server) -> Result<Arc<Pass>, Failure> {
        if let Some(pass) = self.known() {
            return Ok(pass);
        }
        let mut last = self.getting.lock().await;
        if let Some(pass) = self.known() {
            return Ok(pass);
        }
        self.get(server, &mut last).await
    }

    /// Another token than one that was refused, if there is one to be had.
    pub(super) async fn instead_of(&self, server: &Server, refused: &Arc<Pass>) -> Option<Arc<Pass>> {
        let mut last = self.getting.lock().await;
        if let Some(pass) = self.known().filter(|pass| !Arc::ptr_eq(pass, refused)) {
            return Some(pass);
        }
        match &self.login {
            VaultLogin::Token(_) => None,
            // Not at each refusal: what is refused may be something else than the token.
            VaultLogin::AppRole { .. } if last.is_some_and(|last| last.elapsed() < PAUSE) => None,
            VaultLogin::TokenFile(path) if stamp(path).ok() == refused.stamp => None,
            VaultLogin::TokenFile(_) | VaultLogin::AppRole { .. } => self.get(server, &mut last).await.ok(),
        }
    }

    /// Looks whether the token's file has changed, and renews what would end. Asked each second.
    pub(super) async fn keep_fresh(&self, server: &Server) -> Result<(), Failure> {
        let pass = self.pass(server).await?;
        if let VaultLogin::TokenFile(path) = &self.login
            && stamp(path).is_ok_and(|now| pass.stamp != Some(now))
        {
            self.get(server, &mut *self.getting.lock().await).await?;
            return Ok(());
        }
        let due = pass.renew.read().is_some_and(|due| due <= Instant::now());
        if due {
            *pass.renew.write() = Some(Instant::now() + PAUSE);
            match server.grant("auth/token/renew-self", Some(&pass.token), Zeroizing::new(b"{}".to_vec())).await {
                Ok(grant) => *pass.renew.write() = half(&grant),
                // A role is logged in anew in time; a token of somebody else's is theirs to renew.
                Err(error) if matches!(self.login, VaultLogin::AppRole { .. }) => {
                    tracing::info!(?error, "a token of the key server cannot be renewed: logging in again");
                    self.get(server, &mut *self.getting.lock().await).await?;
                }
                Err(error) => tracing::warn!(?error, "a token of the key server cannot be renewed"),
            }
        }
        Ok(())
    }

    fn known(&self) -> Option<Arc<Pass>> {
        self.current.read().clone()
    }

    async fn get(&self, server: &Server, last: &mut Option<Instant>) -> Result<Arc<Pass>, Failure> {
        *last = Some(Instant::now());
        let pass = match &self.login {
            VaultLogin::Token(token) => Pass { renew: renewal(server, token).await, token: token.clone(), stamp: None },
            VaultLogin::TokenFile(path) => {
                let stamp = stamp(path).map_err(|error| unreadable(path, &error))?;
                let token = read(path)?;
                Pass { renew: renewal(server, &token).await, token, stamp: Some(stamp) }
            }
            VaultLogin::AppRole { mount, role_id, secret_id_file } => {
                let secret = read(secret_id_file)?;
                let body = serde_json::json!({ "role_id": role_id, "secret_id": secret.expose_secret() });
                let body = Zeroizing::new(body.to_string().into_bytes());
                let grant = server.grant(&format!("auth/{mount}/login"), None, body).await?;
                Pass { renew: RwLock::new(half(&grant)), token: grant.client_token, stamp: None }
            }
        };
        let pass = Arc::new(pass);
        *self.current.write() = Some(Arc::clone(&pass));
        Ok(pass)
    }
}

/// When to renew a token, which the token itself may ask. Where it may not, others must see to it.
async fn renewal(server: &Server, token: &SecretString) -> RwLock<Option<Instant>> {
    let looked = server.ask::<Looked>(Method::GET, "auth/token/lookup-self", token, None).await;
    let due = match looked {
        Ok(Looked { ttl, renewable: true }) if ttl > 0 => Some(Instant::now() + Duration::from_secs(ttl) / 2),
        Ok(_) => None,
        Err(Failure::Answered(..)) => None,
        // Asked again soon.
        Err(Failure::Unreachable(_)) => Some(Instant::now() + PAUSE),
    };
    RwLock::new(due)
}

fn half(grant: &Grant) -> Option<Instant> {
    let lease = if grant.lease_duration == 0 { ENDLESS } else { Duration::from_secs(grant.lease_duration) };
    (grant.renewable || grant.lease_duration > 0).then(|| Instant::now() + lease / 2)
}

fn stamp(path: &Path) -> io::Result<Stamp> {
    let facts = fs::metadata(path)?;
    Ok((facts.ino(), facts.len(), facts.modified().ok()))
}

fn read(path: &Path) -> Result<SecretString, Failure> {
    let text = Zeroizing::new(fs::read_to_string(path).map_err(|error| unreadable(path, &error))?);
    Ok(SecretString::from(text.trim().to_owned()))
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    Failure::Unreachable(format!("cannot read `{}`: {error}", path.display()))
}
