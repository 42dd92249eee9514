//! The state machine that takes an aws-chunked body apart.

use bytes::Bytes;

use super::{
    error::ChunkedError,
    trailer::{TrailerSection, Trailers},
};
use crate::authn::{ChunkSigner, Signature};

/// The longest line before a chunk's data, line break included.
pub(super) const MAX_CHUNK_HEADER: usize = 1024;

/// What is around the data.
#[derive(Debug)]
pub enum Framing {
    /// Each chunk carries its signature.
    Signed {
        /// As the authenticator seeded it.
        signer: ChunkSigner,
        /// Whether signed trailers follow.
        trailer: bool,
    },
    /// No signatures; trailers follow.
    UnsignedTrailer,
}

/// Decodes one body. Takes input cut anywhere and keeps at most one unfinished line of it.
#[derive(Debug)]
pub struct Decoder {
    signer: Option<ChunkSigner>,
    trailers: Option<TrailerSection>,
    /// Data still to come, by `x-amz-decoded-content-length`.
    remaining: u64,
    state: State,
    /// The start of a line whose end has not come yet.
    line: Vec<u8>,
}

#[derive(Debug, Clone)]
enum State {
    ChunkHeader,
    Data {
        left: u64,
        signature: Option<Signature>,
    },
    ChunkEnd,
    /// The empty line after the last chunk of a body without trailers.
    LastLine,
    Trailers,
    Done,
    Failed(ChunkedError),
}

impl Decoder {
    /// `decoded_len` is `x-amz-decoded-content-length`; `announced` is `x-amz-trailer`, empty when there is none.
    pub fn new(framing: Framing, decoded_len: u64, announced: &str) -> Self {
        let (signer, trailers) = match framing {
            Framing::Signed { signer, trailer } => (Some(signer), trailer.then(|| TrailerSection::new(announced, true))),
            Framing::UnsignedTrailer => (None, Some(TrailerSection::new(announced, false))),
        };
        Self { signer, trailers, remaining: decoded_len, state: State::ChunkHeader, line: Vec::new() }
    }

