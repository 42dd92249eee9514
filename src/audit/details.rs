//! What entries tell besides names and places: questions, checks, rebuilds, verifications, keys.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::types::{Country, InstrumentId, KeyId, Pseudonym, SiteId};

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
pub(super) const fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// A question that the admin API was asked, or what a session was made for. Bucket, key, subject, version and countries that it names stand in the entry's own fields.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Asked {
    /// Method and path, as the API's description writes them.
    pub route: &'static str,
    /// How the keys begin, in the bucket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<Pseudonym>,
    /// The site.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub site: Option<Pseudonym>,
    /// The instrument.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instrument: Option<Pseudonym>,
    /// Who would write; whose session it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub principal: Option<Pseudonym>,
    /// From this time on, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// Before this time, RFC 3339; the end of a session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// From this ledger entry on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<u64>,
    /// At most so many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// Whether it is a later page of an earlier question.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub continued: bool,
    /// As of this time, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// Entries of this class.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<&'static str>,
    /// Whether entries of one kind alone were asked for.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub kind: bool,
    /// Below this ledger entry, the newest first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<u64>,
}

/// An exception of an instrument that lets a copy be where the instrument would not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct LeantOn {
    /// The instrument.
    pub instrument: InstrumentId,
    /// What the exception rests on, as policy files name it.
    pub basis: &'static str,
    /// Where the proof is, in the words of the policy file.
    pub reference: String,
    /// The countries that only it lets in.
    pub countries: Vec<Country>,
}

/// What a check found at a site.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct SiteCheck {
    /// Its name.
    pub name: &'static str,
    /// `alarm` or `warning`.
    pub severity: &'static str,
    /// Whether the configuration accepts it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub accepted: bool,
}

/// What a rebuild of the index found at the sites.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Rebuilt {
    /// Versions with bytes.
    pub records: u64,
    /// Those of them that no site's journal knew: they were written in the last moment.
    pub adopted: u64,
    /// Countries whose journal ends before the last commit that others know of.
    pub behind: Vec<Country>,
    /// Ledger entries that are known of, and missing or behind a missing one.
    pub entries_lost: u64,
    /// Pieces of the journal that do not open.
    pub unreadable: u64,
}

/// What a scrub came to.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Scrubbed {
    /// Whether every byte was opened, not the heads alone.
    pub deep: bool,
    /// Whether only some records were looked at: those of a bucket, a prefix, a subject, or a sample.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub partial: bool,
    /// Of a sample, the seed that it was drawn by and one record in how many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sample: Option<(u64, u64)>,
    /// Records that were looked at.
    pub records: u64,
    /// Blobs that were.
    pub blobs: u64,
    /// What was found, by class; what was put right is not counted.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub findings: BTreeMap<&'static str, u64>,
    /// What was put right.
    #[serde(skip_serializing_if = "is_zero")]
    pub repaired: u64,
    /// What could not be looked at: its site or key could not be had.
    #[serde(skip_serializing_if = "is_zero")]
    pub unchecked: u64,
    /// When it began, RFC 3339; left out where it went on after a stop.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub began: Option<String>,
}

/// A version of a country's key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct CountryKeyVersion {
    /// The key, as the configuration names it.
    pub key: KeyId,
    /// The version; none where only the key is known yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
}

/// Calls to a key provider that were alike in what was asked and how it ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct ProviderCalls {
    /// What was asked: `wrap`, `unwrap`, `rewrap`, `describe`, `rotate`, `destroy`; `health` where the answer became another.
    pub operation: &'static str,
    /// `ok`, or the code of the failure.
    pub outcome: &'static str,
    /// How many.
    pub calls: u64,
    /// The versions concerned.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub versions: Vec<u32>,
    /// Whose keys.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub subjects: Vec<Pseudonym>,
    /// The buckets whose keys.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub buckets: Vec<Pseudonym>,
    /// The sites whose keys.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sites: Vec<SiteId>,
    /// Calls whose owner is not named, because there were too many.
    #[serde(skip_serializing_if = "is_zero")]
    pub unnamed: u64,
}

/// An export of keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct KeyExport {
    /// Tells it apart: a crash can leave two entries of one.
    pub id: String,
    /// When it was made, RFC 3339; the entry is made when a gateway hears of it.
    pub at: String,
    /// How many keys.
    pub keys: u64,
}

/// An export of the index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct FromExport {
    /// The commit that it is of.
    pub number: u64,
    /// When it was made, RFC 3339.
    pub ended: String,
    /// How many ledger entries it holds.
    pub entries: u64,
}
