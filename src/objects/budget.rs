//! One budget of memory for the bytes of all requests together.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::objects::ObjectError;

/// Bytes of one permit. The semaphore counts at most `u32::MAX` permits at once; 4 KiB keeps terabytes in reach.
const UNIT: u64 = 4096;

/// How long a request waits for memory before it is told to slow down.
const PATIENCE: Duration = Duration::from_secs(30);

/// Limits the bytes of plaintext and ciphertext in flight: three quarters are for extents being written, one for reads, so that neither
/// keeps the other waiting.
///
/// **Writes.** An extent takes its memory in steps, as its bytes arrive, so a body that was declared and never sent holds next to
/// nothing. Its share has two halves. A first step waits, in order of arrival, for the *open* half. Later steps never wait for it: they take
/// what is free there at once, or else everything that the extent still lacks, in order of arrival, from the *reserve*.
///
/// No two extents can wait for each other. Who waits for the open half holds no memory for its extent. Who waits for the reserve waits
/// for extents that have all they need: those depend on their clients and sites only, whose silence has limits, and give everything
/// back. A wait that lasts too long ends in an error, which gives back what its extent held.
///
/// **Reads.** A read takes all that it needs before its first byte, and what it can do without only while that is free: it never waits
/// with memory in hand. Short reads have a quarter of their own, which long ones cannot fill. A copy takes the memory of its read
/// before that of its write, and no write ever asks for a read's: so these do not wait for each other in a circle either.
///
/// **Documents.** A request that is a document, a list of keys to delete or a bucket's policy, is read whole. A long one takes its declared
/// length from an eighth of the reads' share once its beginning is here, and asks for nothing more.
#[derive(Clone, Debug)]
pub struct MemoryBudget {
    open: Pool,
    reserve: Pool,
    streams: Pool,
    short: Pool,
    documents: Pool,
}

/// Memory of a read or a document; given back when dropped.
#[derive(Debug)]
pub struct ReadLease {
    _permit: OwnedSemaphorePermit,
}

/// Memory of an extent being written; given back when dropped.
#[derive(Debug)]
pub struct Lease {
    bytes: u64,
    open: OwnedSemaphorePermit,
    rest: Option<OwnedSemaphorePermit>,
}

impl MemoryBudget {
    /// A budget of `bytes`, rounded down to whole units, at least one unit in each share.
    pub fn new(bytes: u64) -> Self {
        let (half, reads) = (bytes / 8 * 3, bytes / 4);
        let (short, documents) = (reads / 4, reads / 8);
        Self {
            open: Pool::new(half),
            reserve: Pool::new(half),
            streams: Pool::new(reads - short - documents),
            short: Pool::new(short),
            documents: Pool::new(documents),
        }
    }

    /// Waits until `bytes` are free and takes them, as the first step of an extent. A request for more than the open half takes all of it.
    ///
    /// # Errors
    /// [`ObjectError::Overloaded`] after half a minute of waiting.
    pub async fn take(&self, bytes: u64) -> Result<Lease, ObjectError> {
        Ok(Lease { bytes, open: self.open.wait(bytes).await?, rest: None })
    }

    /// Makes `lease` cover `bytes` in all, or `most`, which is all that its extent will ever need.
    ///
    /// # Errors
    /// [`ObjectError::Overloaded`] after half a minute of waiting; then the lease is to be dropped.
    pub async fn grow(&self, lease: &mut Lease, bytes: u64, most: u64) -> Result<(), ObjectError> {
        if bytes <= lease.bytes {
            return Ok(());
        }
        if let Some(more) = self.open.now(bytes - lease.bytes) {
            lease.open.merge(more);
            lease.bytes = bytes;
        } else {
            lease.rest = Some(self.reserve.wait(most.max(bytes) - lease.bytes).await?);
            lease.bytes = most.max(bytes);
        }
        Ok(())
    }

    /// Waits for the memory of a read that is a stream. One that needs more than there is for all of them takes all of it.
    ///
    /// # Errors
    /// [`ObjectError::Overloaded`] after half a minute of waiting.
    pub async fn stream(&self, bytes: u64) -> Result<ReadLease, ObjectError> {
        Ok(ReadLease { _permit: self.streams.wait(bytes).await? })
    }

    /// More memory for a stream, if it is free and nobody waits for it.
    pub fn more_for_stream(&self, bytes: u64) -> Option<ReadLease> {
        self.streams.now(bytes).map(|permit| ReadLease { _permit: permit })
    }

