use std::{collections::BTreeSet, convert::Infallible};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{
    audit::{
        Checkpoint, SignedCheckpoint, leaf_hash, node_hash,
        proof::{ConsistencyProof, InclusionProof, Node},
    },
    types::Timestamp,
};

const RECORD: &str = "0102030405060708090a0b0c0d0e0f10";
const REVISION: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

/// A ledger whose entries 2 and 4 are about the record, the others about nothing.
struct Ledger {
    leaves: Vec<String>,
    signer: Signer,
}

impl Ledger {
    fn new(size: u64) -> Self {
        let leaf = |seq: u64| {
            match seq {
            2 => placing(2),
            4 => json!({
                "v": 1, "seq": 4, "time": "2026-11-29T08:00:04.000Z", "kind": "copy-stored", "actor": "system", "record": RECORD,
                "countries": ["SG"], "sites": ["sg-sin"], "instruments": ["pk-cpoh-2020"], "revision": REVISION, "outcome": "ok",
            })
            .to_string(),
            seq => json!({ "v": 1, "seq": seq, "time": "2026-11-29T08:00:00.000Z", "kind": "started", "actor": "system", "outcome": "ok" })
                .to_string(),
        }
        };
        Self { leaves: (0..size).map(leaf).collect(), signer: Signer::new("domicile/test", &[7; 32]).unwrap() }
    }

    /// Adds to what an entry tells.
    fn tell(&mut self, entry: usize, field: &str, value: Value) {
        let mut leaf: Value = serde_json::from_str(&self.leaves[entry]).unwrap();
        leaf[field] = value;
        self.leaves[entry] = leaf.to_string();
    }

    fn node(&self, node: Node) -> Result<[u8; 32], Infallible> {
        Ok(if node.height == 0 {
            leaf_hash(self.leaves[usize::try_from(node.index).unwrap()].as_bytes())
        } else {
            let below = |index| self.node(Node { height: node.height - 1, index }).unwrap();
            node_hash(&below(2 * node.index), &below(2 * node.index + 1))
        })
    }

    fn checkpoint(&self, size: u64) -> SignedCheckpoint {
        let root = crate::audit::proof::root(size, |node| self.node(node)).unwrap();
        Checkpoint::sign(size, root, &self.signer)
    }

    fn entry(&self, entry: u64, size: u64) -> EntryStatement {
        let inclusion = InclusionProof::make(entry, size, |node| self.node(node)).unwrap().unwrap();
        EntryStatement { leaf: self.leaves[usize::try_from(entry).unwrap()].clone(), inclusion }
    }

    fn consistency(&self, from: u64, to: u64) -> ConsistencyProof {
        ConsistencyProof::make(from, to, |node| self.node(node)).unwrap().unwrap()
    }

