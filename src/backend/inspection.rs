//! Looking at how the places of the sites are set up: before a site takes its first record, and then every so often.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use futures_util::future::join_all;

use super::{BackendError, Claim, IdentityError, Probe, Site, SiteState, Sites, health::jittered};
use crate::types::SiteId;

/// What a look at one site found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Looked {
    /// It carries this gateway's marker.
    Sound,
    /// It is not what it should be, or another gateway's by now; why.
    Wrong(String),
    /// It could not be asked; why.
    NotReached(String),
}

/// How long all questions to one place may take.
const ANSWER_TIME: Duration = Duration::from_secs(10);

impl Sites {
    /// Keeps looking at every site in the background until the result is dropped.
    pub fn keep_inspecting(self: &Arc<Self>, every: Duration) -> Probe {
        Probe::of(self.iter().enumerate().map(|(seed, site)| {
            let (sites, site) = (Arc::downgrade(self), Arc::clone(site));
            tokio::spawn(keep_inspecting(sites, site, every, seed as u64))
        }))
    }

    /// Looks at every site now: takes those into service that are not yet, and holds the others against their marker and what was known of them.
    pub async fn examine(&self) {
        join_all(self.iter().map(|site| async move {
            match site.state() {
                // What comes of it is in the site's state and findings.
                SiteState::Unverified => drop(self.verify_one(site).await),
                SiteState::Up | SiteState::Down => {
                    if self.check_one(site).await.is_ok() {
                        self.inspect_one(site).await;
                    }
                }
                SiteState::Refused { .. } => {}
            }
        }))
        .await;
    }

    /// Looks at one site in service now, and says what it found of its marker; the rest is in [`Site::findings`]. Writes nothing there: a site that is
    /// not in service yet is left to who takes it into service.
    pub async fn examine_one(&self, site: &SiteId) -> Looked {
        let Some(site) = self.get(site) else {
            return Looked::NotReached("the configuration does not have it any more".to_owned());
        };
        let outcome = match site.state() {
            SiteState::Unverified => return Looked::NotReached("its identity has not been verified yet".to_owned()),
            SiteState::Up | SiteState::Down => self.check_one(site).await,
            SiteState::Refused { reason } => return Looked::Wrong(reason),
        };
        match outcome {
            Ok(()) => self.inspect_one(site).await,
            Err(error) if error.is_transient() => return Looked::NotReached(error.to_string()),
            Err(error) => return Looked::Wrong(error.to_string()),
        }
        Looked::Sound
    }

    /// Takes a site into service now, and says how that went; nothing of a site that there is not.
    pub async fn init(&self, site: &SiteId) -> Option<Result<Claim, IdentityError>> {
        let site = self.get(site)?;
        let claim = self.verify_one(site).await;
        Some(match (claim, site.state()) {
            // It was in service, and whether it is still there has to be asked.
            (Ok(claim), SiteState::Down) => self.check_one(site).await.map(|()| claim),
            (claim, _) => claim,
        })
    }

    pub(super) async fn inspect_one(&self, site: &Site) {
        let _turn = site.found().turn().await;
        self.look(site).await;
        self.settle(site).await;
    }

    /// Records that a site has been refused.
    pub(super) async fn record_refusal(&self, site: &Site) {
        let _turn = site.found().turn().await;
        self.settle(site).await;
    }

    /// Asks the place. An alarm closes the site from here on.
    pub(super) async fn look(&self, site: &Site) {
        let id = &site.spec().id;
        match self.installation().standing(site).await {
            Ok(remembered) => site.found().recall(&remembered),
            Err(error) => tracing::error!(site = %id, %error, "what was found at the site before is not known"),
        }
        let outcome = match tokio::time::timeout(ANSWER_TIME, site.backend().inspect()).await {
            Ok(outcome) => outcome,
            Err(_) => {
                let reason = format!("no answer to the inspection in {} s", ANSWER_TIME.as_secs());
                Err(BackendError::Timeout { site: id.clone(), reason })
            }
        };
        if let Err(error) = &outcome {
            tracing::warn!(site = %id, %error, "site cannot be inspected");
        }
        site.found().take(outcome.map_err(|error| error.to_string()));
    }

    /// Records what has changed since it was last recorded, and then lets the site take records again where nothing stands against it.
    pub(super) async fn settle(&self, site: &Site) {
        let (id, found, state) = (&site.spec().id, site.found(), site.state());
        found.publish(&state);
        let recorded: Result<(), IdentityError> = async {
            let (new, gone) = found.changes(&state, &self.installation().standing(site).await?);
            for finding in new {
                tracing::warn!(site = %id, check = %finding.check, severity = finding.severity.as_str(), accepted = finding.accepted, "found at a site");
                self.installation().record(site, finding, true).await?;
            }
            for finding in gone {
                tracing::info!(site = %id, check = %finding.check, "no longer found at a site");
                self.installation().record(site, finding, false).await?;
            }
            Ok(())
        }
        .await;
        match recorded {
            Ok(()) => found.settled(&state),
            Err(error) => tracing::error!(site = %id, %error, "what was found at the site is not in the ledger"),
        }
    }
}

async fn keep_inspecting(sites: Weak<Sites>, site: Arc<Site>, every: Duration, seed: u64) {
    for round in 0_u64.. {
        tokio::time::sleep(jittered(every, seed.wrapping_mul(104_729).wrapping_add(round))).await;
        let Some(sites) = sites.upgrade() else { return };
        match site.state() {
            // It is looked at when it is taken into service.
            SiteState::Unverified => {}
            SiteState::Up | SiteState::Down => sites.inspect_one(&site).await,
            SiteState::Refused { .. } => sites.record_refusal(&site).await,
        }
    }
}
