//! What derives from the ledger and the records beside them, and is written anew where an older program, a rebuild or an import left it
//! out: by what entries are found, and the counters.

use std::ops::{Bound, ControlFlow};

use super::{
    Counter, Counters, IndexError,
    catalogue::Inner,
    codec::encode,
    engine::Batch,
    keys::{self, Facet, kind},
    ledger::{self, head_row},
};
use crate::audit::{Facets, Frontier, LedgerHead};

/// Rows written at a time.
const BATCH: usize = 1000;

/// The rows that lead to an entry.
pub(super) fn facet_rows(seq: u64, leaf: &[u8]) -> impl Iterator<Item = Vec<u8>> + use<> {
    let Facets { key, subject, classes, collected } = Facets::of(leaf);
    let named = key.map(Facet::Key).into_iter().chain(subject.map(Facet::Subject));
    let classes = classes.into_iter().map(Facet::Class);
    named.chain(classes).chain(collected.into_iter().map(Facet::Collected)).map(move |facet| facet.row(seq))
}

impl Inner {
    /// Writes what some commit left out. Nobody else writes yet.
    pub(super) fn derive_missing(&self, frontier: &Frontier, head: LedgerHead) -> Result<(), IndexError> {
        if ledger::is_derived(self.engine.as_ref())? {
            return Ok(());
        }
        tracing::info!(entries = head.size, "deriving by what ledger entries are found, and the counters");
        self.derive_facets()?;
        self.derive_counters()?;
        let mut batch = Batch::default();
        batch.put(keys::LEDGER_HEAD, head_row(head, frontier, self.keys.ledger_key.expose(), ledger::DERIVED)?);
        Ok(self.engine.apply(batch)?)
    }

    fn derive_facets(&self) -> Result<(), IndexError> {
        self.remove_all(kind::FACET)?;
        let mut next = 0;
        loop {
            let leaves = ledger::entries(self.engine.as_ref(), next, BATCH)?;
            if leaves.is_empty() {
                return Ok(());
            }
            let mut batch = Batch::default();
            for leaf in leaves {
                facet_rows(next, &leaf).for_each(|row| batch.put(row, Vec::new()));
                next += 1;
            }
            self.engine.apply(batch)?;
        }
    }

    fn derive_counters(&self) -> Result<(), IndexError> {
        self.remove_all(kind::COUNTER)?;
        let counters: Vec<(Counter, super::Tally)> = Counters::into_iter(self.recount()?).collect();
        for counters in counters.chunks(BATCH) {
            let mut batch = Batch::default();
            for counted in counters {
                let row = keys::counter(&encode(&counted.0)?);
                batch.put(row.clone(), self.sealing.seal(&row, &encode(counted)?)?);
            }
            self.engine.apply(batch)?;
        }
        Ok(())
    }

    fn remove_all(&self, letter: u8) -> Result<(), IndexError> {
        loop {
            let mut batch = Batch::default();
            let (from, to) = ([letter], [letter + 1]);
            self.engine.scan(Bound::Included(&from), Bound::Excluded(&to), &mut |row, _| {
                batch.delete(row);
                if batch.writes.len() < BATCH { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            })?;
            if batch.writes.is_empty() {
                return Ok(());
            }
            self.engine.apply(batch)?;
        }
    }
}