    /// Takes the next bytes of the body and appends the data in them to `pieces`, as slices of `input`. After an error every
    /// later call gives the same error.
    pub fn push(&mut self, mut input: Bytes, pieces: &mut Vec<Bytes>) -> Result<(), ChunkedError> {
        while !input.is_empty() {
            match self.step(&mut input, pieces) {
                Ok(Some(next)) => self.state = next,
                Ok(None) => {}
                Err(error) => {
                    self.state = State::Failed(error.clone());
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Says whether the body was whole, and gives its trailers. Call it at the end of the input.
    pub fn finish(self) -> Result<Trailers, ChunkedError> {
        match self.state {
            State::Done => Ok(self.trailers.map(TrailerSection::into_trailers).unwrap_or_default()),
            State::ChunkHeader | State::Data { .. } | State::ChunkEnd => Err(ChunkedError::LastChunkMissing),
            State::LastLine | State::Trailers => Err(ChunkedError::EndMissing),
            State::Failed(error) => Err(error),
        }
    }

    /// Consumes some of a non-empty `input`; gives the next state, or none when more input has to come first.
    fn step(&mut self, input: &mut Bytes, pieces: &mut Vec<Bytes>) -> Result<Option<State>, ChunkedError> {
        match &mut self.state {
            State::ChunkHeader => {
                let Some(line) = take_line(&mut self.line, input, MAX_CHUNK_HEADER, ChunkedError::ChunkHeaderTooLong)? else {
                    return Ok(None);
                };
                let (left, signature) = parse_header(&line, self.signer.is_some())?;
                self.remaining = self.remaining.checked_sub(left).ok_or(ChunkedError::TooLong)?;
                if left > 0 {
                    return Ok(Some(State::Data { left, signature }));
                }
                if self.remaining > 0 {
                    return Err(ChunkedError::TooShort);
                }
                self.check_chunk(signature)?;
                Ok(Some(if self.trailers.is_some() { State::Trailers } else { State::LastLine }))
            }
            State::Data { left, signature } => {
                let take = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len());
                let piece = input.split_to(take);
                if let Some(signer) = &mut self.signer {
                    signer.update(&piece);
                }
                pieces.push(piece);
                *left = left.saturating_sub(u64::try_from(take).unwrap_or(u64::MAX));
                if *left > 0 {
                    return Ok(None);
                }
                let signature = *signature;
                self.check_chunk(signature)?;
                Ok(Some(State::ChunkEnd))
            }
            State::ChunkEnd => self.empty_line(input, ChunkedError::ChunkEnd, State::ChunkHeader),
            State::LastLine => self.empty_line(input, ChunkedError::AfterEnd, State::Done),
            State::Trailers => {
                let Some(section) = &mut self.trailers else { return Ok(Some(State::Done)) };
                let Some(line) = take_line(&mut self.line, input, section.room(), ChunkedError::TrailersTooLong)? else {
                    return Ok(None);
                };
                Ok(section.take(&line, self.signer.as_mut())?.then_some(State::Done))
            }
            State::Done => {
                // Some clients send one line break too many after unsigned trailers.
                let line_breaks = input.iter().all(|b| matches!(b, b'\r' | b'\n'));
                self.line.extend_from_slice(input.get(..input.len().min(3)).unwrap_or_default());
                if self.trailers.is_none() || !line_breaks || self.line.len() > 2 {
                    return Err(ChunkedError::AfterEnd);
                }
                input.clear();
                Ok(None)
            }
            State::Failed(error) => Err(error.clone()),
        }
    }

    fn check_chunk(&mut self, signature: Option<Signature>) -> Result<(), ChunkedError> {
        match (&mut self.signer, signature) {
            (Some(signer), Some(signature)) => signer.verify_chunk(&signature).map_err(|_| ChunkedError::ChunkSignature),
            (None, None) => Ok(()),
            _ => Err(ChunkedError::ChunkHeader),
        }
    }

    fn empty_line(&mut self, input: &mut Bytes, otherwise: ChunkedError, next: State) -> Result<Option<State>, ChunkedError> {
        match take_line(&mut self.line, input, 2, otherwise.clone())? {
            None => Ok(None),
            Some(line) if *line == *b"\r\n" => Ok(Some(next)),
            Some(_) => Err(otherwise),
        }
    }
}

/// Cuts a line off `input`, with the `\n` that ends it and with what earlier input has left of it in `start`. Keeps the rest in `start`
/// when the line does not end yet. At most `limit` bytes, or `too_long`.
fn take_line(
    start: &mut Vec<u8>,
    input: &mut Bytes,
    limit: usize,
    too_long: ChunkedError,
) -> Result<Option<Bytes>, ChunkedError> {
    let room = limit.saturating_sub(start.len());
    let end = input.iter().take(room).position(|&b| b == b'\n');
    match end {
        Some(end) if start.is_empty() => Ok(Some(input.split_to(end.saturating_add(1)))),
        Some(end) => {
            start.extend_from_slice(&input.split_to(end.saturating_add(1)));
            Ok(Some(std::mem::take(start).into()))
        }
        None if input.len() >= room => Err(too_long),
        None => {
            start.extend_from_slice(input);
            input.clear();
            Ok(None)
        }
    }
}

/// Reads `10000;chunk-signature=…\r\n`, or `10000\r\n` when chunks are not signed.
fn parse_header(line: &[u8], signed: bool) -> Result<(u64, Option<Signature>), ChunkedError> {
    let line = line.strip_suffix(b"\r\n").and_then(|line| std::str::from_utf8(line).ok()).ok_or(ChunkedError::ChunkHeader)?;
    let (length, signature) = match line.split_once(';') {
        Some((length, extension)) if signed => {
            let text = extension.trim().strip_prefix("chunk-signature=").ok_or(ChunkedError::ChunkHeader)?;
            (length, Some(text.parse().map_err(|_| ChunkedError::ChunkHeader)?))
        }
        None if !signed => (line, None),
        _ => return Err(ChunkedError::ChunkHeader),
    };
    if length.is_empty() || !length.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(ChunkedError::ChunkHeader);
    }
    let length = u64::from_str_radix(length, 16).map_err(|_| ChunkedError::ChunkHeader)?;
    Ok((length, signature))
}
