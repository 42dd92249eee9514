//! The ledger's entries about a record, and the checkpoint that they are proven against.

use std::collections::BTreeSet;

use serde::Deserialize;

use crate::admin::GatewayError;
use crate::audit::residence::{EntryStatement, LedgerStatement, Names, Statement};
use crate::objects::Objects;
use crate::types::{Pseudonym, RecordId};

/// The part of a statement that is yet to come.
pub(super) const fn none() -> LedgerStatement {
    LedgerStatement { checkpoint: String::new(), entries: Vec::new(), consistency: None }
}

/// What of an entry says whose it is.
#[derive(Deserialize)]
struct Leaf {
    record: Option<RecordId>,
    bucket: Option<Pseudonym>,
    key: Option<Pseudonym>,
    subject: Option<Pseudonym>,
}

/// Adds the entries that the statement names; `false` when the ledger can be seen to have them only in a moment.
pub(super) async fn add(objects: &Objects, statement: &mut Statement, from: Option<u64>) -> Result<bool, GatewayError> {
    let index = &objects.index;
    let signed = index.checkpoint();
    let size = signed.checkpoint.size;
    statement.origin.clone_from(&signed.checkpoint.origin);
    statement.ledger.checkpoint = signed.to_string();
    let copies = statement.copies.iter().filter_map(|copy| copy.entry);
    let named: BTreeSet<u64> = copies.chain(statement.decision.entry).collect();
    for entry in named {
        if entry >= size {
            return Ok(false);
        }
        let leaf = index.ledger_entries(entry, 1).await?.pop().unwrap_or_default();
        let leaf = String::from_utf8(leaf).unwrap_or_default();
        let told: Option<Leaf> = serde_json::from_str(&leaf).ok();
        let inclusion = index.inclusion(entry, size).await?;
        match (told.filter(|told| told.record == Some(statement.record.record)), inclusion) {
            (Some(told), Some(inclusion)) => {
                if statement.decision.entry == Some(entry) {
                    statement.names = Names { bucket: told.bucket, key: told.key, subject: told.subject };
                }
                statement.ledger.entries.push(EntryStatement { leaf, inclusion });
            }
            // A rebuild without the ledger's end numbers its entries anew.
            _ => forget(statement, entry),
        }
    }
    if let Some(from) = from {
        let proof = index.consistency(from, size).await?;
        let beyond = || GatewayError::Invalid(format!("`from` is beyond the ledger, which has {size} entries"));
        statement.ledger.consistency = Some(proof.ok_or_else(beyond)?);
    }
    Ok(true)
}

/// The entry is not about this record.
fn forget(statement: &mut Statement, entry: u64) {
    let decision = &mut statement.decision.entry;
    let copies = statement.copies.iter_mut().map(|copy| &mut copy.entry);
    copies.chain([decision]).filter(|told| **told == Some(entry)).for_each(|told| *told = None);
}
