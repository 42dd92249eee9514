//! What a response carries, and the headers that many responses share.

use std::pin::Pin;
use std::task::{Context, Poll};

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use http_body::{Body, Frame, SizeHint};

use super::admission::Place;
use super::xml::XmlWriter;
use crate::bucket::Lock;
use crate::digest::{Checksum, ETag};
use crate::objects::{CustomerKeys, ReadBody, ReadError, Residence};
use crate::types::RequestId;

/// A response's body: nothing, a document, or an object as it is read.
pub struct ResponseBody {
    content: Content,
    /// The request is under way for as long as its answer is there.
    _place: Option<Place>,
}

enum Content {
    Full(Bytes),
    Stream { body: ReadBody, remaining: u64, id: RequestId },
}

/// An object's bytes stopped coming after the response had begun. The connection is aborted, so that no client takes part of an
/// object for the whole.
#[derive(Debug, thiserror::Error)]
pub enum ResponseError {
    /// What the site returned is not what was written, or it stopped answering.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Fewer or more bytes came than the index promised.
    #[error("the object's bytes are not as many as the index says: {missing} missing")]
    Length {
        /// Bytes that did not come; 0 when there were too many.
        missing: u64,
    },
}

impl ResponseBody {
    pub(super) const fn empty() -> Self {
        Self::new(Content::Full(Bytes::new()))
    }

    pub(super) const fn full(bytes: Bytes) -> Self {
        Self::new(Content::Full(bytes))
    }

    /// A body of exactly `length` bytes.
    pub(super) const fn stream(body: ReadBody, length: u64, id: RequestId) -> Self {
        Self::new(Content::Stream { body, remaining: length, id })
    }

    const fn new(content: Content) -> Self {
        Self { content, _place: None }
    }

    /// The same, keeping its request's place until it has been sent or dropped.
    pub(super) fn holding(self, place: Place) -> Self {
        Self { _place: Some(place), ..self }
    }

    /// The bytes of a body that is no stream.
    #[cfg(test)]
    pub(super) fn into_full(self) -> Bytes {
        match self.content {
            Content::Full(bytes) => bytes,
            Content::Stream { .. } => panic!("a stream"),
        }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = ResponseError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, ResponseError>>> {
        let (body, remaining, id) = match &mut self.content {
            Content::Full(bytes) if bytes.is_empty() => return Poll::Ready(None),
            Content::Full(bytes) => return Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Content::Stream { remaining: 0, .. } => return Poll::Ready(None),
            Content::Stream { body, remaining, id } => (body, remaining, id),
        };
        let error = match std::task::ready!(futures_util::Stream::poll_next(body.as_mut(), context)) {
            Some(Ok(bytes)) => match remaining.checked_sub(bytes.len() as u64) {
                Some(left) => {
                    *remaining = left;
                    return Poll::Ready(Some(Ok(Frame::data(bytes))));
                }
                None => ResponseError::Length { missing: 0 },
            },
            Some(Err(error)) => error.into(),
            None => ResponseError::Length { missing: *remaining },
        };
        tracing::error!(request = %id, error = %error, "read broke after the response had begun; connection aborted");
        Poll::Ready(Some(Err(error)))
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Full(bytes) => bytes.is_empty(),
            Content::Stream { remaining, .. } => *remaining == 0,
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(match &self.content {
            Content::Full(bytes) => bytes.len() as u64,
            Content::Stream { remaining, .. } => *remaining,
        })
    }
}

/// A `200 OK` without a body.
pub(super) fn ok() -> Response<ResponseBody> {
    Response::new(ResponseBody::empty())
}

/// A `204 No Content`.
pub(super) fn no_content() -> Response<ResponseBody> {
    let mut response = ok();
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

/// A `200 OK` with a document.
pub(super) fn document(xml: XmlWriter) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::full(xml.finish()));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    response
}

