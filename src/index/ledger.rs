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
use crate::audit::{Fault, Frontier, LedgerHead, Own, Report, Verifier};

#[derive(Serialize, Deserialize)]
struct HeadRow {
    head: LedgerHead,
    frontier: Frontier,
    #[serde(with = "serde_bytes")]
    mac: Vec<u8>,
    /// What a program derived that wrote it, see [`DERIVED`]; one that knew nothing of it leaves it out.
    #[serde(default)]
    derived: u32,
}

/// Counts what is derived from ledger and records beside them: by what entries are found, and the counters. Where a head has another
/// number, some commit wrote less, and all of it is derived anew ([`super::facets`]).
pub(super) const DERIVED: u32 = 2;

/// The ledger of a stopped index, which needs no key to be read.
pub struct StoredLedger<'e> {
    engine: &'e dyn Engine,
    head: Option<LedgerHead>,
    mac: Vec<u8>,
}

impl<'e> StoredLedger<'e> {
    /// Reads the head.
    pub fn open(engine: &'e dyn Engine) -> Result<Self, IndexError> {
        let row = engine.get(keys::LEDGER_HEAD)?.map(|row| decode::<HeadRow>('m', &row)).transpose()?;
        let (head, mac) = row.map_or((None, Vec::new()), |row| (Some(row.head), row.mac));
        Ok(Self { engine, head, mac })
    }

    /// The stored head; `None` when nothing was ever written.
    pub const fn head(&self) -> Option<LedgerHead> {
        self.head
    }

    /// Reads every entry and compares with the stored head, of which it is known whether it is the gateway's, and with those noted earlier.
    pub fn verify(&self, noted: &[LedgerHead], authentic: bool) -> Result<Result<Report, Fault>, IndexError> {
        let LedgerHead { size, root, .. } = self.head.unwrap_or_else(none_yet);
        let mut verifier = Verifier::new(noted, Some(Own { size, root, authentic }));
        let (from, to) = (keys::ledger(0), [kind::LEDGER + 1]);
        self.engine.scan(Bound::Included(&from), Bound::Excluded(&to), &mut |_, leaf| {
            verifier.push(leaf);
            ControlFlow::Continue(())
        })?;
        Ok(verifier.finish())
    }

    /// Whether the stored head was written under this ledger key.
    pub fn is_of(&self, ledger_key: &[u8]) -> bool {
        self.head.is_none_or(|head| head.check(ledger_key, &self.mac))
    }
}

/// The head before the first entry.
fn none_yet() -> LedgerHead {
    LedgerHead { size: 0, root: Frontier::default().root(), time: Default::default() }
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
        return if last.is_none() { Ok((Frontier::default(), none_yet())) } else { Err(IndexError::LedgerHead) };
    };
    let HeadRow { head, frontier, mac, derived: _ } = decode('m', &row)?;
    let fits = frontier.is_consistent()
        && frontier.size() == head.size
        && frontier.root() == head.root
        && last == head.size.checked_sub(1).map(keys::ledger);
    if fits && head.check(ledger_key, &mac) { Ok((frontier, head)) } else { Err(IndexError::LedgerHead) }
}

/// `derived` is 0 where what derives is still to be written.
pub(super) fn head_row(head: LedgerHead, frontier: &Frontier, ledger_key: &[u8], derived: u32) -> Result<Vec<u8>, IndexError> {
    encode(&HeadRow { head, frontier: frontier.clone(), mac: head.mac(ledger_key).to_vec(), derived })
}

/// Whether every commit so far wrote what derives.
pub(super) fn is_derived(engine: &dyn Engine) -> Result<bool, IndexError> {
    let Some(row) = engine.get(keys::LEDGER_HEAD)? else { return Ok(true) };
    Ok(decode::<HeadRow>('m', &row)?.derived == DERIVED)
}
