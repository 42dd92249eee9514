//! Object lock: versions that cannot be removed before their time, or while somebody holds them.

use serde::{Deserialize, Serialize};

use crate::bucket::SettingError;
use crate::types::Timestamp;

const DAY_MILLIS: i64 = 24 * 60 * 60 * 1000;
const DAYS_A_YEAR: u32 = 365;
const MAX_YEARS: u32 = 100;

/// A bucket's object lock. That it is there is what turns object lock on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ObjectLock {
    /// What a version gets that is written without retention of its own.
    pub default: Option<DefaultRetention>,
}

/// Retention by age.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct DefaultRetention {
    /// Who may end it early.
    pub mode: LockMode,
    /// How long.
    pub period: Period,
}

/// A length of retention. Checked by [`Period::check`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Period {
    /// Days of 24 hours.
    Days(u32),
    /// Years of 365 days.
    Years(u32),
}

/// Who may end retention before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum LockMode {
    /// Those with the permission `s3:BypassGovernanceRetention` who ask for it.
    Governance,
    /// Nobody.
    Compliance,
}

/// A version's retention.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Retention {
    /// Who may end it early.
    pub mode: LockMode,
    /// The first moment at which the version may be removed.
    pub until: Timestamp,
}

impl Retention {
    /// Days that are left, a part of a day counted whole: `s3:object-lock-remaining-retention-days`.
    pub fn remaining_days(&self, now: Timestamp) -> i64 {
        const DAY: i64 = 24 * 60 * 60 * 1000;
        let left = self.until.millis().saturating_sub(now.millis()).max(0);
        left / DAY + i64::from(left % DAY > 0)
    }
}

/// What keeps a version from being removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Lock {
    /// Retention, if it was ever set.
    pub retention: Option<Retention>,
    /// Whether the version is held; `None` if that was never said.
    pub legal_hold: Option<bool>,
}

/// The retention in force does not allow the change: S3's `AccessDenied`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the version is locked until {}", .0.until)]
pub struct LockRefused(pub Retention);

impl LockMode {
    /// As S3 writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Governance => "GOVERNANCE",
            Self::Compliance => "COMPLIANCE",
        }
    }

    /// Reads S3's word.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "GOVERNANCE" => Some(Self::Governance),
            "COMPLIANCE" => Some(Self::Compliance),
            _ => None,
        }
    }
}

impl Period {
    /// Checks that it is positive and at most 100 years (36,500 days).
    pub fn check(self) -> Result<(), SettingError> {
        let (given, most) = match self {
            Self::Days(days) => (days, MAX_YEARS * DAYS_A_YEAR),
            Self::Years(years) => (years, MAX_YEARS),
        };
        if (1..=most).contains(&given) {
            return Ok(());
        }
        Err(SettingError::InvalidRetentionPeriod(format!("The default retention must be between 1 and {most}.").into()))
    }

    /// Its length in milliseconds.
    fn millis(self) -> i64 {
        let days = match self {
            Self::Days(days) => i64::from(days),
            Self::Years(years) => i64::from(years) * i64::from(DAYS_A_YEAR),
        };
        days.saturating_mul(DAY_MILLIS)
    }
}

impl ObjectLock {
    /// The retention of a version written at `now` without one of its own.
    pub fn default_for(&self, now: Timestamp) -> Option<Retention> {
        self.default.map(|default| Retention { mode: default.mode, until: now.plus_millis(default.period.millis()) })
    }
}

impl Retention {
    /// Checks that it ends after `now`, as one must that a request sets.
    pub fn check(&self, now: Timestamp) -> Result<(), SettingError> {
        if self.until > now {
            return Ok(());
        }
        Err(SettingError::InvalidArgument("The retain until date must be in the future.".into()))
    }

    /// Whether it is in force at `now`.
    pub fn is_in_force(&self, now: Timestamp) -> bool {
        now < self.until
    }
}

impl Lock {
    /// Whether nothing was ever set.
    pub const fn is_empty(&self) -> bool {
        self.retention.is_none() && self.legal_hold.is_none()
    }

    /// Whether the version must be kept at `now`. `bypass_governance`: the request asks to bypass governance, and may.
    pub fn forbids_removal(&self, now: Timestamp, bypass_governance: bool) -> bool {
        self.legal_hold == Some(true)
            || self.in_force(now).is_some_and(|held| held.mode == LockMode::Compliance || !bypass_governance)
    }

    /// Whether the retention may become `new` (`None`: removed) at `now`. A legal hold does not matter.
    ///
    /// Retention that is over may become anything. Under compliance it may only be kept or lengthened; so it may under governance by
    /// anybody, while to shorten it, to remove it or to make it compliance needs `bypass_governance`.
    pub fn may_change_to(&self, new: Option<Retention>, now: Timestamp, bypass_governance: bool) -> Result<(), LockRefused> {
        let Some(held) = self.in_force(now) else { return Ok(()) };
        let kept = new.is_some_and(|new| new.mode == held.mode && new.until >= held.until);
        if kept || (held.mode == LockMode::Governance && bypass_governance) { Ok(()) } else { Err(LockRefused(held)) }
    }