    fn statement(&self, size: u64) -> Statement {
        let check = CheckedCopy {
            at: "2026-11-29T08:10:00.000Z".to_owned(),
            outcome: Outcome::Sound,
            detail: None,
            looked_at: 1,
            faults: Vec::new(),
            site: vec![SiteVerdict { check: "region".to_owned(), state: "ok".to_owned(), detail: String::new() }],
        };
        let blobs = Blobs { count: 1, sealed: 400, sha256: "ab".repeat(32), names: vec![format!("d1/ab/{}", "ab".repeat(16))] };
        let copy = |site: &str, country: &str, role: &str, entry| CopyStatement {
            site: site.parse().unwrap(),
            country: country.parse().unwrap(),
            key: "pk".parse().unwrap(),
            key_country: Some("PK".parse().unwrap()),
            role: role.to_owned(),
            state: CopyState::Stored,
            since: Some("2026-11-29T08:00:02.000Z".to_owned()),
            entry: Some(entry),
            blobs: Some(blobs.clone()),
            check: Some(check.clone()),
        };
        Statement {
            v: 1,
            made: "2026-11-29T08:10:00.000Z".to_owned(),
            origin: "domicile/test".to_owned(),
            record: RecordStatement {
                bucket: "media".parse().unwrap(),
                key: "users/ayesha/a\u{1f4f7}.jpg".parse().unwrap(),
                version: "null".parse().unwrap(),
                record: RECORD.parse().unwrap(),
                ticket: crate::types::Ticket(9),
                size: 300,
                etag: "900150983cd24fb0d6963f7d28e17f72".to_owned(),
                checksum: Some("CRC32:y/Q5Jg==".to_owned()),
                modified: "2026-11-29T08:00:02.000Z".to_owned(),
                customer_key: false,
            },
            names: Names {
                bucket: Some("11".repeat(16).parse().unwrap()),
                key: Some("22".repeat(16).parse().unwrap()),
                subject: Some("33".repeat(16).parse().unwrap()),
            },
            decision: DecisionStatement {
                revision: REVISION.parse().unwrap(),
                files: Some("cd".repeat(32)),
                decided: "2026-11-29T08:00:01.000Z".to_owned(),
                by: "instruments".to_owned(),
                attributes: [("residence".to_owned(), "PK".to_owned())].into(),
                assumed: Vec::new(),
                instruments: vec![InstrumentStatement {
                    id: "pk-cpoh-2020".parse().unwrap(),
                    title: Some("Rules".to_owned()),
                    section: Some("r. 5".to_owned()),
                    legal_status: Some("superseded".to_owned()),
                    note: None,
                }],
                shadow: vec![InstrumentStatement {
                    id: "in-dpdp".parse().unwrap(),
                    title: None,
                    section: None,
                    legal_status: None,
                    note: None,
                }],
                exceptions: vec![ExceptionStatement {
                    instrument: "pk-cpoh-2020".parse().unwrap(),
                    basis: "consent".to_owned(),
                    reference: "file 12".to_owned(),
                    countries: vec!["SG".parse().unwrap()],
                }],
                entry: Some(2),
            },
            copies: vec![copy("pk-khi", "PK", "primary", 2), copy("sg-sin", "SG", "queued", 4)],
            ledger: LedgerStatement {
                checkpoint: self.checkpoint(size).to_string(),
                entries: vec![self.entry(2, size), self.entry(4, size)],
                consistency: (size > 3).then(|| self.consistency(3, size)),
            },
            limits: LIMITS.map(str::to_owned).to_vec(),
        }
    }

    fn proof(&self, size: u64) -> Proof {
        Proof::sign(&self.statement(size), &self.signer).unwrap()
    }

    fn verify(&self, proof: &Proof, held: Held<'_>) -> Result<Verified, ProofFault> {
        proof.verify(self.signer.verifier(), held)
    }
}

fn placing(seq: u64) -> String {
    json!({
        "v": 1, "seq": seq, "time": "2026-11-29T08:00:02.000Z", "kind": "put-object", "actor": "anonymous",
        "bucket": "11".repeat(16), "key": "22".repeat(16), "subject": "33".repeat(16), "record": RECORD, "version": "null", "ticket": 9,
        "size": 300, "countries": ["PK", "SG"], "sites": ["pk-khi", "sg-sin"], "instruments": ["pk-cpoh-2020"], "shadow": ["in-dpdp"],
        "revision": REVISION, "outcome": "ok",
        "exceptions": [{ "instrument": "pk-cpoh-2020", "basis": "consent", "reference": "file 12", "countries": ["SG"] }],
    })
    .to_string()
}

/// The JSON pointers of all that is no object or list.
fn leaves_of(value: &Value, at: &str, all: &mut Vec<String>) {
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, value)| leaves_of(value, &format!("{at}/{name}"), all)),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(place, value)| leaves_of(value, &format!("{at}/{place}"), all))
        }
        _ => all.push(at.to_owned()),
    }
}

