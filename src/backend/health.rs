//! Whether a site is in service.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::BackendError;
use crate::{
    telemetry::metric,
    types::{Country, SiteId},
};

/// Whether a site is in service. Only [`SiteState::Up`] sites get new records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SiteState {
    /// Its identity has not been checked yet: nothing is sent to it or read from it.
    Unverified,
    /// In service.
    Up,
    /// Verified, but the last attempt could not reach it.
    Down,
    /// It is not the site that the configuration says, or another gateway has taken it over. Nothing is sent to it or read from
    /// it until the gateway starts again.
    Refused {
        /// Why, in words for an operator.
        reason: String,
    },
}

impl SiteState {
    /// A short constant word for humans, metrics and APIs.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Unverified => "unverified",
            Self::Up => "up",
            Self::Down => "down",
            Self::Refused { .. } => "refused",
        }
    }
}

/// One site's state and its transitions:
///
/// ```text
/// Unverified ── verified ─▶ Up ◀── success, probe ── Down
///     │                     │ └─── connection failure ─▶ │
///     └──── refused ────────┴──────── refused ──────────┘──▶ Refused (final)
/// ```
pub(super) struct Health {
    site: SiteId,
    country: Country,
    state: Mutex<SiteState>,
    /// Wakes the probe when the site goes down, so that it need not wait for its next round.
    pub(super) went_down: Notify,
}

impl Health {
    pub(super) fn new(site: SiteId, country: Country) -> Self {
        let health = Self { site, country, state: Mutex::new(SiteState::Unverified), went_down: Notify::new() };
        health.publish(&SiteState::Unverified);
        health
    }

    pub(super) fn state(&self) -> SiteState {
        self.state.lock().clone()
    }

    pub(super) fn is_up(&self) -> bool {
        *self.state.lock() == SiteState::Up
    }

    /// Lets an operation through to the backend, or says why not.
    pub(super) fn admit(&self) -> Result<(), BackendError> {
        match &*self.state.lock() {
            SiteState::Up | SiteState::Down => Ok(()),
            SiteState::Unverified => Err(BackendError::Unavailable {
                site: self.site.clone(),
                reason: "its identity has not been verified yet".to_owned(),
                cause: None,
            }),
            SiteState::Refused { reason } => {
                Err(BackendError::Refused { site: self.site.clone(), reason: reason.clone(), cause: None })
            }
        }
    }

    /// The site is who it should be.
    pub(super) fn verified(&self) {
        self.change(|state| !matches!(state, SiteState::Refused { .. }), SiteState::Up);
    }

    /// The site must not be used any more.
    pub(super) fn refuse(&self, reason: String) {
        self.change(|state| !matches!(state, SiteState::Refused { .. }), SiteState::Refused { reason });
    }

    pub(super) fn observe_success(&self) {
        self.change(|state| *state == SiteState::Down, SiteState::Up);
    }

    pub(super) fn observe_failure(&self, error: &BackendError) {
        if error.is_connection_failure() && self.change(|state| *state == SiteState::Up, SiteState::Down) {
            tracing::warn!(site = %self.site, %error, "site marked down");
            self.went_down.notify_one();
        }
    }

    fn change(&self, applies: impl Fn(&SiteState) -> bool, to: SiteState) -> bool {
        let mut state = self.state.lock();
        if *state == to || !applies(&state) {
            return false;
        }
        tracing::info!(site = %self.site, country = %self.country, from = state.label(), to = to.label(), "site state");
        self.publish(&to);
        *state = to;
        true
    }

    fn publish(&self, state: &SiteState) {
        let up = if *state == SiteState::Up { 1.0 } else { 0.0 };
        metrics::gauge!(metric::SITE_UP, "site" => self.site.to_string(), "country" => self.country.to_string()).set(up);
    }
}

/// `base` stretched by up to a quarter, so that the probes of many sites and gateways don't march in step. `seed` is any number
/// that differs between them.
pub(super) fn jittered(base: Duration, seed: u64) -> Duration {
    // Fibonacci hashing spreads consecutive seeds over the whole range.
    let spread = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 54;
    base + base.mul_f64(spread as f64 / 1024.0 / 4.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn health() -> Health {
        Health::new(SiteId::new("pk-khi").unwrap(), "PK".parse().unwrap())
    }

    fn unreachable() -> BackendError {
        BackendError::Unavailable { site: SiteId::new("pk-khi").unwrap(), reason: "refused".into(), cause: None }
    }

    #[test]
    fn nothing_passes_before_verification_and_a_success_cannot_stand_for_it() {
        let health = health();
        assert!(health.admit().is_err());
        health.observe_success();
        assert_eq!(health.state(), SiteState::Unverified);
        health.verified();
        assert!(health.is_up() && health.admit().is_ok());
    }

    #[test]
    fn a_connection_failure_marks_down_and_a_success_marks_up() {
        let health = health();
        health.verified();
        health.observe_failure(&unreachable().with_unknown_outcome());
        assert_eq!(health.state(), SiteState::Down);
        assert!(health.admit().is_ok(), "bound operations may still try");
        health.observe_success();
        assert!(health.is_up());
    }

    #[test]
    fn an_answer_that_says_no_is_not_an_outage() {
        let health = health();
        health.verified();
        let site = SiteId::new("pk-khi").unwrap();
        health.observe_failure(&BackendError::Busy { site: site.clone(), reason: "slow down".into(), cause: None });
        health.observe_failure(&BackendError::NotFound { site, name: "d1/x".into() });
        assert!(health.is_up());
    }

    #[test]
    fn a_refusal_is_final() {
        let health = health();
        health.refuse("names another site".into());
        health.verified();
        health.observe_success();
        assert!(matches!(health.state(), SiteState::Refused { .. }));
        assert!(matches!(health.admit(), Err(BackendError::Refused { .. })));
    }

    #[test]
    fn jitter_only_lengthens_and_by_a_quarter_at_the_most() {
        let base = Duration::from_secs(4);
        for seed in 0..1000 {
            assert!((base..=Duration::from_secs(5)).contains(&jittered(base, seed)));
        }
    }
}
