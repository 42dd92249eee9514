//! Removes the blobs that a commit made garbage, after a grace period.
//!
//! Only what a commit named is ever removed. A blob whose record is being read stays until the reader is done, and a site that
//! cannot be reached keeps its garbage until it can.

use std::time::Duration;

use futures_util::stream::{self, StreamExt};

use crate::audit::{Actor, Event, Kind};
use crate::index::{Blob, Change, Garbage, GarbageKey};
use crate::objects::{ObjectError, Objects};
use crate::residency::Availability;
use crate::types::SiteId;

/// Rows of garbage looked at in one round.
const ROUND: usize = 256;
/// Blobs removed at the same time.
const TOGETHER: usize = 8;

/// When garbage is removed.
#[derive(Debug, Clone, Copy)]
pub struct GarbagePolicy {
    /// How long garbage is kept: longer than the longest read may take.
    pub grace: Duration,
    /// How long the collector sleeps when there is nothing to do.
    pub pause: Duration,
}

impl Objects {
    /// Collects garbage until the task is dropped. Meant to be spawned once.
    pub async fn collect_garbage(&self, policy: GarbagePolicy) {
        loop {
            match self.collect_round(policy.grace).await {
                Ok(0) => tokio::time::sleep(policy.pause).await,
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(error = %error, "collecting garbage");
                    tokio::time::sleep(policy.pause).await;
                }
            }
        }
    }

    /// Collects what is due once; answers with the number of rows that are done.
    ///
    /// # Errors
    /// Only those of the index; a site that fails keeps its garbage.
    pub async fn collect_round(&self, grace: Duration) -> Result<usize, ObjectError> {
        let grace = i64::try_from(grace.as_millis()).unwrap_or(i64::MAX);
        let due = self.index.garbage(self.clock.now().plus_millis(grace.saturating_neg()), ROUND).await?;
        let rows: Vec<(GarbageKey, Garbage)> = due;
        let done: Vec<Option<(GarbageKey, Vec<SiteId>)>> = stream::iter(rows)
            .map(|(key, garbage)| async move { self.collect(&garbage).await.map(|sites| (key, sites)) })
            .buffer_unordered(TOGETHER)
            .collect()
            .await;
        let mut garbage = Vec::new();
        let mut sites = Vec::new();
        for (key, of) in done.into_iter().flatten() {
            garbage.push(key);
            sites.extend(of);
        }
        let count = garbage.len();
        if count > 0 {
            sites.sort();
            sites.dedup();
            let event = Event { sites, ..Event::new(Kind::Collected, Actor::System) };
            self.index.commit(Change::Collected { garbage }, event).await?;
        }
        Ok(count)
    }

    /// Removes the blobs of one row; the sites where some were, or `None` when any had to stay.
    async fn collect(&self, garbage: &Garbage) -> Option<Vec<SiteId>> {
        let blobs = match self.index.garbage_blobs(garbage).await {
            Ok(blobs) => blobs?,
            Err(error) => {
                tracing::warn!(error = %error, "reading garbage");
                return None;
            }
        };
        let mut sites = Vec::new();
        for blob in &blobs {
            if !self.remove(blob).await {
                return None;
            }
            sites.push(blob.site.clone());
        }
        Some(sites)
    }

    async fn remove(&self, blob: &Blob) -> bool {
        // A site that left the configuration keeps its blobs and its rows of garbage until it returns.
        let Some(site) = self.sites.get(&blob.site).filter(|_| self.sites.is_up(&blob.site)) else { return false };
        match site.remove(&blob.name).await {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(site = %blob.site, error = %error, "removing garbage");
                false
            }
        }
    }
}
