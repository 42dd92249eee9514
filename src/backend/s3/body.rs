//! Bodies of requests and answers.

use std::{
    convert::Infallible,
    ops::Range,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use aws_sdk_s3::primitives::SdkBody;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;

use crate::{
    backend::{BackendError, BlobStream},
    types::SiteId,
};

/// Blobs up to this length are sent as one piece: copying them costs less than a second frame.
const JOINED: usize = 64 * 1024;

/// A request body of known length that the SDK can send again.
pub(super) fn of_pieces(pieces: &[Bytes]) -> SdkBody {
    if pieces.iter().map(Bytes::len).sum::<usize>() <= JOINED {
        return SdkBody::from(Bytes::from(pieces.concat()));
    }
    let pieces = pieces.to_vec();
    SdkBody::retryable(move || SdkBody::from_body_1_x(Pieces { rest: pieces.clone().into_iter() }))
}

/// The pieces one after the other, a frame each, without joining them.
struct Pieces {
    rest: std::vec::IntoIter<Bytes>,
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.rest.find(|piece| !piece.is_empty()).map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.as_slice().iter().all(Bytes::is_empty)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.as_slice().iter().map(|piece| piece.len() as u64).sum())
    }
}

/// The bytes of an answer: exactly `len` of them, with no pause longer than `stall`, or an error.
pub(super) fn checked_stream(site: SiteId, body: SdkBody, len: u64, stall: Duration) -> BlobStream {
    let state = (body.into_data_stream(), len, site);
    let pieces = stream::try_unfold(state, move |(mut body, left, site)| async move {
        let piece = match tokio::time::timeout(stall, body.next()).await {
            Ok(piece) => piece,
            Err(_) => {
                return Err(BackendError::Timeout { site, reason: format!("a blob paused for {} s", stall.as_secs_f32()) });
            }
        };
        match piece {
            Some(Ok(piece)) => match left.checked_sub(piece.len() as u64) {
                Some(left) => Ok(Some((piece, (body, left, site)))),
                None => Err(BackendError::Corrupt { site, reason: "a blob is longer than was told".to_owned() }),
            },
            Some(Err(error)) => {
                let cause = Some(std::sync::Arc::from(error));
                Err(BackendError::Unavailable { site, reason: "the connection broke in a blob".to_owned(), cause })
            }
            None if left == 0 => Ok(None),
            None => Err(BackendError::Corrupt { site, reason: format!("a blob ended {left} bytes early") }),
        }
    });
    pieces.boxed()
}

/// `bytes 0-99/1234` as a half-open range and the total.
pub(super) fn parse_content_range(text: &str) -> Option<(Range<u64>, u64)> {
    let (range, total) = text.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last, total): (u64, u64, u64) = (first.parse().ok()?, last.parse().ok()?, total.parse().ok()?);
    (first <= last && last < total).then(|| (first..last + 1, total))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_ranges_are_read_or_refused() {
        assert_eq!(parse_content_range("bytes 0-99/1234"), Some((0..100, 1234)));
        assert_eq!(parse_content_range("bytes 1233-1233/1234"), Some((1233..1234, 1234)));
        let max = format!("bytes 0-{}/{}", u64::MAX, u64::MAX);
        for wrong in ["", "bytes */1234", "bytes 0-99/*", "bytes 5-4/10", "bytes 0-10/10", "items 0-9/10", "bytes 0-9", &max] {
            assert_eq!(parse_content_range(wrong), None, "{wrong}");
        }
    }

    #[tokio::test]
    async fn bodies_of_pieces_know_their_length_and_can_be_sent_again() {
        for (head, stream) in [(0, 0), (300, 0), (300, JOINED), (0, JOINED + 1), (300, 1 << 20)] {
            let pieces = [Bytes::from(vec![1; head]), Bytes::from(vec![2; stream])];
            let body = of_pieces(&pieces);
            let again = body.try_clone().unwrap();
            for body in [body, again] {
                assert_eq!(body.content_length(), Some((head + stream) as u64));
                assert_eq!(body.collect().await.unwrap().to_bytes(), pieces.concat());
            }
        }
    }

    #[tokio::test]
    async fn an_answer_of_another_length_is_corrupt() {
        let site = SiteId::new("s3").unwrap();
        for (told, right) in [(4, true), (3, false), (5, false)] {
            let body = SdkBody::from(Bytes::from_static(b"blob"));
            let pieces: Vec<_> = checked_stream(site.clone(), body, told, Duration::from_secs(1)).collect().await;
            assert_eq!(pieces.iter().all(Result::is_ok), right, "{told}");
        }
    }
}
