//! A gateway that runs, until it is stopped.

use std::{fs::File, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{sync::watch, task::JoinHandle};

use crate::admin;
use crate::app::{background::Background, gateway::AppGateway, key_uses::KeyUses, revisions::Brought};
use crate::audit::Actor;
use crate::index::{Index, IndexError};
use crate::objects::Objects;
use crate::server;

/// How long a stop waits for the journal.
const LAST_JOURNAL: Duration = Duration::from_secs(5);

/// A running gateway. Dropped without [`Running::shutdown`], it stops without draining.
pub struct Running {
    pub(super) s3: SocketAddr,
    pub(super) admin: SocketAddr,
    pub(super) gateway: Arc<AppGateway>,
    pub(super) objects: Objects,
    pub(super) index: Index,
    pub(super) stop: watch::Sender<bool>,
    pub(super) listeners: Vec<JoinHandle<server::Drained>>,
    pub(super) background: Background,
    pub(super) key_uses: Arc<KeyUses>,
    pub(super) _lock: File,
}

impl Running {
    /// Where S3 is served.
    pub const fn s3_addr(&self) -> SocketAddr {
        self.s3
    }

    /// Where the admin API is served.
    pub const fn admin_addr(&self) -> SocketAddr {
        self.admin
    }

    /// Reads policies, principals and tokens again. Each of the two stays as it is when its files are wrong, which is logged.
    pub async fn reload(&self) {
        if self.gateway.has_configuration()
            && let Err(error) = self.gateway.reload_access(Actor::Signal, None).await
        {
            tracing::error!(%error, "credentials not reloaded");
        }
        match self.gateway.reload(Actor::Signal, None).await {
            Ok(Brought::InForce(revision)) => tracing::info!(%revision, "policies reloaded"),
            Ok(Brought::Proposed(revision)) => tracing::warn!(%revision, "the policies wait for approval; those in force stay"),
            Err(error) => {
                if let admin::GatewayError::Policies(mistakes) = &error {
                    mistakes.iter().for_each(|mistake| tracing::error!(%mistake, "policy"));
                }
                tracing::error!(%error, "policies not reloaded");
            }
        }
    }

    /// Waits until the index cannot go on. Nothing may be acknowledged after that.
    pub async fn failed(&self) -> IndexError {
        self.index.failed().await
    }

    /// Stops: no new connections, requests under way finish within the configured time, then background work ends.
    pub async fn shutdown(self) {
        let _ = self.stop.send(true);
        for listener in self.listeners {
            if let Ok(drained) = listener.await
                && drained.cut_off > 0
            {
                tracing::warn!(connections = drained.cut_off, "cut off unfinished requests");
            }
        }
        self.background.stop().await;
        self.key_uses.flush(&self.objects).await;
        if let Err(error) = self.gateway.record_stop().await {
            tracing::error!(%error, "the stop is not in the ledger");
        }
        if !self.objects.finish_journal(LAST_JOURNAL).await {
            tracing::warn!("not all sites have been told of the last changes; they will be after the next start");
        }
        // Those of the journal's end; the sites are told of them after the next start.
        self.key_uses.flush(&self.objects).await;
    }
}
