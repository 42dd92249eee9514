//! What the ledger knows of records that no row names.

use std::collections::HashSet;

use serde::Deserialize;

use crate::{
    objects::{ObjectError, Objects},
    types::RecordId,
};

/// Entries read at a time.
const PAGE: usize = 4096;

/// The part of an entry that says which record it stored.
#[derive(Deserialize)]
struct Entry<'a> {
    #[serde(borrow)]
    kind: std::borrow::Cow<'a, str>,
    record: Option<RecordId>,
    outcome: serde_json::Value,
}

/// Which of `records` were acknowledged at some time.
pub(super) async fn acknowledged(objects: &Objects, records: &HashSet<RecordId>) -> Result<HashSet<RecordId>, ObjectError> {
    let mut found = HashSet::new();
    let mut from = 0;
    while found.len() < records.len() {
        let page = objects.index.ledger_entries(from, PAGE).await?;
        for leaf in &page {
            let Ok(entry) = serde_json::from_slice::<Entry<'_>>(leaf) else { continue };
            let stores = matches!(
                &*entry.kind,
                "put-object" | "copy-object" | "complete-upload" | "copy-begun" | "copy-stored" | "relocated"
            );
            if let Some(record) = entry.record.filter(|record| stores && entry.outcome == "ok" && records.contains(record)) {
                found.insert(record);
            }
        }
        if page.len() < PAGE {
            break;
        }
        from += PAGE as u64;
    }
    Ok(found)
}
