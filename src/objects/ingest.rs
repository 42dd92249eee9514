//! From a body to sealed extents at every required site.
//!
//! The body is cut into extents of at most [`EXTENT_SIZE`]; each is sealed in place while it arrives, once for every copy, and stored
//! by a task of its own while the next one fills. At most [`IN_FLIGHT`] extents of one request wait for their sites, and all requests
//! share one memory budget, from which an extent takes more as its bytes arrive.

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::try_join_all;
use tokio::task::{JoinError, JoinSet};

use crate::backend::Receipt;
use crate::digest::Checksum;
use crate::index::IntentGuard;
use crate::objects::hashing::{Hashes, Hashing};
use crate::objects::record_keys::Target;
use crate::objects::standing::Standing;
use crate::objects::{Body, BodyError, ExpectedChecksum, Lease, Length, MemoryBudget, ObjectError, Piece};
use crate::seal::{BlobName, EXTENT_SIZE, ExtentId, ExtentSealer, InnerCipher, InnerKey, SealedBlob};
use crate::types::{AttemptId, RecordId};

/// Extents of one request that may be on their way to the sites while another one fills.
const IN_FLIGHT: usize = 2;

/// Plaintext that an extent has room for at first: little enough for every connection to hold it. Larger ones grow fourfold: few bytes
/// move, and what a body holds while there is enough memory is never more than four times what it sent.
const FIRST_STEP: u64 = 64 * 1024;

/// What one ingest reads and under which names it stores.
pub(super) struct Ingest<'a> {
    pub(super) memory: &'a MemoryBudget,
    pub(super) targets: &'a [Target],
    pub(super) record: RecordId,
    pub(super) part: u32,
    pub(super) attempt: AttemptId,
    pub(super) length: Length,
    pub(super) content_md5: Option<[u8; 16]>,
    pub(super) checksum: Option<ExpectedChecksum>,
    /// The layer of the client's key, put on the bytes before they are sealed.
    pub(super) inner: Option<&'a InnerKey>,
}

/// A body that fits one extent, sealed for every copy but not yet stored: its manifest is still to go into the same blob.
pub(super) struct WholeBody {
    pub(super) hashes: Hashes,
    id: ExtentId,
    sealers: Vec<ExtentSealer>,
    lease: Lease,
}

/// Whether a body of `length` bytes is stored as one blob together with its manifest.
pub(super) fn fits_one_extent(length: u64) -> bool {
    length <= EXTENT_SIZE as u64
}

impl Ingest<'_> {
    /// Reads a body of at most one extent to its end.
    pub(super) async fn whole(&self, body: Body) -> Result<WholeBody, ObjectError> {
        let mut reader = Reader::new(self, body);
        let (sealers, lease) = self.fill(&mut reader, 0, self.length.most()).await?;
        let hashes = reader.finish().await?;
        Ok(WholeBody { id: self.extent(0), hashes, sealers, lease })
    }

    /// Reads a body of any length and stores it as a run of extents. On return every extent is durable at every target, as the
    /// receipts prove. None is stored after the decision was found not to stand any more.
    pub(super) async fn extents(
        &self,
        body: Body,
        standing: &mut Standing<'_>,
        mut intent: Option<&mut IntentGuard>,
    ) -> Result<(Hashes, Vec<Receipt>), ObjectError> {
        let mut reader = Reader::new(self, body);
        let mut stores: JoinSet<Result<Vec<Receipt>, ObjectError>> = JoinSet::new();
        let mut receipts = Vec::new();
        let mut remaining = self.length.most();
        for extent in 0.. {
            if reader.is_over().await? {
                break;
            }
            let length = remaining.min(EXTENT_SIZE as u64);
            let (sealers, lease) = self.fill(&mut reader, extent, length).await?;
            remaining -= length;
            while stores.len() >= IN_FLIGHT {
                receipts.append(&mut joined(stores.join_next().await)?);
            }
            standing.check().await?;
            announce(intent.as_deref_mut(), self.targets, &self.extent(extent));
            let targets = self.targets.to_vec();
            stores.spawn(async move {
                let blobs = seal_all(sealers, None)?;
                let stored = store_all(&targets, &blobs).await?;
                fail::fail_point!("objects::extent-stored", |_| Err(ObjectError::Internal("failpoint".to_owned())));
                drop(lease);
                Ok(stored.into_iter().map(|(receipt, _)| receipt).collect())
            });
            if remaining == 0 {
                break;
            }
        }
        let hashes = reader.finish().await?;
        while let Some(done) = stores.join_next().await {
            receipts.append(&mut joined(Some(done))?);
        }
        Ok((hashes, receipts))
    }

    /// Reads the next `length` bytes into one extent for every target, or fewer where the body may end before.
    async fn fill(&self, reader: &mut Reader, extent: u32, length: u64) -> Result<(Vec<ExtentSealer>, Lease), ObjectError> {
        let copies = self.targets.len().max(1) as u64;
        let mut sealers = sealers(self.targets, self.extent(extent), 0)?;
        // Not before the first byte is here: who only announces a body holds nothing.
        let mut piece = if length == 0 { Bytes::new() } else { reader.next(length).await? };
        let mut room = length.min(FIRST_STEP);
        let mut lease = self.memory.take(room.max(1) * copies).await?;
        let mut taken = 0;
        loop {
            taken += piece.len() as u64;
            while room < taken {
                room = (room * 4).min(length);
            }
            self.memory.grow(&mut lease, room * copies, length * copies).await?;
            for sealer in &mut sealers {
                sealer.reserve(usize::try_from(room).unwrap_or(EXTENT_SIZE));
                sealer.push(&piece)?;
            }
            if taken >= length || reader.ended {
                break;
            }
            piece = reader.next(length - taken).await?;
        }
        Ok((sealers, lease))
    }

    fn extent(&self, extent: u32) -> ExtentId {
        ExtentId { record: self.record, part: self.part, attempt: self.attempt, extent }
    }
}

