//! `domicile ledger verify | export | key | prove`.

mod export;
mod folder;
mod proof;
#[cfg(test)]
mod tests;

use std::{
    fs::File,
    io::{BufRead, BufReader, Read},
    path::Path,
};

use serde_json::{Value, json};

pub(super) use self::{
    export::{export, key},
    proof::prove,
};

use self::folder::Folder;
use super::{Failure, Output, args::LedgerVerifyArgs, subject::read};
use crate::app::{StartError, StoppedError, StoppedIndex, ledger_key};
use crate::audit::{
    Fault, FaultKind, LedgerHead, Own, Report, SignedCheckpoint, Verifier as Entries,
    note::{KeyType, Signed, Verifier},
};
use crate::types::Timestamp;

/// What somebody who verifies has from elsewhere.
struct Held {
    heads: Vec<LedgerHead>,
    /// The ledger's key.
    key: Option<Verifier>,
    /// The names of the ledgers whose checkpoints are held.
    origins: Vec<String>,
    witnesses: Vec<Verifier>,
}

/// How a ledger was found.
struct Found {
    checked: Result<Report, Fault>,
    /// Whether it is certain that its own head is the gateway's.
    authentic: bool,
    /// The witnesses that have cosigned a checkpoint of it, and the size of the last one.
    witnessed: Vec<(Signed, u64)>,
}

/// Checks a ledger against its own head and what was kept elsewhere.
pub(super) fn verify(args: &LedgerVerifyArgs, out: &mut Output<'_>) -> Result<(), Failure> {
    if let Some(proof) = &args.proof {
        return proof::verify(args, proof, out);
    }
    let held = Held::read(args)?;
    let found = match (&args.file, &args.data_dir) {
        (_, Some(data_dir)) => stopped(data_dir, args.keyring.as_deref().zip(args.identity.as_deref()), &held)?,
        (Some(file), None) if file.is_dir() => of_folder(&Folder::new(file), &held, &mut |_| {})?,
        (Some(file), None) => of_lines(file, &held, &mut |_| {})?,
        (None, None) => return Err(Failure::Usage("say which export, or --data-dir".to_owned())),
    };
    let Found { checked, authentic, witnessed } = found;
    match checked {
        Ok(report) => {
            let unseen = |witness: &&Verifier| witnessed.iter().all(|(signed, _)| signed.by != **witness);
            if let Some(witness) = held.witnesses.iter().find(unseen) {
                out.value(&json!({ "ok": false, "unwitnessed": witness.name() }))?;
                return Err(Failure::Check(format!("`{}` has cosigned no checkpoint of this ledger", witness.name())));
            }
            let shown = witnessed.iter().map(|(signed, size)| {
                json!({ "name": signed.by.name(), "size": size, "time": signed.time.unwrap_or_default().to_rfc3339() })
            });
            let shown: Vec<Value> = shown.collect();
            out.value(&json!({ "ok": true, "report": report, "authentic": authentic, "witnesses": shown }))?;
            let (root, heads) = (hex::encode(report.root), held.heads.len() + 1);
            out.line(format!("ok: {} entries, root {root}, {heads} heads agree", report.entries))?;
            for (signed, size) in &witnessed {
                let time = signed.time.unwrap_or_default().to_rfc3339();
                out.line(format!("`{}` has seen the first {size} entries, at {time}", signed.by.name()))?;
            }
            out.line(match (authentic, args.data_dir.is_some()) {
                (true, true) => "the ledger's own head was written with the keyring",
                (true, false) => "the ledger's own checkpoint is signed by the key",
                (false, true) => "the ledger's own head was not checked against a keyring; heads noted elsewhere (--head) count",
                (false, false) => "the ledger's own head was not checked against a key (--vkey); what was kept elsewhere counts",
            })
        }
        Err(fault) => {
            out.value(&json!({ "ok": false, "fault": fault, "meaning": fault.kind.explain() }))?;
            let since =
                if fault.since < fault.seq { format!(" or an earlier one, from {} on", fault.since) } else { String::new() };
            let (seq, kind) = (fault.seq, fault.kind);
            Err(Failure::Check(format!("the ledger does not verify at entry {seq}{since}: {kind:?}: {}", kind.explain())))
        }
    }
}

