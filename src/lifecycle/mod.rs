//! Lifecycle rules carried out: what a bucket lets go of by itself goes.
//!
//! What is due is decided by [`crate::bucket::Lifecycle`]; here is the walk over the catalogue. Everything that goes takes the way of a
//! client's delete, under the condition that it is still the very version that was found due: what was written meanwhile stays, and what
//! object lock keeps is left alone. A walk holds one page in memory and takes at most half of its time.
//!
//! Where the policies say how old data may become at the most, all buckets are walked for what is older, whatever their rules.

mod outlived;
mod standing;
mod sweep;
#[cfg(test)]
mod tests;

use std::time::Duration;

use crate::objects::Objects;
use crate::telemetry::metric;

pub use sweep::Tally;

/// How often buckets are looked at, and how long a day is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// The pause between two looks at all buckets.
    pub interval: Duration,
    /// What counts as a day in rules: 24 hours, unless somebody tests rules and cannot wait.
    pub day: Duration,
}

impl Pace {
    /// A day.
    pub const DAY: Duration = Duration::from_secs(24 * 60 * 60);
}

impl Default for Pace {
    fn default() -> Self {
        Self { interval: Duration::from_secs(60 * 60), day: Self::DAY }
    }
}

/// Makes the metric appear before anything goes.
pub fn register() {
    for kind in sweep::Goes::ALL {
        metrics::counter!(metric::LIFECYCLE_EXPIRED, "kind" => kind.label()).increment(0);
    }
}

/// Carries out the rules of every bucket until the task is dropped. Meant to be spawned once. What is wrong with one bucket does not keep
/// the others waiting.
pub async fn run(objects: &Objects, pace: Pace) {
    loop {
        let tally = sweep::all(objects, pace.day).await;
        if tally != Tally::default() {
            tracing::info!(
                current = tally.current,
                noncurrent = tally.noncurrent,
                markers = tally.markers,
                uploads = tally.uploads,
                outlived = tally.outlived,
                kept = tally.kept,
                "lifecycle rules carried out"
            );
        }
        tokio::time::sleep(pace.interval).await;
    }
}
