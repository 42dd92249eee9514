//! What a request may cost: the size of its body, the time to send it and the time to answer it.

use std::{error::Error, time::Duration};

use axum::{
    body::{Body, to_bytes},
    extract::Request,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use http_body::Body as _;
use tokio::time::timeout;

use super::{Problem, Route};

/// For sending a body.
const BODY_TIME: Duration = Duration::from_secs(60);

/// Reads the body whole before the handler runs, so that no handler waits for a client.
pub(super) async fn read_body(request: Request, route: &Route) -> Result<Request, Response> {
    let (head, body) = request.into_parts();
    let most = route.body;
    let too_large = || {
        let detail = format!("the body of {} {} has at most {most} bytes", route.method, route.path);
        closing(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", detail))
    };
    if body.size_hint().lower() > u64::try_from(most).unwrap_or(u64::MAX) {
        return Err(too_large());
    }
    match timeout(BODY_TIME, to_bytes(body, most)).await {
        Ok(Ok(bytes)) => Ok(Request::from_parts(head, Body::from(bytes))),
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
