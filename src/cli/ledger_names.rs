//! `domicile ledger names`: off-line, by whoever holds the data folder and the keyring.

use serde_json::{Value, json};

use super::{Failure, Output, Table, args::LedgerNamesArgs};
use crate::app::{StartError, StoppedError, StoppedIndex, close_to_others};
use crate::index::LedgerNames;

/// Prints what entries call a subject or a key, as far as anybody can tell.
pub(super) fn run(args: &LedgerNamesArgs, out: &mut Output<'_>) -> Result<(), Failure> {
    close_to_others().map_err(|error| Failure::Check(format!("cannot keep memory private: {error}")))?;
    let unusable = |error: StoppedError| match error {
        StoppedError::Open(StartError::Locked { .. }) => {
            Failure::Unreachable(format!("a gateway uses `{}`: stop it first", args.data_dir.display()))
        }
        other => Failure::Usage(other.to_string()),
    };
    let keyring = args.keyring.as_deref().zip(args.identity.as_deref());
    let stopped =
        StoppedIndex::open(&args.data_dir).and_then(|index| index.catalogue(&args.data_dir, keyring)).map_err(unusable)?;
    let unreadable = |error| Failure::Check(format!("the index cannot be read: {error}"));
    let (mut table, mut found) = (Table::new(["NAME", "OF", "MADE WITH"]), json!({}));
    let mut say = |of: &'static str, names: LedgerNames| {
        for name in &names.salted {
            table.row([name.to_string(), of.to_owned(), "the subject's salt".to_owned()]);
        }
        table.row([names.plain.to_string(), of.to_owned(), "the keyring alone".to_owned()]);
        found[of] = value(&names);
    };
    if let Some(subject) = &args.subject {
        say("subject", stopped.index.ledger_names_of_subject(subject).map_err(unreadable)?);
    }
    if let (Some(bucket), Some(key)) = (&args.bucket, &args.key) {
        say("key", stopped.index.ledger_names_of_key(bucket, key, args.subject.as_ref()).map_err(unreadable)?);
    }
    out.value(&found)?;
    out.table(&table)
}

fn value(names: &LedgerNames) -> Value {
    let salted: Vec<String> = names.salted.iter().map(ToString::to_string).collect();
    json!({ "salted": salted, "plain": names.plain.to_string() })
}
