//! Removes the blobs that a commit made garbage, after a grace period.
//!
//! Only what a commit named is ever removed. A blob whose record is being read stays until the reader is done, and a site that
//! cannot be reached keeps its garbage until it can.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use futures_util::stream::{self, StreamExt};

use crate::audit::{Actor, CollectedCopies, Event, Kind};
use crate::index::{Blob, Change, Garbage, GarbageKey, Waste};
use crate::objects::{ObjectError, Objects};
use crate::types::{SiteId, Timestamp};

/// Rows of garbage looked at in one step.
const ROUND: usize = 256;
/// Blobs removed at the same time.
const TOGETHER: usize = 8;
/// Rows of the index that one commit removes, and sites that its entry names: the sweep of an upload takes a commit of its own.
const SLICE: usize = 200;
/// Rows that are done at some of their sites, remembered at the most. Beyond it blobs are removed again, which does no harm.
const REMEMBERED: usize = 65_536;

/// When garbage is removed.
#[derive(Debug, Clone, Copy)]
pub struct GarbagePolicy {
    /// How long garbage is kept: longer than the longest read may take.
    pub grace: Duration,
    /// How long the collector sleeps when there is nothing to do.
    pub pause: Duration,
}

/// What a collector remembers between its passes.
#[derive(Default)]
struct Progress(HashMap<GarbageKey, BTreeSet<SiteId>>);

impl Objects {
    /// Collects garbage until the task is dropped. Meant to be spawned once.
    pub async fn collect_garbage(&self, policy: GarbagePolicy) {
        let mut progress = Progress::default();
        loop {
            let began = Instant::now();
            let pause = match self.pass(self.before(policy.grace), &mut progress).await {
                Ok(0) => policy.pause,
                // There may be more. Rows that cannot be collected now are not read without rest for the sake of the others.
                Ok(_) => began.elapsed().min(policy.pause),
                Err(error) => {
                    tracing::warn!(error = %error, "collecting garbage");
                    policy.pause
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// Goes once through all that is due; answers with the number of rows that are done.
    ///
    /// # Errors
    /// Only those of the index; a site that fails keeps its garbage.
    pub async fn collect_round(&self, grace: Duration) -> Result<usize, ObjectError> {
        self.pass(self.before(grace), &mut Progress::default()).await
    }

    /// Goes once through what waits for no grace.
    ///
    /// # Errors
    /// As [`Objects::collect_round`].
    pub async fn collect_erased(&self) -> Result<usize, ObjectError> {
        self.pass(Timestamp::default(), &mut Progress::default()).await
    }

    /// What has been garbage since this time is due.
    fn before(&self, grace: Duration) -> Timestamp {
        let grace = i64::try_from(grace.as_millis()).unwrap_or(i64::MAX);
        self.clock.now().plus_millis(grace.saturating_neg())
    }

    /// One pass: rows that have to stay hold up none behind them.
    async fn pass(&self, before: Timestamp, progress: &mut Progress) -> Result<usize, ObjectError> {
        let (mut done, mut after) = (0, None);
        loop {
            let due = self.index.garbage(before, after.take(), ROUND).await?;
            let last = due.last().map(|(key, _)| key.clone());
            let full = due.len() == ROUND;
            done += self.collect_page(due, progress).await?;
            after = last.filter(|_| full);
            if after.is_none() {
                return Ok(done);
            }
        }
    }

    async fn collect_page(&self, due: Vec<(GarbageKey, Garbage)>, progress: &mut Progress) -> Result<usize, ObjectError> {
        let rows = due.into_iter().map(|(key, garbage)| {
            let before = progress.0.remove(&key).unwrap_or_default();
            (key, garbage, before)
        });
        let tried: Vec<_> = stream::iter(rows.collect::<Vec<_>>())
            .map(|(key, garbage, before)| async move {
                let collected = self.collect(&garbage, before).await;
                (key, garbage, collected)
            })
            .buffer_unordered(TOGETHER)
            .collect()
            .await;
        let mut slice = Slice::default();
        let mut count = 0;
        for (key, garbage, Collected { sites, whole }) in tried {
            if !whole {
                if !sites.is_empty() && progress.0.len() < REMEMBERED {
                    progress.0.insert(key, sites);
                }
                continue;
            }
            count += 1;
            // The entry tells the sites of each record, and has an end.
            let cost = rows_of(&garbage.what) + sites.len();
            if slice.cost + cost > SLICE {
                self.forget(std::mem::take(&mut slice)).await?;
            }
            slice.cost += cost;
            slice.garbage.push(key);
            if let Waste::Record { record, .. } = &garbage.what {
                slice.records.push(CollectedCopies { record: *record, sites: sites.iter().cloned().collect() });
            }
            slice.sites.extend(sites);
        }
        self.forget(slice).await?;
        Ok(count)
    }

    async fn forget(&self, slice: Slice) -> Result<(), ObjectError> {
        if slice.garbage.is_empty() {
            return Ok(());
        }
        fail::fail_point!("objects::garbage-removed", |_| Err(ObjectError::Internal("failpoint".to_owned())));
        let event = Event {
            sites: slice.sites.into_iter().collect(),
            collected: slice.records,
            ..Event::new(Kind::Collected, Actor::System)
        };
        self.index.commit(Change::Collected { garbage: slice.garbage }, event).await?;
        fail::fail_point!("objects::garbage-collected", |_| Err(ObjectError::Internal("failpoint".to_owned())));
        Ok(())
    }

    /// Removes the blobs of one row, but for those at the sites that `before` says are done.
    async fn collect(&self, garbage: &Garbage, before: BTreeSet<SiteId>) -> Collected {
        let stays = |sites| Collected { sites, whole: false };
        let blobs = match self.index.garbage_blobs(garbage).await {
            Ok(Some(blobs)) => blobs,
            Ok(None) => return stays(before),
            Err(error) => {
                tracing::warn!(error = %error, "reading garbage");
                return stays(before);
            }
        };
        let mut sites: BTreeSet<SiteId> = blobs.iter().map(|blob| blob.site.clone()).collect();
        let mut failed = BTreeSet::new();
        for blob in blobs.iter().filter(|blob| !before.contains(&blob.site)) {
            if !failed.contains(&blob.site) && !self.remove(blob).await {
                failed.insert(blob.site.clone());
            }
        }
        sites.retain(|site| !failed.contains(site));
        Collected { sites, whole: failed.is_empty() }
    }

    async fn remove(&self, blob: &Blob) -> bool {
        // A site that left the configuration keeps its blobs and its rows of garbage until it returns.
        let Some(site) = self.sites.get(&blob.site).filter(|_| self.sites.answers(&blob.site)) else { return false };
        match site.remove(&blob.name).await {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(site = %blob.site, error = %error, "removing garbage");
                false
            }
        }
    }
}

/// How far one row has come: the sites where nothing of it is left, and whether these are all.
struct Collected {
    sites: BTreeSet<SiteId>,
    whole: bool,
}

/// Rows that are forgotten in one commit.
#[derive(Default)]
struct Slice {
    garbage: Vec<GarbageKey>,
    sites: BTreeSet<SiteId>,
    /// Whose copies, and where.
    records: Vec<CollectedCopies>,
    cost: usize,
}

/// How many rows of the index go with a row of garbage, at the most.
const fn rows_of(waste: &Waste) -> usize {
    match waste {
        Waste::Upload { .. } => SLICE,
        Waste::Record { .. } => 2,
        Waste::Blobs { .. } | Waste::Part { .. } | Waste::Keys { .. } => 1,
    }
}
