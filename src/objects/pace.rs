//! How fast work that nobody waits for may go on.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::{sync::Mutex, time::Instant};

/// Limits of a walk through what is stored; none where nothing is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Pace {
    /// Bytes that are begun with in a second.
    pub bytes_per_second: Option<u64>,
    /// Steps, such as records, that are begun with in a second.
    pub requests_per_second: Option<u64>,
}

impl Pace {
    /// How long a step of `bytes` takes at this pace.
    fn share(self, bytes: u64) -> Duration {
        let of = |amount: u64, rate: Option<u64>| match rate {
            None => Duration::ZERO,
            Some(rate) => Duration::try_from_secs_f64(amount as f64 / rate.max(1) as f64).unwrap_or(Duration::MAX),
        };
        of(bytes, self.bytes_per_second).max(of(1, self.requests_per_second))
    }
}

/// Lets steps pass one after the other, each when the one before has had its time.
#[derive(Debug)]
pub struct Gate {
    pace: Pace,
    next: Mutex<Instant>,
}

impl Gate {
    /// Open for the first step.
    pub fn new(pace: Pace) -> Self {
        Self { pace, next: Mutex::new(Instant::now()) }
    }

    /// Waits until a step of `bytes` may begin.
    pub async fn pass(&self, bytes: u64) {
        let share = self.pace.share(bytes);
        if share.is_zero() {
            return;
        }
        let at = {
            let mut next = self.next.lock().await;
            let at = (*next).max(Instant::now());
            *next = at.checked_add(share).unwrap_or(at);
            at
        };
        tokio::time::sleep_until(at).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stricter_limit_counts() {
        let pace = Pace { bytes_per_second: Some(1000), requests_per_second: Some(10) };
        assert_eq!(pace.share(5000), Duration::from_secs(5));
        assert_eq!(pace.share(0), Duration::from_millis(100));
        assert_eq!(Pace::default().share(u64::MAX), Duration::ZERO);
        assert_eq!(Pace { bytes_per_second: Some(0), ..pace }.share(2), Duration::from_secs(2));
    }

    #[tokio::test(start_paused = true)]
    async fn who_comes_together_goes_one_after_the_other() {
        let gate = Gate::new(Pace { bytes_per_second: Some(10), requests_per_second: None });
        let began = Instant::now();
        futures_util::future::join_all((0..4).map(|_| gate.pass(20))).await;
        assert_eq!(began.elapsed(), Duration::from_secs(6), "the first need not wait");
    }
}
