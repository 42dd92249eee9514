//! Starting gateways.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use tokio::sync::watch;

use self::{doors::Doors, ground::Ground};
use super::{
    access::Access,
    background::Background,
    gateway::{AppGateway, Work},
    imports::Importing,
    open::{self, ReadSet},
    resume::{Resumed, resume},
    revisions::Revisions,
};
use crate::admin::{
    self, Guard, Quotas,
    login::{Login, Oidc},
};
use crate::audit::{Actor, Event, Kind};
use crate::authn::{HostRules, S3Authenticator, SessionKey};
use crate::backend::Sites;
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::console;
use crate::erasure::Erasures;
use crate::index::Change;
use crate::notary::Notary;
use crate::objects::{MemoryBudget, Objects, ObjectsParts};
use crate::policy::{Available, PolicySet};
use crate::relocation::Relocations;
use crate::residency::{self, Residency};
use crate::rotation::Rotations;
use crate::s3::{S3Parts, S3Service};
use crate::scrub::Scrubs;
use crate::telemetry::Metrics;

mod doors;
mod error;
mod ground;
mod running;

pub use error::StartError;
pub use running::Running;

/// How often sites are probed.
const PROBE: Duration = Duration::from_secs(5);

/// Starts gateways.
#[derive(Debug)]
pub struct App;

impl App {
    /// Starts a gateway. Port 0 means any free port. Sites that do not answer do not keep it from starting.
    ///
    /// # Errors
    /// Whatever keeps it from serving; nothing is left running then.
    pub async fn start(config: Config) -> Result<Running, StartError> {
        // First of all: what is measured only when it changes would be lost.
        let metrics = Metrics::install().ok();
        let lock = open::lock(&config.data_dir)?;
        let doors = Doors::take(&config)?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let available = open::available(&config);
        let folder = open::policy_set(&config.policies, &available).map_err(StartError::Policies)?;
        let seen = folder.folder();
        let ground = Ground::open(&config, &clock).await?;
        let sites = ground.sites(&config, &clock).await?;
        let set = in_force(&ground, folder, &available, &config, clock.as_ref()).await?;
        let revision = set.revision();
        note_start(&ground).await?;

        let objects = objects(&config, &ground, &sites, set, &clock);
        let access = Arc::new(Access::new(config.file.clone(), config.known_principals()?, config.tokens.clone()));
        let session_key = ground.keyring.session_key();
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
        let notary =
            Notary::new(objects.index.clone(), Arc::clone(&clock), config.ledger.notary.clone()).map_err(StartError::Notary)?;
        let gateway =
            AppGateway::new(objects.clone(), Arc::clone(&access), revisions, sessions(), metrics, work.clone(), importing)
                .with_vouchers(notary.standing());
        let gateway = Arc::new(gateway);

        let (stop, stopped) = watch::channel(false);
        let s3 = s3_service(&config, &objects, &access, sessions(), &clock);
        let guard = guard(&config, &access, Arc::clone(&clock))?;
        let login = Login::new(Arc::clone(&gateway) as _, guard.clone(), &config.admin.login);
        let console = console::router(Arc::clone(&gateway) as _, login, clock);
        let served = doors.serve(s3, admin::router(Arc::clone(&gateway) as _, guard).merge(console), &config.limits, &stopped)?;
        let background = Background::start(
            &objects,
            [sites.watch(PROBE), sites.keep_inspecting(config.site_checks.every)],
            (Arc::clone(&ground.key_uses), ground.keyring.export_notes()),
            (config.gc_grace, config.lifecycle, config.scrub),
            work,
            notary,
            stopped,
        );
        tracing::info!(s3 = %served.s3, admin = %served.admin, policies = %revision, "serving");
        Ok(Running {
            s3: served.s3,
            admin: served.admin,
            gateway,
            objects,
            index: ground.index,
            stop,
            listeners: served.listeners,
            background,
            key_uses: ground.key_uses,
            _lock: lock,
        })
    }
}

