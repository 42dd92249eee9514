//! Proofs about the ledger's Merkle tree (RFC 6962 section 2.1): that an entry is in a tree, and that a tree continues an earlier one.
//!
//! Whoever has the tree's nodes makes them; whoever has a root verifies them.

use serde::{Deserialize, Serialize};

use super::merkle::node_hash;

/// The whole subtree above the leaves `index << height` to `(index + 1) << height`; of height 0, the hash of one leaf.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Node {
    /// How many levels above the leaves.
    pub height: u8,
    /// Its place on that level, from the left.
    pub index: u64,
}

/// That an entry is in the tree of the first `size` entries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InclusionProof {
    /// The entry's number.
    pub entry: u64,
    /// The number of entries in the tree.
    pub size: u64,
    /// From the leaf's sibling up to a child of the root.
    #[serde(with = "hex_hashes")]
    pub hashes: Vec<[u8; 32]>,
}

/// That the tree of the first `to` entries begins with those of the tree of `from`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsistencyProof {
    /// The number of entries in the earlier tree.
    pub from: u64,
    /// The number of entries in the later one.
    pub to: u64,
    /// In the order of RFC 6962 section 2.1.2.
    #[serde(with = "hex_hashes")]
    pub hashes: Vec<[u8; 32]>,
}

/// A proof does not lead to the root that it was held against, or can lead to none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the proof does not lead to this root")]
pub struct WrongProof;

impl InclusionProof {
    /// Makes the proof from the tree's nodes; `None` when the tree has no such entry.
    ///
    /// # Errors
    /// Those of `node`.
    pub fn make<E>(entry: u64, size: u64, node: impl FnMut(Node) -> Result<[u8; 32], E>) -> Result<Option<Self>, E> {
        if entry >= size {
            return Ok(None);
        }
        let mut hashes = Vec::new();
        path(entry, 0, size, &mut Reader(node), &mut hashes)?;
        Ok(Some(Self { entry, size, hashes }))
    }

    /// Checks that the leaf of this hash ([`super::leaf_hash`]) is the entry in the tree of this root.
    ///
    /// # Errors
    /// [`WrongProof`] when it is not shown.
    pub fn verify(&self, leaf: &[u8; 32], root: &[u8; 32]) -> Result<(), WrongProof> {
        // RFC 9162 section 2.1.3.2.
        let (mut node, mut last) = (self.entry, self.size.checked_sub(1).ok_or(WrongProof)?);
        if node > last {
            return Err(WrongProof);
        }
        let mut hash = *leaf;
        for sibling in &self.hashes {
            if last == 0 {
                return Err(WrongProof);
            }
            if node & 1 == 1 || node == last {
                hash = node_hash(sibling, &hash);
                if node & 1 == 0 {
                    let up = node.trailing_zeros();
                    (node, last) = (node.checked_shr(up).unwrap_or(0), last.checked_shr(up).unwrap_or(0));
                }
            } else {
                hash = node_hash(&hash, sibling);
            }
            (node, last) = (node >> 1, last >> 1);
        }
        if last == 0 && hash == *root { Ok(()) } else { Err(WrongProof) }
    }
}

impl ConsistencyProof {
    /// Makes the proof from the later tree's nodes; `None` when `to` is less than `from`.
    ///
    /// # Errors
    /// Those of `node`.
    pub fn make<E>(from: u64, to: u64, node: impl FnMut(Node) -> Result<[u8; 32], E>) -> Result<Option<Self>, E> {
        if from > to {
            return Ok(None);
        }
        let mut hashes = Vec::new();
        if from > 0 && from < to {
            subproof(from, 0, to, true, &mut Reader(node), &mut hashes)?;
        }
        Ok(Some(Self { from, to, hashes }))
    }

