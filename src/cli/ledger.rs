//! `domicile ledger verify | export`.

use std::{io::Write, path::Path};

use serde_json::{Value, json};

use super::{Failure, Output, args::RemoteArgs, client::Client, output::text, subject::read};
use crate::audit::{LedgerHead, verify as verify_entries};
use crate::types::Timestamp;

/// Entries that are asked for at a time.
const PAGE: u64 = 1000;

/// Checks an export against its own head and those noted earlier.
pub(super) fn verify(file: &Path, noted: &[String], out: &mut Output<'_>) -> Result<(), Failure> {
    let content = read(file)?;
    let mut lines: Vec<&str> = content.lines().collect();
    let mut heads = noted.iter().map(|text| noted_head(text)).collect::<Result<Vec<_>, _>>()?;
    match lines.last().and_then(|line| exported_head(line)) {
        Some(head) => {
            heads.push(head);
            lines.pop();
        }
        None => return Err(Failure::Check("the export's last line is not its head: it is cut off".to_owned())),
    }
    match verify_entries(lines.iter().map(|line| line.as_bytes()), &heads) {
        Ok(report) => {
            out.value(&json!({ "ok": true, "report": report }))?;
            let root = hex::encode(report.root);
            out.line(format!("ok: {} entries, root {root}, {} heads agree", report.entries, heads.len()))
        }
        Err(fault) => {
            out.value(&json!({ "ok": false, "fault": fault }))?;
            Err(Failure::Check(format!("the ledger does not verify at entry {}: {:?}", fault.seq, fault.kind)))
        }
    }
}

/// Writes entries and, as the last line, the head that they end with.
pub(super) fn export(from: u64, output: Option<&Path>, remote: &RemoteArgs, out: &mut Output<'_>) -> Result<(), Failure> {
    let client = Client::new(remote)?;
    // The head first: entries that this export itself adds to the ledger come after it and stay out.
    let head = client.get("/v1/ledger/checkpoint")?;
    let size = head["size"].as_u64().ok_or_else(|| Failure::Unreachable("the gateway sent no ledger head".to_owned()))?;
    let mut file = match output {
        Some(path) => {
            let file = std::fs::File::create(path)
                .map_err(|error| Failure::Usage(format!("cannot write `{}`: {error}", path.display())))?;
            Some(std::io::BufWriter::new(file))
        }
        None => None,
    };
    let mut write = |line: &[u8]| match &mut file {
        Some(file) => Ok(file.write_all(line)?),
        None => out.raw(line),
    };
    let mut next = from;
    while next < size {
        let limit = PAGE.min(size - next);
        let page = client.get_bytes(&format!("/v1/ledger/entries?from={next}&limit={limit}"))?;
        let lines = page.iter().filter(|byte| **byte == b'\n').count();
        if lines == 0 {
            return Err(Failure::Check(format!("the gateway has no entry {next} although its head says so")));
        }
        write(&page)?;
        next = next.saturating_add(u64::try_from(lines).unwrap_or(u64::MAX));
    }
    write(format!("{}\n", json!({ "head": head })).as_bytes())?;
    if let Some(mut file) = file {
        file.flush()?;
        out.line(format!("{} entries; note this head elsewhere: {size}:{}", size.saturating_sub(from), text(&head["root"])))?;
        out.value(&json!({ "entries": size.saturating_sub(from), "head": head }))?;
    }
    Ok(())
}

fn exported_head(line: &str) -> Option<LedgerHead> {
    let value: Value = serde_json::from_str(line).ok()?;
    let head = value.get("head")?;
    let time = Timestamp::parse_rfc3339(head["time"].as_str()?)?;
    Some(LedgerHead { size: head["size"].as_u64()?, root: root(head["root"].as_str()?)?, time })
}

fn noted_head(text: &str) -> Result<LedgerHead, Failure> {
    let parts = text.split_once(':').and_then(|(size, digits)| Some((size.parse().ok()?, root(digits)?)));
    let (size, root) = parts.ok_or_else(|| Failure::Usage(format!("`{text}` must be SIZE:ROOT, as `ledger export` shows it")))?;
    Ok(LedgerHead { size, root, time: Timestamp::default() })
}

fn root(digits: &str) -> Option<[u8; 32]> {
    let mut root = [0; 32];
    hex::decode_to_slice(digits, &mut root).ok()?;
    Some(root)
}
