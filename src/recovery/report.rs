//! What a rebuild tells of itself, while it goes on and at its end.

use serde::Serialize;

use super::{Adopted, Chain};
use crate::audit::{FromExport, Rebuilt};
use crate::types::SiteId;

/// How far a rebuild has come. Shared with whoever shows it.
pub trait Progress: Send + Sync {
    /// A step begins; `total` things are to be done, when that is known.
    fn begin(&self, step: &str, total: Option<u64>);
    /// So many more are done.
    fn advance(&self, done: u64);
}

/// Nobody looks.
impl Progress for () {
    fn begin(&self, _: &str, _: Option<u64>) {}
    fn advance(&self, _: u64) {}
}

/// What a rebuild found.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Rebuild {
    /// Whether nothing was to be changed.
    pub dry_run: bool,
    /// The pieces of the journal that an earlier try, which was broken off, had read already.
    pub resumed: u64,
    /// The journal of each country.
    pub chains: Vec<Chain>,
    /// Versions with bytes that the journal knows.
    pub records: u64,
    /// Delete markers.
    pub markers: u64,
    /// Buckets.
    pub buckets: u64,
    /// Entries of the ledger.
    pub ledger_entries: u64,
    /// Entries that are known of, and missing or behind a missing one.
    pub ledger_entries_lost: u64,
    /// Records whose part table is missing: they cannot be read.
    pub without_parts: u64,
    /// Pieces of the journal that do not open, by site.
    pub unreadable: Vec<String>,
    /// What was found at the sites beside it.
    pub adopted: Adopted,
    /// The export that it began with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exported: Option<FromExport>,
}

impl Rebuild {
    /// Whether something is known to be missing.
    pub fn has_gap(&self) -> bool {
        self.ledger_entries_lost > 0
            || self.without_parts > 0
            || !self.unreadable.is_empty()
            || self.chains.iter().any(|chain| chain.is_behind())
    }

    /// What is missing and may be found yet, in words; `without` are the sites that were left out. A chain's end that no site
    /// has taken is no such thing: nobody has it any more, and what it brought is taken in from its blobs.
    pub fn gap(&self, without: &[SiteId]) -> Option<String> {
        let mut missing = Vec::new();
        if !without.is_empty() {
            let sites: Vec<&str> = without.iter().map(SiteId::as_str).collect();
            missing.push(format!("what lies at {}", sites.join(", ")));
        }
        let counted = [
            (self.unreadable.len() as u64, "pieces of the journal"),
            (self.ledger_entries_lost, "entries of the ledger"),
            (self.without_parts, "part tables"),
        ];
        missing.extend(counted.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")));
        (!missing.is_empty()).then(|| missing.join(", "))
    }

    /// What the ledger says of it.
    pub fn entry(&self) -> Rebuilt {
        Rebuilt {
            records: self.records + self.adopted.records,
            adopted: self.adopted.records,
            behind: self.chains.iter().filter(|chain| chain.is_behind()).map(|chain| chain.country).collect(),
            entries_lost: self.ledger_entries_lost,
            unreadable: self.unreadable.len() as u64,
        }
    }
}
