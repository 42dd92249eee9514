//! How often it may be tried to sign in: from one address, and altogether.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    time::Duration,
};

use parking_lot::Mutex;
use tokio::time::Instant;

use super::LoginRefused;
use crate::telemetry::metric;

/// Of one address (of a /64 of IPv6, which is one household's): so many at once, and one more after each pause.
const ONE: Rate = Rate { burst: 10, pause: Duration::from_secs(6) };
/// Of all together. Generous, because whoever uses it up keeps everybody from signing in.
const ALL: Rate = Rate { burst: 200, pause: Duration::from_millis(100) };
/// Addresses that are remembered. More than that share what is left of [`ALL`] until some of them may try as often as anybody again.
const MOST: usize = 4096;

#[derive(Debug, Clone, Copy)]
struct Rate {
    burst: u32,
    pause: Duration,
}

/// Counts tries to sign in. A try counts before it is looked at, so that its outcome tells nothing of how many are left.
#[derive(Debug)]
pub(super) struct Attempts(Mutex<Counted>);

#[derive(Debug, Default)]
struct Counted {
    all: Spent,
    /// Of each address. One that has all its tries again is forgotten.
    of: HashMap<IpAddr, Spent>,
}

/// When all tries will be there again; in the past, or never set, when they are.
#[derive(Debug, Clone, Copy, Default)]
struct Spent(Option<Instant>);

impl Default for Attempts {
    fn default() -> Self {
        throttled(0);
        Self(Mutex::default())
    }
}

impl Attempts {
    /// Counts one.
    ///
    /// # Errors
    /// [`LoginRefused::TooMany`], with the time until the next may be made.
    pub(super) fn admit(&self, address: IpAddr, now: Instant) -> Result<(), LoginRefused> {
        self.count(address, now).inspect_err(|_| throttled(1))
    }

    fn count(&self, address: IpAddr, now: Instant) -> Result<(), LoginRefused> {
        let address = network(address);
        let mut counted = self.0.lock();
        let of = counted.of.get(&address).copied().unwrap_or_default().one_more(ONE, now)?;
        let all = counted.all.one_more(ALL, now)?;
        counted.all = all;
        if counted.of.len() >= MOST && !counted.of.contains_key(&address) {
            counted.of.retain(|_, spent| spent.0.is_some_and(|until| until > now));
            if counted.of.len() >= MOST {
                return Ok(());
            }
        }
        counted.of.insert(address, of);
        Ok(())
    }
}

fn throttled(tries: u64) {
    metrics::counter!(metric::ADMIN_THROTTLED, "limit" => "sign-in").increment(tries);
}

impl Spent {
    fn one_more(self, rate: Rate, now: Instant) -> Result<Self, LoginRefused> {
        let until = self.0.map_or(now, |until| until.max(now)) + rate.pause;
        match until.saturating_duration_since(now + rate.pause * rate.burst) {
            Duration::ZERO => Ok(Self(Some(until))),
            // Whole seconds, never none.
            wait => Err(LoginRefused::TooMany(Duration::from_secs(wait.as_secs() + 1))),
        }
    }
}

fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(number: u32) -> IpAddr {
        IpAddr::from(number.to_be_bytes())
    }

    #[test]
    fn one_address_is_slowed_down_and_hinders_no_other() {
        let (attempts, now) = (Attempts::default(), Instant::now());
        let after = |seconds| now + Duration::from_secs(seconds);
        for _ in 0..10 {
            attempts.admit(address(1), now).unwrap();
        }
        let Err(LoginRefused::TooMany(wait)) = attempts.admit(address(1), now) else { panic!("admitted") };
        assert_eq!(wait, Duration::from_secs(7));
        attempts.admit(address(2), now).unwrap();
        attempts.admit(address(1), after(7)).unwrap();
        attempts.admit(address(1), after(7)).unwrap_err();
        for _ in 0..10 {
            attempts.admit(address(1), after(1000)).unwrap();
        }
        attempts.admit(address(1), after(1000)).unwrap_err();
    }

    #[test]
    fn a_network_of_ipv6_is_one_address() {
        let (attempts, now) = (Attempts::default(), Instant::now());
        for host in 0..10_u16 {
            attempts.admit(IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 1, host, 0, 0, 1)), now).unwrap();
        }
        attempts.admit("2001:db8:0:1::99".parse().unwrap(), now).unwrap_err();
        attempts.admit("2001:db8:0:2::99".parse().unwrap(), now).unwrap();
        attempts.admit("::ffff:192.0.2.1".parse().unwrap(), now).unwrap();
        assert_eq!(network("::ffff:192.0.2.1".parse().unwrap()), "192.0.2.1".parse::<IpAddr>().unwrap());
    }

    #[test]
    fn all_together_are_bounded_and_so_is_what_is_remembered() {
        let (attempts, now) = (Attempts::default(), Instant::now());
        let admitted = (0..1000).filter(|number| attempts.admit(address(*number), now).is_ok()).count();
        assert_eq!(admitted, 200);
        for number in 0..20_000 {
            let _ = attempts.admit(address(number), now + Duration::from_secs(30) * (number / 100));
        }
        assert!(attempts.0.lock().of.len() <= MOST);
    }
}
