//! What the ledger knows of records that no row names.

use std::collections::HashSet;

use serde::Deserialize;

use crate::{
    objects::{ObjectError, Objects},
    types::RecordId,
};

/// Entries read at a time.
const PAGE: usize = 4096;

/// The part of an entry that says which record it is about.
#[derive(Deserialize)]
struct Entry<'a> {
    #[serde(borrow)]
    kind: std::borrow::Cow<'a, str>,
    record: Option<RecordId>,
    outcome: serde_json::Value,
}

/// What the ledger knows of some records.
#[derive(Debug, Default)]
pub(super) struct Evidence {
    /// Those that were acknowledged at some time.
    acknowledged: HashSet<RecordId>,
    /// Those of them that the index was rebuilt after, and that no entry speaks of since: perhaps the rebuild did not find them.
    doubtful: HashSet<RecordId>,
    /// Whether the index was ever rebuilt.
    rebuilt: bool,
}

impl Evidence {
    /// What there is about `records`.
    pub(super) async fn of(objects: &Objects, records: &HashSet<RecordId>) -> Result<Self, ObjectError> {
        let (mut evidence, mut from) = (Self::default(), 0);
        loop {
            let page = objects.index.ledger_entries(from, PAGE).await?;
            for leaf in &page {
                if let Ok(entry) = serde_json::from_slice::<Entry<'_>>(leaf) {
                    evidence.take(&entry, records);
                }
            }
            if page.len() < PAGE {
                return Ok(evidence);
            }
            from += PAGE as u64;
        }
    }

    fn take(&mut self, entry: &Entry<'_>, records: &HashSet<RecordId>) {
        if entry.kind == "index-rebuilt" {
            self.doubtful.clone_from(&self.acknowledged);
            self.rebuilt = true;
        }
        let Some(record) = entry.record.filter(|record| entry.outcome == "ok" && records.contains(record)) else { return };
        match &*entry.kind {
            "put-object" | "copy-object" | "complete-upload" | "copy-begun" | "copy-stored" | "relocated" => {
                self.acknowledged.insert(record);
            }
            // A scrub speaks of what it found, not of what the index has.
            "found" | "cleared" | "repaired" => return,
            _ => {}
        }
        self.doubtful.remove(&record);
    }

    /// Whether the record was acknowledged at some time.
    pub(super) fn knows(&self, record: RecordId) -> bool {
        self.acknowledged.contains(&record)
    }

    /// Whether the row of a subject key can have been lost by a rebuild. The ledger does not name keys.
    pub(super) const fn doubts_keys(&self) -> bool {
        self.rebuilt
    }

    /// Whether the record was acknowledged, and its row perhaps lost by a rebuild.
    pub(super) fn doubts(&self, record: RecordId) -> bool {
        self.doubtful.contains(&record)
    }
}
