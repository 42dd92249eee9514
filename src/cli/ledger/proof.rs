//! `domicile ledger prove` and `ledger verify --proof`: residency proofs, made by a gateway and verified without one.

use std::{collections::BTreeSet, path::Path};

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Fault, Held as HeldLedger, LedgerHead, folder::Folder, of_folder, of_lines};
use crate::audit::{
    SignedCheckpoint,
    note::Verifier,
    proof::ConsistencyProof,
    residence::{Held, Proof, ProofFault, Statement, Verified},
};
use crate::cli::{
    Failure, Output,
    args::{LedgerVerifyArgs, ProveArgs},
    client::{Client, encode},
    output::one_line,
    s3_target,
    subject::read,
};
use crate::types::{RecordId, Timestamp};

/// Asks the gateway for a proof and writes it as it came.
pub(in crate::cli) fn prove(args: &ProveArgs, out: &mut Output<'_>) -> Result<(), Failure> {
    let (bucket, key) = s3_target(&args.target)?;
    let version = args.version.as_deref().map_or(String::new(), |version| format!("&version={}", encode(version)));
    let from = args.from.map_or(String::new(), |from| format!("&from={from}"));
    let path = format!("/v1/proof?bucket={}&key={}{version}{from}", encode(bucket), encode(key));
    let answer = Client::new(&args.remote)?.get_bytes(&path)?;
    let text = std::str::from_utf8(&answer).map_err(|error| Failure::Unreachable(error.to_string()))?;
    Proof::parse(text).map_err(|fault| Failure::Unreachable(format!("the gateway sent no proof: {fault}")))?;
    let Some(file) = &args.output else { return out.raw(format!("{text}\n").as_bytes()) };
    std::fs::write(file, format!("{text}\n"))
        .map_err(|error| Failure::Usage(format!("cannot write `{}`: {error}", file.display())))?;
    out.value(&json!({ "file": file }))?;
    out.line(format!("what it proves, and what not: domicile ledger verify --proof {} --vkey KEY", file.display()))
}

/// Says what a proof proves and what not.
pub(super) fn verify(args: &LedgerVerifyArgs, file: &Path, out: &mut Output<'_>) -> Result<(), Failure> {
    let text = args.vkey.as_deref().unwrap_or_default().trim();
    let key: Verifier = text.parse().map_err(|error| Failure::Usage(format!("`{text}`: {error}")))?;
    match check(args, file, &key) {
        Ok(Checked { verified, ledger, later }) => {
            let since = ledger.map(|size| match later.as_slice() {
                [] => format!(
                    "None of the {size} entries of the ledger that you hold tells what became of the record after those of the proof."
                ),
                later => format!(
                    "Of the {size} entries of the ledger that you hold, these tell what became of the record after those of the proof: {}.",
                    later.join(", ")
                ),
            });
            let proven: Vec<String> = verified.proven().into_iter().chain(since).collect();
            let (stated, not_proven) = (verified.stated(), verified.not_proven());
            for (title, sentences) in [
                ("Proven:", &proven),
                ("Stated by the gateway, which the ledger does not show:", &stated),
                ("Not proven:", &not_proven),
            ] {
                out.line(title)?;
                // Names are in them that clients have chosen.
                sentences.iter().try_for_each(|sentence| out.line(format!("  - {}", one_line(sentence))))?;
            }
            out.value(&json!({
                "ok": true, "proven": proven, "stated": stated, "not_proven": not_proven,
                "later": later, "statement": verified.statement,
            }))
        }
        Err(Refused::Other(failure)) => Err(failure),
        Err(Refused::Proof(fault)) => {
            out.value(&json!({ "ok": false, "fault": fault.name(), "detail": fault.to_string() }))?;
            Err(Failure::Check(match fault {
                ProofFault::NotShown { from, to } => format!(
                    "the proof is not held against your checkpoint: nothing shows that the ledger of {from} entries goes on to the one of {to}; make \
                     the proof with `ledger prove --from SIZE`, the size in your checkpoint, or give --consistency or an export of the ledger made since"
                ),
                fault => format!("the proof does not hold: {fault}"),
            }))
        }
        Err(Refused::Ledger(fault)) => {
            out.value(&json!({ "ok": false, "fault": fault, "detail": fault.kind.explain() }))?;
            Err(Failure::Check(format!(
                "the ledger that you hold does not bear the proof out: at entry {}: {:?}: {}",
                fault.seq,
                fault.kind,
                fault.kind.explain()
            )))
        }
    }
}

struct Checked {
    verified: Verified,
    /// The entries of the ledger that is held.
    ledger: Option<u64>,
    /// What it tells of the record after the proof's entries.
    later: Vec<String>,
}

enum Refused {
    Proof(ProofFault),
    Ledger(Fault),
    Other(Failure),
}

