//! What to look at, how closely and how fast.

use serde::{Deserialize, Serialize};

use crate::{
    digest,
    index::Stock,
    objects::{Depth, Pace},
    types::RecordId,
};

/// A scrub that was ordered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Order {
    /// Which records are looked at; all, when nothing is said, and with them what no record needs.
    pub stock: Stock,
    /// How closely.
    pub depth: Depth,
    /// Whether what can safely be put right is.
    pub repair: bool,
    /// Only a part of it, drawn by chance.
    pub sample: Option<Sample>,
    /// How fast. Every blob is one request; its bytes count as far as they are read.
    pub pace: Pace,
}

impl Order {
    /// Whether it looks at everything there is.
    pub fn is_whole(&self) -> bool {
        self.stock == Stock::default() && self.sample.is_none()
    }
}

/// A part drawn by chance, the same for everybody who draws with the same seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// Draws.
    pub seed: u64,
    /// One in how many is taken.
    pub one_in: u64,
}

impl Sample {
    /// Whether a record is taken: when the first eight bytes of SHA-256(`domicile sample v1` ‖ seed ‖ record), as a big-endian number, are a
    /// multiple of `one_in`.
    pub fn takes(self, record: RecordId) -> bool {
        let text = [b"domicile sample v1".as_slice(), &self.seed.to_be_bytes(), record.as_bytes()].concat();
        let hash = digest::sha256(&text);
        let number = hash.iter().take(8).fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        number.is_multiple_of(self.one_in.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_about_as_large_as_asked_for_and_always_the_same() {
        let records: Vec<RecordId> = (0..10_000_u128).map(|number| RecordId::from_bytes(number.to_be_bytes())).collect();
        let taken = |seed, one_in| -> Vec<RecordId> {
            records.iter().copied().filter(|record| Sample { seed, one_in }.takes(*record)).collect()
        };
        assert_eq!(taken(7, 1).len(), records.len());
        let one = taken(7, 10);
        assert!((800..1200).contains(&one.len()), "{}", one.len());
        assert_eq!(one, taken(7, 10));
        assert_ne!(one, taken(8, 10));
    }
}
