//! What a request may cost: the size of its body, the time to send it and the time to answer it.

use std::{error::Error, sync::Arc, time::Duration};

use axum::{
    body::{Body, to_bytes},
    extract::Request,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use http_body::Body as _;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use super::{Problem, Route};

/// For sending a body.
const BODY_TIME: Duration = Duration::from_secs(60);
/// For there to be room for it.
const ROOM_TIME: Duration = Duration::from_secs(30);
/// Bytes of large bodies in memory, of all requests together: `limits.memory` is for records, and does not count them.
const ROOM: usize = 128 << 20;
/// Bodies of routes that take no more than this need no room: as many as there may be requests are little.
const SMALL: usize = 64 << 10;
const KIB: usize = 1 << 10;

/// Room for large bodies. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct Room(Arc<Semaphore>);

/// What a body takes of it, until its request is answered.
pub(super) type Taken = Option<OwnedSemaphorePermit>;

impl Default for Room {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(ROOM / KIB)))
    }
}

impl Room {
    /// Waits until there is room for a body of `route` that has this length, or any.
    async fn take(&self, route: &Route, length: Option<u64>) -> Result<Taken, Response> {
        if route.body <= SMALL {
            return Ok(None);
        }
        let length = length.and_then(|length| usize::try_from(length).ok()).unwrap_or(route.body).min(route.body);
        let wanted = u32::try_from(length.div_ceil(KIB)).unwrap_or(u32::MAX);
        match timeout(ROOM_TIME, Arc::clone(&self.0).acquire_many_owned(wanted)).await {
            Ok(Ok(taken)) => Ok(Some(taken)),
            _ => Err(closing(Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "unavailable",
                "too many large bodies are on their way",
            ))),
        }
    }
}

/// Reads the body whole before the handler runs, so that no handler waits for a client.
pub(super) async fn read_body(request: Request, route: &Route, room: &Room) -> Result<(Request, Taken), Response> {
    let (head, body) = request.into_parts();
    let most = route.body;
    let too_large = || {
        let detail = format!("the body of {} {} has at most {most} bytes", route.method, route.path);
        closing(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", detail))
    };
    if body.size_hint().lower() > u64::try_from(most).unwrap_or(u64::MAX) {
        return Err(too_large());
    }
    let taken = room.take(route, body.size_hint().exact()).await?;
    match timeout(BODY_TIME, to_bytes(body, most)).await {
        Ok(Ok(bytes)) => Ok((Request::from_parts(head, Body::from(bytes)), taken)),
        Ok(Err(error)) if is_too_large(&error) => Err(too_large()),
        Ok(Err(_)) => Err(closing(Problem::invalid("the body broke off"))),
        Err(_) => {
            let detail = format!("the body did not arrive within {} seconds", BODY_TIME.as_secs());
            Err(closing(Problem::new(StatusCode::REQUEST_TIMEOUT, "timeout", detail)))
        }
    }
}

/// Waits for an answer no longer than the route allows. What the handler began may come to its end all the same.
pub(super) async fn in_time(route: &Route, answer: impl Future<Output = Response>) -> Response {
    timeout(route.time, answer).await.unwrap_or_else(|_| {
        let detail = format!("no answer within {} seconds; a change may have been made all the same", route.time.as_secs());
        Problem::new(StatusCode::GATEWAY_TIMEOUT, "timeout", detail).into_response()
    })
}

fn is_too_large(error: &axum::Error) -> bool {
    error.source().is_some_and(|source| source.is::<http_body_util::LengthLimitError>())
}

/// The rest of the body is not read, so the connection cannot go on.
fn closing(problem: Problem) -> Response {
    let mut response = problem.into_response();
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}
