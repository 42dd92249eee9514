//! Starting and stopping.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io,
    net::SocketAddr,
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use arc_swap::ArcSwap;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use tokio::{net::TcpListener, runtime::Handle, sync::watch, task::JoinHandle};

use super::{
    access::Access,
    background::Background,
    gateway::{AppGateway, Work},
    imports::Importing,
    key_uses::KeyUses,
    known_sites::IndexedSites,
    open,
    resume::{Resumed, resume},
    revisions::{Brought, Revisions},
};
use crate::admin::{
    self, Guard, Quotas,
    login::{Caller, Login, Oidc},
};
use crate::audit::{Actor, Event, Kind};
use crate::authn::{DuplicateAccessKey, HostRules, S3Authenticator, SessionKey};
use crate::backend::{BackendError, Installation, Sites};
use crate::clock::{Clock, SystemClock};
use crate::config::{Config, Limits, Tls};
use crate::console;
use crate::diagnostics::Diagnostic;
use crate::erasure::Erasures;
use crate::index::{Change, CommitError, EngineError, ImportedIndex, Index, IndexError};
use crate::kms::{KmsError, Pseudonyms};
use crate::notary::Notary;
use crate::objects::{MemoryBudget, Objects, ObjectsParts};
use crate::relocation::Relocations;
use crate::residency::{self, Residency};
use crate::rotation::Rotations;
use crate::s3::{Client, S3Parts, S3Service};
use crate::scrub::Scrubs;
use crate::server::{self, TlsError, TlsFiles};
use crate::telemetry::Metrics;
use crate::types::{Country, PolicyRevision, SiteId};

/// How long a stop waits for the journal.
const LAST_JOURNAL: Duration = Duration::from_secs(5);
/// How often sites are probed.
const PROBE: Duration = Duration::from_secs(5);

/// Starts gateways.
#[derive(Debug)]
pub struct App;

/// A running gateway. Dropped without [`Running::shutdown`], it stops without draining.
pub struct Running {
    s3: SocketAddr,
    admin: SocketAddr,
    gateway: Arc<AppGateway>,
    objects: Objects,
    index: Index,
    stop: watch::Sender<bool>,
    listeners: Vec<JoinHandle<server::Drained>>,
    background: Background,
    key_uses: Arc<KeyUses>,
    _lock: File,
}

