//! One budget of memory for the extents of all requests together.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::objects::ObjectError;

/// Bytes of one permit. The semaphore counts at most `u32::MAX` permits at once; 4 KiB keeps terabytes in reach.
const UNIT: u64 = 4096;

/// How long a request waits for memory before it is told to slow down.
const PATIENCE: Duration = Duration::from_secs(30);

/// Limits the bytes of plaintext and ciphertext in flight. Requests wait in the order they came, so a small request
/// waits behind a large one that came before it.
#[derive(Clone, Debug)]
pub struct MemoryBudget {
    permits: Arc<Semaphore>,
    total: u64,
}

/// Memory taken from the budget; given back when dropped.
#[derive(Debug)]
pub struct Lease {
    _permit: OwnedSemaphorePermit,
}

impl MemoryBudget {
    /// A budget of `bytes`, rounded down to whole units, at least one unit.
    pub fn new(bytes: u64) -> Self {
        let units = (bytes / UNIT).clamp(1, u64::from(u32::MAX));
        let permits = usize::try_from(units).unwrap_or(Semaphore::MAX_PERMITS).min(Semaphore::MAX_PERMITS);
        Self { permits: Arc::new(Semaphore::new(permits)), total: units }
    }

    /// Waits until `bytes` are free and takes them. A request for more than the whole budget takes all of it.
    ///
    /// # Errors
    /// [`ObjectError::Overloaded`] after half a minute of waiting.
    pub async fn take(&self, bytes: u64) -> Result<Lease, ObjectError> {
        let units = bytes.div_ceil(UNIT).clamp(1, self.total);
        let units = u32::try_from(units).unwrap_or(u32::MAX);
        match tokio::time::timeout(PATIENCE, Arc::clone(&self.permits).acquire_many_owned(units)).await {
            Ok(Ok(permit)) => Ok(Lease { _permit: permit }),
            Ok(Err(_)) | Err(_) => Err(ObjectError::Overloaded),
        }
    }

    /// Bytes that no request holds.
    pub fn free(&self) -> u64 {
        self.permits.available_permits() as u64 * UNIT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn memory_comes_back_and_waiting_ends() {
        let budget = MemoryBudget::new(64 * 1024);
        let lease = budget.take(60 * 1024).await.unwrap();
        assert_eq!(budget.free(), 4096);
        assert!(matches!(budget.take(8192).await, Err(ObjectError::Overloaded)));
        drop(lease);
        assert!(budget.take(1 << 40).await.is_ok());
    }
}