    /// As [`MemoryBudget::stream`], for a read that is verified whole before it is answered.
    ///
    /// # Errors
    /// [`ObjectError::Overloaded`] after half a minute of waiting.
    pub async fn short_read(&self, bytes: u64) -> Result<ReadLease, ObjectError> {
        Ok(ReadLease { _permit: self.short.wait(bytes).await? })
    }

    /// Waits for the memory of a document of `bytes`.
    ///
    /// # Errors
    /// [`ObjectError::Overloaded`] after half a minute of waiting.
    pub async fn document(&self, bytes: u64) -> Result<ReadLease, ObjectError> {
        Ok(ReadLease { _permit: self.documents.wait(bytes).await? })
    }

    /// Bytes that are held for writes, and for reads and documents.
    pub fn used(&self) -> (u64, u64) {
        (self.open.used() + self.reserve.used(), self.streams.used() + self.short.used() + self.documents.used())
    }

    /// Bytes that no request holds.
    pub fn free(&self) -> u64 {
        self.open.free() + self.reserve.free() + self.streams.free() + self.short.free() + self.documents.free()
    }
}

#[derive(Clone, Debug)]
struct Pool {
    permits: Arc<Semaphore>,
    total: u64,
}

impl Pool {
    fn new(bytes: u64) -> Self {
        let units = (bytes / UNIT).clamp(1, u64::from(u32::MAX));
        let permits = usize::try_from(units).unwrap_or(Semaphore::MAX_PERMITS).min(Semaphore::MAX_PERMITS);
        Self { permits: Arc::new(Semaphore::new(permits)), total: units }
    }

    fn units(&self, bytes: u64) -> u32 {
        u32::try_from(bytes.div_ceil(UNIT).clamp(1, self.total)).unwrap_or(u32::MAX)
    }

    async fn wait(&self, bytes: u64) -> Result<OwnedSemaphorePermit, ObjectError> {
        // Spares the timer. Nobody is overtaken: while somebody waits, nothing is free.
        if let Some(permit) = self.now(bytes) {
            return Ok(permit);
        }
        match tokio::time::timeout(PATIENCE, Arc::clone(&self.permits).acquire_many_owned(self.units(bytes))).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) | Err(_) => Err(ObjectError::Overloaded),
        }
    }

    fn now(&self, bytes: u64) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.permits).try_acquire_many_owned(self.units(bytes)).ok()
    }

    fn used(&self) -> u64 {
        (self.total * UNIT).saturating_sub(self.free())
    }

    fn free(&self) -> u64 {
        self.permits.available_permits() as u64 * UNIT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn memory_comes_back_and_waiting_ends() {
        let budget = MemoryBudget::new(256 * 1024);
        let lease = budget.take(92 * 1024).await.unwrap();
        assert_eq!(budget.free(), 256 * 1024 - 92 * 1024);
        assert!(matches!(budget.take(8192).await, Err(ObjectError::Overloaded)));
        drop(lease);
        assert!(budget.take(1 << 40).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn extents_that_all_hold_a_part_finish_one_after_the_other() {
        let budget = MemoryBudget::new(64 * 1024);
        let mut leases = Vec::new();
        for _ in 0..6 {
            leases.push(budget.take(4096).await.unwrap());
        }
        let growing = leases.into_iter().map(|mut lease| {
            let budget = &budget;
            async move {
                for step in 2..=6 {
                    budget.grow(&mut lease, step * 4096, 6 * 4096).await.unwrap();
                    tokio::task::yield_now().await;
                }
            }
        });
        futures_util::future::join_all(growing).await;
        assert_eq!(budget.free(), 64 * 1024);
    }

    #[tokio::test(start_paused = true)]
    async fn long_reads_keep_neither_short_ones_nor_writes_waiting() {
        let budget = MemoryBudget::new(16 << 20);
        let mut streams = Vec::new();
        while let Some(lease) = budget.more_for_stream(1 << 20) {
            streams.push(lease);
        }
        assert_eq!(streams.len(), 2);
        let _rest = budget.more_for_stream(512 << 10).unwrap();
        assert!(matches!(budget.stream(1 << 20).await, Err(ObjectError::Overloaded)));
        let _others = (budget.short_read(256 << 10).await.unwrap(), budget.take(6 << 20).await.unwrap());
        let _document = budget.document(256 << 10).await.unwrap();
        let waiting = budget.stream(1 << 20);
        tokio::pin!(waiting);
        assert!(futures_util::poll!(waiting.as_mut()).is_pending());
        streams.pop();
        assert!(budget.more_for_stream(4096).is_none(), "whoever waits comes first");
        assert!(waiting.await.is_ok());
    }
}