impl Held {
    fn read(args: &LedgerVerifyArgs) -> Result<Self, Failure> {
        let key = |text: &String| text.trim().parse::<Verifier>().map_err(|error| Failure::Usage(format!("`{text}`: {error}")));
        let witnesses = args.witness.iter().map(key).collect::<Result<Vec<_>, _>>()?;
        if let Some(witness) = witnesses.iter().find(|witness| witness.kind() != KeyType::Cosignature) {
            return Err(Failure::Usage(format!("the key of `{}` is not a witness's", witness.name())));
        }
        let key = args.vkey.as_ref().map(key).transpose()?;
        let mut heads = args.head.iter().map(|text| noted_head(text)).collect::<Result<Vec<_>, _>>()?;
        let mut origins = Vec::new();
        for file in &args.checkpoint {
            let wrong = |error: &dyn std::fmt::Display| Failure::Usage(format!("`{}`: {error}", file.display()));
            let signed: SignedCheckpoint = read(file)?.parse().map_err(|error| wrong(&error))?;
            if let Some(key) = &key {
                signed.verify(key).map_err(|error| wrong(&error))?;
            }
            heads.push(head_of(&signed));
            origins.push(signed.checkpoint.origin);
        }
        Ok(Self { heads, key, origins, witnesses })
    }

    /// What a ledger says of itself: the head to hold its entries against, or what is wrong with it.
    fn own(&self, head: LedgerHead, signed: Option<&SignedCheckpoint>) -> Result<Own, Fault> {
        let LedgerHead { size, root, .. } = head;
        let fault = |kind| Fault::at(size.saturating_sub(1), kind);
        let named = signed.map(|signed| &signed.checkpoint.origin);
        if named.is_some_and(|name| self.origins.iter().any(|held| held != name)) {
            return Err(fault(FaultKind::OtherLog));
        }
        let authentic = match (&self.key, signed) {
            (Some(key), Some(signed)) if signed.checkpoint.origin != key.name() => return Err(fault(FaultKind::OtherLog)),
            (Some(key), Some(signed)) => match signed.verify(key) {
                Ok(()) if (signed.checkpoint.size, signed.checkpoint.root) == (size, root) => true,
                _ => return Err(fault(FaultKind::BadHead)),
            },
            (Some(_), None) => return Err(fault(FaultKind::BadHead)),
            (None, _) => false,
        };
        Ok(Own { size, root, authentic })
    }
}

const fn head_of(signed: &SignedCheckpoint) -> LedgerHead {
    LedgerHead { size: signed.checkpoint.size, root: signed.checkpoint.root, time: Timestamp::from_millis(0) }
}

/// Reads once, a line at a time: an export has no bound, and can be piped in. Also shows each entry.
fn of_lines(file: &Path, held: &Held, look: &mut dyn FnMut(&[u8])) -> Result<Found, Failure> {
    if !held.witnesses.is_empty() {
        return Err(Failure::Usage("an export of lines has no cosignatures: verify one of `ledger export --tiles`".to_owned()));
    }
    let unreadable = |error: std::io::Error| Failure::Usage(format!("cannot read `{}`: {error}", file.display()));
    let source: Box<dyn Read> = match file == Path::new("-") {
        true => Box::new(std::io::stdin()),
        false => Box::new(File::open(file).map_err(unreadable)?),
    };
    let (mut entries, mut last) = (Entries::new(&held.heads, None), None);
    for line in BufReader::new(source).lines() {
        if let Some(entry) = last.replace(line.map_err(unreadable)?) {
            entries.push(entry.as_bytes());
            look(entry.as_bytes());
        }
    }
    let Some((head, signed)) = last.as_deref().and_then(exported_head) else {
        return Err(Failure::Check("the export's last line is not its head: it is cut off".to_owned()));
    };
    let own = match held.own(head, signed.as_ref()) {
        Ok(own) => own,
        Err(fault) => return Ok(Found { checked: Err(fault), authentic: false, witnessed: Vec::new() }),
    };
    entries.end_with(own);
    Ok(Found { checked: entries.finish(), authentic: own.authentic, witnessed: Vec::new() })
}

