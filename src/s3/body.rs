//! A request's body: from frames off the wire to checked pieces for the use cases.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, stream};
use http::HeaderMap;
use http_body_util::BodyExt;
use tokio::time::{Instant, timeout_at};

use super::chunked::{ChunkedError, Decoder, Framing, Trailers};
use super::errors::{Code, S3Error};
use super::headers;
use super::shared_body::{RawBody, SharedBody};
use crate::authn::Payload;
use crate::digest::{Checksum, ChecksumAlgorithm, ChecksumHasher, Md5, Sha256, constant_time_eq};
use crate::objects::{Body, BodyError, MemoryBudget, Piece, ReadLease};

/// Bytes of a document that are read before it takes memory for the whole: one that is only announced, or comes drop by drop, keeps none from
/// others, and most are no longer.
const SHORT_DOCUMENT: usize = 64 * 1024;

/// The body of an authenticated request, and what its signature promises of it.
pub(super) struct RequestBody {
    pub(super) shared: SharedBody,
    pub(super) payload: Payload,
    /// How long the client may pause, and how long all of a document may take: up to the first 64 KiB, and after them.
    pub(super) patience: Duration,
    /// What documents take their memory from.
    pub(super) memory: MemoryBudget,
}

/// A document that was read whole, with the memory it takes.
#[derive(Debug)]
pub(super) struct Document {
    bytes: BytesMut,
    _memory: Option<ReadLease>,
}

impl std::ops::Deref for Document {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl RequestBody {
    /// The body of an upload: its decoded length, and its pieces as they come.
    ///
    /// # Errors
    /// `MissingContentLength` when the length is not declared.
    pub(super) fn upload(self, headers: &HeaderMap) -> Result<(u64, Body), S3Error> {
        let length = match self.payload {
            Payload::SignedChunks { .. } | Payload::UnsignedTrailer => declared(headers, "x-amz-decoded-content-length")?,
            Payload::Unsigned | Payload::Sha256(_) => declared(headers, "content-length")?,
        };
        let length = length.ok_or_else(|| S3Error::new(Code::MissingContentLength))?;
        Ok((length, self.pieces(headers, length)?))
    }

    /// A whole document of at most `max` bytes, its Content-MD5 and checksum verified. Empty when there is no body and the
    /// signature promises none: a body that was stripped on the way fails like one that was changed.
    pub(super) async fn document(self, headers: &HeaderMap, max: usize) -> Result<Document, S3Error> {
        let absent = self.shared.is_over();
        let md5 = headers::content_md5(headers)?;
        let mut expected: Vec<Checksum> =
            headers::expected_checksum(headers)?.and_then(|checksum| checksum.value).into_iter().collect();
        let (budget, patience) = (self.memory.clone(), self.patience);
        // Without a body there need not be a length.
        let (length, mut pieces) = if absent { (0, self.pieces(headers, 0)?) } else { self.upload(headers)? };
        let too_long = || S3Error::new(Code::MaxMessageLengthExceeded).detail("MaxMessageLengthBytes", max.to_string());
        if length > max as u64 {
            return Err(too_long());
        }
        let (mut document, mut memory) = (BytesMut::new(), None);
        let mut end = Instant::now() + patience;
        while let Some(piece) = timeout_at(end, pieces.next()).await.map_err(|_| BodyError::TooSlow)? {
            match piece? {
                Piece::Data(data) if document.len().saturating_add(data.len()) > max => return Err(too_long()),
                Piece::Data(data) => document.extend_from_slice(&data),
                Piece::Expect(checksum) => expected.push(checksum),
            }
            if memory.is_none() && document.len() > SHORT_DOCUMENT {
                memory = Some(budget.document(length).await?);
                end = Instant::now() + patience;
            }
        }
        let mut hasher = Md5::new();
        hasher.update(&document);
        if md5.is_some_and(|md5| md5 != hasher.finish()) {
            return Err(S3Error::new(Code::BadDigest));
        }
        for checksum in expected {
            let mut hasher = ChecksumHasher::new(checksum.algorithm());
            hasher.update(&document);
            if hasher.finish() != checksum {
                return Err(S3Error::new(Code::BadDigest));
            }
        }
        Ok(Document { bytes: document, _memory: memory })
    }

