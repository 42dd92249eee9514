//! `[ledger]`: its name, its witnesses, its time stamps, and the reads that it tells of.

use std::time::Duration;

use super::{each, section, span};
use crate::audit::note::{KeyType, Signer, Verifier};
use crate::config::Ledger;
use crate::diagnostics::{Item, Table};
use crate::notary::{Settings, WitnessSettings};
use crate::objects::RecordedReads;

/// More often than that would be a load for the witnesses.
const LEAST: Duration = Duration::from_secs(1);

pub(super) fn read(table: &Table<'_>) -> Ledger {
    let default = Settings::default();
    let every = span(table, "checkpoint-every");
    if let (Some(every), Some(item)) = (every, table.optional("checkpoint-every"))
        && every < LEAST
    {
        item.error("`checkpoint-every` must be at least 1s", None);
    }
    let witnesses = each(table, "witness", &mut Vec::new(), |table| {
        let (url, key) = (table.required("url").and_then(url), table.required("key").and_then(witness_key));
        Some(WitnessSettings { url: url?, key: key? })
    });
    let time_stamps = section(table, "time-stamps", |table| table.required("url").and_then(url)).flatten();
    let origin = table.optional("origin").and_then(origin);
    let words = [("all", RecordedReads::All), ("cross-border", RecordedReads::CrossBorder), ("none", RecordedReads::None)];
    let reads = table.optional("reads").and_then(|item| item.one_of(&words)).unwrap_or_default();
    Ledger { origin, notary: Settings { every: every.unwrap_or(default.every), witnesses, time_stamps }, reads }
}

/// It is the name of the key that signs, too.
fn origin(item: Item<'_>) -> Option<String> {
    let name = item.str()?;
    match Signer::new(name, &[0; 32]) {
        Ok(_) => Some(name.to_owned()),
        Err(error) => {
            item.error(error.to_string(), Some("a name such as `ledger.example.com/domicile`, without a scheme".to_owned()));
            None
        }
    }
}

fn witness_key(item: Item<'_>) -> Option<Verifier> {
    let key: Verifier = item.parsed()?;
    if key.kind() != KeyType::Cosignature {
        item.error("this key signs notes, not checkpoints as a witness does", None);
        return None;
    }
    Some(key)
}

fn url(item: Item<'_>) -> Option<String> {
    let text = item.str()?;
    let right = text
        .parse::<http::Uri>()
        .is_ok_and(|uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some() && uri.query().is_none());
    if !right {
        item.error(format!("`{}` must be an address that begins with `https://` or `http://`", item.key()), None);
        return None;
    }
    Some(text.to_owned())
}
