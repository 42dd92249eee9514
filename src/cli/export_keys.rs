//! `domicile keys export`: off-line, by whoever holds the keyring and an identity that opens it. A running gateway gives no key away.

use std::io::Write;

use serde_json::json;

use super::{Failure, Output, Table, args::ExportKeysArgs, unseal::failed};
use crate::app::close_to_others;
use crate::clock::{Clock, SystemClock};
use crate::digest;
use crate::kms::{DataKey, ExportNote, ExportNotes, ExportedKeys, KeyOwner, KmsError, SubjectKey};
use crate::types::Timestamp;
use crate::unseal::{Folder, Keys, SealedRecord, Seen};

/// Writes the keys of one owner, or of one record, to a file.
pub(super) fn run(args: &ExportKeysArgs, out: &mut Output<'_>) -> Result<(), Failure> {
    close_to_others().map_err(|error| Failure::Check(format!("cannot keep memory private: {error}")))?;
    let mut keys = Keys::of_keyring(&args.keyring.keyring, &args.keyring.identity).map_err(failed)?;
    let scanned = Folder::scan(&args.blobs, &mut |seen| {
        if let Seen::SubjectKey(wrapped) = seen {
            keys.learn(*wrapped);
        }
    });
    scanned.map_err(failed)?;
    let owner = match (&args.subject, &args.bucket) {
        (Some(subject), _) => keys.subject(subject),
        (None, Some(bucket)) => keys.bucket(bucket),
        (None, None) => None,
    };
    let wanted = |country| args.countries.is_empty() || args.countries.contains(&country);
    let (owner, exported) = match (&args.manifest, owner) {
        (Some(manifest), _) => {
            let record = SealedRecord::open(manifest, &keys, &args.blobs).map_err(failed)?;
            let key = record.record_key();
            let data_key = DataKey { record: key.record(), country: key.country(), dek: key.dek().clone() };
            (Some(record.owner().clone()), ExportedKeys { data_keys: vec![data_key], ..ExportedKeys::default() })
        }
        (None, Some(owner)) => {
            let (opened, unopened) = keys.of_owner(&owner);
            for error in unopened {
                writeln!(std::io::stderr(), "left out: {error}")?;
            }
            let subject_keys: Vec<SubjectKey> = opened.into_iter().filter(|key| wanted(key.country())).collect();
            (Some(owner), ExportedKeys { subject_keys, ..ExportedKeys::default() })
        }
        (None, None) => (None, ExportedKeys::default()),
    };
    if exported.is_empty() {
        return Err(Failure::Check(format!("no such key is among the blobs in `{}`", args.blobs.display())));
    }
    let now = SystemClock.now();
    let wrong = |error: KmsError| Failure::Usage(error.to_string());
    if args.output.symlink_metadata().is_ok() {
        return Err(wrong(KmsError::Exists(args.output.clone())));
    }
    // First the note: no key leaves without one.
    let notes = keys.notes();
    if let (Some(notes), Some(owner)) = (&notes, owner) {
        notes.add(&note(owner, &exported, now)).map_err(wrong)?;
    }
    exported.write(&args.output, now).map_err(wrong)?;
    say(args, &exported, notes.as_ref(), out)
}

fn note(owner: KeyOwner, exported: &ExportedKeys, at: Timestamp) -> ExportNote {
    let of_records = exported.data_keys.iter().map(|key| key.country);
    ExportNote {
        id: digest::random(),
        at,
        owner,
        record: exported.data_keys.first().map(|key| key.record),
        countries: exported.subject_keys.iter().map(SubjectKey::country).chain(of_records).collect(),
        keys: exported.len() as u64,
    }
}

fn say(args: &ExportKeysArgs, exported: &ExportedKeys, notes: Option<&ExportNotes>, out: &mut Output<'_>) -> Result<(), Failure> {
    let mut table = Table::new(["OPENS", "COUNTRY", "GENERATION"]);
    let mut values = Vec::new();
    for key in &exported.subject_keys {
        let opens = if args.subject.is_some() { "all records of the subject" } else { "the bucket's records of nobody" };
        table.row([opens.to_owned(), key.country().to_string(), key.generation().0.to_string()]);
        values.push(json!({ "opens": "owner", "country": key.country(), "generation": key.generation() }));
    }
    for key in &exported.data_keys {
        table.row([format!("record {}", key.record), key.country.to_string(), String::new()]);
        values.push(json!({ "opens": "record", "country": key.country, "record": key.record }));
    }
    out.value(&json!({ "file": args.output, "keys": values }))?;
    out.table(&table)?;
    writeln!(
        std::io::stderr(),
        "warning: whoever has `{}` and the blobs reads these records, until the blobs are gone: erasing the subject or renewing \
         keys does not close what was exported. Keep it as you would the records, and destroy it after use. The ledger will tell of \
         this export, and not to whom: note who has it and why. It is noted in `{}`, from where the gateway that serves with this \
         keyring takes it; of a copy of the keyring, put that file beside the gateway's.",
        args.output.display(),
        notes.map_or(std::path::Path::new(""), ExportNotes::path).display()
    )?;
    Ok(())
}
