//! What scrubs have found and nobody has put right yet.

use serde::{Deserialize, Serialize};

use super::{
    Index, IndexError,
    codec::decode,
    keys::{self, kind},
    list::Step,
};
use crate::types::{BucketName, Country, ObjectKey, RecordId, SiteId, Timestamp, VersionId};

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// A blob that the index names is not at its site.
    Missing,
    /// A blob is not as long as it was when it was stored.
    WrongLength,
    /// A blob's head does not open, or is that of another blob.
    Unreadable,
    /// What follows a blob's head does not open, or is not what its entity tag was taken of.
    Tampered,
    /// A copy lies where the policy in force does not want it, or a stray blob belongs at another site or in another country.
    Misplaced,
    /// A copy that the policy in force asks for is not there.
    Incomplete,
    /// The policy in force does not say where the record may live.
    Undecided,
    /// A blob of a record, or of a copy of it, that a commit has replaced, deleted or moved away: it should be gone.
    Superseded,
    /// A blob of a write that never became a record.
    Leftover,
    /// A blob that could be an acknowledged record's: the index is older than what lies at the sites, or was rebuilt with gaps, or that
    /// cannot be told.
    Unindexed,
    /// Nothing that this installation has sealed, or nothing that its keys open.
    Foreign,
}

impl Class {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Missing,
        Self::WrongLength,
        Self::Unreadable,
        Self::Tampered,
        Self::Misplaced,
        Self::Incomplete,
        Self::Undecided,
        Self::Superseded,
        Self::Leftover,
        Self::Unindexed,
        Self::Foreign,
    ];

    /// Its name, as it is written everywhere.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::WrongLength => "wrong-length",
            Self::Unreadable => "unreadable",
            Self::Tampered => "tampered",
            Self::Misplaced => "misplaced",
            Self::Incomplete => "incomplete",
            Self::Undecided => "undecided",
            Self::Superseded => "superseded",
            Self::Leftover => "leftover",
            Self::Unindexed => "unindexed",
            Self::Foreign => "foreign",
        }
    }

    /// Whether only a scrub that opens every byte can find it, and so say that it is gone.
    pub const fn is_deep(self) -> bool {
        matches!(self, Self::Tampered)
    }
}

/// One thing that is wrong. Two with the same class, site and name are the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What is wrong.
    pub class: Class,
    /// Where.
    pub site: SiteId,
    /// The country of that site.
    pub country: Country,
    /// The name of what lies or should lie there.
    pub name: String,
    /// The record that it belongs to, where that is known.
    pub record: Option<RecordId>,
    /// The record's bucket.
    pub bucket: Option<BucketName>,
    /// The record's key.
    pub key: Option<ObjectKey>,
    /// The record's version.
    pub version: Option<VersionId>,
    /// More about it, for people.
    pub detail: String,
    /// When it was first found.
    pub since: Timestamp,
}

impl Finding {
    pub(super) fn row(&self) -> Vec<u8> {
        keys::finding(&self.site, self.class.as_str(), &self.name)
    }

    /// What tells it apart.
    pub fn id(&self) -> (Class, &SiteId, &str) {
        (self.class, &self.site, &self.name)
    }
}

impl Index {
    /// Up to `limit` findings that stand, by site and class, from behind `after` on.
    ///
    /// # Errors
    /// Those of reading rows.
    pub async fn findings(&self, after: Option<Finding>, limit: usize) -> Result<Vec<Finding>, IndexError> {
        self.blocking(move |inner| {
            let mut found = Vec::new();
            let start = after.map(|finding| [finding.row().as_slice(), &[0]].concat());
            inner.walk(&[kind::FINDING], start, |row, sealed| {
                if found.len() == limit {
                    return Ok(Step::Stop);
                }
                found.push(inner.sealing.open(row, sealed, |body| decode('f', body))?);
                Ok(Step::Next)
            })?;
            Ok(found)
        })
        .await
    }

    /// The finding, when it stands already.
    ///
    /// # Errors
    /// Those of reading rows.
    pub fn finding(&self, finding: &Finding) -> Result<Option<Finding>, IndexError> {
        self.inner.row(&finding.row())
    }

    /// Takes from a finding which key it is about, if it stands. It says of a record what nothing else may say any more.
    ///
    /// # Errors
    /// Those of the index.
    pub async fn unname_finding(&self, finding: Finding) -> Result<(), IndexError> {
        if self.finding(&finding)?.is_none() {
            return Ok(());
        }
        let nameless = Finding { bucket: None, key: None, version: None, ..finding };
        self.keep(nameless.row(), &nameless).await.map(drop)
    }

    /// Keeps how far a scrub has come that goes on by itself.
    ///
    /// # Errors
    /// Those of the index.
    pub async fn keep_scrub<T: Serialize + Sync>(&self, state: &T) -> Result<(), IndexError> {
        self.keep(keys::SCRUB, state).await.map(drop)
    }

    /// What [`Index::keep_scrub`] kept last.
    ///
    /// # Errors
    /// Those of reading rows.
    pub fn kept_scrub<T: serde::de::DeserializeOwned>(&self) -> Result<Option<T>, IndexError> {
        self.inner.row(keys::SCRUB)
    }
}
