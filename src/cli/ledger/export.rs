//! `domicile ledger export | key`: the ledger as lines, or as a folder that grows with it.

use std::{io::Write, path::Path};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::folder::Folder;
use crate::audit::{
    SignedCheckpoint, leaf_hash,
    note::Verifier,
    tile::{Builder, Level, Tile, WIDTH, bundle, unbundle},
};
use crate::cli::{
    Failure, Output,
    args::{LedgerExportArgs, RemoteArgs},
    client::Client,
    output::text,
};

/// Entries that are asked for at a time.
const PAGE: u64 = 1000;

/// Shows the key that verifies checkpoints.
pub(in crate::cli) fn key(remote: &RemoteArgs, out: &mut Output<'_>) -> Result<(), Failure> {
    let head = Client::new(remote)?.get("/v1/ledger/checkpoint")?;
    out.value(&json!({ "key": head["key"] }))?;
    out.line(text(&head["key"]))
}

/// Writes entries and, as the last line, the head that they end with; or all of it as a folder.
pub(in crate::cli) fn export(args: &LedgerExportArgs, out: &mut Output<'_>) -> Result<(), Failure> {
    let client = Client::new(&args.remote)?;
    // The head first: entries that this export itself adds to the ledger come after it and stay out.
    let head = client.get("/v1/ledger/checkpoint")?;
    match &args.tiles {
        Some(folder) => tiles(&Folder::new(folder), &client, &head, out),
        None => lines(args.from, args.output.as_deref(), &client, &head, out),
    }
}

fn lines(from: u64, output: Option<&Path>, client: &Client, head: &Value, out: &mut Output<'_>) -> Result<(), Failure> {
    let size = size(head)?;
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
    pages(client, from, size, |page| write(page))?;
    write(format!("{}\n", json!({ "head": head })).as_bytes())?;
    if let Some(mut file) = file {
        file.flush()?;
        out.line(format!("{} entries; note this head elsewhere: {size}:{}", size.saturating_sub(from), text(&head["root"])))?;
        out.value(&json!({ "entries": size.saturating_sub(from), "head": head }))?;
    }
    Ok(())
}

/// Entries from `next` to below `size`, as pages of lines.
fn pages(client: &Client, mut next: u64, size: u64, mut take: impl FnMut(&[u8]) -> Result<(), Failure>) -> Result<(), Failure> {
    while next < size {
        let limit = PAGE.min(size - next);
        let page = client.get_bytes(&format!("/v1/ledger/entries?from={next}&limit={limit}"))?;
        let lines = page.iter().filter(|byte| **byte == b'\n').count();
        if lines == 0 {
            return Err(Failure::Check(format!("the gateway has no entry {next} although its head says so")));
        }
        take(&page)?;
        next = next.saturating_add(u64::try_from(lines).unwrap_or(u64::MAX));
    }
    Ok(())
}

fn size(head: &Value) -> Result<u64, Failure> {
    head["size"].as_u64().ok_or_else(|| Failure::Unreachable("the gateway sent no ledger head".to_owned()))
}