/// Sets a header. A value that HTTP cannot carry is left out rather than mangled.
pub(super) fn set(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(HeaderName::from_static(name), value);
    }
}

/// `ETag`, in quotes.
pub(super) fn set_etag(headers: &mut HeaderMap, etag: &ETag) {
    set(headers, "etag", &format!("\"{etag}\""));
}

/// The checksum's header and `x-amz-checksum-type`.
pub(super) fn set_checksum(headers: &mut HeaderMap, checksum: &Checksum) {
    set(headers, checksum.algorithm().header_name(), &checksum.to_string());
    set(headers, "x-amz-checksum-type", &checksum.kind().to_string());
}

/// The encryption of an object in S3's words: every object is sealed with AES-256, and those for which the request brought a key are
/// under that key besides.
pub(super) fn set_encryption(headers: &mut HeaderMap, keys: &CustomerKeys) {
    match &keys.object {
        None => set(headers, "x-amz-server-side-encryption", "AES256"),
        Some(key) => {
            set(headers, "x-amz-server-side-encryption-customer-algorithm", "AES256");
            set(headers, "x-amz-server-side-encryption-customer-key-md5", &STANDARD.encode(key.md5()));
        }
    }
}

/// When a lifecycle rule lets the object go.
pub(super) fn set_expiration(headers: &mut HeaderMap, expiration: Option<&str>) {
    if let Some(expiration) = expiration {
        set(headers, "x-amz-expiration", expiration);
    }
}

/// What keeps a version from being deleted.
pub(super) fn set_lock(headers: &mut HeaderMap, lock: &Lock) {
    if let Some(retention) = &lock.retention {
        set(headers, "x-amz-object-lock-mode", retention.mode.as_str());
        set(headers, "x-amz-object-lock-retain-until-date", &retention.until.to_rfc3339());
    }
    if let Some(on) = lock.legal_hold {
        set(headers, "x-amz-object-lock-legal-hold", if on { "ON" } else { "OFF" });
    }
}

const COUNTRY: &str = "x-domicile-country";
const SITE: &str = "x-domicile-site";
const INSTRUMENTS: &str = "x-domicile-instruments";

/// Where a record lives, and which instruments said so.
pub(super) fn set_residence(headers: &mut HeaderMap, residence: &Residence) {
    set(headers, COUNTRY, &join(&residence.countries));
    set(headers, SITE, &join(&residence.sites));
    if !residence.instruments.is_empty() {
        set(headers, INSTRUMENTS, &join(&residence.instruments));
    }
}

/// Takes [`set_residence`] back.
pub(super) fn unset_residence(headers: &mut HeaderMap) {
    for name in [COUNTRY, SITE, INSTRUMENTS] {
        headers.remove(name);
    }
}

fn join(values: &[impl std::fmt::Display]) -> String {
    let mut joined = String::new();
    for value in values {
        if !joined.is_empty() {
            joined.push_str(", ");
        }
        joined.push_str(&value.to_string());
    }
    joined
}

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use http_body_util::BodyExt;

    use super::*;

    fn body(pieces: &[&'static str], length: u64) -> ResponseBody {
        let pieces: Vec<_> = pieces.iter().map(|piece| Ok(Bytes::from_static(piece.as_bytes()))).collect();
        ResponseBody::stream(Box::pin(stream::iter(pieces)), length, RequestId::new("r").unwrap())
    }

    #[tokio::test]
    async fn a_stream_has_exactly_its_length() {
        assert_eq!(body(&["ab", "c"], 3).collect().await.unwrap().to_bytes(), "abc");
        assert_eq!(body(&["ab", "c"], 3).size_hint().exact(), Some(3));
        assert!(matches!(body(&["ab"], 3).collect().await, Err(ResponseError::Length { missing: 1 })));
        assert!(matches!(body(&["abcd"], 3).collect().await, Err(ResponseError::Length { missing: 0 })));
        assert!(ResponseBody::empty().is_end_stream());
    }
}
