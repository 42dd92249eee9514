//! From sealed blobs to the bytes of a record, verified segment by segment.
//!
//! A copy is chosen, its first segment fetched and opened before the caller answers, so a site that fails or lies at once costs
//! another copy's turn and not the client's answer. What fails after that breaks the stream. While one extent is streamed, the next
//! one's request is already under way, if there is memory for it.
//!
//! A read takes its memory from the budget before it asks a site, and the bytes that it hands out keep it until they are gone: however
//! many clients read slowly, and wherever their bytes wait, what they hold together is bounded.

use std::collections::VecDeque;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{self, Stream, StreamExt};
use tokio::task::JoinHandle;

use crate::backend::{BackendError, BlobRead, Site};
use crate::index::{CopyRow, CopyState, Layout, PartEntry, Pin as ReaderPin, Record};
use crate::objects::customer::Unlocked;
use crate::objects::{MemoryBudget, ObjectError, Objects, ReadLease};
use crate::seal::{BlobName, EXTENT_SIZE, ExtentId, ExtentOpener, HEAD_LEN, InnerCipher, ReadPlan, RecordKey, SealError};
use crate::types::{AttemptId, Country};

/// Reads of up to this many bytes are verified whole before the caller answers.
const SHORT: u64 = 256 * 1024;

/// What a read holds besides the bytes that are wanted: the segments at both ends are fetched whole.
const ENDS: u64 = 2 * 64 * 1024;

/// What the answer of a site holds before anybody asks it for more: a chunk of a file, or the buffer of a connection.
const FETCHED: u64 = 512 * 1024;

/// What a stream holds at the most: what is fetched, as much again that waits for the client, and the segments in between.
pub(super) const STREAM: u64 = 2 * FETCHED + ENDS;

/// The bytes of a read, in order. An error item means that nothing before it may be taken for the whole.
pub type ReadBody = Pin<Box<dyn Stream<Item = Result<Bytes, ReadError>> + Send>>;