    /// Checks that the tree of root `later` continues the one of root `earlier`.
    ///
    /// # Errors
    /// [`WrongProof`] when it is not shown.
    pub fn verify(&self, earlier: &[u8; 32], later: &[u8; 32]) -> Result<(), WrongProof> {
        if self.from > self.to {
            return Err(WrongProof);
        }
        if self.from == self.to || self.from == 0 {
            let holds = match self.from == self.to {
                true => earlier == later,
                // Every tree continues the empty one, of which there is one.
                false => *earlier == super::Frontier::default().root(),
            };
            return if holds && self.hashes.is_empty() { Ok(()) } else { Err(WrongProof) };
        }
        // RFC 9162 section 2.1.4.2.
        let (mut node, mut last) = (self.from - 1, self.to - 1);
        let up = node.trailing_ones();
        (node, last) = (node >> up, last >> up);
        let mut hashes = self.hashes.iter();
        let first = if self.from.is_power_of_two() { earlier } else { hashes.next().ok_or(WrongProof)? };
        let (mut old, mut new) = (*first, *first);
        for hash in hashes {
            if last == 0 {
                return Err(WrongProof);
            }
            if node & 1 == 1 || node == last {
                old = node_hash(hash, &old);
                new = node_hash(hash, &new);
                if node & 1 == 0 {
                    let up = node.trailing_zeros();
                    (node, last) = (node.checked_shr(up).unwrap_or(0), last.checked_shr(up).unwrap_or(0));
                }
            } else {
                new = node_hash(&new, hash);
            }
            (node, last) = (node >> 1, last >> 1);
        }
        if last == 0 && old == *earlier && new == *later { Ok(()) } else { Err(WrongProof) }
    }
}

/// The root of the first `size` leaves, from the tree's nodes.
///
/// # Errors
/// Those of `node`.
pub fn root<E>(size: u64, node: impl FnMut(Node) -> Result<[u8; 32], E>) -> Result<[u8; 32], E> {
    match size {
        0 => Ok(super::Frontier::default().root()),
        size => Reader(node).range(0, size),
    }
}

struct Reader<F>(F);

impl<F, E> Reader<F>
where
    F: FnMut(Node) -> Result<[u8; 32], E>,
{
    /// The hash above leaves `from` to `to`, where `from` is where a left sibling of that width ends.
    fn range(&mut self, from: u64, to: u64) -> Result<[u8; 32], E> {
        let width = to - from;
        if width.is_power_of_two() {
            let height = width.trailing_zeros();
            return (self.0)(Node { height: u8::try_from(height).unwrap_or(u8::MAX), index: from >> height });
        }
        let middle = from + split(width);
        Ok(node_hash(&self.range(from, middle)?, &self.range(middle, to)?))
    }
}

/// The largest power of two that is less than `width`, of at least 2.
const fn split(width: u64) -> u64 {
    1 << (width - 1).ilog2()
}

/// RFC 6962 section 2.1.1.
fn path<F, E>(entry: u64, from: u64, to: u64, tree: &mut Reader<F>, hashes: &mut Vec<[u8; 32]>) -> Result<(), E>
where
    F: FnMut(Node) -> Result<[u8; 32], E>,
{
    if to - from <= 1 {
        return Ok(());
    }
    let middle = from + split(to - from);
    if entry < middle {
        path(entry, from, middle, tree, hashes)?;
        hashes.push(tree.range(middle, to)?);
    } else {
        path(entry, middle, to, tree, hashes)?;
        hashes.push(tree.range(from, middle)?);
    }
    Ok(())
}

/// RFC 6962 section 2.1.2.
fn subproof<F, E>(size: u64, from: u64, to: u64, known: bool, tree: &mut Reader<F>, hashes: &mut Vec<[u8; 32]>) -> Result<(), E>
where
    F: FnMut(Node) -> Result<[u8; 32], E>,
{
    if size == to - from {
        if !known {
            hashes.push(tree.range(from, to)?);
        }
        return Ok(());
    }
    let half = split(to - from);
    if size <= half {
        subproof(size, from, from + half, known, tree, hashes)?;
        hashes.push(tree.range(from + half, to)?);
    } else {
        subproof(size - half, from + half, to, false, tree, hashes)?;
        hashes.push(tree.range(from, from + half)?);
    }
    Ok(())
}

