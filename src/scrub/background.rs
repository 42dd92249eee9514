//! The scrub that goes on by itself: one cycle after the other, at a pace of its own, on where a stop broke it off.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::{Counting, Order, Stage, run::Scrub};
use crate::{
    index::Class,
    objects::{Depth, ObjectError, Objects, Pace},
    telemetry::metric,
    types::Timestamp,
};

/// How often it is kept how far a cycle has come.
const KEEP: Duration = Duration::from_secs(10);
/// Pause after a failure, and between two looks at whether a cycle is due.
const LOOK: Duration = Duration::from_secs(60);

/// How the sites are scrubbed without an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Continuous {
    /// Whether they are.
    pub on: bool,
    /// How closely.
    pub depth: Depth,
    /// How fast.
    pub pace: Pace,
    /// From the end of one cycle to the beginning of the next. The first begins that long after the first start.
    pub pause: Duration,
}

impl Default for Continuous {
    /// The heads of ten blobs a second, and a day from one cycle to the next.
    fn default() -> Self {
        Self {
            on: true,
            depth: Depth::Head,
            pace: Pace { bytes_per_second: None, requests_per_second: Some(10) },
            pause: Duration::from_secs(24 * 60 * 60),
        }
    }
}

/// How far the cycles have come, as the index keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum Cycle {
    /// None is under way since.
    Resting(Timestamp),
    /// One is, and stands here.
    At(Stage),
}

/// Makes the metrics appear before anything is found.
pub fn register() {
    for class in Class::ALL {
        metrics::counter!(metric::SCRUB_FINDINGS, "class" => class.as_str()).increment(0);
    }
    metrics::gauge!(metric::SCRUB_LAST).set(0.0);
}

/// Scrubs the sites over and over until the task is dropped. Meant to be spawned once.
pub async fn scrub(objects: &Objects, continuous: Continuous) {
    if !continuous.on {
        return std::future::pending().await;
    }
    loop {
        match turn(objects, continuous).await {
            Ok(rest) => tokio::time::sleep(rest.min(LOOK)).await,
            Err(error) => {
                tracing::warn!(%error, "the scrub goes on later");
                tokio::time::sleep(LOOK).await;
            }
        }
    }
}

/// Does a cycle when one is due; answers with how long until the next.
pub(super) async fn turn(objects: &Objects, continuous: Continuous) -> Result<Duration, ObjectError> {
    let now = objects.clock.now();
    let stage = match objects.index.kept_scrub::<Cycle>()? {
        None => {
            objects.index.keep_scrub(&Cycle::Resting(now)).await?;
            return Ok(continuous.pause);
        }
        // A clock that was put back would let it rest for as long as it was ahead.
        Some(Cycle::Resting(since)) if since > now => {
            objects.index.keep_scrub(&Cycle::Resting(now)).await?;
            return Ok(continuous.pause);
        }
        Some(Cycle::Resting(since)) => {
            let rested = u64::try_from(now.millis().saturating_sub(since.millis())).unwrap_or(0);
            let left = continuous.pause.saturating_sub(Duration::from_millis(rested));
            if !left.is_zero() {
                return Ok(left);
            }
            Stage::default()
        }
        Some(Cycle::At(stage)) => stage,
    };
    let order = Order { depth: continuous.depth, pace: continuous.pace, ..Order::default() };
    let counting = Counting::default();
    // What a cycle that was broken off has found is not known any more: then nothing is cleared at its end.
    let whole = stage == Stage::default();
    cycle(objects, &order, &counting, stage, whole).await?;
    let now = objects.clock.now();
    objects.index.keep_scrub(&Cycle::Resting(now)).await?;
    metrics::gauge!(metric::SCRUB_LAST).set(now.seconds() as f64);
    Ok(continuous.pause)
}

async fn cycle(objects: &Objects, order: &Order, counting: &Counting, from: Stage, whole: bool) -> Result<(), ObjectError> {
    let scrub = Scrub::begin(objects, order, counting).await?;
    let (mut stage, mut kept) = (from, None::<Instant>);
    loop {
        if kept.is_none_or(|kept| kept.elapsed() >= KEEP) {
            objects.index.keep_scrub(&Cycle::At(stage.clone())).await?;
            kept = Some(Instant::now());
        }
        match scrub.step(stage).await? {
            Some(next) => stage = next,
            None => return scrub.end(whole).await,
        }
    }
}
