//! How the place of a site is set up, as far as that endangers where its blobs are or whether they stay.
//!
//! A bucket that copies itself to another country, lets everybody read or deletes by a rule of its own breaks what the gateway promises without
//! a byte going wrong at the gateway. So every place is looked at, and what could not be looked at is told as that: never as fine, and never
//! as an alarm.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// One thing that is looked at. The names are in configurations, the ledger and the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Check {
    /// Whether the site carries this gateway's marker.
    Marker,
    /// Whether the bucket is in the region of the configuration.
    Region,
    /// Whether the bucket copies what it gets to another one.
    Replication,
    /// Whether the bucket's policy lets everybody in.
    PublicPolicy,
    /// Whether the bucket's ACL lets everybody in.
    PublicAcl,
    /// Whether the bucket is kept from becoming public.
    PublicAccessBlock,
    /// Whether old versions of blobs stay.
    Versioning,
    /// Whether the bucket deletes blobs by itself, or moves them out of reach.
    Lifecycle,
    /// Whether others on the machine can enter the folder.
    FolderMode,
}

impl Check {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Marker,
        Self::Region,
        Self::Replication,
        Self::PublicPolicy,
        Self::PublicAcl,
        Self::PublicAccessBlock,
        Self::Versioning,
        Self::Lifecycle,
        Self::FolderMode,
    ];
    /// Those of a bucket.
    pub const OF_BUCKETS: &[Self] = &[
        Self::Region,
        Self::Replication,
        Self::PublicPolicy,
        Self::PublicAcl,
        Self::PublicAccessBlock,
        Self::Versioning,
        Self::Lifecycle,
    ];
    /// Those of a folder.
    pub const OF_FOLDERS: &[Self] = &[Self::FolderMode];

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Marker => "marker",
            Self::Region => "region",
            Self::Replication => "replication",
            Self::PublicPolicy => "public-policy",
            Self::PublicAcl => "public-acl",
            Self::PublicAccessBlock => "public-access-block",
            Self::Versioning => "versioning",
            Self::Lifecycle => "lifecycle",
            Self::FolderMode => "folder-mode",
        }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A text that names no check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the name of a check")]
pub struct UnknownCheck;

impl FromStr for Check {
    type Err = UnknownCheck;

    fn from_str(text: &str) -> Result<Self, UnknownCheck> {
        Self::ALL.into_iter().find(|check| check.as_str() == text).ok_or(UnknownCheck)
    }
}

/// How bad something that was found is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Somebody should know of it.
    Warning,
    /// What is stored there now is not where, or not for as long as, the gateway says.
    Alarm,
}

impl Severity {
    /// A short constant word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Alarm => "alarm",
        }
    }
}

/// Why something could not be looked at. Texts may come from the place: they are for operators, and are cleaned by [`told`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unknown {
    /// Nobody has looked yet.
    NotYet,
    /// The service does not have such a thing, or does not tell.
    NotSupported,
    /// The gateway's key pair may not look; which right it lacks.
    NotPermitted(&'static str),
    /// The question failed.
    Failed(String),
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotYet => f.write_str("not looked at yet"),
            Self::NotSupported => f.write_str("not supported by the service"),
            Self::NotPermitted(right) => write!(f, "not permitted: the key pair needs {right}"),
            Self::Failed(why) => write!(f, "no answer: {why}"),
        }
    }
}

/// What one check says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It was looked at, and there is nothing to say.
    Fine,
    /// There is something.
    Found {
        /// How bad it is.
        severity: Severity,
        /// What, in words for an operator.
        detail: String,
    },
    /// It could not be looked at.
    Unknown(Unknown),
}

impl Verdict {
    /// Something that somebody should know of.
    pub(super) fn warning(detail: impl Into<String>) -> Self {
        Self::Found { severity: Severity::Warning, detail: detail.into() }
    }

    /// Something that breaks a promise.
    pub(super) fn alarm(detail: impl Into<String>) -> Self {
        Self::Found { severity: Severity::Alarm, detail: detail.into() }
    }
}

/// What was found at a place: one verdict for each of its checks, in their order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Posture(pub Vec<(Check, Verdict)>);

/// The longest text of a place that is passed on.
const MOST_TOLD: usize = 200;

/// A text that a place told, short and without anything that could break a line or play with a terminal.
pub(super) fn told(text: &str) -> String {
    let clean = text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c });
    if text.chars().count() <= MOST_TOLD { clean.collect() } else { clean.take(MOST_TOLD).chain(['…']).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_check_is_read_by_its_name_and_stored_under_it() {
        for check in Check::ALL {
            assert_eq!(check.as_str().parse(), Ok(check));
            assert_eq!(serde_json::to_string(&check).unwrap(), format!("\"{check}\""));
        }
        assert_eq!("replicate".parse::<Check>(), Err(UnknownCheck));
        assert_eq!(Check::ALL.len(), 1 + Check::OF_BUCKETS.len() + Check::OF_FOLDERS.len());
    }

    #[test]
    fn what_a_place_tells_cannot_break_a_line() {
        assert_eq!(told("plain"), "plain");
        assert_eq!(told("a\nb\u{1b}[2J"), "a\u{fffd}b\u{fffd}[2J");
        assert_eq!(told(&"x".repeat(5000)).chars().count(), MOST_TOLD + 1);
    }
}
