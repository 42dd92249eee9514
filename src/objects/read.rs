//! From sealed blobs to the bytes of a record, verified segment by segment.
//!
//! A copy is chosen, its first segment fetched and opened before the caller answers, so a site that fails or lies at once costs
//! another copy's turn and not the client's answer. What fails after that breaks the stream. While one extent is streamed, the next
//! one's request is already under way.

use std::collections::VecDeque;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{self, Stream, StreamExt};
use tokio::task::JoinHandle;

use crate::backend::{BackendError, BlobRead, Site};
use crate::index::{CopyRow, CopyState, Layout, PartEntry, Pin as ReaderPin, Record};
use crate::objects::{ObjectError, Objects};
use crate::residency::Availability;
use crate::seal::{BlobName, EXTENT_SIZE, ExtentId, ExtentOpener, HEAD_LEN, ReadPlan, RecordKey, SealError};
use crate::types::Country;

/// Reads of up to this many bytes are verified whole before the caller answers.
const SHORT: u64 = 256 * 1024;

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
}

/// One extent being read: the site's answer and what opens it.
struct Opening {
    read: BlobRead,
    opener: ExtentOpener,
}

impl Objects {
    /// Opens `range` of a record. On return the first segment has been fetched and verified.
    pub(super) async fn open_record(&self, record: &Record, range: Range<u64>) -> Result<ReadBody, ObjectError> {
        let pin = self.index.pin(record.summary.id);
        let mut copies: Vec<&CopyRow> =
            record.detail.copies.iter().filter(|copy| matches!(copy.state, CopyState::Stored { .. })).collect();
        copies.sort_by_key(|copy| !self.sites.is_up(&copy.site));
        let mut failure = ObjectError::Internal("a record without a stored copy".to_owned());
        for copy in copies {
            match self.open_copy(record, copy, range.clone()).await {
                Ok(reading) => return Ok(reading.into_stream(pin)),
                Err(error) => {
                    tracing::warn!(site = %copy.site, record = %record.summary.id, error = %error, "a copy cannot be read");
                    failure = error;
                }
            }
        }
        Err(failure)
    }

    async fn open_copy(&self, record: &Record, copy: &CopyRow, range: Range<u64>) -> Result<Reading, ObjectError> {
        let unavailable = ObjectError::SiteUnavailable { country: copy.country };
        let site = Arc::clone(self.sites.get(&copy.site).ok_or(unavailable)?);
        let key = self.record_key(copy, record.summary.id).await?;
        let parts = match &record.detail.layout {
            Layout::Parts { table, .. } => Some(self.index.parts_of(*table)?),
            _ => None,
        };
        let steps = steps(record, copy, parts.as_deref().unwrap_or_default(), range);
        let source = Source { site, country: copy.country, key };
        let mut reading = Reading { source, steps, next: None, current: None, ready: VecDeque::new() };
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
            id: ExtentId { record: id, part: 0, attempt: *attempt, extent: 0 },
            head_len: copy.manifest_head_len,
            plain_len: record.summary.size,
            range,
        }),
        Layout::Extents { attempt } => {
            let run = ExtentId { record: id, part: 0, attempt: *attempt, extent: 0 };
            push_run(&mut steps, run, record.summary.size, range);
        }
        Layout::Parts { .. } => {
            let mut start = 0;
            for part in parts {
                let end = start + part.size;
                let wanted = range.start.max(start)..range.end.min(end);
                if wanted.start < wanted.end {
                    let run = ExtentId { record: id, part: part.number, attempt: part.attempt, extent: 0 };
                    push_run(&mut steps, run, part.size, wanted.start - start..wanted.end - start);
                }
                start = end;
            }
        }
    }
    steps
}

/// The extents of one run of `size` bytes that hold `range` of it.
fn push_run(steps: &mut VecDeque<Step>, run: ExtentId, size: u64, range: Range<u64>) {
    let extent_size = EXTENT_SIZE as u64;
    let mut at = range.start;
    while at < range.end {
        let extent = at / extent_size;
        let start = extent * extent_size;
        let plain_len = (size - start).min(extent_size);
        let end = range.end.min(start + plain_len);
        steps.push_back(Step {
            id: ExtentId { extent: u32::try_from(extent).unwrap_or(u32::MAX), ..run },
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
    next: Option<JoinHandle<Result<Opening, ReadError>>>,
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
                let Some(next) = self.next.take() else { return Ok(()) };
                self.current = Some(next.await.map_err(|_| ReadError::Interrupted)??);
                self.prefetch();
                continue;
            };
            match opening.read.body.next().await {
                Some(piece) => {
                    let mut opened = Vec::new();
                    opening.opener.push(piece?, &mut opened)?;
                    self.ready.extend(opened);
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

    /// Asks for the next extent while the current one is streamed.
    fn prefetch(&mut self) {
        if let Some(step) = self.steps.pop_front() {
            let source = self.source.clone();
            self.next = Some(tokio::spawn(async move { source.open(step).await }));
        }
    }

    fn into_stream(mut self, pin: ReaderPin) -> ReadBody {
        if self.current.is_none() && self.next.is_none() {
            return Box::pin(stream::iter(std::mem::take(&mut self.ready).into_iter().map(Ok)));
        }
        Box::pin(stream::unfold(Some((self, pin)), |state| async move {
            let (mut reading, pin) = state?;
            if let Err(error) = reading.advance().await {
                return Some((Err(error), None));
            }
            let bytes = reading.ready.pop_front()?;
            Some((Ok(bytes), Some((reading, pin))))
        }))
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        if let Some(next) = &self.next {
            next.abort();
        }
    }
}

impl Source {
    /// Asks the site for the segments of one extent and checks that the blob has the length it was written with.
    async fn open(&self, step: Step) -> Result<Opening, ReadError> {
        let plan = ReadPlan::new(step.head_len, step.plain_len, step.range);
        let name = BlobName::of(self.country, &step.id);
        let read = self.site.read(&name, Some(plan.blob_range.clone())).await?;
        plan.check_total(read.total_len)?;
        let opener = ExtentOpener::new(step.id, self.country, &self.key, &plan)?;
        Ok(Opening { read, opener })
    }
}
