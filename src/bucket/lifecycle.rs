//! Lifecycle rules: what a bucket lets go of by itself, and when.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::bucket::SettingError;
use crate::types::Timestamp;

/// A bucket's rules.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Lifecycle {
    rules: Vec<Rule>,
}

/// One rule. Transitions are not among what a rule can do: data stays at its country's site.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Rule {
    /// Its name, unique in the bucket, at most 255 characters; [`Lifecycle::new`] makes one where it is empty.
    pub id: String,
    /// Whether it is in force.
    pub enabled: bool,
    /// What it is for.
    pub scope: Scope,
    /// When current versions go.
    pub expiration: Option<Expiration>,
    /// When noncurrent versions go.
    pub noncurrent: Option<NoncurrentExpiration>,
    /// Days after which an upload that was not completed is aborted.
    pub abort_uploads_after: Option<u32>,
}

/// How a rule says what it is for; kept apart so that it is answered as it was given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Scope {
    /// The `Prefix` of older clients, directly in the rule.
    Prefix(String),
    /// A `Filter`.
    Filter(Filter),
}

/// What a rule is for: everything that meets all of it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Filter {
    /// What keys begin with.
    pub prefix: Option<String>,
    /// Tags that must all be there.
    pub tags: Vec<(String, String)>,
    /// Size in bytes, exclusive.
    pub larger_than: Option<u64>,
    /// Size in bytes, exclusive.
    pub smaller_than: Option<u64>,
    /// Whether it was written as `And`.
    pub and: bool,
}

/// When current versions go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Expiration {
    /// Days after they were written.
    Days(u32),
    /// From a date on.
    Date(Timestamp),
    /// Not at all, but delete markers with no version behind them do (`ExpiredObjectDeleteMarker`; `false` is kept and does nothing).
    LoneMarkers(bool),
}

/// When noncurrent versions go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct NoncurrentExpiration {
    /// Days after they became noncurrent.
    pub days: u32,
    /// How many noncurrent versions of a key, the newest, are kept however old.
    pub keep: Option<u32>,
}

/// Something that a rule may be for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Candidate<'a> {
    /// The current version of a key.
    Current {
        /// Its key.
        key: &'a str,
        /// Its size, in bytes.
        size: u64,
        /// Its tags.
        tags: &'a [(String, String)],
        /// When it was written.
        written: Timestamp,
    },
    /// A version, or a delete marker, that something newer stands before.
    Noncurrent {
        /// Its key.
        key: &'a str,
        /// Its size, in bytes; 0 for a delete marker.
        size: u64,
        /// Its tags.
        tags: &'a [(String, String)],
        /// When what stands before it was written.
        since: Timestamp,
        /// How many noncurrent versions of the key are newer.
        newer: u32,
    },
    /// A delete marker that is all there is of a key.
    LoneMarker {
        /// Its key.
        key: &'a str,
        /// When it was written.
        written: Timestamp,
    },
    /// A multipart upload.
    Upload {
        /// Its key.
        key: &'a str,
        /// When it was created.
        created: Timestamp,
    },
}

/// That something goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due<'a> {
    /// From when on.
    pub at: Timestamp,
    /// The id of the rule that says so.
    pub rule: &'a str,
}

impl Lifecycle {
    /// Checks the rules, and names those without an id.
    pub fn new(_rules: Vec<Rule>) -> Result<Self, SettingError> {
        todo!()
    }

    /// The rules.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// When `candidate` goes, by the rule that lets it go first. A `day` is 24 hours but in tests; days end at multiples of it since the
    /// Unix epoch, which is midnight UTC.
    pub fn due(&self, _candidate: &Candidate<'_>, _day: Duration) -> Option<Due<'_>> {
        todo!()
    }
}

impl Due<'_> {
    /// The value of `x-amz-expiration`.
    pub fn expiration_header(&self) -> String {
        todo!()
    }

    /// The values of `x-amz-abort-date` and `x-amz-abort-rule-id`.
    pub fn abort_headers(&self) -> (String, String) {
        todo!()
    }
}

impl Default for Scope {
    fn default() -> Self {
        Self::Filter(Filter::default())
    }
}
