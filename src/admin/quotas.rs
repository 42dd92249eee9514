//! How much of the admin API one bearer may use: so many requests a second, so many at a time.

use std::{
    collections::HashMap,
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::authn::Quota;
use crate::telemetry::metric;
use crate::types::PrincipalId;

/// Bearers that are counted one by one. Tokens of the configuration are fewer; people of an OpenID provider may be more, and those
/// beyond share one count.
const MOST: usize = 4096;

/// Counts the requests of each bearer.
#[derive(Debug)]
pub struct Quotas {
    quota: Quota,
    started: Instant,
    bearers: Mutex<HashMap<PrincipalId, Arc<Meter>>>,
    others: Arc<Meter>,
}

#[derive(Debug, Default)]
struct Meter {
    under_way: AtomicU32,
    /// When all of a second's requests will be there again, in nanoseconds since the start.
    due: AtomicU64,
}

/// A request under way, for as long as it lives.
#[derive(Debug)]
pub struct Turn(Arc<Meter>);

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Relaxed);
    }
}

impl Quotas {
    /// What one bearer may when nothing else is said: far more than a person or a script needs, far less than stops the gateway.
    pub const DEFAULT: Quota = Quota { requests_per_second: NonZeroU32::new(500), concurrent_requests: NonZeroU32::new(64) };

    /// Counts against `quota`.
    pub fn new(quota: Quota) -> Self {
        for limit in ["concurrency", "rate"] {
            metrics::counter!(metric::ADMIN_THROTTLED, "limit" => limit).increment(0);
        }
        Self { quota, started: Instant::now(), bearers: Mutex::default(), others: Arc::default() }
    }

    /// Lets a request of `who` begin, or says after how long the next may.
    ///
    /// # Errors
    /// That time.
    pub fn enter(&self, who: &PrincipalId) -> Result<Turn, Duration> {
        let now = u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let meter = self.meter(who, now);
        let before = meter.under_way.fetch_add(1, Relaxed);
        let turn = Turn(Arc::clone(&meter));
        if self.quota.concurrent_requests.is_some_and(|most| before >= most.get()) {
            return Err(throttled("concurrency"));
        }
        match self.quota.requests_per_second {
            Some(rate) if !meter.pass(rate, now) => Err(throttled("rate")),
            _ => Ok(turn),
        }
    }

    fn meter(&self, who: &PrincipalId, now: u64) -> Arc<Meter> {
        let mut bearers = self.bearers.lock();
        if let Some(meter) = bearers.get(who) {
            return Arc::clone(meter);
        }
        if bearers.len() >= MOST {
            bearers.retain(|_, meter| meter.under_way.load(Relaxed) > 0 || meter.due.load(Relaxed) > now);
        }
        if bearers.len() >= MOST {
            return Arc::clone(&self.others);
        }
        Arc::clone(bearers.entry(who.clone()).or_default())
    }
}

/// After how long the next may come. The ledger says nothing of it, so that it does not grow with the load: the metric does.
fn throttled(limit: &'static str) -> Duration {
    metrics::counter!(metric::ADMIN_THROTTLED, "limit" => limit).increment(1);
    Duration::from_secs(1)
}

impl Meter {
    /// Whether one more request keeps to `rate`. A second's worth may come at once.
    fn pass(&self, rate: NonZeroU32, now: u64) -> bool {
        const SECOND: u64 = 1_000_000_000;
        let interval = SECOND / u64::from(rate.get());
        let pass = |due: u64| {
            let due = due.max(now);
            (due - now <= SECOND - interval).then_some(due + interval)
        };
        self.due.fetch_update(Relaxed, Relaxed, pass).is_ok()
    }
}

impl Default for Quotas {
    fn default() -> Self {
        Self::new(Self::DEFAULT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn who(name: &str) -> PrincipalId {
        PrincipalId::new(name).unwrap()
    }

    fn quotas(per_second: u32, at_once: u32) -> Quotas {
        Quotas::new(Quota { requests_per_second: NonZeroU32::new(per_second), concurrent_requests: NonZeroU32::new(at_once) })
    }

    #[tokio::test(start_paused = true)]
    async fn one_bearers_requests_are_bounded_and_hinder_no_other() {
        let quotas = quotas(3, 0);
        for _ in 0..3 {
            quotas.enter(&who("ann")).unwrap();
        }
        assert_eq!(quotas.enter(&who("ann")).unwrap_err(), Duration::from_secs(1));
        quotas.enter(&who("bob")).unwrap();
        tokio::time::advance(Duration::from_millis(400)).await;
        quotas.enter(&who("ann")).unwrap();
        quotas.enter(&who("ann")).unwrap_err();
    }

    #[tokio::test(start_paused = true)]
    async fn so_many_are_under_way_and_no_more() {
        let quotas = quotas(0, 2);
        let turns = [quotas.enter(&who("ann")).unwrap(), quotas.enter(&who("ann")).unwrap()];
        quotas.enter(&who("ann")).unwrap_err();
        quotas.enter(&who("bob")).unwrap();
        drop(turns);
        quotas.enter(&who("ann")).unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_remembered_is_bounded() {
        let quotas = quotas(1, 0);
        for number in 0..MOST + 10 {
            let _ = quotas.enter(&who(&format!("a{number}")));
        }
        assert_eq!(quotas.bearers.lock().len(), MOST);
        quotas.enter(&who("one-more")).unwrap_err();
        tokio::time::advance(Duration::from_secs(2)).await;
        quotas.enter(&who("one-more")).unwrap();
        assert_eq!(quotas.bearers.lock().len(), 1);
    }
}
