//! Whether the bytes that came are those that the source has.
//!
//! What the source says of them decides how they are held against it, before anything is committed: an entity tag that is their MD5; one of the MD5s
//! of their parts, where the source tells how long the parts are; a checksum of the whole. An object of which none of these is known is read
//! twice, and both times the same bytes must come. An answer that breaks off is gone on with where it broke off.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use parking_lot::Mutex;

use crate::{
    backend::{Source, SourceError, SourceObject, SourceStream},
    digest::{ETag, Md5},
    objects::{Body, BodyError, Piece},
};

/// How often one reading is gone on with after it broke off, in a row.
const RESUMES: u32 = 5;
/// The pause before the first time; each later one is twice as long.
const PAUSE: Duration = Duration::from_millis(200);
/// Parts that are asked after at the same time.
const TOGETHER: usize = 8;

/// What the bytes of an object must be.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Proof {
    /// Their MD5.
    pub(super) md5: Option<[u8; 16]>,
    /// The lengths of their parts, and the entity tag that the MD5s of these must give.
    parts: Option<(Vec<u64>, ETag)>,
}

/// Why an object was not read to its end, or not taken for what it should be.
#[derive(Debug, Clone, thiserror::Error)]
pub(super) enum Trouble {
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error("the bytes that the source sends are not those of its entity tag")]
    Mismatch,
}

/// Where a reading leaves its trouble: a body's own errors say nothing of sources.
#[derive(Debug, Clone, Default)]
pub(super) struct Report(Arc<Mutex<Option<Trouble>>>);

impl Report {
    pub(super) fn take(&self) -> Option<Trouble> {
        self.0.lock().take()
    }
}

/// Finds out what the bytes of an object must be; reads them all where only that tells.
pub(super) async fn proof(source: &Arc<dyn Source>, object: &Arc<SourceObject>) -> Result<Proof, Trouble> {
    let etag: Option<ETag> = object.entry.etag.parse().ok().filter(|_| !object.opaque_etag);
    match etag {
        Some(ETag { md5, parts: None }) => return Ok(Proof { md5: Some(md5), parts: None }),
        Some(etag @ ETag { parts: Some(count), .. }) => {
            if let Some(sizes) = part_sizes(&**source, object, count).await? {
                return Ok(Proof { md5: None, parts: Some((sizes, etag)) });
            }
        }
        None => {}
    }
    if object.checksum.is_some() {
        return Ok(Proof::default());
    }
    let mut reading = Reading::new(source, object, None);
    let mut md5 = Md5::new();
    while let Some(piece) = reading.next().await? {
        md5.update(&piece);
    }
    Ok(Proof { md5: Some(md5.finish()), parts: None })
}

/// The lengths of an object's parts, if the source tells and they make the object.
async fn part_sizes(source: &dyn Source, object: &SourceObject, count: u32) -> Result<Option<Vec<u64>>, SourceError> {
    if source.part(object, 1).await?.is_none_or(|part| part.count != count) {
        return Ok(None);
    }
    let parts = stream::iter(1..=count).map(|number| source.part(object, number)).buffered(TOGETHER);
    let parts: Vec<_> = parts.try_collect().await?;
    let sizes: Option<Vec<u64>> = parts.into_iter().map(|part| part.map(|part| part.size)).collect();
    let makes = |sizes: &Vec<u64>| sizes.iter().try_fold(0u64, |sum, size| sum.checked_add(*size)) == Some(object.entry.size);
    Ok(sizes.filter(makes))
}

/// The object as a body. Ends well only when all its bytes came and are what `proof` says of their parts; of the rest, whoever takes the body has to
/// see to it.
pub(super) fn body(source: &Arc<dyn Source>, object: &Arc<SourceObject>, proof: Proof, report: Report) -> Body {
    let reading = Reading::new(source, object, proof.parts.map(Watch::new));
    Box::pin(stream::unfold(Some((reading, report)), |state| async move {
        let (mut reading, report) = state?;
        match reading.next().await {
            Ok(Some(piece)) => Some((Ok(Piece::Data(piece)), Some((reading, report)))),
            Ok(None) => None,
            Err(trouble) => {
                *report.0.lock() = Some(trouble);
                Some((Err(BodyError::Source), None))
            }
        }
    }))
}

