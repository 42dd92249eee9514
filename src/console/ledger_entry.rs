//! One entry of the ledger as it is, and that it is in the tree of a checkpoint.

use askama::Template;
use axum::{
    Extension, Json,
    extract::{Path, Query as Parameters},
};
use serde::Deserialize;

use super::{
    checkpoints,
    chrome::{Answer, Chrome, page as answer},
    download,
    entry::Entry,
    filters, places,
    seat::Seat,
};
use crate::admin::{CheckpointView, LedgerHeadView, Problem, Query};
use crate::audit::{entry, leaf_hash, proof::InclusionProof};
use crate::index::EntriesQuery;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Against {
    /// The entries of a checkpoint that was kept; the newest one when it is left out.
    size: Option<u64>,
}

#[derive(Template)]
#[template(path = "ledger_entry.html")]
struct EntryPage {
    chrome: Chrome,
    entry: Entry,
    leaf: String,
    proof: InclusionProof,
    tree: Tree,
    /// Another checkpoint that could be held against: the newest that was kept.
    kept: Option<CheckpointView>,
}

/// The checkpoint whose tree the entry is in.
struct Tree {
    size: u64,
    root: String,
    note: String,
    witnesses: Vec<String>,
    is_kept: bool,
}

impl EntryPage {
    fn hash(&self) -> String {
        hex::encode(leaf_hash(self.leaf.as_bytes()))
    }

    fn hashes(&self) -> Vec<String> {
        self.proof.hashes.iter().map(hex::encode).collect()
    }

    /// How the entry's hash is made from the file that can be downloaded here.
    fn by_hand(&self) -> String {
        format!("(printf '\\0'; cat domicile-entry-{}.json) | sha256sum", self.entry.seq)
    }

    /// Whether the proof leads from the entry to the checkpoint's root.
    fn holds(&self) -> bool {
        let mut root = [0; 32];
        let is_root = hex::decode_to_slice(&self.tree.root, &mut root).is_ok();
        is_root && self.proof.verify(&leaf_hash(self.leaf.as_bytes()), &root).is_ok()
    }
}

impl From<LedgerHeadView> for Tree {
    fn from(head: LedgerHeadView) -> Self {
        Self { size: head.size, root: head.root, note: head.note, witnesses: Vec::new(), is_kept: false }
    }
}

impl From<CheckpointView> for Tree {
    fn from(kept: CheckpointView) -> Self {
        let CheckpointView { size, root, note, witnesses, .. } = kept;
        Self { size, root, note, witnesses: witnesses.into_iter().map(|witness| witness.name).collect(), is_kept: true }
    }
}

fn no_such_entry() -> Problem {
    Problem::not_found("the ledger has no such entry, or the checkpoint was made before it")
}

pub(super) async fn page(
    Extension(seat): Extension<Seat>,
    Path(seq): Path<u64>,
    Parameters(Against { size }): Parameters<Against>,
) -> Answer {
    let tree = match size {
        Some(size) => Tree::from(checkpoints::kept(&seat, size).await?),
        None => Tree::from(seat.ask(Query::LedgerHead).await?.ledger_head()?),
    };
    let kept = match size {
        Some(_) => None,
        None => checkpoints::page_of(&seat, None, 1).await?.0.into_iter().next().filter(|kept| kept.size > seq),
    };
    let query = EntriesQuery { from: seq, limit: 1, ..EntriesQuery::default() };
    let found = seat.ask(Query::LedgerEntries(&query)).await?.ledger_entries(query).await?.entries.pop();
    let leaf = found.filter(|leaf| entry::sequence(leaf.as_bytes()) == Some(seq)).ok_or_else(no_such_entry)?;
    let proof = prove(&seat, seq, tree.size).await?;
    let entry = Entry::read(&leaf).ok_or_else(no_such_entry)?;
    let title = format!("Entry {}", filters::grouped(&seq.to_string()));
    let chrome = Chrome::new(&seat, title, Some(places::LEDGER));
    answer(&EntryPage { chrome, entry, leaf, proof, tree, kept })
}

/// The proof as the API answers it.
pub(super) async fn proof(
    Extension(seat): Extension<Seat>,
    Path(seq): Path<u64>,
    Parameters(Against { size }): Parameters<Against>,
) -> Answer {
    let size = match size {
        Some(size) => size,
        None => seat.ask(Query::LedgerHead).await?.ledger_head()?.size,
    };
    let proof = prove(&seat, seq, size).await?;
    download::file(&format!("domicile-inclusion-{seq}-{size}.json"), "application/json", Json(proof))
}

async fn prove(seat: &Seat, seq: u64, size: u64) -> Result<InclusionProof, Problem> {
    let query = Query::LedgerProof { from: seq, to: Some(size) };
    seat.ask(query).await?.ledger_inclusion(seq, Some(size)).await?.ok_or_else(no_such_entry)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::node_hash;
    use crate::console::chrome::Theme;

    fn page(root: [u8; 32]) -> String {
        let leaf = r#"{"v":1,"seq":1,"time":"2026-11-29T08:00:00.000Z","kind":"put-object","actor":"system","outcome":"ok"}"#;
        let proof = InclusionProof { entry: 1, size: 2, hashes: vec![leaf_hash(b"first")] };
        let note = "domicile/test\n2\n".to_owned();
        let tree =
            Tree { size: 2, root: hex::encode(root), note, witnesses: vec!["witness.example/w1".to_owned()], is_kept: true };
        let (entry, leaf) = (Entry::read(leaf).unwrap(), leaf.to_owned());
        let chrome = Chrome::of_strangers("Entry 1", Theme::Auto);
        EntryPage { chrome, entry, leaf, proof, tree, kept: None }.render().unwrap()
    }

    #[test]
    fn whether_a_proof_holds_is_computed_and_not_taken_for_granted() {
        let leaf = br#"{"v":1,"seq":1,"time":"2026-11-29T08:00:00.000Z","kind":"put-object","actor":"system","outcome":"ok"}"#;
        let good = page(node_hash(&leaf_hash(b"first"), &leaf_hash(leaf)));
        assert!(good.contains("Leads to the root") && !good.contains("Does not lead"), "{good}");
        assert!(good.contains(&hex::encode(leaf_hash(leaf))) && good.contains(&hex::encode(leaf_hash(b"first"))));
        assert!(good.contains("entries/1/proof.json?size=2") && good.contains("cosigned by witness.example/w1"));
        assert!(good.contains("/entries/0\"") && !good.contains("/entries/2\""), "there is one before and none after");
        let bad = page([7; 32]);
        assert!(bad.contains("Does not lead to the root") && !bad.contains("Leads to the root"));
    }
}