/// Another value of the same form, so that it is read.
fn changed(at: &str, value: &Value) -> Value {
    match value {
        Value::Null => json!(1),
        Value::Bool(value) => json!(!value),
        Value::Number(number) => json!(number.as_u64().unwrap() + 1),
        Value::String(text) => json!(match text.as_str() {
            "PK" => "IN".to_owned(),
            "SG" => "MY".to_owned(),
            "null" => "0000000000000009".to_owned() + &"0".repeat(16),
            "stored" => "awaited".to_owned(),
            "sound" => "faulty".to_owned(),
            text if at.ends_with("/leaf") => text.replace("ok", "ko"),
            text => match text.char_indices().rfind(|(_, letter)| letter.is_ascii_alphanumeric()) {
                Some((place, letter)) => {
                    let other = if letter == '1' { "2" } else { "1" };
                    format!("{}{other}{}", &text[..place], &text[place + 1..])
                }
                None => format!("{text}1"),
            },
        }),
        Value::Array(_) | Value::Object(_) => unreachable!("no leaf"),
    }
}

/// The document with another statement under the old signature.
fn unsigned(proof: &Proof, statement: &Value) -> Proof {
    let signatures = proof.note.rsplit_once("\n\n").unwrap().1;
    Proof { format: FORMAT.to_owned(), note: format!("{CONTEXT}\n{statement}\n\n{signatures}") }
}

/// What somebody with the key signs.
fn signed(statement: &Value, signer: &Signer) -> Proof {
    let note = Note::sign(format!("{CONTEXT}\n{statement}\n"), signer).unwrap().to_string();
    Proof { format: FORMAT.to_owned(), note }
}

#[test]
fn a_proof_holds_and_says_what_it_proves() {
    let ledger = Ledger::new(9);
    let proof = ledger.proof(9);
    let read = Proof::parse(&serde_json::to_string(&proof).unwrap()).unwrap();
    assert_eq!(read, proof);
    let verified = ledger.verify(&read, Held::default()).unwrap();
    assert_eq!(verified.statement, ledger.statement(9));
    let (proven, stated, not) = (verified.proven().join("\n"), verified.stated().join("\n"), verified.not_proven().join("\n"));
    for word in [
        "`media/users/ayesha/",
        "Entry 2",
        "`pk-cpoh-2020`",
        "`pk-khi` in PK",
        "Entry 4",
        "`sg-sin` in SG",
        REVISION,
        "9 entries",
    ] {
        assert!(proven.contains(word), "{word} in {proven}");
    }
    assert!(stated.contains("sealed under key `pk` of PK") && stated.contains("1 of 1 blobs"), "{stated}");
    assert!(stated.contains("superseded") && !proven.contains("superseded"), "no entry says what force a law has: {proven}");
    assert!(not.contains("provider's own statement") && not.contains("no checkpoint was given"), "{not}");
    let held = ledger.checkpoint(9);
    let verified = ledger.verify(&read, Held { checkpoint: Some(&held), ..Held::default() }).unwrap();
    assert!(verified.proven().join("\n").contains("one ledger") && !verified.not_proven().join("\n").contains("no checkpoint"));
}

#[test]
fn what_a_look_did_not_find_is_said_plainly() {
    let ledger = Ledger::new(9);
    let mut statement = ledger.statement(9);
    let check = statement.copies[0].check.as_mut().unwrap();
    (check.outcome, check.detail) = (Outcome::NotReached, Some("connection refused".to_owned()));
    let check = statement.copies[1].check.as_mut().unwrap();
    (check.outcome, check.detail) = (Outcome::Faulty, Some("1 blobs are not as they were stored".to_owned()));
    let verified = ledger.verify(&Proof::sign(&statement, &ledger.signer).unwrap(), Held::default()).unwrap();
    let stated = verified.stated().join("\n");
    assert!(stated.contains("COULD NOT BE REACHED: connection refused. Nothing is said"), "{stated}");
    assert!(stated.contains("SOMETHING WAS WRONG: 1 blobs"), "{stated}");
}

