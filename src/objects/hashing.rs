//! MD5 and the client's checksum over a body, beside the sealing.
//!
//! MD5 is the slowest step of a write (0.6 GB/s a core against 8 for sealing), so a large body is hashed by the blocking pool while
//! this task reads, seals and stores; a small one is hashed at once, which is cheaper than handing it over. Each job of the pool
//! hashes bytes that are already here and ends: however slowly bodies arrive, none of them holds a thread.

use bytes::Bytes;
use tokio::task::JoinHandle;

use crate::digest::{Checksum, ChecksumAlgorithm, ChecksumHasher, ETag, Md5};
use crate::objects::ObjectError;

/// Bodies up to this many bytes are hashed by the task that reads them.
const INLINE: u64 = 128 * 1024;

/// Bytes that are worth a job, about half a millisecond of MD5.
const BATCH: usize = 256 * 1024;

/// Bytes that may wait while a job runs. Whoever brings more waits for the job.
const WAITING: usize = 1024 * 1024;

/// What a piece counts for at the least: a short one may keep the whole buffer that it was cut from.
const PIECE: usize = 16 * 1024;

/// Hashes of a body that is still coming in.
pub(super) struct Hashing {
    inline: bool,
    hashers: Place,
    batch: Vec<Bytes>,
    /// What the pieces of the batch count for.
    weight: usize,
}

/// Where the hashers are: one job at a time has them, so the pieces stay in order.
enum Place {
    Here(Box<Hashers>),
    Job(JoinHandle<Box<Hashers>>),
    Lost,
}

pub(super) struct Hashers {
    md5: Option<Md5>,
    checksum: Option<ChecksumHasher>,
    size: u64,
}

/// Hashes of a whole body, and how many bytes it has.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hashes {
    pub(super) md5: [u8; 16],
    pub(super) checksum: Option<Checksum>,
    pub(super) size: u64,
}

impl Hashes {
    pub(super) fn etag(&self) -> ETag {
        ETag { md5: self.md5, parts: None }
    }
}

impl Hashers {
    fn update(&mut self, piece: &[u8]) {
        if let Some(md5) = &mut self.md5 {
            md5.update(piece);
        }
        if let Some(checksum) = &mut self.checksum {
            checksum.update(piece);
        }
        self.size += piece.len() as u64;
    }

    fn finish(self) -> Hashes {
        let md5 = self.md5.map_or([0; 16], Md5::finish);
        Hashes { md5, checksum: self.checksum.map(ChecksumHasher::finish), size: self.size }
    }
}

impl Hashing {
    pub(super) fn new(length: u64, checksum: Option<ChecksumAlgorithm>) -> Self {
        Self::of(Some(Md5::new()), length, checksum)
    }

    /// The same where nobody asks for the MD5, which is left at zeros.
    pub(super) fn without_md5(length: u64, checksum: Option<ChecksumAlgorithm>) -> Self {
        Self::of(None, length, checksum)
    }

    fn of(md5: Option<Md5>, length: u64, checksum: Option<ChecksumAlgorithm>) -> Self {
        let nothing = md5.is_none() && checksum.is_none();
        let hashers = Box::new(Hashers { md5, checksum: checksum.map(ChecksumHasher::new), size: 0 });
        Self { inline: nothing || length <= INLINE, hashers: Place::Here(hashers), batch: Vec::new(), weight: 0 }
    }

    /// Takes the next piece. Waits only when the pool is a whole batch behind.
    pub(super) async fn update(&mut self, piece: &Bytes) -> Result<(), ObjectError> {
        if self.inline
            && let Place::Here(hashers) = &mut self.hashers
        {
            hashers.update(piece);
            return Ok(());
        }
        self.batch.push(piece.clone());
        self.weight += piece.len().max(PIECE);
        if self.weight >= WAITING || (self.weight >= BATCH && self.is_free()) {
            self.start().await?;
        }
        Ok(())
    }