    fn pieces(self, headers: &HeaderMap, length: u64) -> Result<Body, S3Error> {
        let announced = headers::text(headers, "x-amz-trailer")?.unwrap_or_default();
        let trailing = headers::trailing_algorithm(headers)?;
        let chunked = |framing| Check::Chunked { decoder: Decoder::new(framing, length, announced), trailing };
        let check = match self.payload {
            Payload::Unsigned => Check::Length,
            Payload::Sha256(expected) => Check::Sha256 { hasher: Box::new(Sha256::new()), expected },
            Payload::SignedChunks { signer, trailer } => chunked(Framing::Signed { signer, trailer }),
            Payload::UnsignedTrailer => chunked(Framing::UnsignedTrailer),
        };
        let reader = Reader {
            raw: None,
            shared: self.shared,
            begun: false,
            check: Some(check),
            declared: length,
            received: 0,
            ready: VecDeque::new(),
            patience: self.patience,
        };
        Ok(Box::pin(stream::try_unfold(
            reader,
            |mut reader| async move { Ok(reader.next().await?.map(|piece| (piece, reader))) },
        )))
    }
}

/// A length header, digits alone.
fn declared(headers: &HeaderMap, name: &'static str) -> Result<Option<u64>, S3Error> {
    let Some(value) = headers::text(headers, name)? else { return Ok(None) };
    let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    let length = digits.then(|| value.parse().ok()).flatten();
    let invalid = || S3Error::with(Code::InvalidArgument, "The length is not a number.").detail("ArgumentName", name);
    length.map(Some).ok_or_else(invalid)
}

/// Turns frames into checked pieces; gives the raw body back when dropped before its end.
struct Reader {
    raw: Option<RawBody>,
    shared: SharedBody,
    begun: bool,
    /// Gone when the body has ended.
    check: Option<Check>,
    declared: u64,
    received: u64,
    ready: VecDeque<Piece>,
    patience: Duration,
}

/// What is checked of a body as it goes by.
enum Check {
    Length,
    Sha256 { hasher: Box<Sha256>, expected: [u8; 32] },
    Chunked { decoder: Decoder, trailing: Option<ChecksumAlgorithm> },
}

impl Reader {
    async fn next(&mut self) -> Result<Option<Piece>, BodyError> {
        if !self.begun {
            self.begun = true;
            self.raw = self.shared.take();
        }
        loop {
            if let Some(piece) = self.ready.pop_front() {
                return Ok(Some(piece));
            }
            if self.check.is_none() {
                return Ok(None);
            }
            match self.frame().await? {
                Some(data) => self.take(data)?,
                None => self.end()?,
            }
        }
    }

    /// The next bytes off the wire.
    async fn frame(&mut self) -> Result<Option<Bytes>, BodyError> {
        let Some(raw) = &mut self.raw else { return Ok(None) };
        let frame = tokio::time::timeout(self.patience, raw.frame()).await.map_err(|_| BodyError::TooSlow)?;
        match frame {
            Some(Ok(frame)) => Ok(Some(frame.into_data().unwrap_or_default())),
            Some(Err(error)) => {
                tracing::debug!(error = %error, "request body broke");
                self.raw = None;
                Err(BodyError::Disconnected)
            }
            None => {
                self.raw = None;
                self.shared.finish();
                Ok(None)
            }
        }
    }

