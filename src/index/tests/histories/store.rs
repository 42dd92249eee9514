//! An engine that fails when it is told to, and what is durable beneath it.

use std::ops::Bound;

use parking_lot::Mutex;
use tempfile::TempDir;

use super::super::*;
use crate::index::engine::{Batch, Value, Visit};

/// When a process dies in a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    /// Before the batch is applied.
    Before,
    /// After it, and before anybody knows.
    After,
}

/// What outlives a process.
pub(super) struct Store {
    durable: Durable,
    engine: Option<Arc<Failing>>,
}

enum Durable {
    Memory(Arc<MemoryEngine>),
    Sled(TempDir),
}

struct Failing {
    inner: Arc<dyn Engine>,
    next: Mutex<Option<Moment>>,
    /// The process is dead: nothing is written any more.
    dead: Mutex<bool>,
}

impl Store {
    pub(super) fn memory() -> Self {
        Self { durable: Durable::Memory(Arc::default()), engine: None }
    }

    pub(super) fn sled() -> Self {
        Self { durable: Durable::Sled(tempfile::tempdir().unwrap()), engine: None }
    }

    pub(super) fn fail_next(&self, moment: Moment) {
        if let Some(engine) = &self.engine {
            *engine.next.lock() = Some(moment);
        }
    }

    /// The engine of a new process. The one before, with `index` on it, is dead.
    pub(super) async fn engine(&mut self, index: Option<Index>) -> Arc<dyn Engine> {
        if let Some(old) = self.engine.take() {
            *old.dead.lock() = true;
        }
        drop(index);
        let inner: Arc<dyn Engine> = match &self.durable {
            Durable::Memory(engine) => Arc::clone(engine) as _,
            Durable::Sled(folder) => loop {
                match SledEngine::open(folder.path(), 8 << 20) {
                    Ok(engine) => break Arc::new(engine),
                    // The last reads of the index before may still hold it.
                    Err(error) if error.to_string().contains("lock") => {
                        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
                    }
                    Err(error) => panic!("{error}"),
                }
            },
        };
        let engine = Arc::new(Failing { inner, next: Mutex::default(), dead: Mutex::default() });
        self.engine = Some(Arc::clone(&engine));
        engine
    }
}

impl Engine for Failing {
    fn get(&self, key: &[u8]) -> Result<Option<Value>, EngineError> {
        self.inner.get(key)
    }

    fn scan(&self, from: Bound<&[u8]>, to: Bound<&[u8]>, visit: Visit<'_>) -> Result<(), EngineError> {
        self.inner.scan(from, to, visit)
    }

    fn scan_back(&self, from: Bound<&[u8]>, to: Bound<&[u8]>, visit: Visit<'_>) -> Result<(), EngineError> {
        self.inner.scan_back(from, to, visit)
    }

    fn apply(&self, batch: Batch) -> Result<(), EngineError> {
        let mut dead = self.dead.lock();
        if *dead {
            return Err(EngineError::Poisoned);
        }
        match self.next.lock().take() {
            None => return self.inner.apply(batch),
            Some(Moment::Before) => {}
            Some(Moment::After) => self.inner.apply(batch)?,
        }
        *dead = true;
        Err(EngineError::Write("told to fail".to_owned()))
    }

    fn is_resident(&self) -> bool {
        self.inner.is_resident()
    }

    fn stats(&self) -> EngineStats {
        self.inner.stats()
    }
}