    fn in_force(&self, now: Timestamp) -> Option<Retention> {
        self.retention.filter(|retention| retention.is_in_force(now))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    use LockMode::{Compliance, Governance};

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    fn retained(mode: LockMode, until: i64) -> Lock {
        Lock { retention: Some(Retention { mode, until: at(until) }), legal_hold: None }
    }

    #[test]
    fn removal_is_forbidden_while_held_or_retained() {
        let held = Lock { retention: None, legal_hold: Some(true) };
        let released = Lock { retention: None, legal_hold: Some(false) };
        for (lock, now, bypass, forbidden) in [
            (Lock::default(), 0, false, false),
            (held, 0, false, true),
            (held, 0, true, true),
            (released, 0, false, false),
            (retained(Governance, 10), 9, false, true),
            (retained(Governance, 10), 9, true, false),
            (retained(Governance, 10), 10, false, false),
            (retained(Compliance, 10), 9, false, true),
            (retained(Compliance, 10), 9, true, true),
            (retained(Compliance, 10), 10, false, false),
            (Lock { legal_hold: Some(true), ..retained(Governance, 10) }, 9, true, true),
        ] {
            assert_eq!(lock.forbids_removal(at(now), bypass), forbidden, "{lock:?} at {now}, bypass {bypass}");
        }
    }

    #[test]
    fn retention_changes_as_its_mode_allows() {
        let to = |mode, until| Some(Retention { mode, until: at(until) });
        // What is in force until 100, what it shall become at 50, whether without and with bypass.
        for (mode, new, plainly, bypassing) in [
            (Governance, to(Governance, 100), true, true),
            (Governance, to(Governance, 101), true, true),
            (Governance, to(Governance, 99), false, true),
            (Governance, to(Compliance, 100), false, true),
            (Governance, to(Compliance, 101), false, true),
            (Governance, None, false, true),
            (Compliance, to(Compliance, 100), true, true),
            (Compliance, to(Compliance, 101), true, true),
            (Compliance, to(Compliance, 99), false, false),
            (Compliance, to(Governance, 101), false, false),
            (Compliance, None, false, false),
        ] {
            let lock = retained(mode, 100);
            assert_eq!(lock.may_change_to(new, at(50), false).is_ok(), plainly, "{mode:?} to {new:?}");
            assert_eq!(lock.may_change_to(new, at(50), true).is_ok(), bypassing, "{mode:?} to {new:?} with bypass");
            assert!(lock.may_change_to(new, at(100), false).is_ok(), "what is over holds nothing");
            assert!(Lock::default().may_change_to(new, at(50), false).is_ok());
        }
    }

    #[test]
    fn periods_are_positive_and_a_hundred_years_at_most() {
        for period in [Period::Days(1), Period::Days(36_500), Period::Years(1), Period::Years(100)] {
            assert!(period.check().is_ok(), "{period:?}");
        }
        for period in [Period::Days(0), Period::Days(36_501), Period::Years(0), Period::Years(101), Period::Years(u32::MAX)] {
            assert_eq!(period.check().unwrap_err().code(), "InvalidRetentionPeriod", "{period:?}");
        }
    }

    #[test]
    fn the_default_counts_from_the_write() {
        let lock = |period| ObjectLock { default: Some(DefaultRetention { mode: Governance, period }) };
        let until = |period| lock(period).default_for(at(5)).unwrap().until;
        assert_eq!(until(Period::Days(2)), at(5 + 2 * 86_400));
        assert_eq!(until(Period::Years(2)), at(5 + 730 * 86_400));
        assert_eq!(ObjectLock::default().default_for(at(5)), None);
    }

    #[test]
    fn a_date_in_the_past_cannot_be_set() {
        let retention = Retention { mode: Governance, until: at(10) };
        assert!(retention.check(at(9)).is_ok());
        assert_eq!(retention.check(at(10)).unwrap_err().code(), "InvalidArgument");
    }

    fn any_mode() -> impl Strategy<Value = LockMode> {
        prop_oneof![Just(Governance), Just(Compliance)]
    }

    fn any_retention() -> impl Strategy<Value = Option<Retention>> {
        proptest::option::of((any_mode(), 0_i64..50).prop_map(|(mode, until)| Retention { mode, until: at(until) }))
    }

    proptest! {
        /// However retention is changed, what nobody may remove now nobody may remove before its date.
        #[test]
        fn compliance_is_never_shortened(
            until in 1_i64..50,
            changes in proptest::collection::vec((any_retention(), any::<bool>()), 0..20),
        ) {
            let mut lock = retained(Compliance, until);
            for (new, bypass) in changes {
                if lock.may_change_to(new, at(0), bypass).is_ok() {
                    lock.retention = new;
                }
            }
            for now in 0..until {
                prop_assert!(lock.forbids_removal(at(now), true));
            }
        }

        /// Without bypass no change lets a version go earlier.
        #[test]
        fn nothing_is_loosened_without_bypass(old in any_retention(), new in any_retention(), now in 0_i64..50, later in 0_i64..50) {
            let before = Lock { retention: old, legal_hold: None };
            let after = Lock { retention: new, legal_hold: None };
            if before.may_change_to(new, at(now), false).is_ok() && later >= now {
                prop_assert!(!before.forbids_removal(at(later), false) || after.forbids_removal(at(later), false));
            }
        }

        #[test]
        fn any_time_and_period_can_be_asked(now in any::<i64>(), number in any::<u32>()) {
            for period in [Period::Days(number), Period::Years(number)] {
                let lock = ObjectLock { default: Some(DefaultRetention { mode: Governance, period }) };
                prop_assert!(lock.default_for(Timestamp::from_millis(now)).unwrap().until >= Timestamp::from_millis(now));
            }
        }
    }
}