/// Brings a folder to where the gateway's ledger is. What the folder holds is never changed: a ledger that does not continue it is not taken.
fn tiles(folder: &Folder, client: &Client, head: &Value, out: &mut Output<'_>) -> Result<(), Failure> {
    let wrong = |error: &dyn std::fmt::Display| Failure::Check(format!("the gateway's checkpoint: {error}"));
    let latest: SignedCheckpoint = text(&head["note"]).parse().map_err(|error| wrong(&error))?;
    let key: Verifier = text(&head["key"]).parse().map_err(|error| wrong(&error))?;
    latest.verify(&key).map_err(|error| wrong(&error))?;
    let earlier = folder.checkpoint()?;
    if let Some(earlier) = &earlier {
        earlier.verify(&key).map_err(|_| Failure::Check("the folder is of a ledger with another key or name".to_owned()))?;
        if earlier.checkpoint.size > latest.checkpoint.size {
            let (here, there) = (earlier.checkpoint.size, latest.checkpoint.size);
            return Err(Failure::Check(format!("OlderLog: the folder has {here} entries, the gateway's ledger only {there}")));
        }
    }
    let size = earlier.as_ref().map_or(0, |earlier| earlier.checkpoint.size);
    let gone = |tile: Tile| Failure::Check(format!("the folder lacks `tile/{tile}`"));
    let mut tree = Builder::resume(size, |tile| folder.tile(tile)?.ok_or_else(|| gone(tile)))?;
    if earlier.as_ref().is_some_and(|earlier| earlier.checkpoint.root != tree.root()) {
        return Err(Failure::Check("the folder's tiles are not those of its checkpoint: verify it".to_owned()));
    }
    let mut entries: Vec<Vec<u8>> = match Tile::of(Level::Entries, size, size / WIDTH).next() {
        Some(tile) => unbundle(&folder.tile(tile)?.ok_or_else(|| gone(tile))?)?.into_iter().map(<[u8]>::to_vec).collect(),
        None => Vec::new(),
    };
    pages(client, size, latest.checkpoint.size, |page| {
        for line in page.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            entries.push(line.to_vec());
            if entries.len() as u64 == WIDTH {
                let tile = Tile { level: Level::Entries, index: tree.size() / WIDTH, width: WIDTH };
                folder.write(&format!("tile/{tile}"), &bundle(&entries)?)?;
                entries.clear();
            }
            tree.push(leaf_hash(line), |tile, hashes| folder.write(&format!("tile/{tile}"), &hashes.concat()))?;
        }
        Ok(())
    })?;
    if tree.size() != latest.checkpoint.size || tree.root() != latest.checkpoint.root {
        let size = tree.size();
        return Err(Failure::Check(format!(
            "Fork: the gateway's {size} entries do not continue those of this folder as its checkpoint says; the folder's checkpoint stands"
        )));
    }
    if let Some(tile) = Tile::of(Level::Entries, tree.size(), tree.size() / WIDTH).next() {
        folder.write(&format!("tile/{tile}"), &bundle(&entries)?)?;
    }
    tree.edge(|tile, hashes| folder.write(&format!("tile/{tile}"), &hashes.concat()))?;
    let kept = keep(folder, client, &key, latest.checkpoint.size)?;
    folder.write("checkpoint", latest.to_string().as_bytes())?;
    // Only now: until then what was there is the folder's ledger.
    for level in Tile::levels(size).chain([Level::Entries]) {
        let edge = Tile::of(level, size, u64::MAX).next();
        if let Some(full) = edge.map(|edge| Tile { width: WIDTH, ..edge }).filter(|full| full.is_in(tree.size())) {
            folder.remove_partial(full)?;
        }
    }
    let new = latest.checkpoint.size - size;
    out.line(format!("{new} new entries of {}, {kept} checkpoints; keep the file `checkpoint` elsewhere too", tree.size()))?;
    out.line(format!("key: {key}"))?;
    out.value(&json!({ "entries": tree.size(), "new": new, "checkpoints": kept, "key": key.to_string() }))
}

/// Writes the checkpoints that the gateway has kept, with what others said of them. What others said that lies here already stays, whatever
/// the gateway says by now.
fn keep(folder: &Folder, client: &Client, key: &Verifier, size: u64) -> Result<usize, Failure> {
    let (mut before, mut count) = (size.saturating_add(1), 0);
    loop {
        let page = client.get(&format!("/v1/ledger/checkpoints?before={before}&limit=1000"))?;
        let kept = page["checkpoints"].as_array().cloned().unwrap_or_default();
        for one in &kept {
            let wrong = |error: &dyn std::fmt::Display| Failure::Check(format!("a kept checkpoint: {error}"));
            let signed: SignedCheckpoint = text(&one["note"]).parse().map_err(|error| wrong(&error))?;
            signed.verify(key).map_err(|error| wrong(&error))?;
            let size = signed.checkpoint.size;
            if size >= before {
                return Err(wrong(&format!("one of size {size} where earlier ones than {before} were asked for")));
            }
            let stamps = one["time_stamps"].as_array().into_iter().flatten();
            let stamps = stamps.map(|stamp| STANDARD.decode(text(&stamp["answer"])));
            folder.keep(signed, stamps.collect::<Result<_, _>>().map_err(|error| wrong(&error))?)?;
            (before, count) = (size, count + 1);
        }
        if kept.len() < 1000 {
            return Ok(count);
        }
    }
}
