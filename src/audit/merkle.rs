//! The Merkle tree of RFC 6962 section 2.1, kept as its right edge.

use serde::{Deserialize, Serialize};

use crate::digest::Sha256;

/// Hash of a leaf: SHA-256(0x00 ‖ leaf).
pub fn leaf_hash(leaf: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(&[0]);
    hash.update(leaf);
    hash.finish()
}

/// Hash of a node: SHA-256(0x01 ‖ left ‖ right).
pub fn node_hash(left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(&[1]);
    hash.update(left);
    hash.update(right);
    hash.finish()
}

/// The roots of the perfect subtrees that a tree of `size` leaves consists of, the largest first: all that an append needs.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Frontier {
    size: u64,
    peaks: Vec<[u8; 32]>,
}

impl Frontier {
    /// The number of leaves.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Appends a leaf in O(log n).
    pub fn push(&mut self, leaf: &[u8]) {
        self.push_hash(leaf_hash(leaf), |_, _| {});
    }

    /// Appends a leaf by its hash, and shows every subtree that is whole with it, with its height: from the leaf up.
    pub fn push_hash(&mut self, leaf: [u8; 32], mut whole: impl FnMut(u32, &[u8; 32])) {
        let mut hash = leaf;
        whole(0, &hash);
        for height in 1..=self.size.trailing_ones() {
            if let Some(left) = self.peaks.pop() {
                hash = node_hash(&left, &hash);
            }
            whole(height, &hash);
        }
        self.peaks.push(hash);
        self.size += 1;
    }

    /// The tree's root; SHA-256 of nothing for the empty tree.
    pub fn root(&self) -> [u8; 32] {
        let mut peaks = self.peaks.iter().rev().copied();
        let Some(mut root) = peaks.next() else { return crate::digest::sha256(b"") };
        for left in peaks {
            root = node_hash(&left, &root);
        }
        root
    }

    /// Whether the number of peaks fits the size, as it does unless the row was tampered with.
    pub fn is_consistent(&self) -> bool {
        usize::try_from(self.size.count_ones()) == Ok(self.peaks.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition of RFC 6962 section 2.1, word for word.
    fn reference(leaves: &[Vec<u8>]) -> [u8; 32] {
        match leaves {
            [] => crate::digest::sha256(b""),
            [leaf] => leaf_hash(leaf),
            _ => {
                let split = leaves.len().next_power_of_two() / 2;
                node_hash(&reference(&leaves[..split]), &reference(&leaves[split..]))
            }
        }
    }

    #[test]
    fn the_root_is_that_of_the_definition() {
        let leaves: Vec<Vec<u8>> = (0..70u8).map(|n| vec![n; usize::from(n)]).collect();
        let mut frontier = Frontier::default();
        for n in 0..leaves.len() {
            assert_eq!(frontier.root(), reference(&leaves[..n]), "{n} leaves");
            assert!(frontier.is_consistent());
            frontier.push(&leaves[n]);
        }
    }

    #[test]
    fn the_test_vectors_of_certificate_transparency_hold() {
        let mut frontier = Frontier::default();
        frontier.push(b"");
        assert_eq!(hex::encode(frontier.root()), "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
        frontier.push(&[0]);
        assert_eq!(hex::encode(frontier.root()), "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125");
    }
}