/// An object being read.
struct Reading {
    source: Arc<dyn Source>,
    object: Arc<SourceObject>,
    at: u64,
    stream: Option<SourceStream>,
    watch: Option<Watch>,
}

impl Reading {
    fn new(source: &Arc<dyn Source>, object: &Arc<SourceObject>, watch: Option<Watch>) -> Self {
        Self { source: Arc::clone(source), object: Arc::clone(object), at: 0, stream: None, watch }
    }

    /// The next bytes; `None` behind the last.
    async fn next(&mut self) -> Result<Option<Bytes>, Trouble> {
        let mut pause = PAUSE;
        for resumes in 0.. {
            match self.piece().await {
                Ok(Some(piece)) => {
                    self.at += piece.len() as u64;
                    if let Some(watch) = &mut self.watch {
                        watch.update(&piece);
                    }
                    return Ok(Some(piece));
                }
                Ok(None) if self.watch.as_mut().is_none_or(Watch::holds) => return Ok(None),
                Ok(None) => return Err(Trouble::Mismatch),
                Err(error @ SourceError::Unavailable { .. }) if resumes < RESUMES => {
                    tracing::debug!(%error, at = self.at, "a source broke off");
                    self.stream = None;
                    tokio::time::sleep(pause).await;
                    pause = pause.saturating_mul(2);
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(None)
    }

    async fn piece(&mut self) -> Result<Option<Bytes>, SourceError> {
        if self.stream.is_none() {
            if self.at > 0 && self.at == self.object.entry.size {
                return Ok(None);
            }
            self.stream = Some(self.source.read(&self.object, self.at).await?);
        }
        match &mut self.stream {
            Some(stream) => stream.try_next().await,
            None => Ok(None),
        }
    }
}

/// Holds the parts of an object against its entity tag.
struct Watch {
    sizes: std::vec::IntoIter<u64>,
    expected: ETag,
    md5: Md5,
    left: u64,
    done: Vec<ETag>,
}

impl Watch {
    fn new((sizes, expected): (Vec<u64>, ETag)) -> Self {
        let mut sizes = sizes.into_iter();
        let left = sizes.next().unwrap_or_default();
        Self { sizes, expected, md5: Md5::new(), left, done: Vec::new() }
    }

    fn update(&mut self, mut piece: &[u8]) {
        while !piece.is_empty() {
            if self.left == 0 && !self.next_part() {
                // More bytes than parts: the lengths were not those of this object.
                return self.md5.update(piece);
            }
            let here = piece.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
            let (part, rest) = piece.split_at(here);
            self.md5.update(part);
            self.left -= part.len() as u64;
            piece = rest;
        }
    }

    fn next_part(&mut self) -> bool {
        let Some(left) = self.sizes.next() else { return false };
        self.done.push(ETag::single(std::mem::replace(&mut self.md5, Md5::new()).finish()));
        self.left = left;
        true
    }

    fn holds(&mut self) -> bool {
        // Parts without bytes, and the last.
        while self.next_part() {}
        self.done.push(ETag::single(std::mem::replace(&mut self.md5, Md5::new()).finish()));
        ETag::multipart(&self.done) == self.expected
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn md5(bytes: &[u8]) -> ETag {
        let mut md5 = Md5::new();
        md5.update(bytes);
        ETag::single(md5.finish())
    }

    #[test]
    fn parts_give_their_entity_tag_however_the_bytes_come() {
        let bytes: Vec<u8> = (0..100).collect();
        let etag = ETag::multipart(&[md5(&bytes[..40]), md5(&bytes[40..90]), md5(&bytes[90..])]);
        for step in [1, 7, 40, 50, 100] {
            let holds = |sizes: Vec<u64>| {
                let mut watch = Watch::new((sizes, etag));
                bytes.chunks(step).for_each(|piece| watch.update(piece));
                watch.holds()
            };
            assert!(holds(vec![40, 50, 10]), "{step}");
            for wrong in [vec![50, 40, 10], vec![40, 60], vec![100], vec![40, 50, 5, 5], vec![40, 50], vec![]] {
                assert!(!holds(wrong.clone()), "{wrong:?} in steps of {step}");
            }
        }
    }
}