impl WholeBody {
    /// Seals `manifest` into the head of every copy's blob and stores them.
    pub(super) async fn store(
        self,
        targets: &[Target],
        manifest: &[u8],
        intent: Option<&mut IntentGuard>,
    ) -> Result<Vec<(Receipt, u32)>, ObjectError> {
        announce(intent, targets, &self.id);
        let blobs = seal_all(self.sealers, Some(manifest))?;
        let receipts = store_all(targets, &blobs).await?;
        drop(self.lease);
        Ok(receipts)
    }
}

/// Stores a manifest blob of its own for every copy: an extent without data whose head carries the manifest.
pub(super) async fn store_manifest(
    targets: &[Target],
    record: RecordId,
    attempt: AttemptId,
    manifest: &[u8],
    intent: Option<&mut IntentGuard>,
) -> Result<Vec<(Receipt, u32)>, ObjectError> {
    let id = ExtentId::manifest(record, attempt);
    announce(intent, targets, &id);
    let blobs = seal_all(sealers(targets, id, 0)?, Some(manifest))?;
    store_all(targets, &blobs).await
}

/// Tells the intent of a blob before it is written, so that it is garbage with a name when no commit follows.
fn announce(intent: Option<&mut IntentGuard>, targets: &[Target], id: &ExtentId) {
    if let Some(intent) = intent {
        for target in targets {
            intent.add(target.seal.site(), BlobName::of(target.seal.country(), id));
        }
    }
}

fn sealers(targets: &[Target], id: ExtentId, capacity: usize) -> Result<Vec<ExtentSealer>, ObjectError> {
    targets.iter().map(|target| ExtentSealer::new(&target.seal, id, &target.key, capacity).map_err(ObjectError::from)).collect()
}

fn seal_all(sealers: Vec<ExtentSealer>, manifest: Option<&[u8]>) -> Result<Vec<SealedBlob>, ObjectError> {
    sealers.into_iter().map(|sealer| sealer.finish(manifest).map_err(ObjectError::from)).collect()
}

/// Stores one blob at each target at the same time and answers when all are durable: the receipt and the length of the head.
async fn store_all(targets: &[Target], blobs: &[SealedBlob]) -> Result<Vec<(Receipt, u32)>, ObjectError> {
    let stores = targets.iter().zip(blobs).map(|(target, blob)| async move {
        let receipt = target.site.store(blob).await.map_err(|error| ObjectError::from_backend(target.seal.country(), &error))?;
        fail::fail_point!("objects::copy-stored", |_| Err(ObjectError::Internal("failpoint".to_owned())));
        Ok::<_, ObjectError>((receipt, blob.head_len()))
    });
    try_join_all(stores).await
}

