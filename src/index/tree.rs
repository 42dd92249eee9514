//! The ledger's Merkle tree as rows: the root of every whole subtree of 256, 256², … entries, written with the entry that makes it whole.
//! What lies between two levels is computed. In the clear, as the leaves are; derived where they are missing.

use std::ops::{Bound, ControlFlow};

use super::{Engine, Index, IndexError, engine::Batch, keys};
use crate::audit::{
    Checkpoint, LedgerHead, SignedCheckpoint, leaf_hash,
    note::{NoteError, Verifier},
    proof::{ConsistencyProof, InclusionProof, Node},
    residence::{Proof, Statement},
    tile::{self, HEIGHT, Level, Tile},
};

/// Rows that are derived at a time.
const BATCH: usize = 1024;

impl Index {
    /// How far the ledger has come, signed. What is signed is durable.
    pub fn checkpoint(&self) -> SignedCheckpoint {
        self.signed_head().1
    }

    /// The same, with the time of the last entry.
    pub fn signed_head(&self) -> (LedgerHead, SignedCheckpoint) {
        let head = self.ledger_head();
        (head, Checkpoint::sign(head.size, head.root, &self.inner.keys.log))
    }

    /// The key that verifies checkpoints.
    pub fn ledger_verifier(&self) -> &Verifier {
        self.inner.keys.log.verifier()
    }

    /// The bytes of a tile or bundle; `None` while the ledger has none such.
    ///
    /// # Errors
    /// As [`Index::inclusion`].
    pub async fn tile(&self, tile: Tile) -> Result<Option<Vec<u8>>, IndexError> {
        if !tile.is_in(self.ledger_head().size) {
            return Ok(None);
        }
        self.blocking(move |inner| {
            let (engine, start) = (inner.engine.as_ref(), tile.start());
            let width = usize::try_from(tile.width).unwrap_or(0);
            match tile.level {
                Level::Entries => {
                    let entries = super::ledger::entries(engine, start, width)?;
                    let bundle = tile::bundle(&entries).ok().filter(|_| entries.len() == width);
                    bundle.ok_or(IndexError::Corrupt { kind: 'l' })
                }
                Level::Hashes(level) => Ok(level_hashes(engine, level, start, width)?.concat()),
            }
        })
        .await
        .map(Some)
    }

    /// Signs what is known of a record with the key of checkpoints.
    ///
    /// # Errors
    /// As [`Proof::sign`].
    pub fn prove(&self, statement: &Statement) -> Result<Proof, NoteError> {
        Proof::sign(statement, &self.inner.keys.log)
    }

    /// That an entry is in the tree of the first `size`; `None` when that has no such entry, or the ledger not so many.
    ///
    /// # Errors
    /// Those of the engine; [`IndexError::Corrupt`] when a row is not there.
    pub async fn inclusion(&self, entry: u64, size: u64) -> Result<Option<InclusionProof>, IndexError> {
        if size > self.ledger_head().size {
            return Ok(None);
        }
        self.blocking(move |inner| InclusionProof::make(entry, size, |node| hash(inner.engine.as_ref(), node))).await
    }

    /// That the first `to` entries begin with the first `from`; `None` when `from` is more than `to`, or the ledger has not so many.
    ///
    /// # Errors
    /// As [`Index::inclusion`].
    pub async fn consistency(&self, from: u64, to: u64) -> Result<Option<ConsistencyProof>, IndexError> {
        if to > self.ledger_head().size {
            return Ok(None);
        }
        self.blocking(move |inner| ConsistencyProof::make(from, to, |node| hash(inner.engine.as_ref(), node))).await
    }
}

/// The row of the subtree that is whole with entry `seq`, where one of that height is kept.
pub(super) fn row(height: u32, seq: u64) -> Option<Vec<u8>> {
    let level = u8::try_from(height / u32::from(HEIGHT)).ok()?;
    (height > 0 && height.is_multiple_of(u32::from(HEIGHT))).then(|| keys::tree(level, seq >> height))
}

/// A node of the tree.
pub(super) fn hash(engine: &dyn Engine, node: Node) -> Result<[u8; 32], IndexError> {
    let (level, first, count) = tile::beneath(node);
    tile::whole(level_hashes(engine, level, first, count)?).ok_or(IndexError::Corrupt { kind: 'T' })
}

/// `count` hashes of a kept level, from number `from` on; of level 0, those of the entries.
pub(super) fn level_hashes(engine: &dyn Engine, level: u8, from: u64, count: usize) -> Result<Vec<[u8; 32]>, IndexError> {
    let to = from + count as u64;
    let (kind, first, end) = match level {
        0 => ('l', keys::ledger(from), keys::ledger(to)),
        _ => ('T', keys::tree(level, from), keys::tree(level, to)),
    };
    let mut hashes = Vec::with_capacity(count);
    engine.scan(Bound::Included(&first), Bound::Excluded(&end), &mut |_, value| {
        hashes.push(if level == 0 { Some(leaf_hash(value)) } else { value.try_into().ok() });
        ControlFlow::Continue(())
    })?;
    let hashes: Option<Vec<_>> = hashes.into_iter().collect();
    hashes.filter(|hashes| hashes.len() == count).ok_or(IndexError::Corrupt { kind })
}

