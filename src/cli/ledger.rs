//! `domicile ledger verify | export`.

use std::{io::Write, path::Path};

use serde_json::{Value, json};

use super::{
    Failure, Output,
    args::{LedgerVerifyArgs, RemoteArgs},
    client::Client,
    output::text,
    subject::read,
};
use crate::app::{StartError, StoppedError, StoppedIndex, ledger_key};
use crate::audit::{Fault, FaultKind, LedgerHead, Report, verify as verify_entries};
use crate::types::Timestamp;

/// Entries that are asked for at a time.
const PAGE: u64 = 1000;

/// Checks a ledger against its own head and those noted earlier.
pub(super) fn verify(args: &LedgerVerifyArgs, out: &mut Output<'_>) -> Result<(), Failure> {
    let noted = args.head.iter().map(|text| noted_head(text)).collect::<Result<Vec<_>, _>>()?;
    let (checked, authentic) = match (&args.file, &args.data_dir) {
        (_, Some(data_dir)) => stopped(data_dir, args.keyring.as_deref().zip(args.identity.as_deref()), &noted)?,
        (Some(file), None) => (export_of(file, &noted)?, false),
        (None, None) => return Err(Failure::Usage("say which export, or --data-dir".to_owned())),
    };
    match checked {
        Ok(report) => {
            out.value(&json!({ "ok": true, "report": report, "authentic": authentic }))?;
            let (root, heads) = (hex::encode(report.root), noted.len() + 1);
            out.line(format!("ok: {} entries, root {root}, {heads} heads agree", report.entries))?;
            out.line(match authentic {
                true => "the ledger's own head was written with the keyring",
                false => "the ledger's own head was not checked against a keyring; heads noted elsewhere (--head) count",
            })
        }
        Err(fault) => {
            out.value(&json!({ "ok": false, "fault": fault }))?;
            Err(Failure::Check(format!("the ledger does not verify at entry {}: {:?}", fault.seq, fault.kind)))
        }
    }
}

fn export_of(file: &Path, noted: &[LedgerHead]) -> Result<Result<Report, Fault>, Failure> {
    let content = read(file)?;
    let mut lines: Vec<&str> = content.lines().collect();
    let Some(head) = lines.pop().and_then(exported_head) else {
        return Err(Failure::Check("the export's last line is not its head: it is cut off".to_owned()));
    };
    let report = verify_entries(lines.iter().map(|line| line.as_bytes()), &[noted, &[head]].concat());
    Ok(report.and_then(|report| report.ends_at(&head)))
}

/// Verifies in place. Needs no key, but only with one is it certain that the stored head is the gateway's; whether there was one is the
/// second half of the answer.
fn stopped(
    data_dir: &Path,
    keyring: Option<(&Path, &Path)>,
    noted: &[LedgerHead],
) -> Result<(Result<Report, Fault>, bool), Failure> {
    let unusable = |error: StoppedError| match error {
        StoppedError::Open(StartError::Locked { .. }) => {
            let folder = data_dir.display();
            Failure::Unreachable(format!("a gateway uses `{folder}`: stop it first, or verify an export of its ledger"))
        }
        StoppedError::Open(StartError::Index(error)) => Failure::Check(format!("the ledger's head cannot be read: {error}")),
        other => Failure::Usage(other.to_string()),
    };
    let index = StoppedIndex::open(data_dir).map_err(unusable)?;
    let ledger = index.ledger().map_err(unusable)?;
    let key = ledger_key(data_dir, keyring).map_err(unusable)?;
    if key.as_ref().is_some_and(|key| !ledger.is_of(key.expose())) {
        let seq = ledger.head().map_or(0, |head| head.size);
        return Ok((Err(Fault { seq, kind: FaultKind::BadHead }), true));
    }
    let checked = ledger.verify(noted).map_err(|error| Failure::Check(format!("the ledger cannot be read: {error}")))?;
    Ok((checked, key.is_some()))
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

#[cfg(test)]
mod tests {
    use std::{net::SocketAddr, ops::Bound, ops::ControlFlow, sync::Arc};

    use super::*;
    use crate::app::{App, Installation};
    use crate::clock::SystemClock;
    use crate::config::SystemEnvironment;
    use crate::index::{Engine, SledEngine, engine::Batch};
    use crate::kms::Keyring;

    /// What `ledger verify --data-dir` prints as JSON, or how it fails.
    fn in_place(args: LedgerVerifyArgs) -> Result<Value, (u8, String)> {
        let mut printed = Vec::new();
        verify(&args, &mut Output::new(&mut printed, true)).map_err(|failure| (failure.exit_code(), failure.to_string()))?;
        Ok(serde_json::from_slice(&printed).unwrap())
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_stopped_gateways_ledger_is_verified_where_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let data_dir = folder.path().join("data");
        let here = || LedgerVerifyArgs { data_dir: Some(data_dir.clone()), ..LedgerVerifyArgs::default() };
        assert!(in_place(here()).unwrap_err().1.contains("there is no index"));
        assert!(!data_dir.exists());

        let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
        let installation = Installation::open(&data_dir, any_port, any_port, &SystemEnvironment).unwrap();
        let running = App::start(installation.config).await.unwrap();
        let (code, message) = in_place(here()).unwrap_err();
        assert!(code == 3 && message.contains("stop it first"), "{message}");
        running.shutdown().await;

        let report = in_place(here()).unwrap();
        assert_eq!([&report["ok"], &report["authentic"]], [&json!(true), &json!(true)]);
        let (entries, root) = (report["report"]["entries"].as_u64().unwrap(), text(&report["report"]["root"]));
        assert!(entries > 2);
        in_place(LedgerVerifyArgs { head: vec![format!("{entries}:{root}")], ..here() }).unwrap();
        let later = LedgerVerifyArgs { head: vec![format!("{}:{root}", entries + 1)], ..here() };
        assert!(in_place(later).unwrap_err().1.contains("Truncated"));

        let other = folder.path().join("other.age");
        let created = Keyring::create(&other, &[], Arc::new(SystemClock)).unwrap();
        let foreign = LedgerVerifyArgs { keyring: Some(other), identity: Some(created.operator_identity), ..here() };
        assert!(in_place(foreign).unwrap_err().1.contains("BadHead"));
        std::fs::rename(data_dir.join("keyring.age"), folder.path().join("kept.age")).unwrap();
        assert_eq!(in_place(here()).unwrap()["authentic"], json!(false));

        edit_an_entry(&data_dir.join("index"));
        let (code, message) = in_place(here()).unwrap_err();
        assert!(code == 1 && message.contains("Edited"), "{message}");
    }

    fn edit_an_entry(index: &Path) {
        let engine = SledEngine::open(index, 8 << 20).unwrap();
        let mut batch = Batch::default();
        let edit = &mut |row: &[u8], leaf: &[u8]| {
            let text = String::from_utf8(leaf.to_vec()).unwrap();
            batch.put(row, text.replace("started", "stopped"));
            ControlFlow::Continue(())
        };
        engine.scan(Bound::Included(b"l"), Bound::Excluded(b"m"), edit).unwrap();
        engine.apply(batch).unwrap();
    }
}
