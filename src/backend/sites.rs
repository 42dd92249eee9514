//! All sites of the configuration, and which of them are in service.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures_util::future::join_all;

use super::{BackendError, Claim, IdentityError, Installation, Probe, Site, SiteState};
use crate::{residency::Availability, types::SiteId};

/// How long taking a site into service, or checking on it, may take.
const ANSWER_TIME: Duration = Duration::from_secs(10);

/// The sites by id, in the order of the configuration when iterated.
pub struct Sites {
    sites: Vec<Arc<Site>>,
    by_id: BTreeMap<SiteId, usize>,
    installation: Arc<Installation>,
}

impl Sites {
    /// Takes the configured sites, whose ids differ. None is in service before [`Sites::verify`] or a [`Probe`] has checked it.
    pub fn new(sites: Vec<Site>, installation: Installation) -> Self {
        let sites: Vec<_> = sites.into_iter().map(Arc::new).collect();
        let by_id = sites.iter().enumerate().map(|(index, site)| (site.spec().id.clone(), index)).collect();
        Self { sites, by_id, installation: Arc::new(installation) }
    }

    /// The site of that id.
    pub fn get(&self, id: &SiteId) -> Option<&Arc<Site>> {
        self.by_id.get(id).and_then(|index| self.sites.get(*index))
    }

    /// Every site, in the order of the configuration.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Arc<Site>> {
        self.sites.iter()
    }

    /// Takes every site into service that isn't yet, all at once, and says how that went. A site that cannot be asked stays
    /// [`SiteState::Unverified`]; one that is not what it should be is [`SiteState::Refused`].
    pub async fn verify(&self) -> Vec<(SiteId, Result<Claim, IdentityError>)> {
        let pending = self.sites.iter().filter(|site| site.state() == SiteState::Unverified);
        join_all(pending.map(|site| async move { (site.spec().id.clone(), self.verify_one(site).await) })).await
    }

    /// Keeps checking on every site in the background until the result is dropped: verifies those that could not be asked yet, marks
    /// up those that answer again, and stops using those that another gateway has taken over.
    pub fn watch(self: &Arc<Self>, every: Duration) -> Probe {
        Probe::start(self, every)
    }

    /// Checks now that every site in service still carries this gateway's marker.
    pub async fn check(&self) -> Vec<(SiteId, Result<(), IdentityError>)> {
        let in_service = self.sites.iter().filter(|site| matches!(site.state(), SiteState::Up | SiteState::Down));
        join_all(in_service.map(|site| async move { (site.spec().id.clone(), self.check_one(site).await) })).await
    }

    /// Takes every site into service that carries a marker of this installation, without writing: its gateway must not be running.
    pub async fn recognise(&self) -> Vec<(SiteId, Result<(), IdentityError>)> {
        join_all(self.sites.iter().map(|site| async move {
            let outcome = in_time(site, self.installation.recognise(site)).await;
            match &outcome {
                Ok(()) => site.health().verified(),
                Err(error) => self.judge(site, error),
            }
            (site.spec().id.clone(), outcome)
        }))
        .await
    }

    /// Takes a site into service that isn't yet. Its place is looked at before its first record.
    pub(super) async fn verify_one(&self, site: &Site) -> Result<Claim, IdentityError> {
        // Two claims at once would each find the other's marker in place of its own.
        let _turn = site.found().turn().await;
        if site.state() != SiteState::Unverified {
            site.health().admit()?;
            return Ok(Claim { epoch: site.marker().epoch().unwrap_or_default(), created: false });
        }
        let outcome = in_time(site, self.installation.claim(site)).await;
        match &outcome {
            Ok(claim) => {
                tracing::info!(site = %site.spec().id, epoch = claim.epoch, created = claim.created, "site verified");
                self.look(site).await;
                site.health().verified();
            }
            Err(error) => self.judge(site, error),
        }
        self.settle(site).await;
        outcome
    }

    pub(super) async fn check_one(&self, site: &Site) -> Result<(), IdentityError> {
        let outcome = in_time(site, self.installation.check(site)).await;
        match &outcome {
            Ok(()) => site.health().verified(),
            Err(error) => self.judge(site, error),
        }
        if matches!(site.state(), SiteState::Refused { .. }) {
            self.record_refusal(site).await;
        }
        outcome
    }

    pub(super) fn installation(&self) -> &Arc<Installation> {
        &self.installation
    }

    /// Whether the site answered when it was last asked, so that what it holds can be read and removed.
    pub fn answers(&self, site: &SiteId) -> bool {
        self.get(site).is_some_and(|site| site.health().is_up())
    }

    fn judge(&self, site: &Site, error: &IdentityError) {
        match error {
            IdentityError::Unreachable(error) => {
                tracing::warn!(site = %site.spec().id, %error, "site cannot be checked");
                site.health().observe_failure(error);
            }
            error if error.is_transient() => tracing::warn!(site = %site.spec().id, %error, "site cannot be checked"),
            error => {
                tracing::error!(site = %site.spec().id, %error, "site refused");
                site.health().refuse(error.to_string());
            }
        }
    }
}

impl Availability for Sites {
    fn is_up(&self, site: &SiteId) -> bool {
        self.get(site).is_some_and(|site| site.takes_records())
    }
}

impl std::fmt::Debug for Sites {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(&self.sites).finish()
    }
}

async fn in_time<T>(site: &Site, work: impl Future<Output = Result<T, IdentityError>>) -> Result<T, IdentityError> {
    match tokio::time::timeout(ANSWER_TIME, work).await {
        Ok(outcome) => outcome,
        Err(_) => {
            let reason = format!("no answer to the identity check in {} s", ANSWER_TIME.as_secs());
            Err(BackendError::Timeout { site: site.spec().id.clone(), reason }.into())
        }
    }
}

#[cfg(test)]
mod tests;
