//! The two listeners: S3 and admin.

use std::net::SocketAddr;

use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use tokio::{sync::watch, task::JoinHandle};

use super::StartError;
use crate::admin::{Routes, login::Caller};
use crate::config::{Config, Limits, Tls};
use crate::s3::{Client, S3Service};
use crate::server::{self, Reserved, TlsFiles};

/// The addresses, taken before keys and index are opened or made: a gateway that cannot be reached records no start. They refuse whoever
/// connects until they are served.
pub(super) struct Doors {
    s3: Door,
    admin: Door,
}

struct Door {
    reserved: Reserved,
    tls: Option<server::Tls>,
}

/// Both, open.
pub(super) struct Served {
    pub(super) s3: SocketAddr,
    pub(super) admin: SocketAddr,
    pub(super) listeners: Vec<JoinHandle<server::Drained>>,
}

impl Doors {
    /// Takes the addresses and reads the certificates.
    pub(super) fn take(config: &Config) -> Result<Self, StartError> {
        let [s3, admin] = Reserved::two(config.s3.listen, config.admin.listen)?;
        Ok(Self {
            s3: Door { reserved: s3, tls: tls(config.s3.tls.as_ref())? },
            admin: Door { reserved: admin, tls: tls(config.admin.tls.as_ref())? },
        })
    }

    /// Serves S3 at one and the admin API, with the console, at the other, until `stopped` says so.
    pub(super) fn serve(
        self,
        s3: S3Service,
        admin: Routes,
        config: &Limits,
        stopped: &watch::Receiver<bool>,
    ) -> Result<Served, StartError> {
        let (s3_address, admin_address) = (self.s3.reserved.address(), self.admin.reserved.address());
        let (s3_listener, admin_listener) = (self.s3.reserved.listen()?, self.admin.reserved.listen()?);
        let s3_task = tokio::spawn(server::serve(
            s3_listener,
            self.s3.tls,
            limits("s3", config),
            flagged(stopped.clone()),
            move |request, peer| {
                let s3 = s3.clone();
                let client = Client { address: Some(peer.address.ip()), tls: peer.tls.is_some(), tls_version: peer.tls };
                async move { s3.handle(request, client).await }
            },
        ));
        let admin = TowerToHyperService::new(admin);
        let admin_task = tokio::spawn(server::serve(
            admin_listener,
            self.admin.tls,
            limits("admin", config),
            flagged(stopped.clone()),
            move |mut request, peer| {
                request.extensions_mut().insert(Caller { address: peer.address.ip(), tls: peer.tls.is_some() });
                let answer = admin.call(request);
                async move { answer.await.unwrap_or_else(|never| match never {}) }
            },
        ));
        Ok(Served { s3: s3_address, admin: admin_address, listeners: vec![s3_task, admin_task] })
    }
}

fn tls(tls: Option<&Tls>) -> Result<Option<server::Tls>, StartError> {
    let load = |tls: &Tls| {
        let files = TlsFiles { certificate: tls.cert.clone(), key: tls.key.clone(), client_ca: tls.client_ca.clone() };
        server::Tls::load(files)
    };
    Ok(tls.map(load).transpose()?)
}

fn limits(name: &'static str, limits: &Limits) -> server::Limits {
    server::Limits {
        name,
        max_connections: limits.connections,
        max_head_bytes: limits.header_size,
        head_timeout: limits.header_timeout,
        write_timeout: limits.body_timeout,
        drain_timeout: limits.drain,
        ..server::Limits::default()
    }
}

async fn flagged(mut stopped: watch::Receiver<bool>) {
    // An error means that the sender is gone, which is a stop too.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}