/// The policy set to serve, once the index says so too.
async fn in_force(
    ground: &Ground,
    folder: ReadSet,
    available: &Available,
    config: &Config,
    clock: &dyn Clock,
) -> Result<PolicySet, StartError> {
    let today = residency::today(clock.now());
    let Resumed { set, steps } = resume(&ground.index, folder, available, config.approval, today)?;
    for (kind, step) in steps {
        ground.index.commit(Change::Policy(Box::new(step)), Event::new(kind, Actor::System)).await?;
    }
    Ok(set)
}

async fn note_start(ground: &Ground) -> Result<(), StartError> {
    let mut started = Event::new(Kind::Started, Actor::System);
    if let Some(imported) = &ground.behind {
        tracing::error!(without = ?imported.without, "the index lacks what these sites know since its export; see docs/operations.md");
        started.export = Some(Box::new(imported.entry()));
    }
    ground.index.commit(Change::Note, started).await?;
    Ok(())
}

/// The data path.
fn objects(config: &Config, ground: &Ground, sites: &Arc<Sites>, set: PolicySet, clock: &Arc<dyn Clock>) -> Objects {
    let policies = Arc::new(ArcSwap::from_pointee(set));
    // The first key of a country is the one that seals.
    let keys: BTreeMap<_, _> = config.keys.iter().rev().map(|key| (key.country, key.id.clone())).collect();
    let residency = Residency::new(
        Arc::clone(&policies),
        open::specs(config),
        config.sites_per_country,
        Arc::new(ground.index.clone()),
        Arc::clone(sites) as _,
        Arc::clone(clock),
    )
    .with_keys(keys)
    .in_country(config.gateway_country);
    let objects = Objects::new(ObjectsParts {
        index: ground.index.clone(),
        residency: Arc::new(residency),
        policies,
        hierarchy: Arc::clone(&ground.hierarchy),
        pseudonyms: Arc::clone(&ground.pseudonyms),
        sites: Arc::clone(sites),
        clock: Arc::clone(clock),
        memory: MemoryBudget::new(config.limits.memory),
        directory_ids: config.directory_ids,
    });
    objects.set_subject_key_life(config.subject_keys);
    objects.set_recorded_reads(config.ledger.reads);
    objects
}

fn s3_service(config: &Config, objects: &Objects, access: &Access, sessions: SessionKey, clock: &Arc<dyn Clock>) -> S3Service {
    let hosts = HostRules::new(config.s3.base_domains.clone(), config.s3.external_hosts.clone());
    let authenticator = S3Authenticator::new(Arc::clone(&access.principals), config.s3.region.clone(), hosts)
        .with_form_version_2(config.s3.post_signature_v2)
        .with_sessions(sessions);
    S3Service::new(S3Parts {
        objects: objects.clone(),
        authenticator: Arc::new(authenticator),
        clock: Arc::clone(clock),
        external_url: config.s3.external_url.clone(),
        unsigned_payload: config.s3.unsigned_payload,
        customer_keys_over_http: config.s3.customer_keys_over_http,
        anonymous_residence: config.s3.anonymous_residence,
        new_buckets: config.s3.new_buckets.clone(),
        body_patience: config.limits.body_timeout,
        concurrent_requests: config.limits.concurrent_requests,
        anonymous: config.limits.anonymous,
    })
}

fn guard(config: &Config, access: &Access, clock: Arc<dyn Clock>) -> Result<Guard, StartError> {
    let oidc = config.oidc.clone().map(|settings| Oidc::new(settings, clock).map_err(StartError::Oidc)).transpose()?;
    let quotas = Arc::new(Quotas::new(config.admin.quota));
    Ok(Guard { tokens: Arc::clone(&access.tokens), oidc: oidc.map(Arc::new), quotas })
}

#[cfg(test)]
mod tests;
