//! Keeps one caller's requests from taking what is there for all: how many are under way, and how fast they come.
//!
//! A request takes a [`Place`] before anything else is done for it, and gives it back when its answer has been sent or dropped. What each
//! caller has under way and how fast it asks is counted by name, so a change of the principals forgets neither; the limits are those of
//! the principal as the configuration has it at the time of the request. Counting waits for nobody: it is done with atomics.

use std::{
    collections::HashMap,
    num::NonZeroU32,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use http::header::RETRY_AFTER;

use super::errors::{Code, S3Error};
use crate::authn::{Authenticated, Quota};
use crate::telemetry::metric;
use crate::types::PrincipalId;

/// Between two log lines about the same caller.
const LOG_EVERY: Duration = Duration::from_secs(10);

/// What limits a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Throttled {
    /// As many are under way as the gateway takes.
    Gateway,
    /// As many are under way as this caller may have.
    Concurrency,
    /// They come faster than this caller's may.
    Rate,
}

/// Counts and limits requests.
pub(super) struct Admission {
    most: u32,
    anonymous: Quota,
    started: Instant,
    all: Arc<Meter>,
    callers: ArcSwap<HashMap<PrincipalId, Arc<Meter>>>,
    /// Forms of which it is not known yet whose they are.
    forms: Arc<Meter>,
    under_way: metrics::Gauge,
}

/// A request's place among those under way.
pub(super) struct Place {
    all: Arc<Meter>,
    caller: OnceLock<Arc<Meter>>,
    refused: AtomicBool,
    /// Whether a principal signed it.
    signed: AtomicBool,
    under_way: metrics::Gauge,
}

/// A place whose request is to be counted on its caller, as soon as it is known who that is.
#[derive(Clone, Copy)]
pub(super) struct Turn<'a> {
    pub(super) admission: &'a Admission,
    pub(super) place: &'a Place,
}

impl Turn<'_> {
    /// Counts the request on `who`, whose limits may refuse it. To be called once.
    pub(super) fn count_on(self, who: &Authenticated) -> Result<(), Throttled> {
        self.admission.admit_at(self.place, who, Instant::now())
    }

    /// Counts a form while its fields are read. There may be as many as of unsigned requests: anybody can send one, and whose limits it
    /// counts on stands in it.
    pub(super) fn read_form(self) -> Result<FormTurn, Throttled> {
        self.admission.admit_form(self.place)
    }
}

impl Place {
    /// Whether the request is counted on its caller.
    pub(super) fn is_counted(&self) -> bool {
        self.caller.get().is_some()
    }

    /// Whether it is a principal's; until that is known it is not.
    pub(super) fn is_signed(&self) -> bool {
        self.signed.load(Relaxed)
    }

    /// Whether a limit of its caller, or of forms, refused the request.
    pub(super) fn is_refused(&self) -> bool {
        self.refused.load(Relaxed)
    }
}

/// A form whose fields are being read. It is counted among its like until this is dropped.
pub(super) struct FormTurn(Arc<Meter>);

/// What is counted of one caller, or of all.
#[derive(Default)]
struct Meter {
    under_way: AtomicU32,
    /// When the next request is due if they come evenly at their rate, in nanoseconds since the start: a leaky bucket in one number
    /// (GCRA, ITU-T I.371). In the past when they come more slowly than they may.
    due: AtomicU64,
    /// When refusals were logged last, in nanoseconds since the start; 0 before the first.
    logged: AtomicU64,
    refused: AtomicU64,
}

impl Admission {
    /// Takes `most` requests at once; who does not sign shares `anonymous` with all others of the kind.
    pub(super) fn new(most: NonZeroU32, anonymous: Quota) -> Self {
        for limit in [Throttled::Gateway, Throttled::Concurrency, Throttled::Rate] {
            limit.count(0);
        }
        let under_way = metrics::gauge!(metric::REQUESTS_UNDER_WAY);
        under_way.increment(0.0);
        Self {
            most: most.get(),
            anonymous,
            started: Instant::now(),
            all: Arc::default(),
            callers: ArcSwap::default(),
            forms: Arc::default(),
            under_way,
        }
    }

    /// A place for a request of which nothing is known yet.
    pub(super) fn enter(&self) -> Result<Place, Throttled> {
        if !self.all.enter(Some(self.most)) {
            return Err(self.refuse(&self.all, "-", Throttled::Gateway));
        }
        self.under_way.increment(1.0);
        let all = Arc::clone(&self.all);
        let (refused, signed) = (AtomicBool::new(false), AtomicBool::new(false));
        Ok(Place { all, caller: OnceLock::new(), refused, signed, under_way: self.under_way.clone() })
    }