#[test]
fn neither_a_checkpoint_nor_a_proof_passes_for_the_other() {
    let ledger = Ledger::new(9);
    let (proof, checkpoint) = (ledger.proof(9), ledger.checkpoint(9));
    assert!(proof.note.parse::<SignedCheckpoint>().is_err());
    let posing = Proof { format: FORMAT.to_owned(), note: checkpoint.to_string() };
    assert!(matches!(ledger.verify(&posing, Held::default()), Err(ProofFault::Form(_))));
    assert!(Signer::new(CONTEXT, &[1; 32]).is_err(), "no ledger can be called so");
}

#[test]
fn whoever_lacks_the_key_changes_nothing() {
    let ledger = Ledger::new(9);
    let proof = ledger.proof(9);
    let statement = serde_json::to_value(ledger.statement(9)).unwrap();
    let mut all = Vec::new();
    leaves_of(&statement, "", &mut all);
    assert!(all.len() > 80, "{}", all.len());
    for at in &all {
        let mut other = statement.clone();
        let place = other.pointer_mut(at).unwrap();
        *place = changed(at, place);
        let fault = ledger.verify(&unsigned(&proof, &other), Held::default()).unwrap_err();
        assert_eq!(fault.name(), "signature", "{at}");
    }
    // Nor do other keys count, nor a second signature.
    let stranger = Signer::new("domicile/test", &[8; 32]).unwrap();
    assert_eq!(ledger.verify(&signed(&statement, &stranger), Held::default()).unwrap_err().name(), "signature");
    let two = Proof { note: format!("{}{}\n", proof.note, stranger.sign("x\n", Timestamp::default())), ..proof.clone() };
    assert_eq!(ledger.verify(&two, Held::default()).unwrap_err().name(), "form");
    for (from, to) in [("format", "form4t"), ("\"note\"", "\"more\":1,\"note\""), ("proof/1", "proof/2")] {
        let text = serde_json::to_string(&proof).unwrap().replacen(from, to, 1);
        assert!(Proof::parse(&text).is_err(), "{to}");
    }
}

/// What the gateway alone vouches for: the ledger's entries do not say it.
const STATED: &[&str] = &[
    "/made",
    "/record/bucket",
    "/record/key",
    "/record/etag",
    "/record/checksum",
    "/record/modified",
    "/record/customer_key",
    "/decision/files",
    "/decision/decided",
    "/decision/by",
    "/decision/attributes/residence",
    "/decision/instruments/0/title",
    "/decision/instruments/0/section",
    "/decision/instruments/0/legal_status",
    "/limits/",
    // Proves nothing by itself: it is held against the checkpoint that somebody has.
    "/ledger/consistency/from",
    "/ledger/consistency/hashes/",
];
/// Likewise, of each copy.
const STATED_OF_COPIES: &[&str] = &["key", "key_country", "role", "since", "blobs/", "check/"];

#[test]
fn whoever_has_the_key_cannot_say_other_than_the_ledger() {
    let ledger = Ledger::new(9);
    let statement = serde_json::to_value(ledger.statement(9)).unwrap();
    let mut all = Vec::new();
    leaves_of(&statement, "", &mut all);
    let (mut names, mut passed) = (BTreeSet::new(), Vec::new());
    for at in &all {
        let mut other = statement.clone();
        let place = other.pointer_mut(at).unwrap();
        *place = changed(at, place);
        let of_copy = at.strip_prefix("/copies/").and_then(|rest| rest.split_once('/')).map(|(_, rest)| rest);
        let stated = STATED.iter().any(|path| at.starts_with(path))
            || of_copy.is_some_and(|rest| STATED_OF_COPIES.iter().any(|path| rest.starts_with(path)));
        match ledger.verify(&signed(&other, &ledger.signer), Held::default()) {
            // A copy that is only awaited claims nothing.
            Ok(_) if stated || at.ends_with("/state") => passed.push(at),
            Ok(_) => panic!("{at} can be changed"),
            Err(fault) => {
                assert!(!stated, "{at} is bound: {fault}");
                names.insert(fault.name());
            }
        }
    }
    assert!(passed.len() > 20);
    for name in [
        "record",
        "version",
        "ticket",
        "size",
        "names",
        "revision",
        "instruments",
        "shadow",
        "exceptions",
        "sites and countries",
        "inclusion",
        "checkpoint",
        "ledger",
        "not-in-ledger",
        "form",
    ] {
        assert!(names.contains(name), "{name} in {names:?}");
    }
}

