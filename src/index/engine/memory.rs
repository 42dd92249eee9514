//! An engine in memory, for tests and for trying things out. Nothing in it survives the process.

use std::{
    collections::BTreeMap,
    ops::Bound,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use parking_lot::RwLock;

use super::{Batch, Engine, EngineError, EngineStats, Value, Visit};

/// A sorted map behind a lock. Who is shown a row may read others, so that a waiting write keeps no reader from a second look.
#[derive(Debug, Default)]
pub struct MemoryEngine {
    rows: RwLock<BTreeMap<Vec<u8>, Arc<[u8]>>>,
    poisoned: AtomicBool,
    fail_next: AtomicBool,
}

impl MemoryEngine {
    /// An empty engine.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes the next [`Engine::apply`] fail, as a full disk would.
    pub fn fail_next_apply(&self) {
        self.fail_next.store(true, Ordering::SeqCst);
    }

    fn check(&self) -> Result<(), EngineError> {
        if self.poisoned.load(Ordering::Acquire) { Err(EngineError::Poisoned) } else { Ok(()) }
    }
}

/// `BTreeMap::range` panics on such ranges; here they are empty.
pub(super) fn is_empty_range(from: Bound<&[u8]>, to: Bound<&[u8]>) -> bool {
    match (from, to) {
        (Bound::Included(from), Bound::Included(to)) => from > to,
        (Bound::Included(from) | Bound::Excluded(from), Bound::Excluded(to) | Bound::Included(to)) => from >= to,
        _ => false,
    }
}

impl Engine for MemoryEngine {
    fn get(&self, key: &[u8]) -> Result<Option<Value>, EngineError> {
        self.check()?;
        Ok(self.rows.read_recursive().get(key).cloned().map(Value::Shared))
    }

    fn scan(&self, from: Bound<&[u8]>, to: Bound<&[u8]>, visit: Visit<'_>) -> Result<(), EngineError> {
        self.check()?;
        if is_empty_range(from, to) {
            return Ok(());
        }
        for (key, value) in self.rows.read_recursive().range::<[u8], _>((from, to)) {
            if visit(key, value).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn scan_back(&self, from: Bound<&[u8]>, to: Bound<&[u8]>, visit: Visit<'_>) -> Result<(), EngineError> {
        self.check()?;
        if is_empty_range(from, to) {
            return Ok(());
        }
        for (key, value) in self.rows.read_recursive().range::<[u8], _>((from, to)).rev() {
            if visit(key, value).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn apply(&self, batch: Batch) -> Result<(), EngineError> {
        self.check()?;
        if self.fail_next.swap(false, Ordering::SeqCst) {
            self.poisoned.store(true, Ordering::Release);
            return Err(EngineError::Write("told to fail".to_owned()));
        }
        let mut rows = self.rows.write();
        for (key, value) in batch.writes {
            match value {
                Some(value) => rows.insert(key, value.into()),
                None => rows.remove(&key),
            };
        }
        Ok(())
    }

    fn is_resident(&self) -> bool {
        true
    }

    fn stats(&self) -> EngineStats {
        EngineStats::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conforms() {
        super::super::conformance::suite(&MemoryEngine::new());
    }

    #[test]
    fn a_failed_apply_poisons() {
        let engine = MemoryEngine::new();
        engine.fail_next_apply();
        super::super::conformance::poisoned(&engine);
    }
}
