//! Checking on sites in the background.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::task::JoinHandle;

use super::{Site, SiteState, Sites, health::jittered};

/// Sites in service have their marker compared every so many rounds.
const ROUNDS_BETWEEN_CHECKS: u64 = 6;
/// A site that has just failed gets this long before it is asked again.
const AFTER_FAILURE: Duration = Duration::from_millis(500);

/// The background checks of all sites; they end when this is dropped, or with the [`Sites`].
#[derive(Debug)]
pub struct Probe(Vec<JoinHandle<()>>);

impl Probe {
    pub(super) fn start(sites: &Arc<Sites>, every: Duration) -> Self {
        let watch =
            |(seed, site): (usize, &Arc<Site>)| tokio::spawn(watch(Arc::downgrade(sites), Arc::clone(site), every, seed as u64));
        Self::of(sites.iter().enumerate().map(watch))
    }

    /// The tasks of all sites.
    pub(super) fn of(tasks: impl Iterator<Item = JoinHandle<()>>) -> Self {
        Self(tasks.collect())
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        for task in &self.0 {
            task.abort();
        }
    }
}

async fn watch(sites: Weak<Sites>, site: Arc<Site>, every: Duration, seed: u64) {
    for round in 0_u64.. {
        tokio::select! {
            () = tokio::time::sleep(jittered(every, seed.wrapping_mul(7919).wrapping_add(round))) => {}
            () = site.health().went_down.notified() => tokio::time::sleep(AFTER_FAILURE.min(every)).await,
        }
        let Some(sites) = sites.upgrade() else { return };
        // Failures change the site's state and are logged where they are found.
        match site.state() {
            SiteState::Unverified => drop(sites.verify_one(&site).await),
            // The marker rather than a mere probe: what answers now need not be what went away.
            SiteState::Down => drop(sites.check_one(&site).await),
            SiteState::Up if round % ROUNDS_BETWEEN_CHECKS == 0 => drop(sites.check_one(&site).await),
            SiteState::Up => {
                if let Err(error) = site.backend().probe().await {
                    site.health().observe_failure(&error);
                }
            }
            SiteState::Refused { .. } => return,
        }
    }
}
