//! Opening an extent, or a range of it, as its bytes arrive.

use std::fmt;

use bytes::{Buf, Bytes, BytesMut};

use super::{
    ExtentId, ReadPlan, RecordKey, SealError, head,
    stream::{HEADER_LEN, StreamKey},
};
use crate::types::Country;

/// Opens the bytes that a [`ReadPlan`] asked for. Gives out plaintext only from segments that authenticated; after an error
/// nothing more comes out.
///
/// A segment that arrives whole in memory that nobody shares is opened where it lies; one that arrives split or shared is gathered
/// once.
pub struct ExtentOpener {
    id: ExtentId,
    key: RecordKey,
    stream: StreamKey,
    plan: ReadPlan,
    stage: Stage,
    /// The beginning of a unit whose end has not arrived.
    pending: BytesMut,
    taken: u64,
}

/// The unit that comes next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Head,
    StreamHeader,
    Segment(u64),
    Done,
    Failed,
}

/// Bytes that arrived, and whether they may be changed where they lie.
enum Input {
    Owned(BytesMut),
    Shared(Bytes),
}

impl ExtentOpener {
    /// Opens `id` as sealed for `country` under `key`; the bytes pushed must be those of [`ReadPlan::blob_range`].
    pub fn new(id: ExtentId, country: Country, key: &RecordKey, plan: &ReadPlan) -> Result<Self, SealError> {
        if id.record != key.record() {
            return Err(SealError::Mismatch("record"));
        }
        if country != key.country() {
            return Err(SealError::Mismatch("country"));
        }
        let stream = StreamKey::of(key.secret(), &id, country)?;
        let stage = if plan.first_segment() == 0 { Stage::Head } else { Stage::Segment(plan.first_segment()) };
        Ok(Self { id, key: key.clone(), stream, plan: plan.clone(), stage, pending: BytesMut::new(), taken: 0 })
    }

    /// Takes the next bytes and appends the plaintext they complete to `out`.
    pub fn push(&mut self, data: Bytes, out: &mut Vec<Bytes>) -> Result<(), SealError> {
        let result = self.take_all(Input::of(data), out);
        if result.is_err() {
            self.stage = Stage::Failed;
        }
        result
    }

    /// Ends the reading. An error unless every byte of the plan arrived and authenticated.
    pub fn finish(self) -> Result<(), SealError> {
        match self.stage {
            Stage::Done => Ok(()),
            Stage::Failed => Err(SealError::Failed),
            _ => {
                let range = &self.plan.blob_range;
                Err(SealError::WrongLength { expected: range.end - range.start, got: self.taken })
            }
        }
    }

    fn take_all(&mut self, mut input: Input, out: &mut Vec<Bytes>) -> Result<(), SealError> {
        self.taken = self.taken.saturating_add(input.len() as u64);
        while let Some(length) = self.unit_len()? {
            let Some(unit) = self.gather(&mut input, length) else { return Ok(()) };
            self.stage = self.accept(unit, out)?;
        }
        if input.len() > 0 {
            let range = &self.plan.blob_range;
            return Err(SealError::WrongLength { expected: range.end - range.start, got: self.taken });
        }
        Ok(())
    }

    /// The length of the unit that comes next; `None` after the last.
    fn unit_len(&self) -> Result<Option<usize>, SealError> {
        match self.stage {
            Stage::Head => Ok(Some(self.plan.head_len())),
            Stage::StreamHeader => Ok(Some(HEADER_LEN)),
            Stage::Segment(number) => Ok(Some(self.plan.segment_len(number))),
            Stage::Done => Ok(None),
            Stage::Failed => Err(SealError::Failed),
        }
    }

    fn gather(&mut self, input: &mut Input, length: usize) -> Option<BytesMut> {
        if self.pending.is_empty() && input.len() >= length {
            return Some(input.take(length));
        }
        if self.pending.is_empty() {
            self.pending.reserve(length);
        }
        let missing = length.saturating_sub(self.pending.len()).min(input.len());
        input.copy_to(missing, &mut self.pending);
        (self.pending.len() == length).then(|| std::mem::take(&mut self.pending))
    }

    /// Verifies a unit and tells what comes next.
    fn accept(&self, unit: BytesMut, out: &mut Vec<Bytes>) -> Result<Stage, SealError> {
        match self.stage {
            Stage::Head => self.accept_head(&unit).map(|()| Stage::StreamHeader),
            Stage::StreamHeader if unit == self.stream.header()[..] => Ok(Stage::Segment(0)),
            Stage::StreamHeader => Err(SealError::Tampered("stream header")),
            Stage::Segment(number) => {
                self.accept_segment(unit, number, out)?;
                Ok(if number == self.plan.last_segment() { Stage::Done } else { Stage::Segment(number + 1) })
            }
            Stage::Done | Stage::Failed => Err(SealError::Failed),
        }
    }

    fn accept_head(&self, unit: &[u8]) -> Result<(), SealError> {
        let head = head::parse_head(unit)?;
        head.authenticate(&self.key)?;
        if head.len() != self.plan.head_len() {
            return Err(SealError::Mismatch("head's length"));
        }
        if *head.id() != self.id {
            return Err(SealError::Mismatch("extent"));
        }
        if head.plain_len() != self.plan.plain_len() {
            return Err(SealError::Mismatch("plaintext's length"));
        }
        Ok(())
    }

    fn accept_segment(&self, mut segment: BytesMut, number: u64, out: &mut Vec<Bytes>) -> Result<(), SealError> {
        self.stream.open(&mut segment, number, self.plan.ends_stream(number))?;
        let (here, wanted) = (self.plan.segment_range(number), self.plan.plain_range());
        let within = |offset: u64| usize::try_from(offset.clamp(here.start, here.end) - here.start).unwrap_or(usize::MAX);
        segment.truncate(within(wanted.end));
        segment.advance(within(wanted.start).min(segment.len()));
        if !segment.is_empty() {
            out.push(segment.freeze());
        }
        Ok(())
    }
}

impl Input {
    fn of(data: Bytes) -> Self {
        data.try_into_mut().map_or_else(Self::Shared, Self::Owned)
    }

    fn len(&self) -> usize {
        match self {
            Self::Owned(data) => data.len(),
            Self::Shared(data) => data.len(),
        }
    }

    /// Takes `length` bytes off the front, copying only shared ones.
    fn take(&mut self, length: usize) -> BytesMut {
        match self {
            Self::Owned(data) => data.split_to(length),
            Self::Shared(data) => BytesMut::from(&data.split_to(length)[..]),
        }
    }

    fn copy_to(&mut self, length: usize, target: &mut BytesMut) {
        match self {
            Self::Owned(data) => target.extend_from_slice(&data.split_to(length)),
            Self::Shared(data) => target.extend_from_slice(&data.split_to(length)),
        }
    }
}

impl fmt::Debug for ExtentOpener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExtentOpener").field("id", &self.id).field("plan", &self.plan).finish_non_exhaustive()
    }
}
