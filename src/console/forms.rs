//! Forms that anybody may send: read whole before anything is made of them, and waited for only so long and by only so many.

use std::{sync::Arc, time::Duration};

use axum::{
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use tokio::{sync::Semaphore, time::timeout};

/// A form has at most so many bytes.
const MOST: usize = 16 << 10;
/// From its head to its end. Browsers send both at once.
const TIME: Duration = Duration::from_secs(10);
/// Forms that are waited for at a time. Each of them keeps a connection, and more of them would keep out those who have tokens.
const AT_ONCE: usize = 256;

/// The places for forms on their way.
pub(super) type Places = Arc<Semaphore>;

/// As many as there may be.
pub(super) fn places() -> Places {
    Arc::new(Semaphore::new(AT_ONCE))
}

/// Hands a form on when it is here.
pub(super) async fn read(State(places): State<Places>, request: Request, next: Next) -> Response {
    if request.method() != Method::POST {
        return next.run(request).await;
    }
    let Ok(place) = places.try_acquire() else { return refused(StatusCode::SERVICE_UNAVAILABLE) };
    let (head, body) = request.into_parts();
    match timeout(TIME, to_bytes(body, MOST)).await {
        Ok(Ok(form)) => {
            drop(place);
            next.run(Request::from_parts(head, Body::from(form))).await
        }
        Ok(Err(_)) => refused(StatusCode::PAYLOAD_TOO_LARGE),
        Err(_) => refused(StatusCode::REQUEST_TIMEOUT),
    }
}

/// The rest of the form is not read, so the connection cannot go on.
fn refused(status: StatusCode) -> Response {
    let mut response = status.into_response();
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
    }
    response
}

#[cfg(test)]
mod tests {
    use axum::{Router, body::Bytes, middleware::from_fn_with_state, routing::post};
    use futures_util::{StreamExt, stream};
    use tokio::time::Instant;
    use tower::ServiceExt;

    use super::*;

    /// A page that counts what it was sent.
    fn page(places: &Places) -> Router {
        let taking = async |form: Bytes| form.len().to_string();
        Router::new().route("/", post(taking).get(async || "page")).layer(from_fn_with_state(Arc::clone(places), read))
    }

    /// So many bytes, and then nothing more for ever.
    fn endless(bytes: usize) -> Body {
        let some = stream::iter([Ok::<_, std::convert::Infallible>(Bytes::from(vec![b'a'; bytes]))]);
        Body::from_stream(some.chain(stream::pending()))
    }

    async fn send(router: &Router, method: Method, body: Body) -> Response {
        router.clone().oneshot(Request::builder().method(method).uri("/").body(body).unwrap()).await.unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_form_is_waited_for_only_so_long_and_by_only_so_many() {
        let (places, began) = (places(), Instant::now());
        let router = page(&places);
        let late = send(&router, Method::POST, endless(7)).await;
        assert_eq!((late.status(), &late.headers()["connection"]), (StatusCode::REQUEST_TIMEOUT, &"close".parse().unwrap()));
        assert_eq!(began.elapsed(), TIME);
        assert_eq!(send(&router, Method::POST, endless(MOST + 1)).await.status(), StatusCode::PAYLOAD_TOO_LARGE);
        assert_eq!(send(&router, Method::POST, Body::from("token=a")).await.status(), StatusCode::OK);
        // Whoever only reads a page is not asked for a form.
        assert_eq!(send(&router, Method::GET, endless(7)).await.status(), StatusCode::OK);
        assert_eq!(began.elapsed(), TIME);

        let taken = places.try_acquire_many(u32::try_from(AT_ONCE).unwrap()).unwrap();
        let busy = send(&router, Method::POST, Body::from("token=a")).await;
        assert_eq!((busy.status(), &busy.headers()["retry-after"]), (StatusCode::SERVICE_UNAVAILABLE, &"5".parse().unwrap()));
        drop(taken);
        assert_eq!(send(&router, Method::POST, Body::from("token=a")).await.status(), StatusCode::OK);
        assert_eq!(places.available_permits(), AT_ONCE, "every place is given back");
    }
}
