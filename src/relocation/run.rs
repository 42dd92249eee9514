//! One walk through the records, each moved to where it belongs now.
//!
//! Nothing has to be remembered for a walk that is broken off: a record lives where it belongs or it does not, and the next walk finds those
//! that do not.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use parking_lot::Mutex;
use serde::Serialize;

use crate::{
    index::{FoundRecord, IndexError, Stock, Tally},
    objects::{Gate, Move, ObjectError, Objects, Pace, Relocated, planned_move},
    types::{BucketName, Country, InstrumentId, ObjectKey, VersionId},
};

/// Rows of the catalogue looked at in one step.
const PAGE: usize = 256;
/// Records that move at the same time.
const TOGETHER: usize = 4;
/// Failures that are listed, and records that are tried again, at the most; the rest is counted, and left for another walk.
const MOST_LISTED: usize = 1000;
/// The pause before the second try; each later one is twice as long.
const PAUSE: Duration = Duration::from_secs(1);

/// What to move, and how fast.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Order {
    /// Which records are looked at.
    pub stock: Stock,
    /// How fast they may move.
    pub pace: Pace,
    /// How often what fails is tried again.
    pub retries: u32,
}

impl Order {
    /// Retries of an order that somebody waits for: with the pauses between them, a quarter of a minute.
    pub const RETRIES: u32 = 4;
}

/// How far a walk has come.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Progress {
    /// Records looked at.
    pub records: Tally,
    /// Records moved.
    pub moved: Tally,
    /// The moved ones by their way.
    pub ways: Vec<Way>,
    /// Records that were replaced, deleted or changed while they were to be moved.
    pub overtaken: u64,
    /// Records that could not be moved, so far or for good.
    pub failed: u64,
    /// The first of them, each with the reason of its last try.
    pub failures: Vec<Failure>,
}

/// Moved records with the same way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Way {
    /// The countries that had a copy.
    pub from: Vec<Country>,
    /// The countries that have one now.
    pub to: Vec<Country>,
    /// The instruments that asked for it, as in [`super::Move`].
    pub instruments: Vec<InstrumentId>,
    /// The records.
    pub records: Tally,
}

/// A record that could not be moved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// Its bucket.
    pub bucket: BucketName,
    /// Its key.
    pub key: ObjectKey,
    /// Its version.
    pub version: VersionId,
    /// Why.
    pub reason: String,
}

/// Counts while a walk goes on.
#[derive(Debug, Default)]
pub struct Counting(Mutex<Counts>);

/// Where from, where to, who asked.
type Key = (Vec<Country>, Vec<Country>, Vec<InstrumentId>);

#[derive(Debug, Default)]
struct Counts {
    records: Tally,
    moved: Tally,
    ways: BTreeMap<Key, Tally>,
    overtaken: u64,
    failed: u64,
    failures: Vec<Failure>,
}

impl Counting {
    /// As of now.
    pub fn progress(&self) -> Progress {
        let counts = self.0.lock();
        let way = |((from, to, instruments), records): (&Key, &Tally)| Way {
            from: from.clone(),
            to: to.clone(),
            instruments: instruments.clone(),
            records: *records,
        };
        Progress {
            records: counts.records,
            moved: counts.moved,
            ways: counts.ways.iter().map(way).collect(),
            overtaken: counts.overtaken,
            failed: counts.failed,
            failures: counts.failures.clone(),
        }
    }

    fn looked(&self, bytes: u64) {
        add(&mut self.0.lock().records, bytes);
    }

    fn moved(&self, Move { from, to, bytes }: Move, instruments: Vec<InstrumentId>) {
        let way = (from.into_iter().collect(), to.into_iter().collect(), instruments);
        let mut counts = self.0.lock();
        add(&mut counts.moved, bytes);
        add(counts.ways.entry(way).or_default(), bytes);
    }