/// What a task that stored an extent came to.
fn joined(done: Option<Result<Result<Vec<Receipt>, ObjectError>, JoinError>>) -> Result<Vec<Receipt>, ObjectError> {
    match done {
        Some(Ok(result)) => result,
        Some(Err(error)) => Err(ObjectError::Internal(format!("storing an extent: {error}"))),
        None => Ok(Vec::new()),
    }
}

/// Hands out the bytes of a body in pieces no longer than asked for, as they are to be sealed, and hashes them on the way.
struct Reader {
    body: Body,
    rest: Bytes,
    hashing: Hashing,
    content_md5: Option<[u8; 16]>,
    expected: Option<Checksum>,
    inner: Option<InnerLayer>,
    length: Length,
    taken: u64,
    /// Whether the body is over, which was not known to be so long.
    ended: bool,
}

/// The layer of a client's key, and the hashes of what lies under it.
struct InnerLayer {
    cipher: InnerCipher,
    hashing: Hashing,
}

impl Reader {
    fn new(ingest: &Ingest<'_>, body: Body) -> Self {
        let (length, checksum) = (ingest.length.most(), ingest.checksum.map(|checksum| checksum.algorithm));
        // Under a client's key the MD5 that is kept is another: that of the plaintext is only compared, where one came.
        let compared = ingest.inner.is_none() || ingest.content_md5.is_some();
        Self {
            body,
            rest: Bytes::new(),
            hashing: if compared { Hashing::new(length, checksum) } else { Hashing::without_md5(length, checksum) },
            content_md5: ingest.content_md5,
            expected: ingest.checksum.and_then(|checksum| checksum.value),
            inner: ingest.inner.map(|key| InnerLayer {
                cipher: key.cipher(ingest.part, ingest.attempt, 0),
                hashing: Hashing::new(ingest.length.most(), None),
            }),
            length: ingest.length,
            taken: 0,
            ended: false,
        }
    }

    /// The next piece of the body, of 1 to `most` bytes; of none when a body has ended that may.
    async fn next(&mut self, most: u64) -> Result<Bytes, ObjectError> {
        self.ready().await?;
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let piece = self.rest.split_to(self.rest.len().min(most));
        self.taken += piece.len() as u64;
        self.hashing.update(&piece).await?;
        let Some(inner) = &mut self.inner else { return Ok(piece) };
        let piece = inner.cipher.apply(piece);
        inner.hashing.update(&piece).await?;
        Ok(piece)
    }

    /// Waits for bytes or the end. The end is an error where the caller knows how long the body is and asks for more.
    async fn ready(&mut self) -> Result<(), ObjectError> {
        while self.rest.is_empty() && !self.ended {
            match (self.body.next().await, self.length) {
                (Some(Ok(Piece::Data(piece))), _) => self.rest = piece,
                (Some(Ok(Piece::Expect(checksum))), _) => self.expected = Some(checksum),
                (Some(Err(error)), _) => return Err(error.into()),
                (None, Length::AtMost(_)) => self.ended = true,
                (None, Length::Exact(expected)) => return Err(BodyError::Length { expected, got: self.taken }.into()),
            }
        }
        Ok(())
    }

    /// Whether a body that may end here does.
    async fn is_over(&mut self) -> Result<bool, ObjectError> {
        if let Length::AtMost(_) = self.length {
            self.ready().await?;
        }
        Ok(self.ended)
    }

