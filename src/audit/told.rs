//! What entries tell of records: where and why they were placed, what was removed of them, and how many were given out.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::types::{Country, KeyId, RecordId, SiteId};

/// One copy of a record, as it was placed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct PlacedCopy {
    /// Where; its country stands at the same place of the entry's own list.
    pub site: SiteId,
    /// The country key that seals it.
    pub key: KeyId,
    /// The country of that key, where it is another than the copy's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_country: Option<Country>,
    /// `primary`, `required` or `queued`.
    pub role: &'static str,
    /// Whether its bytes follow; of others they were durable by then.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub pending: bool,
}

/// On whose word a record was placed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct DecidedBy {
    /// `instruments`, `default`, `no-subject-bucket` or `no-subject-otherwise`.
    pub source: &'static str,
    /// What named the subject and what gave each attribute, in the words of the policy set.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub signals: BTreeMap<String, Vec<String>>,
}

/// A record of which nothing lies at these sites any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct CollectedCopies {
    /// The record.
    pub record: RecordId,
    /// The sites.
    pub sites: Vec<SiteId>,
}

/// Rows that were given out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct PopulationGiven {
    /// `ndjson`, `csv` or `parquet`.
    pub format: &'static str,
    /// How many.
    pub rows: u64,
    /// Bytes of the objects.
    pub bytes: u64,
    /// Root of the Merkle tree over the rows, in hex.
    pub root: String,
    /// How many ledger entries there were when they were all so.
    pub ledger: u64,
}