    fn failed(&self, found: &FoundRecord, reason: &str) {
        let mut counts = self.0.lock();
        counts.failed = counts.failed.saturating_add(1);
        if counts.failures.len() < MOST_LISTED {
            counts.failures.push(Failure {
                bucket: found.bucket.clone(),
                key: found.key.clone(),
                version: found.record.summary.version,
                reason: reason.to_owned(),
            });
        }
    }

    /// What failed is tried again.
    fn again(&self, tried: &[FoundRecord]) {
        let mut counts = self.0.lock();
        counts.failed = counts.failed.saturating_sub(tried.len() as u64);
        let is_tried = |failure: &Failure| {
            tried.iter().any(|found| {
                (&found.bucket, &found.key, found.record.summary.version) == (&failure.bucket, &failure.key, failure.version)
            })
        };
        counts.failures.retain(|failure| !is_tried(failure));
    }
}

/// Moves what does not live where it belongs. What fails is tried again as often as ordered, with pauses that grow; what the policies leave no place
/// is not.
///
/// # Errors
/// Only those of the index; what cannot be moved is counted and stays where it is.
pub async fn run(objects: &Objects, order: &Order, counting: &Counting) -> Result<(), IndexError> {
    let gate = Gate::new(order.pace);
    let (mut after, mut left) = (None, Vec::new());
    loop {
        let page = objects.index.stock(order.stock.clone(), after, PAGE).await?;
        let room = MOST_LISTED.saturating_sub(left.len());
        // Each counts when it has had its turn, and not with its page: whoever watches sees how far it is.
        let looked = |found: &FoundRecord| counting.looked(found.record.summary.size);
        left.extend(some(objects, &gate, page.records, counting, looked).await.into_iter().take(room));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let mut pause = PAUSE;
    for _ in 0..order.retries {
        if left.is_empty() {
            break;
        }
        tokio::time::sleep(pause).await;
        pause = pause.saturating_mul(2);
        counting.again(&left);
        left = some(objects, &gate, left, counting, |_| ()).await;
    }
    Ok(())
}

/// Moves some records, and tells `done` of each; answers with those that may be moved later.
async fn some(
    objects: &Objects,
    gate: &Gate,
    records: Vec<FoundRecord>,
    counting: &Counting,
    done: impl Fn(&FoundRecord) + Copy,
) -> Vec<FoundRecord> {
    stream::iter(records)
        .map(|found| async move {
            let later = one(objects, gate, &found, counting).await;
            done(&found);
            later.then_some(found)
        })
        .buffer_unordered(TOGETHER)
        .filter_map(std::future::ready)
        .collect()
        .await
}

/// Moves one record; `true` when it may go better later.
async fn one(objects: &Objects, gate: &Gate, found: &FoundRecord, counting: &Counting) -> bool {
    let placement = &found.record.detail.placement;
    let wanted = objects.residency.plan(&objects.policies.load(), placement, &found.bucket, &found.key);
    let instruments = match wanted.map(|wanted| planned_move(&found.record, &wanted).map(|_| wanted.instruments)) {
        Ok(None) => return false,
        Ok(Some(instruments)) => instruments,
        Err(refusal) => {
            counting.failed(found, &refusal.to_string());
            return refusal.is_retryable();
        }
    };
    gate.pass(found.record.summary.size).await;
    match objects.relocate(found).await {
        Ok(Relocated::Moved(moved)) => {
            counting.moved(moved, instruments);
            false
        }
        Ok(Relocated::Stays) => false,
        Ok(Relocated::Gone) => {
            let mut counts = counting.0.lock();
            counts.overtaken = counts.overtaken.saturating_add(1);
            false
        }
        Err(error) => {
            tracing::warn!(record = %found.record.summary.id, %error, "a record cannot be moved");
            counting.failed(found, &error.to_string());
            !matches!(error, ObjectError::Residency(refusal) if !refusal.is_retryable())
        }
    }
}

fn add(tally: &mut Tally, size: u64) {
    tally.objects = tally.objects.saturating_add(1);
    tally.bytes = tally.bytes.saturating_add(size);
}