    fn admit_at(&self, place: &Place, who: &Authenticated, now: Instant) -> Result<(), Throttled> {
        place.signed.store(!who.is_anonymous(), Relaxed);
        self.count(place, who, now).inspect_err(|_| place.refused.store(true, Relaxed))
    }

    fn admit_form(&self, place: &Place) -> Result<FormTurn, Throttled> {
        if !self.forms.enter(self.anonymous.concurrent_requests.map(NonZeroU32::get)) {
            place.refused.store(true, Relaxed);
            return Err(self.refuse(&self.forms, "form", Throttled::Concurrency));
        }
        Ok(FormTurn(Arc::clone(&self.forms)))
    }

    fn count(&self, place: &Place, who: &Authenticated, now: Instant) -> Result<(), Throttled> {
        let name = &who.principal().id;
        let quota = if who.is_anonymous() { self.anonymous } else { who.principal().quota };
        let meter = self.meter(name);
        if !meter.enter(quota.concurrent_requests.map(NonZeroU32::get)) {
            return Err(self.refuse(&meter, name.as_str(), Throttled::Concurrency));
        }
        if let Err(again) = place.caller.set(Arc::clone(&meter)) {
            again.leave();
        }
        match quota.requests_per_second {
            Some(rate) if !meter.pass(rate, self.nanos(now)) => Err(self.refuse(&meter, name.as_str(), Throttled::Rate)),
            _ => Ok(()),
        }
    }

    /// The meter of a caller, made at its first request. There are never more than principals that were ever configured.
    fn meter(&self, name: &PrincipalId) -> Arc<Meter> {
        if let Some(meter) = self.callers.load().get(name) {
            return Arc::clone(meter);
        }
        let fresh = Arc::new(Meter::default());
        self.callers.rcu(|callers| {
            let mut callers = HashMap::clone(callers);
            callers.entry(name.clone()).or_insert_with(|| Arc::clone(&fresh));
            callers
        });
        self.callers.load().get(name).map_or(fresh, Arc::clone)
    }

    /// Counts and, now and then, logs. Refusals for load are no events of the ledger: they would make it grow with the load.
    fn refuse(&self, meter: &Meter, caller: &str, limit: Throttled) -> Throttled {
        limit.count(1);
        meter.refused.fetch_add(1, Relaxed);
        let now = self.nanos(Instant::now());
        let last = meter.logged.load(Relaxed);
        let due = last == 0 || now.saturating_sub(last) >= nanos(LOG_EVERY);
        if due && meter.logged.compare_exchange(last, now, Relaxed, Relaxed).is_ok() {
            let refused = meter.refused.swap(0, Relaxed);
            tracing::warn!(principal = caller, limit = limit.as_str(), refused, "throttled");
        }
        limit
    }

    fn nanos(&self, at: Instant) -> u64 {
        nanos(at.saturating_duration_since(self.started))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(caller) = self.caller.get() {
            caller.leave();
        }
        self.all.leave();
        self.under_way.decrement(1.0);
    }
}

impl Drop for FormTurn {
    fn drop(&mut self) {
        self.0.leave();
    }
}

impl Meter {
    fn enter(&self, most: Option<u32>) -> bool {
        let before = self.under_way.fetch_add(1, Relaxed);
        let enters = most.is_none_or(|most| before < most);
        if !enters {
            self.leave();
        }
        enters
    }

    fn leave(&self) {
        self.under_way.fetch_sub(1, Relaxed);
    }

    /// Whether one more request at the time `now` keeps to `rate`. A second's worth may come at once.
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

impl Throttled {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Concurrency => "concurrency",
            Self::Rate => "rate",
        }
    }

    fn count(self, refused: u64) {
        metrics::counter!(metric::THROTTLED, "limit" => self.as_str()).increment(refused);
    }
}

impl From<Throttled> for S3Error {
    fn from(limit: Throttled) -> Self {
        let message = match limit {
            Throttled::Gateway => "The gateway has as many requests under way as it takes; try again more slowly.",
            Throttled::Concurrency => "This caller has as many requests under way as it may have; use fewer connections.",
            Throttled::Rate => "This caller's requests come faster than they may; try again more slowly.",
        };
        Self::with(Code::SlowDown, message).header(RETRY_AFTER, "1")
    }
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authn::Principal;

    fn limited(id: &str, per_second: u32, at_once: u32) -> Authenticated {
        let quota = Quota { requests_per_second: NonZeroU32::new(per_second), concurrent_requests: NonZeroU32::new(at_once) };
        Authenticated::for_test(Principal { quota, ..Principal::unrestricted(id, Vec::new()).unwrap() })
    }

    fn admission(most: u32) -> Admission {
        let anonymous = Quota { concurrent_requests: NonZeroU32::new(1), ..Quota::default() };
        Admission::new(NonZeroU32::new(most).unwrap(), anonymous)
    }