    /// Reads what follows the bytes (a trailer, and the protocol's own checks) and compares every hash the client gave.
    async fn finish(mut self) -> Result<Hashes, ObjectError> {
        let mut extra = self.rest.len() as u64;
        while !self.ended
            && let Some(item) = self.body.next().await
        {
            match item? {
                Piece::Data(piece) => extra += piece.len() as u64,
                Piece::Expect(checksum) => self.expected = Some(checksum),
            }
        }
        if extra > 0 {
            return Err(BodyError::Length { expected: self.length.most(), got: self.taken + extra }.into());
        }
        let hashes = self.hashing.finish().await?;
        if self.content_md5.is_some_and(|md5| md5 != hashes.md5) {
            return Err(ObjectError::BadDigest("Content-MD5"));
        }
        if let (Some(expected), Some(computed)) = (self.expected, hashes.checksum)
            && expected.as_bytes() != computed.as_bytes()
        {
            return Err(ObjectError::BadDigest("checksum"));
        }
        // The MD5 that is kept and shown is that of the bytes under the client's key, which says nothing of the plaintext.
        match self.inner {
            Some(inner) => Ok(Hashes { md5: inner.hashing.finish().await?.md5, ..hashes }),
            None => Ok(hashes),
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;

    use super::*;
    use crate::objects::fixture::{self, World, body, idle_body};
    use crate::objects::record_keys::new_attempt_id;

    const FULL: usize = EXTENT_SIZE;

    fn ingest<'a>(memory: &'a MemoryBudget, targets: &'a [Target], length: usize) -> Ingest<'a> {
        Ingest {
            memory,
            targets,
            record: targets[0].key.record(),
            part: 0,
            attempt: new_attempt_id(),
            length: Length::Exact(length as u64),
            content_md5: None,
            checksum: None,
            inner: None,
        }
    }

    #[tokio::test]
    async fn bodies_that_were_announced_and_not_sent_stop_nobody() {
        let world = World::new(64 << 20).await;
        let (memory, targets) = (&world.objects.memory, world.targets("amna").await);
        let announced = ingest(memory, &targets, FULL);
        let mut idle: Vec<_> = (0..400).map(|number| Box::pin(announced.whole(idle_body(number % 2)))).collect();
        for waiting in &mut idle {
            assert!(futures_util::poll!(waiting.as_mut()).is_pending());
        }
        for length in [1, 1000, FULL] {
            let ingest = ingest(memory, &targets, length);
            assert!(Box::pin(ingest.whole(body(length))).await.is_ok(), "{length} bytes");
        }
    }

    #[tokio::test]
    async fn a_body_may_be_shorter_than_it_could_be() {
        let world = World::new(256 << 20).await;
        let (memory, targets) = (&world.objects.memory, world.targets("amna").await);
        let (bucket, key) = (world.objects.bucket(&fixture::bucket()).unwrap(), fixture::key("k"));
        for (length, slack) in
            [(0, 9), (1, 0), (FULL - 5, 5), (FULL, 0), (FULL, 1), (FULL + 1, 0), (2 * FULL, 70_000), (2 * FULL + 1, 9)]
        {
            let most = Length::AtMost((length + slack) as u64);
            let ingest = Ingest { length: most, ..ingest(memory, &targets, 0) };
            if fits_one_extent(most.most()) {
                assert_eq!(ingest.whole(body(length)).await.unwrap().hashes.size, length as u64);
            }
            let mut standing = Standing::of_copy((&world.objects, &bucket, &key), world.placement("amna"));
            let (hashes, receipts) = ingest.extents(body(length), &mut standing, None).await.unwrap();
            assert_eq!((hashes.size, receipts.len()), (length as u64, length.div_ceil(FULL)), "{length} of {most:?}");
        }
        let short = Ingest { length: Length::AtMost(9), ..ingest(memory, &targets, 0) };
        assert!(matches!(short.whole(body(10)).await, Err(ObjectError::Body(BodyError::Length { expected: 9, got: 10 }))));
    }

    #[tokio::test]
    async fn bodies_that_need_more_than_there_is_all_come_through_beside_slow_ones() {
        let world = World::new(32 << 20).await;
        let (memory, targets) = (&world.objects.memory, world.targets("amna").await);
        let free = memory.free();
        // Twice: with two copies a full extent takes the whole reserve.
        let targets = [targets.clone(), targets].concat();
        let (bucket, key) = (world.objects.bucket(&fixture::bucket()).unwrap(), fixture::key("k"));
        let slow = ingest(memory, &targets, FULL);
        let mut idle: Vec<_> = (0..20).map(|_| Box::pin(slow.whole(idle_body(100_000)))).collect();
        for waiting in &mut idle {
            assert!(futures_util::poll!(waiting.as_mut()).is_pending());
        }
        let all = (0..16).map(|number| {
            let length = [1, 70_000, FULL, 2 * FULL + 70_000][number % 4];
            let ingest = ingest(memory, &targets, length);
            let mut standing = Standing::of_copy((&world.objects, &bucket, &key), world.placement("amna"));
            async move { ingest.extents(body(length), &mut standing, None).await.map(|(_, receipts)| receipts.len()) }
        });
        let stored = join_all(all).await;
        assert!(stored.iter().all(Result::is_ok), "{stored:?}");
        drop(idle);
        assert_eq!(memory.free(), free);
    }
}