/// Why a gateway does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A file or folder.
    #[error("cannot use `{}`: {source}", path.display())]
    File {
        /// Its path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Two gateways, one data folder.
    #[error("another gateway uses `{}`: stop it, or name another folder (`data-dir`, --data-dir)", data_dir.display())]
    Locked {
        /// The folder.
        data_dir: PathBuf,
    },
    /// There is an index, but not the keyring that it was written with.
    #[error("there is an index but no keyring at `{}`: put the keyring back; nothing can be read without it", path.display())]
    KeyringMissing {
        /// Where it should be.
        path: PathBuf,
    },
    /// The index was imported without some of its sites.
    #[error(
        "the index is of {} and lacks what only {} can tell since then; what is written now could take the place of what is missing. Run \
         `domicile index import` once more with every site, or `domicile index rebuild`; or start with --accept-imported",
        .0.exported.to_rfc3339(), names(&.0.without)
    )]
    Behind(Box<ImportedIndex>),
    /// The policies are wrong.
    #[error("the policies cannot be used:\n{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Policies(Vec<Diagnostic>),
    /// The set that was last in force has to be served or compared, and cannot be.
    #[error(
        "the policy set that was last in force, {revision}, cannot be used any more, so nothing can be held against it:\n{}\nPut the \
         folder's set in its place by starting once with `[policy-approval] require = \"never\"` and a changed folder",
        mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    )]
    KeptPolicies {
        /// The set.
        revision: PolicyRevision,
        /// What is wrong with it.
        mistakes: Vec<Diagnostic>,
    },
    /// The address cannot be listened on.
    #[error(
        "cannot listen on {address}: {source}; choose another address (`listen` of `[s3]` and `[admin]`, or --s3 and --admin)"
    )]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// Witnesses or a time-stamping authority cannot be asked.
    #[error("nobody can be asked to vouch for the ledger: {0}")]
    Notary(String),
    /// Keys.
    #[error(transparent)]
    Keys(#[from] KmsError),
    /// The index's engine.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The index.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// A commit that has to precede service.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// A site's settings.
    #[error(transparent)]
    Site(#[from] BackendError),
    /// The OpenID provider's authorities.
    #[error("`[oidc]`: {0}")]
    Oidc(String),
    /// A listener's certificates.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Principals.
    #[error(transparent)]
    Principals(#[from] DuplicateAccessKey),
}

impl App {
    /// Starts a gateway. Port 0 means any free port. Sites that do not answer do not keep it from starting.
    ///
    /// # Errors
    /// Whatever keeps it from serving; nothing is left running then.
    pub async fn start(config: Config) -> Result<Running, StartError> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        // First of all: what is measured only when it changes would be lost.
        let metrics = Metrics::install().ok();
        let lock = open::lock(&config.data_dir)?;
        let available = open::available(&config);
        let folder = open::policy_set(&config.policies, &available).map_err(StartError::Policies)?;
        let keyring = open::keyring(&config, &clock)?;
        let hierarchy = Arc::new(open::hierarchy(&config, &keyring).await?);
        let key_uses = Arc::new(KeyUses::default());
        hierarchy.observe(Arc::clone(&key_uses) as _);
        let pseudonyms = Arc::new(Pseudonyms::new(keyring.pseudonym_key()));
        let index = open::index(&config, &keyring, &pseudonyms, &clock)?;
        open::hold_keys_to_what_they_wrapped(&hierarchy, &index).await?;
        open::look_at_keys(&hierarchy).await?;
        let behind = index.imported()?;
        if let Some(imported) = behind.as_ref().filter(|_| !config.accept_imported) {
            return Err(StartError::Behind(Box::new(imported.clone())));
        }

        let countries: BTreeSet<Country> = config.sites.iter().map(|site| site.country).collect();
        if let Some(home) = open::home(&config) {
            index.begin_journal(home, &countries)?;
            index.keep_who_is_away().await?;
        }
        let known = IndexedSites {
            index: index.clone(),
            countries: config.sites.iter().map(|site| (site.id.clone(), site.country)).collect(),
            clock: Arc::clone(&clock),
            runtime: Handle::current(),
        };
        let installation = Installation::new(keyring.installation_id(), keyring.site_key(), Arc::new(known));
        let sites = Arc::new(Sites::new(open::sites(&config, &[])?, installation));
        for (site, outcome) in sites.verify().await {
            if let Err(error) = outcome {
                tracing::error!(%site, %error, "site is not in service");
            }
        }

        let seen = folder.folder();
        let Resumed { set, steps } = resume(&index, folder, &available, config.approval, residency::today(clock.now()))?;
        let revision = set.revision();
        for (kind, step) in steps {
            index.commit(Change::Policy(Box::new(step)), Event::new(kind, Actor::System)).await?;
        }
        let mut started = Event::new(Kind::Started, Actor::System);
        if let Some(imported) = behind {
            tracing::error!(without = ?imported.without, "the index lacks what these sites know since its export; see docs/operations.md");
            started.export = Some(Box::new(imported.entry()));
        }
        index.commit(Change::Note, started).await?;
        let policies = Arc::new(ArcSwap::from_pointee(set));
        let keys: BTreeMap<_, _> = config.keys.iter().rev().map(|key| (key.country, key.id.clone())).collect();
        let residency = Residency::new(
            Arc::clone(&policies),
            open::specs(&config),
            config.sites_per_country,
            Arc::new(index.clone()),
            Arc::clone(&sites) as _,
            Arc::clone(&clock),
        )
        .with_keys(keys)
        .in_country(config.gateway_country);
        let objects = Objects::new(ObjectsParts {
            index: index.clone(),
            residency: Arc::new(residency),
            policies: Arc::clone(&policies),
            hierarchy,
            pseudonyms,
            sites: Arc::clone(&sites),
            clock: Arc::clone(&clock),
            memory: MemoryBudget::new(config.limits.memory),
            directory_ids: config.directory_ids,
        });
        objects.set_subject_key_life(config.subject_keys);
        objects.set_recorded_reads(config.ledger.reads);
        let principals = config.known_principals()?;
        let access = Arc::new(Access::new(config.file.clone(), principals, config.tokens.clone()));
        let session_key = keyring.session_key();
        let sessions = || SessionKey::new(*session_key.expose());
        let revisions = Revisions::new(config.policies.clone(), available, config.approval, seen);
        let importing = Importing::new(&objects, Arc::clone(&access.principals), &config);
        let work = Work {
            relocations: Arc::new(Relocations::new(objects.clone())),
            rotations: Arc::new(Rotations::new(objects.clone())),
            erasures: Arc::new(Erasures::new(objects.clone(), config.erasure_within)),
            scrubs: Arc::new(Scrubs::new(objects.clone())),
            imports: Arc::clone(&importing.imports),
        };
        let gateway =
            AppGateway::new(objects.clone(), Arc::clone(&access), revisions, sessions(), metrics, work.clone(), importing);
        let notary =
            Notary::new(objects.index.clone(), Arc::clone(&clock), config.ledger.notary.clone()).map_err(StartError::Notary)?;
        let gateway = Arc::new(gateway.with_vouchers(notary.standing()));

        let (stop, stopped) = watch::channel(false);
        let hosts = HostRules::new(config.s3.base_domains.clone(), config.s3.external_hosts.clone());
        let authenticator = S3Authenticator::new(Arc::clone(&access.principals), config.s3.region.clone(), hosts)
            .with_form_version_2(config.s3.post_signature_v2)
            .with_sessions(sessions());
        let known_time = Arc::clone(&clock);
        let s3 = S3Service::new(S3Parts {
            objects: objects.clone(),
            authenticator: Arc::new(authenticator),
            clock: Arc::clone(&clock),
            external_url: config.s3.external_url.clone(),
            unsigned_payload: config.s3.unsigned_payload,
            customer_keys_over_http: config.s3.customer_keys_over_http,
            anonymous_residence: config.s3.anonymous_residence,
            new_buckets: config.s3.new_buckets.clone(),
            body_patience: config.limits.body_timeout,
            concurrent_requests: config.limits.concurrent_requests,
            anonymous: config.limits.anonymous,
        });
        let guard = guard(&config, &access, Arc::clone(&known_time))?;
        let login = Login::new(Arc::clone(&gateway) as _, guard.clone(), &config.admin.login);
        let router = admin::router(Arc::clone(&gateway) as _, guard).merge(console::router(
            Arc::clone(&gateway) as _,
            login,
            Arc::clone(&known_time),
        ));
        let admin = TowerToHyperService::new(router);
        let s3_listener = bind(config.s3.listen).await?;
        let admin_listener = bind(config.admin.listen).await?;
        let (s3_address, admin_address) = (local(&s3_listener)?, local(&admin_listener)?);
        let (s3_tls, admin_tls) = (tls(config.s3.tls.as_ref())?, tls(config.admin.tls.as_ref())?);
        let s3_task = tokio::spawn(server::serve(
            s3_listener,
            s3_tls,
            limits("s3", &config.limits),
            flagged(stopped.clone()),
            move |request, peer| {
                let s3 = s3.clone();
                let client = Client { address: Some(peer.address.ip()), tls: peer.tls.is_some(), tls_version: peer.tls };
                async move { s3.handle(request, client).await }
            },
        ));
        let admin_task = tokio::spawn(server::serve(
            admin_listener,
            admin_tls,
            limits("admin", &config.limits),
            flagged(stopped.clone()),
            move |mut request, peer| {
                request.extensions_mut().insert(Caller { address: peer.address.ip(), tls: peer.tls.is_some() });
                let answer = admin.call(request);
                async move { answer.await.unwrap_or_else(|never| match never {}) }
            },
        ));
        let background = Background::start(
            &objects,
            [sites.watch(PROBE), sites.keep_inspecting(config.site_checks.every)],
            (Arc::clone(&key_uses), keyring.export_notes()),
            (config.gc_grace, config.lifecycle, config.scrub),
            work,
            notary,
            stopped,
        );
        tracing::info!(s3 = %s3_address, admin = %admin_address, policies = %revision, "serving");
        Ok(Running {
            s3: s3_address,
            admin: admin_address,
            gateway,
            objects,
            index,
            stop,
            listeners: vec![s3_task, admin_task],
            background,
            key_uses,
            _lock: lock,
        })
    }
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

fn guard(config: &Config, access: &Access, clock: Arc<dyn Clock>) -> Result<Guard, StartError> {
    let oidc = config.oidc.clone().map(|settings| Oidc::new(settings, clock).map_err(StartError::Oidc)).transpose()?;
    let quotas = Arc::new(Quotas::new(config.admin.quota));
    Ok(Guard { tokens: Arc::clone(&access.tokens), oidc: oidc.map(Arc::new), quotas })
}

fn names(sites: &[SiteId]) -> String {
    sites.iter().map(|site| format!("`{site}`")).collect::<Vec<_>>().join(", ")
}

async fn bind(address: SocketAddr) -> Result<TcpListener, StartError> {
    server::bind(address).await.map_err(|source| StartError::Listen { address, source })
}

fn local(listener: &TcpListener) -> Result<SocketAddr, StartError> {
    let unknown = SocketAddr::from(([0, 0, 0, 0], 0));
    listener.local_addr().map_err(|source| StartError::Listen { address: unknown, source })
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

#[cfg(test)]
mod tests;
