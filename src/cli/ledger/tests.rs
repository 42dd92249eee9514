//! Folders and proofs that somebody has tampered with, read as an auditor reads them.

use std::fs;

use super::{Failure, Found, Held, folder::Folder, of_folder, of_lines};
use crate::{
    audit::{
        Actor, Checkpoint, Event, Fault, FaultKind, Frontier, Kind, SignedCheckpoint, entry, leaf_hash,
        note::Signer,
        tile::{Builder, Level, Tile, bundle},
    },
    types::Timestamp,
};

/// A folder that somebody keeps.
struct Kept {
    place: tempfile::TempDir,
    signer: Signer,
    entries: Vec<Vec<u8>>,
}

impl Kept {
    fn new(size: u64) -> Self {
        let place = tempfile::tempdir().unwrap();
        let leaf = |seq| entry::leaf(seq, Timestamp::default(), &Event::new(Kind::Started, Actor::System)).unwrap();
        let kept = Self { place, signer: signer("domicile/test"), entries: (0..size).map(leaf).collect() };
        let (folder, mut tree) = (kept.folder(), Builder::default());
        let mut write = |tile: Tile, hashes: &[[u8; 32]]| folder.write(&format!("tile/{tile}"), &hashes.concat());
        kept.entries.iter().for_each(|entry| tree.push(leaf_hash(entry), &mut write).unwrap());
        tree.edge(write).unwrap();
        for tile in Tile::of(Level::Entries, size, 0) {
            let from = usize::try_from(tile.start()).unwrap();
            let entries = &kept.entries[from..from + usize::try_from(tile.width).unwrap()];
            folder.write(&format!("tile/{tile}"), &bundle(entries).unwrap()).unwrap();
        }
        folder.write("checkpoint", kept.checkpoint(size).to_string().as_bytes()).unwrap();
        kept
    }

    fn folder(&self) -> Folder {
        Folder::new(self.place.path())
    }

    fn checkpoint(&self, size: u64) -> SignedCheckpoint {
        let mut tree = Frontier::default();
        self.entries.iter().take(usize::try_from(size).unwrap()).for_each(|entry| tree.push(entry));
        Checkpoint::sign(size, tree.root(), &self.signer)
    }

    fn verify(&self, held: &Held) -> Result<Found, Failure> {
        of_folder(&self.folder(), held, &mut |_| {})
    }

    fn fault(&self, held: &Held) -> Fault {
        self.verify(held).unwrap().checked.unwrap_err()
    }
}

fn signer(name: &str) -> Signer {
    Signer::new(name, &[7; 32]).unwrap()
}

fn nothing() -> Held {
    Held { heads: Vec::new(), key: None, origins: Vec::new(), witnesses: Vec::new() }
}

#[test]
fn every_entry_is_shown_once() {
    let kept = Kept::new(600);
    let mut seen = Vec::new();
    let found = of_folder(&kept.folder(), &nothing(), &mut |entry| seen.push(entry.to_vec())).unwrap();
    assert_eq!(found.checked.unwrap().entries, 600);
    assert_eq!(seen, kept.entries);
}

#[test]
fn an_export_of_lines_is_read_once_and_held_against_its_last() {
    let kept = Kept::new(5);
    let file = kept.place.path().join("lines");
    let head = |size| {
        let signed = kept.checkpoint(size);
        let root = hex::encode(signed.checkpoint.root);
        serde_json::json!({ "head": { "size": size, "root": root, "time": "1970-01-01T00:00:00.000Z", "note": signed.to_string() } })
    };
    let verified = |entries: &[Vec<u8>], head: &str, end: &str| {
        let lines = entries.iter().map(|entry| String::from_utf8(entry.clone()).unwrap()).chain([head.to_owned()]);
        fs::write(&file, lines.map(|line| format!("{line}{end}")).collect::<String>()).unwrap();
        let mut seen = Vec::new();
        let held = Held { key: Some(kept.signer.verifier().clone()), ..nothing() };
        of_lines(&file, &held, &mut |entry| seen.push(entry.to_vec())).map(|found| (found, seen))
    };
    for end in ["\n", "\r\n"] {
        let (found, seen) = verified(&kept.entries, &head(5).to_string(), end).unwrap();
        assert!(found.authentic && found.checked.unwrap().entries == 5 && seen == kept.entries);
    }
    let fault = |entries: &[Vec<u8>], size| verified(entries, &head(size).to_string(), "\n").unwrap().0.checked.unwrap_err().kind;
    assert_eq!(fault(&kept.entries[..4], 5), FaultKind::Truncated);
    assert_eq!(fault(&kept.entries, 4), FaultKind::BadHead);
    let mut edited = kept.entries.clone();
    edited[2].push(b' ');
    assert_eq!(fault(&edited, 5), FaultKind::Edited);
    assert!(matches!(verified(&kept.entries, "", "\n"), Err(Failure::Check(_))));
}

