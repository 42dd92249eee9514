//! Ledger entries: one line of JSON each, the leaf of the Merkle tree, stored as it is.

use serde::Serialize;

use super::Event;
use crate::types::Timestamp;

#[derive(Serialize)]
struct Line<'a> {
    v: u8,
    seq: u64,
    time: String,
    #[serde(flatten)]
    event: &'a Event,
}

/// The leaf of entry `seq`: compact JSON with a fixed order of fields, without a line end.
pub fn leaf(seq: u64, time: Timestamp, event: &Event) -> Result<Vec<u8>, serde_json::Error> {
    serde_json::to_vec(&Line { v: 1, seq, time: time.to_rfc3339(), event })
}

/// The number that a leaf says it has.
pub fn sequence(leaf: &[u8]) -> Option<u64> {
    #[derive(serde::Deserialize)]
    struct Head {
        seq: u64,
    }
    serde_json::from_slice::<Head>(leaf).ok().map(|head| head.seq)
}