#[test]
fn copies_are_neither_added_nor_left_out_nor_taken_as_there_before_they_are() {
    let ledger = Ledger::new(9);
    let fault = |edit: &dyn Fn(&mut Statement)| {
        let mut statement = ledger.statement(9);
        edit(&mut statement);
        ledger.verify(&Proof::sign(&statement, &ledger.signer).unwrap(), Held::default()).unwrap_err().name()
    };
    assert_eq!(fault(&|it| drop(it.copies.pop())), "sites and countries");
    assert_eq!(fault(&|it| it.copies.push(it.copies[0].clone())), "sites and countries");
    assert_eq!(fault(&|it| it.copies[1].entry = Some(2)), "state");
    assert_eq!(fault(&|it| it.copies[0].entry = Some(4)), "sites and countries");
    assert_eq!(fault(&|it| it.copies[0].entry = None), "not-in-ledger");
    assert_eq!(fault(&|it| it.decision.entry = None), "not-in-ledger");
    assert_eq!(fault(&|it| it.decision.entry = Some(4)), "kind");
    assert_eq!(fault(&|it| drop(it.ledger.entries.pop())), "not-in-ledger");
    assert_eq!(fault(&|it| it.ledger.entries.push(it.ledger.entries[0].clone())), "form");
    // An entry of a smaller tree.
    assert_eq!(fault(&|it| it.ledger.entries[0] = ledger.entry(2, 8)), "inclusion");
    // A refusal is in the ledger, too.
    let mut refusing = Ledger::new(9);
    refusing.leaves[2] = refusing.leaves[2].replace("\"ok\"", "{\"refused\":{\"code\":\"AccessDenied\"}}");
    assert_eq!(refusing.verify(&refusing.proof(9), Held::default()).unwrap_err().name(), "outcome");
    // And another's entry.
    refusing.leaves[2] = placing(3);
    assert_eq!(refusing.verify(&refusing.proof(9), Held::default()).unwrap_err().name(), "number");
}

/// Entries that tell of each copy bind what is said of each, also where whoever has the key says it.
#[test]
fn what_entries_tell_of_copies_and_of_who_decided_cannot_be_said_otherwise() {
    let mut ledger = Ledger::new(9);
    let copies = json!([
        { "site": "pk-khi", "key": "pk", "role": "primary" },
        { "site": "sg-sin", "key": "pk", "key-country": "PK", "role": "queued", "pending": true },
    ]);
    ledger.tell(2, "copies", copies);
    ledger.tell(2, "decided-by", json!({ "source": "instruments", "signals": { "subject": ["directory"] } }));
    ledger.tell(4, "copies", json!([{ "site": "sg-sin", "key": "pk", "key-country": "PK", "role": "queued" }]));
    let verified = |ledger: &Ledger, edit: &dyn Fn(&mut Statement)| {
        let mut statement = ledger.statement(9);
        edit(&mut statement);
        let verified = ledger.verify(&Proof::sign(&statement, &ledger.signer).unwrap(), Held::default());
        verified.map_err(|fault| fault.name())
    };
    let awaited = |copy: &mut CopyStatement| (copy.state, copy.entry) = (CopyState::Awaited, None);
    verified(&ledger, &|_| {}).unwrap();
    verified(&ledger, &|it| awaited(&mut it.copies[1])).unwrap();
    verified(&ledger, &|it| it.copies[1].key_country = None).unwrap();
    let fault = |edit: &dyn Fn(&mut Statement)| verified(&ledger, edit).unwrap_err();
    let required = |it: &mut Statement| (it.copies[1].role, it.copies[1].entry) = ("required".to_owned(), Some(2));
    assert_eq!(fault(&required), "role", "a copy that only follows is not there because it is called another name");
    assert_eq!(fault(&|it| it.copies[1].key = "sg".parse().unwrap()), "keys");
    assert_eq!(fault(&|it| it.copies[0].key_country = Some("SG".parse().unwrap())), "keys");
    assert_eq!(fault(&|it| awaited(&mut it.copies[0])), "state");
    assert_eq!(fault(&|it| it.decision.by = "default".to_owned()), "by");
    // The entry that moved the record says which of its copies are still to come.
    let mut moved = Ledger::new(9);
    moved.leaves[2] = moved.leaves[2].replace("put-object", "relocated");
    verified(&moved, &|it| it.copies[1].entry = Some(2)).unwrap();
    moved.tell(2, "copies", json!([{ "site": "sg-sin", "key": "pk", "key-country": "PK", "role": "queued", "pending": true }]));
    assert_eq!(verified(&moved, &|it| it.copies[1].entry = Some(2)).unwrap_err(), "state");
}