impl From<ProofFault> for Refused {
    fn from(fault: ProofFault) -> Self {
        Self::Proof(fault)
    }
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        Self::Other(failure)
    }
}

fn check(args: &LedgerVerifyArgs, file: &Path, key: &Verifier) -> Result<Checked, Refused> {
    let proof = Proof::parse(&read(file)?)?;
    let consistency = args.consistency.as_deref().map(consistency).transpose()?;
    let mut verified = proof.verify(key, Held::default())?;
    let Some(copy) = &args.file else {
        for file in &args.checkpoint {
            let held = checkpoint(file)?;
            verified = proof.verify(key, Held { checkpoint: Some(&held), consistency: consistency.as_ref() })?;
        }
        return Ok(Checked { verified, ledger: None, later: Vec::new() });
    };
    // A ledger that is held goes through the proof's checkpoint or does not.
    let mut held = HeldLedger::read(args)?;
    let (size, root) = (verified.checkpoint.size, verified.checkpoint.root);
    held.heads.push(LedgerHead { size, root, time: Timestamp::default() });
    let mut later = Later::new(&verified.statement);
    let mut look = |leaf: &[u8]| later.look(leaf);
    let found = if copy.is_dir() { of_folder(&Folder::new(copy), &held, &mut look)? } else { of_lines(copy, &held, &mut look)? };
    let entries = found.checked.map_err(Refused::Ledger)?.entries;
    verified.held = Some(entries);
    Ok(Checked { verified, ledger: Some(entries), later: later.found })
}

fn checkpoint(file: &Path) -> Result<SignedCheckpoint, Failure> {
    read(file)?.parse().map_err(|error| Failure::Usage(format!("`{}`: {error}", file.display())))
}

fn consistency(file: &Path) -> Result<ConsistencyProof, Failure> {
    let wrong = |error: serde_json::Error| Failure::Usage(format!("`{}`: {error}", file.display()));
    let value: Value = serde_json::from_str(&read(file)?).map_err(wrong)?;
    serde_json::from_value(value).map_err(wrong)
}

/// What a ledger tells of a record behind the entry that placed it, and the proof does not show.
struct Later {
    record: RecordId,
    placed: u64,
    shown: BTreeSet<u64>,
    /// Each by its number and kind.
    found: Vec<String>,
}

impl Later {
    fn new(statement: &Statement) -> Self {
        Self {
            record: statement.record.record,
            placed: statement.decision.entry.unwrap_or_default(),
            shown: statement.ledger.entries.iter().map(|entry| entry.inclusion.entry).collect(),
            found: Vec::new(),
        }
    }

    fn look(&mut self, leaf: &[u8]) {
        #[derive(Deserialize)]
        struct Leaf {
            seq: u64,
            kind: String,
            record: Option<RecordId>,
            #[serde(default)]
            gone: Vec<RecordId>,
            #[serde(default)]
            collected: Vec<Collected>,
        }
        #[derive(Deserialize)]
        struct Collected {
            record: RecordId,
        }
        let Ok(Leaf { seq, kind, record, gone, collected }) = serde_json::from_slice(leaf) else { return };
        // Another record's entry can say that this one is gone.
        let mut named = record.into_iter().chain(gone).chain(collected.into_iter().map(|collected| collected.record));
        // Nothing becomes of a record that is read, and any number of reads would hide what did.
        let is_told = kind != "get-object" && named.any(|named| named == self.record);
        if is_told && seq > self.placed && !self.shown.contains(&seq) {
            self.found.push(format!("{seq} ({kind})"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_became_of_a_record_is_found_whoever_the_entry_is_about() {
        let (one, two) = ("01".repeat(16), "02".repeat(16));
        let mut later = Later { record: one.parse().unwrap(), placed: 2, shown: BTreeSet::from([2, 4]), found: Vec::new() };
        for entry in [
            json!({ "seq": 1, "kind": "put-object", "record": one }),
            json!({ "seq": 2, "kind": "put-object", "record": one }),
            // Behind the entry that placed it, and before the last one that the proof shows.
            json!({ "seq": 3, "kind": "relocated", "record": one }),
            json!({ "seq": 4, "kind": "copy-stored", "record": one }),
            json!({ "seq": 5, "kind": "get-object", "record": one }),
            json!({ "seq": 6, "kind": "put-object", "record": two, "gone": [one] }),
            json!({ "seq": 7, "kind": "collected", "collected": [{ "record": two, "sites": ["s"] }, { "record": one, "sites": ["s"] }] }),
            json!({ "seq": 8, "kind": "put-object", "record": two }),
            json!({ "head": { "size": 9 } }),
        ] {
            later.look(entry.to_string().as_bytes());
        }
        assert_eq!(later.found, ["3 (relocated)", "6 (put-object)", "7 (collected)"]);
    }
}