fn of_folder(folder: &Folder, held: &Held, look: &mut dyn FnMut(&[u8])) -> Result<Found, Failure> {
    let Some(signed) = folder.checkpoint()? else { return Err(Failure::Check("the folder has no checkpoint".to_owned())) };
    let own = match held.own(head_of(&signed), Some(&signed)) {
        Ok(own) => own,
        Err(fault) => return Ok(Found { checked: Err(fault), authentic: false, witnessed: Vec::new() }),
    };
    // What lies in the folder counts as far as it is signed.
    let mut heads = held.heads.clone();
    let (mut witnessed, kept): (Vec<(Signed, u64)>, _) = (Vec::new(), folder.kept()?);
    let origin = &signed.checkpoint.origin;
    for signed in kept.iter().chain([&signed]) {
        let size = signed.checkpoint.size;
        // Cosigned as it may be: it is none of this ledger's.
        if signed.checkpoint.origin != *origin {
            let checked = Err(Fault::at(size.saturating_sub(1), FaultKind::OtherLog));
            return Ok(Found { checked, authentic: own.authentic, witnessed });
        }
        if held.key.as_ref().is_some_and(|key| signed.verify(key).is_err()) {
            let checked = Err(Fault::at(size.saturating_sub(1), FaultKind::BadHead));
            return Ok(Found { checked, authentic: own.authentic, witnessed });
        }
        heads.push(head_of(signed));
        let seen = signed.note.signatures().iter().any(|one| held.witnesses.iter().any(|witness| witness.is_of(one)));
        for signed in
            if seen { signed.note.verify(&held.witnesses).map_err(|error| Failure::Check(error.to_string()))? } else { vec![] }
        {
            witnessed.retain(|(earlier, _)| earlier.by != signed.by);
            witnessed.push((signed, size));
        }
    }
    Ok(Found { checked: folder.verify(own, &heads, look)?, authentic: own.authentic, witnessed })
}

/// Verifies in place. Needs no key, but only with one is it certain that the stored head is the gateway's.
fn stopped(data_dir: &Path, keyring: Option<(&Path, &Path)>, held: &Held) -> Result<Found, Failure> {
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
    let authentic = key.is_some();
    if key.as_ref().is_some_and(|key| !ledger.is_of(key.expose())) {
        let seq = ledger.head().map_or(0, |head| head.size);
        return Ok(Found { checked: Err(Fault::at(seq, FaultKind::BadHead)), authentic, witnessed: Vec::new() });
    }
    let checked = ledger.verify(&held.heads, authentic);
    let checked = checked.map_err(|error| Failure::Check(format!("the ledger cannot be read: {error}")))?;
    Ok(Found { checked, authentic, witnessed: Vec::new() })
}

fn exported_head(line: &str) -> Option<(LedgerHead, Option<SignedCheckpoint>)> {
    let value: Value = serde_json::from_str(line).ok()?;
    let head = value.get("head")?;
    let time = Timestamp::parse_rfc3339(head["time"].as_str()?)?;
    let signed = head["note"].as_str().and_then(|note| note.parse().ok());
    Some((LedgerHead { size: head["size"].as_u64()?, root: root(head["root"].as_str()?)?, time }, signed))
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
mod in_place {
    use std::{net::SocketAddr, ops::Bound, ops::ControlFlow, sync::Arc};

    use super::*;
    use crate::app::{App, Installation};
    use crate::cli::output::text;
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
        assert!(in_place(later).unwrap_err().1.contains("OlderLog"));

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