#[test]
fn a_witness_of_another_ledger_vouches_for_nothing_here() {
    let (kept, witness) = (Kept::new(3), Signer::witness("witness.example/w1", &[9; 32]).unwrap());
    let held = Held { witnesses: vec![witness.verifier().clone()], ..nothing() };
    let cosigned = |signer: &Signer| {
        let mut signed = Checkpoint::sign(3, kept.checkpoint(3).checkpoint.root, signer);
        signed.note.add(witness.sign(signed.note.text(), Timestamp::from_seconds(5)));
        kept.folder().write("checkpoints/3", signed.to_string().as_bytes()).unwrap();
    };
    cosigned(&kept.signer);
    assert_eq!(kept.verify(&held).unwrap().witnessed.len(), 1);
    // The same entries under another name: a log of the operator's own that the witness was shown.
    cosigned(&signer("domicile/other"));
    assert_eq!(kept.fault(&held), Fault::at(2, FaultKind::OtherLog));
}

#[test]
fn entries_that_are_not_there_are_not_looked_for_without_end() {
    let kept = Kept::new(600);
    let absurd = Checkpoint::sign(u64::MAX, [1; 32], &kept.signer);
    kept.folder().write("checkpoint", absurd.to_string().as_bytes()).unwrap();
    assert_eq!(kept.fault(&nothing()), Fault::at(512, FaultKind::Truncated));

    let kept = Kept::new(600);
    fs::remove_file(kept.place.path().join("tile/entries/001")).unwrap();
    assert_eq!(kept.fault(&nothing()), Fault::at(256, FaultKind::Missing));
    fs::remove_dir_all(kept.place.path().join("tile/entries/002.p")).unwrap();
    assert_eq!(kept.fault(&nothing()), Fault::at(256, FaultKind::Truncated));
}

#[test]
fn what_others_said_of_a_checkpoint_outlives_a_gateway_that_has_lost_it() {
    let kept = Kept::new(3);
    let (folder, at) = (kept.folder(), |name: &str| kept.place.path().join("checkpoints").join(name));
    let (bare, mut cosigned) = (kept.checkpoint(3), kept.checkpoint(3));
    let witness = |seed| Signer::witness(&format!("witness.example/w{seed}"), &[seed; 32]).unwrap();
    cosigned.note.add(witness(1).sign(bare.note.text(), Timestamp::from_seconds(5)));
    folder.keep(cosigned, vec![b"one".to_vec()]).unwrap();
    let mut other = bare.clone();
    other.note.add(witness(2).sign(bare.note.text(), Timestamp::from_seconds(6)));
    folder.keep(other, vec![b"two".to_vec(), b"one".to_vec()]).unwrap();
    folder.keep(bare, vec![b"two".to_vec()]).unwrap();
    let names: Vec<String> = folder.kept().unwrap()[0].note.signatures().iter().map(|one| one.name.clone()).collect();
    assert_eq!(names.len(), 3, "{names:?}");
    assert_eq!([fs::read(at("3.1.tsr")).unwrap(), fs::read(at("3.2.tsr")).unwrap()], [b"one".to_vec(), b"two".to_vec()]);
    assert!(!at("3.3.tsr").exists());
    let fork = Checkpoint::sign(3, [1; 32], &kept.signer);
    assert!(matches!(folder.keep(fork, Vec::new()), Err(Failure::Check(why)) if why.starts_with("Fork")));
}