    impl Admission {
        fn request(&self, who: &Authenticated, millis: u64) -> Result<Place, Throttled> {
            let place = self.enter()?;
            self.admit_at(&place, who, self.started + Duration::from_millis(millis))?;
            Ok(place)
        }

        /// How many of `count` requests at that time pass, one after the other.
        fn passing(&self, who: &Authenticated, millis: u64, count: usize) -> usize {
            (0..count).filter(|_| self.request(who, millis).is_ok()).count()
        }
    }

    #[test]
    fn a_place_is_taken_until_it_is_dropped() {
        let admission = admission(3);
        let (feed, ads) = (limited("feed", 0, 2), limited("ads", 0, 0));
        let places = [admission.request(&feed, 0).ok().unwrap(), admission.request(&feed, 0).ok().unwrap()];
        assert_eq!(admission.request(&feed, 0).err(), Some(Throttled::Concurrency));
        let other = admission.request(&ads, 0).ok().unwrap();
        assert_eq!(admission.request(&ads, 0).err(), Some(Throttled::Gateway));
        drop((places, other));
        assert_eq!((admission.passing(&feed, 0, 9), admission.passing(&ads, 0, 9)), (9, 9));
        assert_eq!(admission.all.under_way.load(Relaxed), 0);
    }

    #[test]
    fn those_who_do_not_sign_share_one_limit() {
        let admission = admission(9);
        let _first = admission.request(&Authenticated::anonymous_for_test(), 0).ok().unwrap();
        assert_eq!(admission.request(&Authenticated::anonymous_for_test(), 0).err(), Some(Throttled::Concurrency));
        assert!(admission.request(&limited("feed", 0, 0), 0).is_ok());
    }

    #[test]
    fn forms_that_say_nothing_yet_share_a_limit_of_their_own() {
        let admission = admission(9);
        let places: Vec<_> = (0..2).map(|_| admission.enter().ok().unwrap()).collect();
        let reading = admission.admit_form(&places[0]).ok().unwrap();
        assert_eq!(admission.admit_form(&places[1]).err(), Some(Throttled::Concurrency));
        assert!(places[1].is_refused() && !places[0].is_refused());
        assert!(admission.request(&Authenticated::anonymous_for_test(), 0).is_ok(), "others who do not sign go on");
        drop(reading);
        assert!(admission.admit_form(&places[1]).is_ok());
    }

    #[test]
    fn a_rate_holds_in_the_long_run_and_lets_a_second_s_worth_come_at_once() {
        let admission = admission(9);
        let (feed, ads) = (limited("feed", 10, 0), limited("ads", 10, 0));
        assert_eq!(admission.passing(&feed, 0, 100), 10);
        assert_eq!(admission.passing(&ads, 0, 100), 10, "one caller's requests are not another's");
        assert_eq!(admission.passing(&feed, 99, 100), 0);
        assert_eq!(admission.passing(&feed, 100, 100), 1);
        assert_eq!((1..=50).map(|tenth| admission.passing(&feed, 100 + tenth * 100, 7)).sum::<usize>(), 50);
        assert_eq!(admission.passing(&feed, 3_600_000, 100), 10, "a quiet hour saves up no more than a second");
        for rate in [1, 3, 1_000_000_000, u32::MAX] {
            let who = limited(&format!("rate-{rate}"), rate, 0);
            assert_eq!(admission.passing(&who, 0, 50), usize::try_from(rate).unwrap().min(50), "{rate}");
        }
    }

    #[test]
    fn what_was_counted_outlives_a_change_of_the_principal() {
        let admission = admission(9);
        assert_eq!(admission.passing(&limited("feed", 10, 0), 0, 100), 10);
        assert_eq!(admission.passing(&limited("feed", 10, 5), 0, 100), 0);
        assert_eq!(admission.passing(&limited("feed", 0, 0), 0, 5), 5);
        let held = admission.request(&limited("feed", 0, 0), 0).ok().unwrap();
        assert_eq!(admission.request(&limited("feed", 0, 1), 0).err(), Some(Throttled::Concurrency));
        drop(held);
        assert!(admission.request(&limited("feed", 0, 1), 0).is_ok());
    }

    #[test]
    fn many_at_once_never_pass_more_than_the_limits_say() {
        let admission = admission(1000);
        let feed = limited("feed", 1, 0);
        let passed = AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| passed.fetch_add(u32::try_from(admission.passing(&feed, 0, 100)).unwrap(), Relaxed));
            }
        });
        assert_eq!(passed.load(Relaxed), 1);
        assert_eq!(admission.meter(&feed.principal().id).under_way.load(Relaxed), 0);
    }
}