mod hex_hashes {
    //! Hashes as hex.

    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(hashes: &[[u8; 32]], to: S) -> Result<S::Ok, S::Error> {
        hashes.iter().map(hex::encode).collect::<Vec<_>>().serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<[u8; 32]>, D::Error> {
        let texts = Vec::<String>::deserialize(from)?;
        let hash = |text: &String| {
            let mut hash = [0; 32];
            hex::decode_to_slice(text, &mut hash).map(|()| hash).map_err(D::Error::custom)
        };
        texts.iter().map(hash).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use proptest::prelude::*;

    use super::{
        super::{Frontier, leaf_hash},
        *,
    };

    fn leaves(size: u64) -> Vec<Vec<u8>> {
        (0..size).map(|seq| seq.to_be_bytes().to_vec()).collect()
    }

    /// MTH of RFC 6962 section 2.1, word for word.
    fn mth(leaves: &[Vec<u8>]) -> [u8; 32] {
        match leaves {
            [] => crate::digest::sha256(b""),
            [leaf] => leaf_hash(leaf),
            _ => {
                let k = leaves.len().next_power_of_two() / 2;
                node_hash(&mth(&leaves[..k]), &mth(&leaves[k..]))
            }
        }
    }

    /// PATH of section 2.1.1, word for word.
    fn naive_path(m: usize, leaves: &[Vec<u8>]) -> Vec<[u8; 32]> {
        if leaves.len() == 1 {
            return Vec::new();
        }
        let k = leaves.len().next_power_of_two() / 2;
        let (mut path, other) = match m < k {
            true => (naive_path(m, &leaves[..k]), mth(&leaves[k..])),
            false => (naive_path(m - k, &leaves[k..]), mth(&leaves[..k])),
        };
        path.push(other);
        path
    }

    /// SUBPROOF of section 2.1.2, word for word.
    fn naive_subproof(m: usize, leaves: &[Vec<u8>], known: bool) -> Vec<[u8; 32]> {
        if m == leaves.len() {
            return if known { Vec::new() } else { vec![mth(leaves)] };
        }
        let k = leaves.len().next_power_of_two() / 2;
        let (mut proof, other) = match m <= k {
            true => (naive_subproof(m, &leaves[..k], known), mth(&leaves[k..])),
            false => (naive_subproof(m - k, &leaves[k..], false), mth(&leaves[..k])),
        };
        proof.push(other);
        proof
    }

    /// Fails when a proof asks for a node that the tree does not have.
    fn reader(leaves: &[Vec<u8>]) -> impl FnMut(Node) -> Result<[u8; 32], Infallible> + '_ {
        |node| {
            let from = usize::try_from(node.index << node.height).unwrap();
            Ok(mth(&leaves[from..from + (1 << node.height)]))
        }
    }

    fn included(entry: u64, size: u64) -> InclusionProof {
        InclusionProof::make(entry, size, reader(&leaves(size))).unwrap().unwrap()
    }

    fn consistent(from: u64, to: u64) -> ConsistencyProof {
        ConsistencyProof::make(from, to, reader(&leaves(to))).unwrap().unwrap()
    }

    #[test]
    fn every_proof_of_small_trees_is_that_of_the_definition_and_holds_for_nothing_else() {
        for size in 1..=33 {
            let all = leaves(size);
            let root = mth(&all);
            assert_eq!(super::root(size, reader(&all)), Ok(root));
            for entry in 0..size {
                let proof = included(entry, size);
                let place = usize::try_from(entry).unwrap();
                assert_eq!(proof.hashes, naive_path(place, &all), "{entry} of {size}");
                let leaf = leaf_hash(&all[place]);
                proof.verify(&leaf, &root).unwrap();
                let next = InclusionProof { entry: (entry + 1) % size, ..proof.clone() };
                assert_eq!(next.verify(&leaf, &root).is_ok(), size == 1);
                assert!(InclusionProof { entry: size, ..proof.clone() }.verify(&leaf, &root).is_err());
            }
            for from in 0..=size {
                let proof = consistent(from, size);
                let (earlier, known) = (&all[..usize::try_from(from).unwrap()], from > 0 && from < size);
                if known {
                    assert_eq!(proof.hashes, naive_subproof(earlier.len(), &all, true), "{from} to {size}");
                }
                proof.verify(&mth(earlier), &root).unwrap();
                assert!(proof.verify(&[7; 32], &root).is_err());
                assert!(proof.verify(&mth(earlier), &[7; 32]).is_err() || from == 0);
            }
        }
    }

    #[test]
    fn there_is_no_proof_of_what_is_not() {
        let none = |_: Node| -> Result<[u8; 32], Infallible> { unreachable!("nothing is read") };
        assert_eq!(InclusionProof::make(3, 3, none), Ok(None));
        assert_eq!(InclusionProof::make(0, 0, none), Ok(None));
        assert_eq!(ConsistencyProof::make(4, 3, none), Ok(None));
        assert!(InclusionProof { entry: 0, size: 0, hashes: vec![] }.verify(&[0; 32], &[0; 32]).is_err());
        assert!(ConsistencyProof { from: 2, to: 1, hashes: vec![] }.verify(&[0; 32], &[0; 32]).is_err());
        let empty = ConsistencyProof { from: 0, to: 5, hashes: vec![] };
        assert!(empty.verify(&[0; 32], &[0; 32]).is_err(), "the root before the first entry is known");
        // What nobody can have made must not be trusted, nor end the program.
        for size in [1, u64::MAX] {
            let proof = InclusionProof { entry: 0, size, hashes: vec![[0; 32]; 70] };
            assert!(proof.verify(&[0; 32], &[0; 32]).is_err());
            let proof = ConsistencyProof { from: size - 1, to: size, hashes: vec![[0; 32]; 70] };
            assert!(proof.verify(&[0; 32], &[0; 32]).is_err());
        }
    }

    /// Roots and proofs of the reference log in RFC 6962's first implementation, `merkle_tree_test.cc`.
    #[test]
    fn the_vectors_of_certificate_transparency_hold() {
        let inputs = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];
        let leaves: Vec<Vec<u8>> = inputs.iter().map(|text| hex::decode(text).unwrap()).collect();
        let mut frontier = Frontier::default();
        leaves.iter().for_each(|leaf| frontier.push(leaf));
        assert_eq!(hex::encode(frontier.root()), "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328");
        let proof = InclusionProof::make(5, 8, reader(&leaves)).unwrap().unwrap();
        let told: Vec<String> = proof.hashes.iter().map(hex::encode).collect();
        assert_eq!(
            told,
            [
                "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
                "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
                "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"
            ]
        );
        let proof = ConsistencyProof::make(6, 8, reader(&leaves)).unwrap().unwrap();
        let told: Vec<String> = proof.hashes.iter().map(hex::encode).collect();
        assert_eq!(
            told,
            [
                "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
                "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
                "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"
            ]
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn proofs_of_larger_trees_hold_and_break_with_any_bit(size in 34..700u64, a: u64, b: u64, bit in 0..256usize) {
            let all = leaves(size);
            let (entry, from) = (a % size, b % size);
            let (leaf, root) = (leaf_hash(&all[usize::try_from(entry).unwrap()]), mth(&all));
            let mut proof = included(entry, size);
            prop_assert_eq!(&proof.hashes, &naive_path(usize::try_from(entry).unwrap(), &all));
            proof.verify(&leaf, &root).unwrap();
            let place = bit % proof.hashes.len();
            proof.hashes[place][bit / 8] ^= 1 << (bit % 8);
            prop_assert!(proof.verify(&leaf, &root).is_err());
            let mut proof = consistent(from, size);
            let earlier = mth(&all[..usize::try_from(from).unwrap()]);
            proof.verify(&earlier, &root).unwrap();
            if let Some(hash) = proof.hashes.last_mut() {
                hash[bit / 8] ^= 1 << (bit % 8);
                prop_assert!(proof.verify(&earlier, &root).is_err());
            }
            proof.hashes.push([0; 32]);
            prop_assert!(proof.verify(&earlier, &root).is_err());
        }
    }
}
