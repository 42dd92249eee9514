//! The ledger's rows: leaves as they are and a head that only the ledger key can make. Both in the clear, so that a stopped index can
//! be verified without its key.

use std::ops::{Bound, ControlFlow};

use serde::{Deserialize, Serialize};

use super::{
    Engine, IndexError,
    catalogue::Restored,
    codec::{decode, encode},
    keys::{self, kind},
};
use crate::audit::{Frontier, LedgerHead};

#[derive(Serialize, Deserialize)]
struct HeadRow {
    head: LedgerHead,
    frontier: Frontier,
    #[serde(with = "serde_bytes")]
    mac: Vec<u8>,
}

/// A ledger read from a stopped index.
#[derive(Debug, Clone)]
pub struct StoredLedger {
    /// The entries in order.
    pub entries: Vec<Vec<u8>>,
    /// The stored head; `None` when nothing was ever written.
    pub head: Option<LedgerHead>,
    /// Its HMAC, to check with [`LedgerHead::check`] where the ledger key is at hand.
    pub mac: Vec<u8>,
}

/// Reads all of the ledger without any key. For [`crate::audit::verify`].
pub fn read_ledger(engine: &dyn Engine) -> Result<StoredLedger, IndexError> {
    let row = engine.get(keys::LEDGER_HEAD)?.map(|row| decode::<HeadRow>('m', &row)).transpose()?;
    let (head, mac) = row.map_or((None, Vec::new()), |row| (Some(row.head), row.mac));
    Ok(StoredLedger { entries: entries(engine, 0, usize::MAX)?, head, mac })
}

pub(super) fn entries(engine: &dyn Engine, from: u64, limit: usize) -> Result<Vec<Vec<u8>>, IndexError> {
    let mut leaves = Vec::new();
    engine.scan(Bound::Included(&keys::ledger(from)), Bound::Excluded(&[kind::LEDGER + 1]), &mut |_, leaf| {
        if leaves.len() >= limit {
            return ControlFlow::Break(());
        }
        leaves.push(leaf.to_vec());
        ControlFlow::Continue(())
    })?;
    Ok(leaves)
}

/// The right edge and head, checked against the ledger key and the last entry.
pub(super) fn load(engine: &dyn Engine, ledger_key: &[u8]) -> Result<Restored, IndexError> {
    let mut last = None;
    engine.scan_back(Bound::Included(&[kind::LEDGER]), Bound::Excluded(&[kind::LEDGER + 1]), &mut |row, _| {
        last = Some(row.to_vec());
        ControlFlow::Break(())
    })?;
    let Some(row) = engine.get(keys::LEDGER_HEAD)? else {
        let frontier = Frontier::default();
        let head = LedgerHead { size: 0, root: frontier.root(), time: Default::default() };
        return if last.is_none() { Ok((frontier, head)) } else { Err(IndexError::LedgerHead) };
    };
    let HeadRow { head, frontier, mac } = decode('m', &row)?;
    let fits = frontier.is_consistent()
        && frontier.size() == head.size
        && frontier.root() == head.root
        && last == head.size.checked_sub(1).map(keys::ledger);
    if fits && head.check(ledger_key, &mac) { Ok((frontier, head)) } else { Err(IndexError::LedgerHead) }
}

pub(super) fn head_row(head: LedgerHead, frontier: &Frontier, ledger_key: &[u8]) -> Result<Vec<u8>, IndexError> {
    encode(&HeadRow { head, frontier: frontier.clone(), mac: head.mac(ledger_key).to_vec() })
}
