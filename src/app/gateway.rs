//! A running gateway's parts, and what is done with them as a whole: reloading what is configured, recording the stop.

use std::sync::Arc;

use tokio::sync::{Mutex, OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};

use super::{access::Access, imports::Importing, revisions::Revisions};
use crate::admin::{AccessView, GatewayError};
use crate::audit::{Actor, Event, Kind};
use crate::authn::{SessionKey, TokenIdentity};
use crate::erasure::Erasures;
use crate::import::Imports;
use crate::index::{Change, IndexError};
use crate::notary::Standing;
use crate::objects::{ObjectError, Objects};
use crate::relocation::Relocations;
use crate::rotation::Rotations;
use crate::scrub::Scrubs;
use crate::telemetry::Metrics;
use crate::types::RequestId;

/// A running gateway's parts.
pub(super) struct AppGateway {
    pub(super) objects: Objects,
    pub(super) access: Arc<Access>,
    pub(super) revisions: Revisions,
    pub(super) sessions: SessionKey,
    pub(super) metrics: Option<Metrics>,
    pub(super) relocations: Arc<Relocations>,
    pub(super) scrubs: Arc<Scrubs>,
    pub(super) importing: Importing,
    pub(super) rotations: Arc<Rotations>,
    pub(super) erasures: Arc<Erasures>,
    pub(super) key_use: Arc<super::keys::KeyUse>,
    /// How it stands with who vouches for the ledger's checkpoints.
    pub(super) vouchers: Arc<Standing>,
    /// One reload at a time, so that what is in force is what was recorded last.
    reloading: Arc<Mutex<()>>,
    /// Places for [long questions](AppGateway::place_for_long).
    long: Arc<Semaphore>,
}

/// Questions at a time that go through all records, through the ledger, or through all that two policy sets decide. Each keeps a core busy
/// and those who may ask them need no right to change anything: they must not be able to slow down the writes of all.
const LONG_AT_ONCE: usize = 4;

/// Long work that the API orders and the background does.
#[derive(Clone)]
pub(super) struct Work {
    pub(super) relocations: Arc<Relocations>,
    pub(super) rotations: Arc<Rotations>,
    pub(super) erasures: Arc<Erasures>,
    pub(super) scrubs: Arc<Scrubs>,
    pub(super) imports: Arc<Imports>,
}

impl AppGateway {
    pub(super) fn new(
        objects: Objects,
        access: Arc<Access>,
        revisions: Revisions,
        sessions: SessionKey,
        metrics: Option<Metrics>,
        Work { relocations, rotations, erasures, scrubs, .. }: Work,
        importing: Importing,
    ) -> Self {
        let reloading = Arc::default();
        Self {
            objects,
            access,
            revisions,
            sessions,
            metrics,
            relocations,
            scrubs,
            importing,
            rotations,
            erasures,
            key_use: Arc::default(),
            vouchers: Arc::default(),
            reloading,
            long: Arc::new(Semaphore::new(LONG_AT_ONCE)),
        }
    }

    /// Waits for a place for a plan, a comparison of policies, a report or a sample.
    pub(super) async fn place_for_long(&self) -> Result<OwnedSemaphorePermit, GatewayError> {
        Arc::clone(&self.long).acquire_owned().await.map_err(internal)
    }

    /// The same, knowing how it stands with who vouches for the ledger's checkpoints.
    pub(super) fn with_vouchers(self, vouchers: Arc<Standing>) -> Self {
        Self { vouchers, ..self }
    }

    /// Reads the configuration again and puts its principals and tokens in force; everything else in it waits for the next start.
    /// In the ledger before it is in force.
    pub(super) async fn reload_access(&self, actor: Actor, request: Option<RequestId>) -> Result<AccessView, GatewayError> {
        let access = Arc::clone(&self.access);
        let _turn = self.reloading.lock().await;
        let fresh = tokio::task::spawn_blocking(move || access.read()).await.map_err(internal)?;
        let Some(fresh) = fresh.map_err(GatewayError::Config)? else {
            return Err(GatewayError::Invalid("this gateway runs without a configuration file".to_owned()));
        };
        let view = AccessView {
            principals: fresh.principals.iter().count(),
            access_keys: fresh.principals.access_keys(),
            tokens: fresh.tokens.len(),
        };
        let event = Event { request, ..Event::new(Kind::AdminAction, actor) };
        self.objects.index.commit(Change::Note, event).await.map_err(internal)?;
        self.access.replace(fresh);
        tracing::info!(
            principals = view.principals,
            access_keys = view.access_keys,
            tokens = view.tokens,
            "credentials reloaded"
        );
        Ok(view)
    }

    /// Whether there is a configuration that could be read again.
    pub(super) fn has_configuration(&self) -> bool {
        self.access.has_file()
    }

    /// Waits for its turn to change what is in force.
    pub(super) async fn turn(&self) -> OwnedMutexGuard<()> {
        Arc::clone(&self.reloading).lock_owned().await
    }

    /// Records that the gateway has ended in order, and before it what only counts so far.
    pub(super) async fn record_stop(&self) -> Result<(), ObjectError> {
        self.objects.record_suppressed().await?;
        self.objects.record(Event::new(Kind::Stopped, Actor::System)).await
    }
}

impl From<IndexError> for GatewayError {
    fn from(error: IndexError) -> Self {
        match error {
            IndexError::Cursor => Self::Invalid(error.to_string()),
            IndexError::Exporting | IndexError::Behind => Self::Conflict(error.to_string()),
            error => Self::Internal(format!("index: {error}")),
        }
    }
}

impl From<ObjectError> for GatewayError {
    fn from(error: ObjectError) -> Self {
        match error {
            ObjectError::Overloaded => Self::Unavailable("the gateway is busy"),
            ObjectError::Unconfirmed => Self::Unavailable("it stands, but no site has confirmed it in time: ask again"),
            other => Self::Internal(other.to_string()),
        }
    }
}

pub(super) fn internal(error: impl std::fmt::Display) -> GatewayError {
    GatewayError::Internal(error.to_string())
}

pub(super) fn actor(who: &TokenIdentity) -> Actor {
    Actor::Token { role: who.role.as_str(), id: who.id.clone() }
}
