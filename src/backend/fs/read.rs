//! Reading a range of a file in chunks, none of them on an executor thread.

use std::{
    fs::File,
    io::{self, ErrorKind},
    ops::Range,
    os::unix::fs::FileExt,
    sync::Arc,
};

use bytes::Bytes;
use futures_util::{StreamExt, stream};

use super::{BackendError, translate};
use crate::{backend::BlobStream, types::SiteId};

/// Ranges up to this are read whole while the file is opened.
const SMALL: u64 = 256 * 1024;
/// What a longer range is read in.
const CHUNK: u64 = 512 * 1024;

/// A file with the first chunk of a range already read.
pub(super) struct Opened {
    site: SiteId,
    file: Arc<File>,
    first: Bytes,
    rest: Range<u64>,
}

impl Opened {
    /// Reads the first chunk. Blocks.
    pub(super) fn start(site: SiteId, file: File, range: Range<u64>) -> io::Result<Self> {
        let whole = range.end - range.start <= SMALL;
        let end = if whole { range.end } else { range.start + CHUNK.min(range.end - range.start) };
        let first = read_chunk(&file, range.start..end)?;
        Ok(Self { site, file: Arc::new(file), first, rest: end..range.end })
    }

    /// The first chunk, then the others as they are asked for.
    pub(super) fn into_stream(self) -> BlobStream {
        let Self { site, file, first, rest } = self;
        let first = stream::iter((!first.is_empty()).then_some(Ok(first)));
        if rest.is_empty() {
            return first.boxed();
        }
        let others = stream::try_unfold(rest, move |rest| next_chunk(site.clone(), Arc::clone(&file), rest));
        first.chain(others).boxed()
    }
}

async fn next_chunk(site: SiteId, file: Arc<File>, rest: Range<u64>) -> Result<Option<(Bytes, Range<u64>)>, BackendError> {
    if rest.is_empty() {
        return Ok(None);
    }
    let end = rest.start + CHUNK.min(rest.end - rest.start);
    let range = rest.start..end;
    let outcome = match tokio::task::spawn_blocking(move || read_chunk(&file, range)).await {
        Ok(outcome) => outcome,
        Err(error) => Err(io::Error::other(error)),
    };
    match outcome {
        Ok(chunk) => Ok(Some((chunk, end..rest.end))),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
            Err(BackendError::Corrupt { site, reason: "a blob shrank while it was read".to_owned() })
        }
        Err(error) => Err(translate(&site, "cannot read a blob", error)),
    }
}

fn read_chunk(file: &File, range: Range<u64>) -> io::Result<Bytes> {
    let len = usize::try_from(range.end - range.start).map_err(io::Error::other)?;
    let mut chunk = vec![0; len];
    file.read_exact_at(&mut chunk, range.start)?;
    Ok(chunk.into())
}
