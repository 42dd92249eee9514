//! Object lock: versions that cannot be removed before their time, or while somebody holds them.

use serde::{Deserialize, Serialize};

use crate::bucket::SettingError;
use crate::types::Timestamp;

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
    /// Checks that it is positive and within S3's limits (36,500 days, 100 years).
    pub fn check(self) -> Result<(), SettingError> {
        todo!()
    }
}

impl ObjectLock {
    /// The retention of a version written at `now` without one of its own.
    pub fn default_for(&self, _now: Timestamp) -> Option<Retention> {
        todo!()
    }
}

impl Lock {
    /// Whether nothing was ever set.
    pub const fn is_empty(&self) -> bool {
        self.retention.is_none() && self.legal_hold.is_none()
    }

    /// Whether the version must be kept at `now`. `bypass_governance`: the request asks to bypass governance and may.
    pub fn forbids_removal(&self, _now: Timestamp, _bypass_governance: bool) -> bool {
        todo!()
    }

    /// Whether the retention may become `new` (`None`: removed) at `now`. A legal hold does not matter.
    pub fn may_change_to(&self, _new: Option<Retention>, _now: Timestamp, _bypass_governance: bool) -> Result<(), LockRefused> {
        todo!()
    }
}
