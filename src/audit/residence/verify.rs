//! Whether the ledger bears a proof out. Needs nothing but the ledger's key; with a checkpoint that somebody holds, it tells whether both are
//! of one ledger.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::{CopyState, CopyStatement, ExceptionStatement, InstrumentStatement, LedgerStatement, Names, Proof, Statement};
use crate::{
    audit::{
        Checkpoint, SignedCheckpoint, leaf_hash,
        note::{NoteError, Verifier},
        proof::ConsistencyProof,
    },
    types::{Country, InstrumentId, KeyId, PolicyRevision, Pseudonym, RecordId, SiteId, Ticket, VersionId},
};

/// Why a proof is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofFault {
    /// It cannot be read.
    #[error("it is not a residency proof: {0}")]
    Form(String),
    /// The key did not sign it, or not this.
    #[error("signature: {0}")]
    Signature(NoteError),
    /// It is of another ledger than the key.
    #[error("ledger: it is of `{0}`, and the key is that of another")]
    Origin(String),
    /// Its checkpoint is none, or not of the same ledger.
    #[error("checkpoint: {0}")]
    Checkpoint(NoteError),
    /// An entry is not in the checkpoint's tree.
    #[error("inclusion: entry {0} is not in the ledger of the checkpoint")]
    Inclusion(u64),
    /// What it says is not what the ledger's entry says.
    #[error("{field}: entry {entry} of the ledger says otherwise")]
    Disagrees {
        /// The entry.
        entry: u64,
        /// What differs.
        field: &'static str,
    },
    /// No entry tells of it.
    #[error("ledger: no entry tells of {0}")]
    NotInLedger(String),
    /// The checkpoint that is held is none of this ledger's.
    #[error("checkpoint held: {0}")]
    Held(NoteError),
    /// Nothing shows that both checkpoints are of one ledger.
    #[error("consistency: nothing shows that the ledger of {from} entries goes on to the one of {to}")]
    NotShown {
        /// The entries of the earlier checkpoint.
        from: u64,
        /// Those of the later.
        to: u64,
    },
    /// They are of two ledgers.
    #[error(
        "consistency: the ledger of {from} entries does not go on to the one of {to}: it was forked, or cut and written anew"
    )]
    Forked {
        /// The entries of the earlier checkpoint.
        from: u64,
        /// Those of the later.
        to: u64,
    },
}

impl ProofFault {
    /// A word for machines.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Form(_) => "form",
            Self::Signature(_) => "signature",
            Self::Origin(_) => "ledger",
            Self::Checkpoint(_) => "checkpoint",
            Self::Inclusion(_) => "inclusion",
            Self::Disagrees { field, .. } => field,
            Self::NotInLedger(_) => "not-in-ledger",
            Self::Held(_) => "checkpoint-held",
            Self::NotShown { .. } => "consistency-not-shown",
            Self::Forked { .. } => "forked",
        }
    }
}

/// What somebody holds who verifies a proof.
#[derive(Debug, Clone, Copy, Default)]
pub struct Held<'a> {
    /// A checkpoint of the same ledger, earlier or later than the proof's.
    pub checkpoint: Option<&'a SignedCheckpoint>,
    /// That the earlier of both goes on to the later. Else the one that the proof carries counts.
    pub consistency: Option<&'a ConsistencyProof>,
}

/// A proof that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// What it says.
    pub statement: Statement,
    /// The checkpoint that its entries are in.
    pub checkpoint: Checkpoint,
    /// The entries in the checkpoint that was held, when there was one.
    pub held: Option<u64>,
}

/// What of an entry a statement is held against.
#[derive(Deserialize)]
struct Leaf {
    seq: u64,
    kind: String,
    outcome: serde_json::Value,
    bucket: Option<Pseudonym>,
    key: Option<Pseudonym>,
    subject: Option<Pseudonym>,
    record: Option<RecordId>,
    version: Option<VersionId>,
    ticket: Option<Ticket>,
    size: Option<u64>,
    #[serde(default)]
    countries: Vec<Country>,
    #[serde(default)]
    sites: Vec<SiteId>,
    #[serde(default)]
    instruments: Vec<InstrumentId>,
    #[serde(default)]
    shadow: Vec<InstrumentId>,
    revision: Option<PolicyRevision>,
    #[serde(default)]
    exceptions: Vec<ExceptionStatement>,
    /// None in entries of before they told it.
    #[serde(default)]
    copies: Vec<Placed>,
    #[serde(rename = "decided-by")]
    decided_by: Option<Decided>,
}

