//! Keeps refusals from filling the disk.

use std::{collections::HashMap, hash::Hash};

use parking_lot::Mutex;

use crate::types::Timestamp;

/// A token bucket for each kind of source. What exceeds it is counted, and the next entry that gets through carries the count, unless
/// [`Throttle::drain`] takes it first.
#[derive(Debug)]
pub struct Throttle<K> {
    burst: u32,
    per_second: u32,
    buckets: Mutex<HashMap<K, Level>>,
}

#[derive(Debug)]
struct Level {
    millitokens: u64,
    at: Timestamp,
    suppressed: u64,
}

/// Kinds of source beyond which all share one verdict: nothing is recorded until some bucket is full again.
const MAX_KINDS: usize = 1024;

impl<K: Eq + Hash> Throttle<K> {
    /// Lets `burst` through at once and `per_second` after it, for each kind of source.
    pub fn new(burst: u32, per_second: u32) -> Self {
        Self { burst: burst.max(1), per_second, buckets: Mutex::default() }
    }

    /// `Some(n)`: record it, and that `n` before it were not recorded. `None`: do not record it.
    pub fn admit(&self, kind: K, now: Timestamp) -> Option<u64> {
        let full = u64::from(self.burst) * 1000;
        let mut buckets = self.buckets.lock();
        if buckets.len() >= MAX_KINDS && !buckets.contains_key(&kind) {
            let rate = u64::from(self.per_second);
            buckets.retain(|_, level| level.suppressed > 0 || level.refilled(now, rate, full) < full);
            if buckets.len() >= MAX_KINDS {
                return None;
            }
        }
        let level = buckets.entry(kind).or_insert(Level { millitokens: full, at: now, suppressed: 0 });
        level.millitokens = level.refilled(now, u64::from(self.per_second), full);
        level.at = now;
        if level.millitokens < 1000 {
            level.suppressed += 1;
            return None;
        }
        level.millitokens -= 1000;
        Some(std::mem::take(&mut level.suppressed))
    }

    /// Takes the counts of what was not recorded since the last entry that got through or the last drain.
    pub fn drain(&self) -> Vec<(K, u64)>
    where
        K: Clone,
    {
        let mut buckets = self.buckets.lock();
        let counted = buckets.iter_mut().filter(|(_, level)| level.suppressed > 0);
        counted.map(|(kind, level)| (kind.clone(), std::mem::take(&mut level.suppressed))).collect()
    }
}

impl Level {
    fn refilled(&self, now: Timestamp, per_second: u64, full: u64) -> u64 {
        let elapsed = u64::try_from(now.millis().saturating_sub(self.at.millis())).unwrap_or(0);
        self.millitokens.saturating_add(elapsed.saturating_mul(per_second)).min(full)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_exceeds_the_rate_is_counted_not_recorded() {
        let throttle = Throttle::new(2, 1);
        let at = Timestamp::from_seconds;
        assert_eq!(throttle.admit("bad signature", at(0)), Some(0));
        assert_eq!(throttle.admit("bad signature", at(0)), Some(0));
        assert_eq!(throttle.admit("bad signature", at(0)), None);
        assert_eq!(throttle.admit("bad signature", at(0)), None);
        assert_eq!(throttle.admit("unknown key", at(0)), Some(0));
        assert_eq!(throttle.admit("bad signature", at(1)), Some(2));
        assert_eq!(throttle.admit("bad signature", at(1)), None);
        assert_eq!(throttle.admit("bad signature", at(-9)), None, "a clock that steps back refills nothing");
        assert_eq!(throttle.drain(), [("bad signature", 2)]);
        assert_eq!(throttle.drain(), []);
    }
}