#[test]
fn a_checkpoint_that_is_held_is_of_the_same_ledger_or_that_shows() {
    let ledger = Ledger::new(40);
    let proof = ledger.proof(9);
    let (earlier, later) = (ledger.checkpoint(3), ledger.checkpoint(40));
    let (to, from) = (ledger.consistency(9, 40), ledger.consistency(3, 9));
    let held = |checkpoint, consistency| ledger.verify(&proof, Held { checkpoint: Some(checkpoint), consistency });
    assert_eq!(held(&later, Some(&to)).unwrap().held, Some(40));
    assert_eq!(held(&earlier, Some(&from)).unwrap().held, Some(3));
    assert_eq!(held(&earlier, None).unwrap().held, Some(3));
    assert_eq!(held(&later, None), Err(ProofFault::NotShown { from: 9, to: 40 }));
    assert_eq!(held(&later, Some(&from)), Err(ProofFault::NotShown { from: 9, to: 40 }));
    let mut forked = Ledger::new(40);
    forked.leaves[1] = forked.leaves[1].replace("started", "stopped");
    let others = [(forked.checkpoint(40), Some(&to)), (forked.checkpoint(9), None), (forked.checkpoint(3), None)];
    for (other, consistency) in &others {
        assert_eq!(held(other, *consistency).unwrap_err().name(), "forked", "{}", other.checkpoint.size);
    }
    let foreign = Signer::new("domicile/other", &[7; 32]).unwrap();
    let other = Checkpoint::sign(9, [0; 32], &foreign);
    let fault = ledger.verify(&proof, Held { checkpoint: Some(&other), ..Held::default() }).unwrap_err();
    assert_eq!(fault.name(), "checkpoint-held");
}

/// What is written is what was written first; the corpus of the fuzz target begins with it.
#[test]
fn the_form_stays() {
    let kept = include_str!("../../../fuzz/corpus/residency_proof/statement");
    let written = serde_json::to_string(&Ledger::new(9).statement(9)).unwrap();
    if kept.trim_end() != written {
        if std::env::var_os("DOMICILE_WRITE_CORPUS").is_some() {
            std::fs::write("fuzz/corpus/residency_proof/statement", format!("{written}\n")).unwrap();
        }
        assert_eq!(kept.trim_end(), written);
    }
}

proptest! {
    #[test]
    fn any_change_of_the_document_is_found(at in any::<prop::sample::Index>(), with in 0x20u8..0x7f) {
        let ledger = Ledger::new(9);
        let whole = serde_json::to_string(&ledger.proof(9)).unwrap();
        let mut text = whole.clone().into_bytes();
        let place = at.index(text.len());
        text[place] = with;
        if let Ok(text) = String::from_utf8(text) && text != whole {
            let verified = Proof::parse(&text).and_then(|proof| ledger.verify(&proof, Held::default()));
            prop_assert!(verified.is_err(), "at {place}");
        }
    }
}