    fn take(&mut self, data: Bytes) -> Result<(), BodyError> {
        let (declared, received) = (self.declared, &mut self.received);
        match &mut self.check {
            Some(Check::Chunked { decoder, .. }) => {
                let mut pieces = Vec::new();
                let outcome = decoder.push(data, &mut pieces);
                for piece in pieces {
                    *received = received.saturating_add(piece.len() as u64);
                    self.ready.push_back(Piece::Data(piece));
                }
                return outcome.map_err(|error| body_error(&error, declared, *received));
            }
            Some(Check::Sha256 { hasher, .. }) => hasher.update(&data),
            Some(Check::Length) | None => {}
        }
        *received = received.saturating_add(data.len() as u64);
        if *received > declared {
            return Err(BodyError::Length { expected: declared, got: *received });
        }
        if !data.is_empty() {
            self.ready.push_back(Piece::Data(data));
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), BodyError> {
        let Some(check) = self.check.take() else { return Ok(()) };
        if let Check::Chunked { decoder, trailing } = check {
            let trailers = decoder.finish().map_err(|error| body_error(&error, self.declared, self.received))?;
            if let Some(algorithm) = trailing {
                self.ready.push_back(Piece::Expect(trailing_checksum(&trailers, algorithm)?));
            }
            return Ok(());
        }
        if self.received != self.declared {
            return Err(BodyError::Length { expected: self.declared, got: self.received });
        }
        if let Check::Sha256 { hasher, expected } = check
            && !constant_time_eq(&hasher.finish(), &expected)
        {
            return Err(BodyError::Sha256Mismatch);
        }
        Ok(())
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if let Some(raw) = self.raw.take() {
            self.shared.leave(raw);
        }
    }
}

fn trailing_checksum(trailers: &Trailers, algorithm: ChecksumAlgorithm) -> Result<Checksum, BodyError> {
    let value = trailers.get(algorithm.header_name()).ok_or(BodyError::Trailer("the announced checksum is missing"))?;
    Checksum::parse(algorithm, value).map_err(|_| BodyError::Trailer("the checksum is not valid"))
}

fn body_error(error: &ChunkedError, declared: u64, received: u64) -> BodyError {
    use ChunkedError as E;
    match error {
        E::ChunkSignature | E::TrailerSignature | E::TrailerSignatureMissing => BodyError::Signature,
        E::TooShort | E::TooLong => BodyError::Length { expected: declared, got: received },
        E::LastChunkMissing => BodyError::Malformed("it ended before its last chunk"),
        E::EndMissing => BodyError::Malformed("it ended within its trailers"),
        E::AfterEnd => BodyError::Malformed("more bytes follow its end"),
        E::Trailer => BodyError::Trailer("a line is not `name:value`"),
        E::TrailersTooLong => BodyError::Trailer("the trailers are too long"),
        E::TrailerMissing(_) => BodyError::Trailer("a trailer that x-amz-trailer announces is missing"),
        E::TrailerUnexpected => BodyError::Trailer("a trailer was not announced by x-amz-trailer, or came twice"),
        _ => BodyError::Malformed("the framing of its chunks is wrong"),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use http_body_util::{Full, StreamBody};
    use tokio::sync::Semaphore;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    fn request(content: &'static str, payload: Payload) -> (SharedBody, RequestBody) {
        let shared = SharedBody::new(Full::new(Bytes::from_static(content.as_bytes())));
        (shared.clone(), RequestBody { shared, payload, patience: PATIENCE, memory: MemoryBudget::new(1 << 20) })
    }

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value))).collect()
    }

    fn drains() -> Semaphore {
        Semaphore::new(1)
    }

    /// A body of which `sent` bytes come at once and then one each second.
    fn dripping(sent: usize, memory: &MemoryBudget) -> RequestBody {
        let first = Bytes::from(vec![b'x'; sent]);
        let drops = stream::unfold((), |()| async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            Some((Bytes::from_static(b"x"), ()))
        });
        let frames = stream::iter([first]).chain(drops).map(|data| Ok::<_, std::io::Error>(http_body::Frame::data(data)));
        let shared = SharedBody::new(StreamBody::new(frames));
        RequestBody { shared, payload: Payload::Unsigned, patience: PATIENCE, memory: memory.clone() }
    }

    async fn read(mut body: Body) -> Result<(Vec<u8>, Vec<Checksum>), BodyError> {
        let (mut data, mut checksums) = (Vec::new(), Vec::new());
        while let Some(piece) = body.next().await {
            match piece? {
                Piece::Data(bytes) => data.extend_from_slice(&bytes),
                Piece::Expect(checksum) => checksums.push(checksum),
            }
        }
        Ok((data, checksums))
    }

    #[tokio::test]
    async fn plain_bodies_have_their_length() {
        let (shared, body) = request("hello", Payload::Unsigned);
        let (length, pieces) = body.upload(&headers(&[("content-length", "5")])).unwrap();
        assert_eq!((length, read(pieces).await.unwrap().0.as_slice()), (5, b"hello".as_slice()));
        assert!(shared.settle(false, &drains()).await);
        for wrong in ["4", "6"] {
            let (_, body) = request("hello", Payload::Unsigned);
            let (_, pieces) = body.upload(&headers(&[("content-length", wrong)])).unwrap();
            assert!(matches!(read(pieces).await, Err(BodyError::Length { .. })));
        }
    }

    #[tokio::test]
    async fn a_length_must_be_declared() {
        for (sent, code) in [(vec![], Code::MissingContentLength), (vec![("content-length", "+5")], Code::InvalidArgument)] {
            let (_, body) = request("hello", Payload::Unsigned);
            assert_eq!(body.upload(&headers(&sent)).err().unwrap().code(), code);
        }
        let (_, body) = request("0\r\n\r\n", Payload::UnsignedTrailer);
        assert_eq!(body.upload(&headers(&[("content-length", "5")])).err().unwrap().code(), Code::MissingContentLength);
    }

    #[tokio::test]
    async fn a_signed_hash_must_fit() {
        let right = crate::digest::sha256(b"hello");
        for (hash, fits) in [(right, true), ([0; 32], false)] {
            let (_, body) = request("hello", Payload::Sha256(hash));
            let (_, pieces) = body.upload(&headers(&[("content-length", "5")])).unwrap();
            assert_eq!(read(pieces).await.is_ok(), fits);
        }
    }

    #[tokio::test]
    async fn a_trailing_checksum_follows_the_data() {
        let sent = headers(&[("x-amz-decoded-content-length", "9"), ("x-amz-trailer", "x-amz-checksum-crc32")]);
        let (_, body) = request("9\r\n123456789\r\n0\r\nx-amz-checksum-crc32:y/Q5Jg==\r\n\r\n", Payload::UnsignedTrailer);
        let (data, checksums) = read(body.upload(&sent).unwrap().1).await.unwrap();
        assert_eq!((data.as_slice(), checksums[0].to_base64().as_str()), (b"123456789".as_slice(), "y/Q5Jg=="));
        for wrong in ["9\r\n123456789\r\n", "9\r\n123456789\r\n0\r\n\r\n", "8\r\n12345678\r\n0\r\n", "zz"] {
            let (_, body) = request(wrong, Payload::UnsignedTrailer);
            assert!(read(body.upload(&sent).unwrap().1).await.is_err(), "{wrong:?}");
        }
    }

    #[tokio::test]
    async fn a_document_is_bounded_and_verified() {
        let sent = headers(&[("content-length", "5"), ("content-md5", "XUFAKrxLKna5cZ2REBfFkg==")]);
        let (_, body) = request("hello", Payload::Unsigned);
        assert_eq!(&*body.document(&sent, 5).await.unwrap(), b"hello");
        let (_, body) = request("hello", Payload::Unsigned);
        assert_eq!(body.document(&sent, 4).await.unwrap_err().code(), Code::MaxMessageLengthExceeded);
        let (_, body) = request("hellO", Payload::Unsigned);
        assert_eq!(body.document(&sent, 5).await.unwrap_err().code(), Code::BadDigest);
    }

    #[tokio::test(start_paused = true)]
    async fn documents_that_are_announced_and_do_not_come_keep_no_memory_from_others() {
        let memory = MemoryBudget::new(64 << 20);
        let (free, sent) = (memory.free(), headers(&[("content-length", "2000000")]));
        let mut slow: Vec<_> =
            (0..50).map(|at| Box::pin(dripping([0, 1, SHORT_DOCUMENT][at % 3], &memory).document(&sent, 1 << 21))).collect();
        for document in &mut slow {
            assert!(futures_util::poll!(document.as_mut()).is_pending());
        }
        assert_eq!(memory.free(), free);
        let began = Instant::now();
        let outcomes = futures_util::future::join_all(slow).await;
        let codes = outcomes.iter().map(|outcome| outcome.as_ref().unwrap_err().code());
        assert!(codes.into_iter().all(|code| matches!(code, Code::RequestTimeout | Code::SlowDown)));
        assert!(began.elapsed() <= 2 * PATIENCE + Duration::from_secs(30));
        let whole = dripping(100_000, &memory).document(&headers(&[("content-length", "100001")]), 1 << 21).await;
        assert_eq!(whole.unwrap_err().code(), Code::IncompleteBody, "it goes on behind its end");
    }

    #[tokio::test]
    async fn a_document_that_was_stripped_is_refused() {
        let document = async |payload, sent: &[_]| request("", payload).1.document(&headers(sent), 5).await;
        assert!(document(Payload::Unsigned, &[]).await.unwrap().is_empty());
        assert_eq!(document(Payload::Sha256(crate::digest::sha256(b"")), &[("content-length", "0")]).await.unwrap().len(), 0);
        let hello = Payload::Sha256(crate::digest::sha256(b"hello"));
        assert_eq!(document(hello, &[("content-length", "0")]).await.unwrap_err().code(), Code::ContentSha256Mismatch);
        assert_eq!(document(Payload::UnsignedTrailer, &[]).await.unwrap_err().code(), Code::IncompleteBody);
        let md5 = [("content-md5", "XUFAKrxLKna5cZ2REBfFkg==")];
        assert_eq!(document(Payload::Unsigned, &md5).await.unwrap_err().code(), Code::BadDigest);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_pauses_too_long_is_told_so() {
        let never = stream::pending::<Result<http_body::Frame<Bytes>, std::io::Error>>();
        let shared = SharedBody::new(StreamBody::new(never));
        let memory = MemoryBudget::new(1 << 20);
        let body = RequestBody { shared: shared.clone(), payload: Payload::Unsigned, patience: PATIENCE, memory };
        let (_, pieces) = body.upload(&headers(&[("content-length", "5")])).unwrap();
        assert_eq!(read(pieces).await.unwrap_err(), BodyError::TooSlow);
        assert!(!shared.settle(false, &drains()).await);
    }
}