/// Derives the rows that a ledger of this size has and the index does not: it is older than they, or was built anew. They are written in
/// their order, so none is missing before the last.
pub(super) fn complete(engine: &dyn Engine, size: u64) -> Result<(), IndexError> {
    for level in 1..HEIGHT {
        let whole = size >> (u32::from(level) * u32::from(HEIGHT));
        let mut next = first_missing(engine, level)?;
        while next < whole {
            let mut batch = Batch::default();
            while next < whole && batch.writes.len() < BATCH {
                let hashes = level_hashes(engine, level - 1, next << HEIGHT, 1 << HEIGHT)?;
                let root = tile::whole(hashes).ok_or(IndexError::Corrupt { kind: 'T' })?;
                batch.put(keys::tree(level, next), root.to_vec());
                next += 1;
            }
            engine.apply(batch)?;
        }
    }
    Ok(())
}

fn first_missing(engine: &dyn Engine, level: u8) -> Result<u64, IndexError> {
    let mut last = None;
    let (from, to) = (keys::tree(level, 0), keys::tree(level + 1, 0));
    engine.scan_back(Bound::Included(&from), Bound::Excluded(&to), &mut |row, _| {
        last = row.get(2..).and_then(|index| index.try_into().ok()).map(u64::from_be_bytes);
        ControlFlow::Break(())
    })?;
    Ok(last.map_or(0, |last| last + 1))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{super::MemoryEngine, *};
    use crate::audit::Frontier;

    fn leaf(seq: u64) -> Vec<u8> {
        format!("{{\"seq\":{seq}}}").into_bytes()
    }

    /// An engine with the leaves alone, and the same with the rows that commits write beside them.
    fn ledgers(size: u64) -> (MemoryEngine, MemoryEngine, Frontier) {
        let (bare, whole, mut frontier) = (MemoryEngine::default(), MemoryEngine::default(), Frontier::default());
        let (mut leaves, mut all) = (Batch::default(), Batch::default());
        for seq in 0..size {
            leaves.put(keys::ledger(seq), leaf(seq));
            all.put(keys::ledger(seq), leaf(seq));
            frontier.push_hash(leaf_hash(&leaf(seq)), |height, hash| {
                if let Some(row) = row(height, seq) {
                    all.put(row, hash.to_vec());
                }
            });
        }
        bare.apply(leaves).unwrap();
        whole.apply(all).unwrap();
        (bare, whole, frontier)
    }

    fn rows(engine: &dyn Engine) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut rows = Vec::new();
        let visit = &mut |row: &[u8], value: &[u8]| {
            rows.push((row.to_vec(), value.to_vec()));
            ControlFlow::Continue(())
        };
        engine.scan(Bound::Included(b"T"), Bound::Excluded(b"U"), visit).unwrap();
        rows
    }

    #[test]
    fn one_row_in_256_entries_is_kept_and_derived_alike() {
        let (bare, whole, frontier) = ledgers((1 << 16) + 700);
        let kept = rows(&whole);
        assert_eq!(kept.len(), 258 + 1);
        complete(&bare, frontier.size()).unwrap();
        assert!(rows(&bare) == kept);
        // Some of them are there already.
        let half = MemoryEngine::default();
        let mut batch = Batch::default();
        (0..frontier.size()).for_each(|seq| batch.put(keys::ledger(seq), leaf(seq)));
        kept[..100].iter().for_each(|(row, hash)| batch.put(row.clone(), hash.clone()));
        half.apply(batch).unwrap();
        complete(&half, frontier.size()).unwrap();
        assert!(rows(&half) == kept);
        // Proofs over all heights.
        let size = frontier.size();
        for entry in [0, 255, 256, 40_000, 65_535, 65_536, size - 1] {
            let proof = InclusionProof::make(entry, size, |node| hash(&whole, node)).unwrap().unwrap();
            proof.verify(&leaf_hash(&leaf(entry)), &frontier.root()).unwrap();
        }
        for from in [1, 256, 300, 65_536, 65_537, size - 1] {
            let (_, _, earlier) = ledgers(from);
            let proof = ConsistencyProof::make(from, size, |node| hash(&whole, node)).unwrap().unwrap();
            proof.verify(&earlier.root(), &frontier.root()).unwrap();
        }
    }

    #[test]
    fn a_row_that_is_not_there_is_no_proof() {
        let (bare, _, _) = ledgers(600);
        let proof = InclusionProof::make(3, 600, |node| hash(&bare, node));
        assert!(matches!(proof, Err(IndexError::Corrupt { kind: 'T' })));
        let gap: Arc<dyn Engine> = Arc::new(bare);
        let mut batch = Batch::default();
        batch.delete(keys::ledger(520));
        gap.apply(batch).unwrap();
        assert!(matches!(complete(gap.as_ref(), 600), Ok(())), "it is above the last whole subtree");
        let proof = InclusionProof::make(3, 600, |node| hash(gap.as_ref(), node));
        assert!(matches!(proof, Err(IndexError::Corrupt { kind: 'l' })));
    }
}