/// A copy, as an entry tells of it.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Placed {
    site: SiteId,
    key: KeyId,
    key_country: Option<Country>,
    role: String,
    #[serde(default)]
    pending: bool,
}

#[derive(Deserialize)]
struct Decided {
    source: String,
}

/// The kinds of entries that place a record.
const PLACING: [&str; 5] = ["put-object", "copy-object", "import-object", "complete-upload", "relocated"];
/// The kind of those that add a copy.
const ADDING: &str = "copy-stored";

impl Proof {
    /// Whether the key signed it and the ledger bears it out.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn verify(&self, key: &Verifier, held: Held<'_>) -> Result<Verified, ProofFault> {
        let statement = self.open(key)?;
        if statement.origin != key.name() {
            return Err(ProofFault::Origin(statement.origin));
        }
        let signed: SignedCheckpoint = statement.ledger.checkpoint.parse().map_err(ProofFault::Checkpoint)?;
        signed.verify(key).map_err(ProofFault::Checkpoint)?;
        let checkpoint = signed.checkpoint;
        let leaves = leaves(&statement.ledger, &checkpoint)?;
        decision(&statement, &leaves)?;
        for copy in &statement.copies {
            self::copy(&statement, copy, &leaves)?;
        }
        continues(&statement.ledger, &checkpoint, key, held)?;
        let held = held.checkpoint.map(|held| held.checkpoint.size);
        Ok(Verified { statement, checkpoint, held })
    }
}

/// The entries by number, each in the checkpoint's tree.
fn leaves(ledger: &LedgerStatement, checkpoint: &Checkpoint) -> Result<BTreeMap<u64, Leaf>, ProofFault> {
    let mut leaves = BTreeMap::new();
    for told in &ledger.entries {
        let entry = told.inclusion.entry;
        let included = told.inclusion.verify(&leaf_hash(told.leaf.as_bytes()), &checkpoint.root);
        if told.inclusion.size != checkpoint.size || included.is_err() {
            return Err(ProofFault::Inclusion(entry));
        }
        let leaf: Leaf = serde_json::from_str(&told.leaf).map_err(|error| ProofFault::Form(format!("entry {entry}: {error}")))?;
        if leaf.seq != entry {
            return Err(ProofFault::Disagrees { entry, field: "number" });
        }
        if leaf.outcome != "ok" {
            return Err(ProofFault::Disagrees { entry, field: "outcome" });
        }
        if leaves.insert(entry, leaf).is_some() {
            return Err(ProofFault::Form(format!("entry {entry} is there twice")));
        }
    }
    Ok(leaves)
}

/// The entry that placed the record says the same of record, place and reason.
fn decision(statement: &Statement, leaves: &BTreeMap<u64, Leaf>) -> Result<(), ProofFault> {
    let (record, decision) = (&statement.record, &statement.decision);
    let entry = decision.entry.ok_or_else(|| ProofFault::NotInLedger("the decision".to_owned()))?;
    let leaf = leaves.get(&entry).ok_or_else(|| ProofFault::NotInLedger("the decision".to_owned()))?;
    let ids = |instruments: &[InstrumentStatement]| -> Vec<InstrumentId> {
        instruments.iter().map(|instrument| instrument.id.clone()).collect()
    };
    let told: BTreeSet<_> = leaf.places().collect();
    let said: BTreeSet<_> = statement.copies.iter().map(|copy| (&copy.site, copy.country)).collect();
    let names = Names { bucket: leaf.bucket, key: leaf.key, subject: leaf.subject };
    let same = [
        ("kind", PLACING.contains(&leaf.kind.as_str())),
        ("record", leaf.record == Some(record.record)),
        ("version", leaf.version == Some(record.version)),
        ("ticket", leaf.ticket == Some(record.ticket)),
        ("size", leaf.size == Some(record.size)),
        ("names", names == statement.names),
        ("revision", leaf.revision == Some(decision.revision)),
        ("instruments", leaf.instruments == ids(&decision.instruments)),
        ("shadow", leaf.shadow == ids(&decision.shadow)),
        ("exceptions", leaf.exceptions == decision.exceptions),
        ("by", leaf.decided_by.as_ref().is_none_or(|told| told.source == decision.by)),
        ("sites and countries", told == said && said.len() == statement.copies.len()),
        ("role", statement.copies.iter().all(|copy| leaf.tells(copy, |told| told.role == copy.role))),
        // Nor is a copy awaited that was there already.
        ("state", statement.copies.iter().all(|copy| copy.state == CopyState::Stored || leaf.tells(copy, |told| told.pending))),
    ];
    match same.iter().find(|(_, same)| !same) {
        Some((field, _)) => Err(ProofFault::Disagrees { entry, field }),
        None => Ok(()),
    }
}