    pub(super) async fn finish(mut self) -> Result<Hashes, ObjectError> {
        if !self.batch.is_empty() {
            self.start().await?;
        }
        Ok(self.hashers().await?.finish())
    }

    /// Whether no job is running.
    fn is_free(&self) -> bool {
        match &self.hashers {
            Place::Here(_) => true,
            Place::Job(job) => job.is_finished(),
            Place::Lost => false,
        }
    }

    /// Hands the batch to the pool, after the job before it.
    async fn start(&mut self) -> Result<(), ObjectError> {
        let mut hashers = self.hashers().await?;
        let batch = std::mem::take(&mut self.batch);
        self.weight = 0;
        self.hashers = Place::Job(tokio::task::spawn_blocking(move || {
            for piece in batch {
                hashers.update(&piece);
            }
            hashers
        }));
        Ok(())
    }

    /// Takes the hashers, from the job that has them once it is done.
    async fn hashers(&mut self) -> Result<Box<Hashers>, ObjectError> {
        match std::mem::replace(&mut self.hashers, Place::Lost) {
            Place::Here(hashers) => Ok(hashers),
            Place::Job(job) => job.await.map_err(|_| stopped()),
            Place::Lost => Err(stopped()),
        }
    }
}

fn stopped() -> ObjectError {
    ObjectError::Internal("a hashing job stopped".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn hashed(length: u64, body: &Bytes, piece: usize) -> ([u8; 16], Option<Checksum>) {
        let mut hashing = Hashing::new(length, Some(ChecksumAlgorithm::Crc32));
        for start in (0..body.len()).step_by(piece) {
            hashing.update(&body.slice(start..body.len().min(start + piece))).await.unwrap();
        }
        let hashes = hashing.finish().await.unwrap();
        (hashes.md5, hashes.checksum)
    }

    #[tokio::test]
    async fn both_ways_give_the_same_hashes() {
        let body: Bytes = (0..3_000_000u32).map(|at| (at % 251) as u8).collect();
        let mut md5 = Md5::new();
        md5.update(&body);
        let md5 = md5.finish();
        let inline = hashed(INLINE, &body, 70_001).await;
        assert_eq!(inline.0, md5);
        for piece in [999, 16_384, 70_001, BATCH, WAITING + 1, body.len()] {
            assert_eq!(hashed(INLINE + 1, &body, piece).await, inline, "in pieces of {piece}");
        }
    }

    #[tokio::test]
    async fn what_nobody_asks_for_is_not_hashed() {
        let body = Bytes::from(vec![7; 2 * WAITING]);
        for (checksum, kept) in [(None, 0), (Some(ChecksumAlgorithm::Crc32), 1)] {
            let mut hashing = Hashing::without_md5(body.len() as u64, checksum);
            hashing.update(&body.slice(..5)).await.unwrap();
            assert_eq!(hashing.batch.len(), kept, "what is not hashed is not kept for it");
            hashing.update(&body.slice(5..)).await.unwrap();
            let hashes = hashing.finish().await.unwrap();
            let with_md5 = hashed(body.len() as u64, &body, WAITING).await;
            assert_eq!((hashes.md5, hashes.size), ([0; 16], body.len() as u64));
            assert_eq!(hashes.checksum, checksum.and(with_md5.1));
        }
    }

    #[test]
    fn bodies_that_are_still_coming_in_hold_no_thread() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().max_blocking_threads(1).build().unwrap();
        runtime.block_on(async {
            let mut bodies: Vec<Hashing> = (0..8).map(|_| Hashing::new(1 << 30, None)).collect();
            for body in &mut bodies {
                body.update(&Bytes::from(vec![1; BATCH])).await.unwrap();
                body.update(&Bytes::from_static(b"more")).await.unwrap();
            }
            let other = tokio::task::spawn_blocking(|| ());
            tokio::time::timeout(std::time::Duration::from_secs(60), other).await.expect("the pool is held").unwrap();
        });
    }
}
