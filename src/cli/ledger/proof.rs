//! `domicile ledger prove` and `ledger verify --proof`: residency proofs, made by a gateway and verified without one.

use std::path::Path;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Fault, Held as HeldLedger, LedgerHead, folder::Folder, of_folder, of_lines};
use crate::audit::{
    SignedCheckpoint,
    note::Verifier,
    proof::ConsistencyProof,
    residence::{Held, Proof, ProofFault, Verified},
    tile::{Level, Tile, unbundle},
};
use crate::cli::{
    Failure, Output,
    args::{LedgerVerifyArgs, ProveArgs},
    client::{Client, encode},
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
                    "None of the {size} entries of the ledger that you hold tells of the record after those of the proof."
                ),
                later => format!(
                    "Of the {size} entries of the ledger that you hold, these tell of the record after those of the proof: {}.",
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
                sentences.iter().try_for_each(|sentence| out.line(format!("  - {sentence}")))?;
            }
            out.value(&json!({
                "ok": true, "proven": proven, "stated": stated, "not_proven": not_proven,
                "later": later, "statement": verified.statement,
            }))
        }
        Err(Refused::Other(failure)) => Err(failure),
        Err(Refused::Proof(fault)) => {
            out.value(&json!({ "ok": false, "fault": fault.name(), "detail": fault.to_string() }))?;
            Err(Failure::Check(format!("the proof does not hold: {fault}")))
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
    let found = if copy.is_dir() { of_folder(&Folder::new(copy), &held)? } else { of_lines(copy, &held)? };
    let entries = found.checked.map_err(Refused::Ledger)?.entries;
    verified.held = Some(entries);
    let last = verified.statement.ledger.entries.iter().map(|entry| entry.inclusion.entry).max().unwrap_or_default();
    let later = later(copy, entries, last, verified.statement.record.record)?;
    Ok(Checked { verified, ledger: Some(entries), later })
}

fn checkpoint(file: &Path) -> Result<SignedCheckpoint, Failure> {
    read(file)?.parse().map_err(|error| Failure::Usage(format!("`{}`: {error}", file.display())))
}

fn consistency(file: &Path) -> Result<ConsistencyProof, Failure> {
    let wrong = |error: serde_json::Error| Failure::Usage(format!("`{}`: {error}", file.display()));
    let value: Value = serde_json::from_str(&read(file)?).map_err(wrong)?;
    serde_json::from_value(value).map_err(wrong)
}

/// The entries about a record behind one, each by its number and kind.
fn later(copy: &Path, size: u64, last: u64, record: RecordId) -> Result<Vec<String>, Failure> {
    #[derive(Deserialize)]
    struct Leaf {
        seq: u64,
        kind: String,
        record: Option<RecordId>,
    }
    let mut later = Vec::new();
    let mut look = |leaf: &[u8]| {
        let told = serde_json::from_slice::<Leaf>(leaf).ok().filter(|leaf| leaf.seq > last && leaf.record == Some(record));
        later.extend(told.map(|leaf| format!("{} ({})", leaf.seq, leaf.kind)));
    };
    if copy.is_dir() {
        let folder = Folder::new(copy);
        for tile in Tile::of(Level::Entries, size, 0) {
            let bytes = folder.tile(tile)?.unwrap_or_default();
            unbundle(&bytes)?.into_iter().for_each(&mut look);
        }
    } else {
        read(copy)?.lines().for_each(|line| look(line.as_bytes()));
    }
    Ok(later)
}