/// An entry says of each stored copy that it is there.
fn copy(statement: &Statement, copy: &CopyStatement, leaves: &BTreeMap<u64, Leaf>) -> Result<(), ProofFault> {
    if copy.state == CopyState::Awaited {
        return Ok(());
    }
    let missing = || ProofFault::NotInLedger(format!("the copy at `{}`", copy.site));
    let entry = copy.entry.ok_or_else(missing)?;
    let leaf = leaves.get(&entry).ok_or_else(missing)?;
    let same = [
        ("kind", leaf.kind == ADDING || PLACING.contains(&leaf.kind.as_str())),
        ("record", leaf.record == Some(statement.record.record)),
        ("sites and countries", leaf.places().any(|place| place == (&copy.site, copy.country))),
        ("keys", leaf.tells(copy, |told| told.is_under(copy))),
        // The entry that placed the record names those that only follow, too, before they are there.
        ("state", leaf.tells(copy, |told| !told.pending)),
        ("state", copy.role != "queued" || Some(entry) != statement.decision.entry || leaf.kind == "relocated"),
    ];
    match same.iter().find(|(_, same)| !same) {
        Some((field, _)) => Err(ProofFault::Disagrees { entry, field }),
        None => Ok(()),
    }
}

/// The proof's checkpoint and the one that is held are of one ledger.
fn continues(ledger: &LedgerStatement, own: &Checkpoint, key: &Verifier, held: Held<'_>) -> Result<(), ProofFault> {
    if let Some(carried) = &ledger.consistency
        && carried.to != own.size
    {
        return Err(ProofFault::Form("the consistency proof that it carries is to another checkpoint".to_owned()));
    }
    let Some(other) = held.checkpoint else { return Ok(()) };
    other.verify(key).map_err(ProofFault::Held)?;
    let other = &other.checkpoint;
    let (earlier, later) = if other.size <= own.size { (other, own) } else { (own, other) };
    let (from, to) = (earlier.size, later.size);
    if from == to {
        return if earlier.root == later.root { Ok(()) } else { Err(ProofFault::Forked { from, to }) };
    }
    let fits = |proof: &&ConsistencyProof| (proof.from, proof.to) == (from, to);
    let proof = held.consistency.filter(fits).or_else(|| ledger.consistency.as_ref().filter(fits));
    let proof = proof.ok_or(ProofFault::NotShown { from, to })?;
    proof.verify(&earlier.root, &later.root).map_err(|_| ProofFault::Forked { from, to })
}

impl Leaf {
    /// Sites, each with its country.
    fn places(&self) -> impl Iterator<Item = (&SiteId, Country)> {
        let even = self.sites.len() == self.countries.len();
        self.sites.iter().zip(self.countries.iter().copied()).filter(move |_| even)
    }

    /// Whether what it tells of a copy, where it does, is `so`.
    fn tells(&self, copy: &CopyStatement, so: impl Fn(&Placed) -> bool) -> bool {
        self.copies.iter().filter(|told| told.site == copy.site).all(so)
    }
}

impl Placed {
    fn is_under(&self, copy: &CopyStatement) -> bool {
        let country = self.key_country.unwrap_or(copy.country);
        self.key == copy.key && copy.key_country.is_none_or(|said| said == country)
    }
}
