//! An ordered key-value store under the catalogue: what an embedded engine has to offer, and nothing more.

#[cfg(test)]
pub(crate) mod conformance;
mod memory;
mod sled;

use std::{
    ops::{Bound, ControlFlow, Deref},
    sync::Arc,
};

pub use self::{memory::MemoryEngine, sled::SledEngine};

/// Is shown each row of a scan and says whether to go on.
pub type Visit<'a> = &'a mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>;

/// An ordered store of byte strings. Implementations pass the suite in `conformance`.
pub trait Engine: Send + Sync + 'static {
    /// The value of a row.
    fn get(&self, key: &[u8]) -> Result<Option<Value>, EngineError>;

    /// Shows the rows of a range in ascending order of keys until `visit` breaks. Rows written meanwhile may or may not be shown; one
    /// that is there throughout is.
    fn scan(&self, from: Bound<&[u8]>, to: Bound<&[u8]>, visit: Visit<'_>) -> Result<(), EngineError>;

    /// The same in descending order.
    fn scan_back(&self, from: Bound<&[u8]>, to: Bound<&[u8]>, visit: Visit<'_>) -> Result<(), EngineError>;

    /// Applies a batch, whole or not at all; on return it is visible and durable. Only the committer calls this. After an error the
    /// engine is poisoned: it cannot be known what is durable, so every later call fails.
    fn apply(&self, batch: Batch) -> Result<(), EngineError>;

    /// Whether reads are served from memory, so that they need not be kept off the async threads.
    fn is_resident(&self) -> bool;

    /// Figures for people.
    fn stats(&self) -> EngineStats;
}

/// A row's value, without copying it out of the engine.
#[derive(Debug, Clone)]
pub enum Value {
    /// Of the memory engine.
    Shared(Arc<[u8]>),
    /// Of sled.
    Sled(::sled::IVec),
}

impl Deref for Value {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Shared(bytes) => bytes,
            Self::Sled(bytes) => bytes,
        }
    }
}

/// Writes to be applied together. The last write of a key counts.
#[derive(Debug, Default)]
pub struct Batch {
    /// Key, and value or deletion.
    pub writes: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

impl Batch {
    /// Sets a row.
    pub fn put(&mut self, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) {
        self.writes.push((key.into(), Some(value.into())));
    }

    /// Removes a row; an absent one is no error.
    pub fn delete(&mut self, key: impl Into<Vec<u8>>) {
        self.writes.push((key.into(), None));
    }
}

/// Figures about an engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EngineStats {
    /// Bytes on disk; 0 for the memory engine.
    pub disk_bytes: u64,
    /// Bytes that the cache may hold.
    pub cache_bytes: u64,
}

/// The engine failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum EngineError {
    /// It cannot be opened.
    #[error("cannot open the index in `{folder}`: {reason}")]
    Open {
        /// Where.
        folder: String,
        /// Why.
        reason: String,
    },
    /// A read failed.
    #[error("cannot read the index: {0}")]
    Read(String),
    /// A write, flush or sync failed: the engine is poisoned from now on.
    #[error("cannot write the index durably: {0}")]
    Write(String),
    /// An earlier write failed.
    #[error("the index failed earlier; restart the gateway")]
    Poisoned,
}