/// Why a read broke after it had begun.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The site returned something that was not written there.
    #[error("a stored extent does not open: {0}")]
    Tampered(#[from] SealError),
    /// The site stopped answering.
    #[error("reading a stored extent: {0}")]
    Site(#[from] BackendError),
    /// A task of the gateway stopped.
    #[error("reading a stored extent was interrupted")]
    Interrupted,
}

/// One extent of the range that is read.
#[derive(Debug, Clone)]
struct Step {
    id: ExtentId,
    /// What the record names the run by, and the layer of the client's key is derived from, also where the copy came later.
    attempt: AttemptId,
    head_len: u32,
    plain_len: u64,
    range: Range<u64>,
}

/// What opens the extents of one copy.
#[derive(Clone)]
struct Source {
    site: Arc<Site>,
    country: Country,
    key: RecordKey,
    unlocked: Unlocked,
}

/// One extent being read: the site's answer and what opens it.
struct Opening {
    read: BlobRead,
    opener: ExtentOpener,
    /// Takes off the layer of the client's key.
    inner: Option<InnerCipher>,
}

impl Objects {
    /// Opens `range` of a record, down to where `unlocked` leads. On return the first segment has been fetched and verified.
    pub(super) async fn open_record(
        &self,
        record: &Record,
        range: Range<u64>,
        unlocked: &Unlocked,
    ) -> Result<ReadBody, ObjectError> {
        let pin = self.index.pin(record.summary.id);
        let mut copies: Vec<&CopyRow> =
            record.detail.copies.iter().filter(|copy| matches!(copy.state, CopyState::Stored { .. })).collect();
        copies.sort_by_key(|copy| !self.sites.answers(&copy.site));
        let lease = Arc::new(self.read_memory(record, &range).await?);
        let mut failure = ObjectError::Internal("a record without a stored copy".to_owned());
        for copy in copies {
            match self.open_copy(record, copy, range.clone(), unlocked).await {
                Ok(reading) => return Ok(reading.into_stream(pin, lease)),
                Err(error) => {
                    tracing::warn!(site = %copy.site, record = %record.summary.id, error = %error, "a copy cannot be read");
                    failure = error;
                }
            }
        }
        Err(failure)
    }

    /// Waits for the memory that a read needs. Nothing else is held meanwhile but the pin.
    async fn read_memory(&self, record: &Record, range: &Range<u64>) -> Result<ReadLease, ObjectError> {
        let wanted = range.end - range.start;
        let bytes = (wanted + ENDS).min(record.summary.size).min(STREAM);
        if wanted <= SHORT { self.memory.short_read(bytes).await } else { self.memory.stream(bytes).await }
    }

    async fn open_copy(
        &self,
        record: &Record,
        copy: &CopyRow,
        range: Range<u64>,
        unlocked: &Unlocked,
    ) -> Result<Reading, ObjectError> {
        let unavailable = ObjectError::SiteUnavailable { country: copy.country };
        let site = Arc::clone(self.sites.get(&copy.site).ok_or(unavailable)?);
        let key = self.record_key(copy, record.summary.id).await?;
        let parts = match &record.detail.layout {
            Layout::Parts { table, .. } => Some(self.index.parts_of(*table)?),
            _ => None,
        };
        let steps = steps(record, copy, parts.as_deref().unwrap_or_default(), range);
        let source = Source { site, country: copy.country, key, unlocked: unlocked.clone() };
        let memory = self.memory.clone();
        let mut reading = Reading { source, steps, memory, next: None, current: None, ready: VecDeque::new() };
        reading.first().await.map_err(|error| match error {
            ReadError::Tampered(error) => ObjectError::Tampered(error),
            ReadError::Site(error) => ObjectError::from_backend(copy.country, &error),
            ReadError::Interrupted => ObjectError::Internal(ReadError::Interrupted.to_string()),
        })?;
        Ok(reading)
    }
}

/// The extents that hold `range`, in order, each with the bytes of it that are wanted. An empty range needs the one extent that
/// proves the record is there.
fn steps(record: &Record, copy: &CopyRow, parts: &[PartEntry], range: Range<u64>) -> VecDeque<Step> {
    let id = record.summary.id;
    let mut steps = VecDeque::new();
    match &record.detail.layout {
        Layout::Whole { attempt } => steps.push_back(Step {
            id: ExtentId { record: id, part: 0, attempt: copy.attempt(*attempt), extent: 0 },
            attempt: *attempt,
            head_len: copy.manifest_head_len,
            plain_len: record.summary.size,
            range,
        }),
        Layout::Extents { attempt } => {
            let run = ExtentId { record: id, part: 0, attempt: copy.attempt(*attempt), extent: 0 };
            push_run(&mut steps, (run, *attempt), record.summary.size, range);
        }
        Layout::Parts { .. } => {
            let mut start = 0;
            for part in parts {
                let end = start + part.size;
                let wanted = range.start.max(start)..range.end.min(end);
                if wanted.start < wanted.end {
                    let run = ExtentId { record: id, part: part.number, attempt: copy.attempt(part.attempt), extent: 0 };
                    push_run(&mut steps, (run, part.attempt), part.size, wanted.start - start..wanted.end - start);
                }
                start = end;
            }
        }
    }
    steps
}

/// The extents of one run of `size` bytes that hold `range` of it.
fn push_run(steps: &mut VecDeque<Step>, (run, attempt): (ExtentId, AttemptId), size: u64, range: Range<u64>) {
    let extent_size = EXTENT_SIZE as u64;
    let mut at = range.start;
    while at < range.end {
        let extent = at / extent_size;
        let start = extent * extent_size;
        let plain_len = (size - start).min(extent_size);
        let end = range.end.min(start + plain_len);
        steps.push_back(Step {
            id: ExtentId { extent: u32::try_from(extent).unwrap_or(u32::MAX), ..run },
            attempt,
            head_len: HEAD_LEN as u32,
            plain_len,
            range: at - start..end - start,
        });
        at = end;
    }
}

/// A read under way.
struct Reading {
    source: Source,
    steps: VecDeque<Step>,
    memory: MemoryBudget,
    /// The extent asked for ahead, and the memory for that.
    next: Option<(JoinHandle<Result<Opening, ReadError>>, ReadLease)>,
    current: Option<Opening>,
    ready: VecDeque<Bytes>,
}

impl Reading {
    /// Fetches and opens the first segment; all of them where the read is short.
    async fn first(&mut self) -> Result<(), ReadError> {
        let wanted: u64 = self.steps.iter().map(|step| step.range.end - step.range.start).sum();
        let Some(step) = self.steps.pop_front() else { return Ok(()) };
        self.current = Some(self.source.open(step).await?);
        self.prefetch();
        self.advance().await?;
        if wanted > SHORT {
            return Ok(());
        }
        let mut all = VecDeque::new();
        while !self.ready.is_empty() {
            all.append(&mut self.ready);
            self.advance().await?;
        }
        self.ready = all;
        Ok(())
    }

    /// Opens segments until some bytes are ready or the read is over.
    async fn advance(&mut self) -> Result<(), ReadError> {
        while self.ready.is_empty() {
            let Some(opening) = &mut self.current else {
                let Some(opening) = self.open_next().await? else { return Ok(()) };
                self.current = Some(opening);
                self.prefetch();
                continue;
            };
            match opening.read.body.next().await {
                Some(piece) => {
                    let mut opened = Vec::new();
                    opening.opener.push(piece?, &mut opened)?;
                    let inner = &mut opening.inner;
                    self.ready.extend(opened.into_iter().map(|bytes| match inner {
                        Some(inner) => inner.apply(bytes),
                        None => bytes,
                    }));
                }
                None => {
                    if let Some(done) = self.current.take() {
                        done.opener.finish()?;
                    }
                }
            }
        }
        Ok(())
    }

    /// The next extent: the one asked for ahead, or else one that is asked for now.
    async fn open_next(&mut self) -> Result<Option<Opening>, ReadError> {
        if let Some((next, _)) = &mut self.next {
            let opened = next.await;
            self.next = None;
            return opened.map_err(|_| ReadError::Interrupted)?.map(Some);
        }
        let Some(step) = self.steps.pop_front() else { return Ok(None) };
        self.source.open(step).await.map(Some)
    }

    /// Asks for the next extent while the current one is streamed. Where there is no memory for that, it is asked for in its turn.
    fn prefetch(&mut self) {
        if self.steps.is_empty() {
            return;
        }
        if let Some(memory) = self.memory.more_for_stream(FETCHED)
            && let Some(step) = self.steps.pop_front()
        {
            let source = self.source.clone();
            self.next = Some((tokio::spawn(async move { source.open(step).await }), memory));
        }
    }

    fn into_stream(mut self, pin: ReaderPin, lease: Arc<ReadLease>) -> ReadBody {
        if self.current.is_none() && self.next.is_none() && self.steps.is_empty() {
            let ready = std::mem::take(&mut self.ready);
            return Box::pin(stream::iter(ready.into_iter().map(move |bytes| Ok(leased(bytes, &lease)))));
        }
        Box::pin(stream::unfold(Some((self, pin, lease)), |state| async move {
            let (mut reading, pin, lease) = state?;
            if let Err(error) = reading.advance().await {
                return Some((Err(error), None));
            }
            let bytes = leased(reading.ready.pop_front()?, &lease);
            Some((Ok(bytes), Some((reading, pin, lease))))
        }))
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        if let Some((next, _)) = &self.next {
            next.abort();
        }
    }
}

/// Bytes that keep the memory of their read.
struct Leased {
    bytes: Bytes,
    _lease: Arc<ReadLease>,
}

impl AsRef<[u8]> for Leased {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

fn leased(bytes: Bytes, lease: &Arc<ReadLease>) -> Bytes {
    Bytes::from_owner(Leased { bytes, _lease: Arc::clone(lease) })
}

impl Source {
    /// Asks the site for the segments of one extent and checks that the blob has the length it was written with.
    async fn open(&self, step: Step) -> Result<Opening, ReadError> {
        let plan = ReadPlan::new(step.head_len, step.plain_len, step.range);
        let name = BlobName::of(self.country, &step.id);
        let read = self.site.read(&name, Some(plan.blob_range.clone())).await?;
        plan.check_total(read.total_len)?;
        let opener = ExtentOpener::new(step.id, self.country, &self.key, &plan)?;
        let offset = u64::from(step.id.extent) * EXTENT_SIZE as u64 + plan.plain_range().start;
        let inner = self.unlocked.inner().map(|key| key.cipher(step.id.part, step.attempt, offset));
        Ok(Opening { read, opener, inner })
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;

    use super::*;
    use crate::index::WriteCondition;
    use crate::objects::fixture::{World, body, bucket, key, put};
    use crate::objects::{CopyRequest, CopySource, GetRequest, ReadCondition};

    const LARGE: usize = EXTENT_SIZE + 600_000;
    const SMALL: usize = 200_000;

    async fn world(memory: u64) -> World {
        let world = World::new(memory).await;
        for (name, length) in [("large", LARGE), ("small", SMALL)] {
            world.objects.put(&world.request(), put(name, "amna", length), body(length)).await.unwrap();
        }
        world
    }

    async fn get(world: &World, name: &str) -> Result<ReadBody, ObjectError> {
        let (bucket, key, condition) = (bucket(), key(name), ReadCondition::default());
        let get = GetRequest { bucket, key, version: None, range: None, part: None, condition };
        world.objects.get(&world.request(), get).await.map(|(_, body)| body)
    }

    async fn length(body: ReadBody) -> usize {
        body.map(|bytes| bytes.unwrap().iter().filter(|byte| **byte == 7).count()).fold(0, async |sum, length| sum + length).await
    }

    #[tokio::test]
    async fn slow_readers_share_what_there_is_and_stop_no_short_read() {
        let world = world(64 << 20).await;
        let free = world.objects.memory.free();
        let mut slow = Vec::new();
        let waiting = loop {
            let mut next = Box::pin(get(&world, "large"));
            match futures_util::poll!(next.as_mut()) {
                std::task::Poll::Ready(body) => slow.push(body.unwrap()),
                std::task::Poll::Pending => break next,
            }
        };
        assert!((1..20).contains(&slow.len()), "{} streams", slow.len());
        for _ in 0..100 {
            assert_eq!(length(get(&world, "small").await.unwrap()).await, SMALL);
        }
        drop(slow.pop());
        let waited = waiting.await.unwrap();
        for length in join_all(slow.into_iter().chain([waited]).map(length)).await {
            assert_eq!(length, LARGE);
        }
        assert_eq!(world.objects.memory.free(), free);
    }

    #[tokio::test]
    async fn bytes_that_are_not_sent_yet_keep_the_memory_of_their_read() {
        let world = world(64 << 20).await;
        let free = world.objects.memory.free();
        for (name, held) in [("large", STREAM), ("small", SMALL as u64)] {
            let mut body = get(&world, name).await.unwrap();
            let bytes = body.next().await.unwrap().unwrap();
            drop(body);
            assert_eq!((free - world.objects.memory.free()) / 4096, held.div_ceil(4096), "{name}");
            drop(bytes);
            assert_eq!(world.objects.memory.free(), free, "{name}");
        }
    }

    #[tokio::test]
    async fn copies_that_need_memory_on_both_sides_all_come_through() {
        let world = world(8 << 20).await;
        let copies = (0..6).map(|number| {
            let condition = ReadCondition::default();
            let copy = CopyRequest {
                source: CopySource { bucket: bucket(), key: key("large"), version: None, condition, expected_owner: None },
                bucket: bucket(),
                key: key(&format!("copy-{number}")),
                replace: None,
                tags: None,
                lock: Default::default(),
                condition: WriteCondition::None,
                checksum: None,
                acl: Default::default(),
            };
            let world = &world;
            async move { world.objects.copy(&world.request(), copy).await }
        });
        let copied = join_all(copies).await;
        assert!(copied.iter().all(Result::is_ok), "{copied:?}");
        assert_eq!(length(get(&world, "copy-5").await.unwrap()).await, LARGE);
    }
}
