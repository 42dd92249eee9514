//! What a request may cost.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use axum::{
    body::{Bytes, HttpBody},
    response::Response,
};
use http_body::Frame;

use super::*;

/// A body of unknown length: so many bytes, and then its end or nothing more for ever.
struct Drip {
    left: usize,
    ends: bool,
}

impl HttpBody for Drip {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let some = self.left.min(4096);
        self.left -= some;
        match some {
            0 if self.ends => Poll::Ready(None),
            0 => Poll::Pending,
            _ => Poll::Ready(Some(Ok(Frame::data(Bytes::from(vec![b' '; some]))))),
        }
    }
}

async fn send(router: &Router, route: &Route, body: Body) -> Response {
    let request = Request::builder().method(route.method).uri(concrete(route)).header("content-type", "application/json");
    let role = match route.access {
        Access::Roles(roles) if !roles.contains(&Role::Operator) => roles[0],
        _ => Role::Operator,
    };
    let request = request.header("authorization", format!("Bearer token-{role}")).body(body).unwrap();
    router.clone().oneshot(request).await.unwrap()
}

fn route(method: &str, path: &str) -> &'static Route {
    Route::find(method, path).unwrap()
}

#[tokio::test]
async fn a_body_over_its_routes_limit_is_refused_whether_its_length_is_announced_or_not() {
    let (_, router) = api(Fake::default());
    for route in ROUTES.iter().filter(|route| !route.streams && route.access != Access::Public) {
        let announced = Body::from(vec![b' '; route.body + 1]);
        let unannounced = Body::new(Drip { left: route.body + 1, ends: true });
        for body in [announced, unannounced] {
            let answer = send(&router, route, body).await;
            assert_eq!(answer.status(), StatusCode::PAYLOAD_TOO_LARGE, "{} {}", route.method, route.path);
            assert_eq!(answer.headers()["connection"], "close");
        }
        let full = send(&router, route, Body::new(Drip { left: route.body, ends: true })).await;
        assert_ne!(full.status(), StatusCode::PAYLOAD_TOO_LARGE, "{} {}", route.method, route.path);
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_end_is_waited_for_only_so_long() {
    let (fake, router) = api(Fake::default());
    let answer = send(&router, route("POST", "/v1/explain"), Body::new(Drip { left: 10, ends: false })).await;
    assert_eq!((answer.status(), &answer.headers()["connection"]), (StatusCode::REQUEST_TIMEOUT, &"close".parse().unwrap()));
    assert!(fake.recorded.lock().is_empty());
}

#[tokio::test(start_paused = true)]
async fn large_bodies_take_no_more_memory_together_than_there_is_for_them() {
    let (_, router) = api(Fake::default());
    let plan = route("POST", "/v1/policies/plan");
    let endless = || send(&router, plan, Body::new(Drip { left: 10, ends: false }));
    let answers = futures_util::future::join_all((0..20).map(|_| endless())).await;
    let with = |status| answers.iter().filter(|answer| answer.status() == status).count();
    assert_eq!((with(StatusCode::REQUEST_TIMEOUT), with(StatusCode::SERVICE_UNAVAILABLE)), (16, 4));
    // Of what is announced to be small, more fits; and all of it is given back.
    let small = futures_util::future::join_all((0..20).map(|_| send(&router, plan, Body::from("{}")))).await;
    assert!(small.iter().all(|answer| answer.status() == StatusCode::OK));
    assert_eq!(send(&router, plan, Body::new(Drip { left: plan.body, ends: true })).await.status(), StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn no_stranger_is_waited_for() {
    let (_, router) = api(Fake::default());
    let began = tokio::time::Instant::now();
    for route in ROUTES {
        let request = Request::builder().method(route.method).uri(concrete(route));
        let body = Body::new(Drip { left: 10, ends: false });
        let answer = router.clone().oneshot(request.body(body).unwrap()).await.unwrap();
        let open = route.access == Access::Public;
        assert_eq!(answer.status() == StatusCode::UNAUTHORIZED, !open, "{} {}", route.method, route.path);
    }
    assert_eq!(began.elapsed(), std::time::Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_waited_for_only_so_long() {
    let (_, router) = api(Fake { hangs: true, ..Fake::default() });
    assert_eq!(send(&router, route("GET", "/v1/summary"), Body::empty()).await.status(), StatusCode::GATEWAY_TIMEOUT);
}

#[tokio::test(start_paused = true)]
async fn an_import_that_stops_says_where() {
    let line = |id: &str| format!("{{\"id\":\"{id}\",\"attributes\":{{}}}}\n");
    let lines = format!("{}nonsense\n\n{}{}{}", line("a"), line("b"), line("c"), line("d"));
    let stops = [(Fake { full_at: Some(2), ..Fake::default() }, 5, 2, 1), (Fake { hangs: true, ..Fake::default() }, 1, 0, 0)];
    for (fake, at, imported, failed) in stops {
        let (fake, router) = api(fake);
        let (status, text) = ask(&router, "POST", "/v1/subjects:import", Some(Role::Operator), lines.trim_end()).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{text}");
        let problem: Value = serde_json::from_str(&text).unwrap();
        assert_eq!([&problem["line"], &problem["imported"], &problem["failed"]], [&json!(at), &json!(imported), &json!(failed)]);
        assert!(problem["detail"].as_str().unwrap().contains(&format!("stopped at line {at}")), "{text}");
        assert_eq!(fake.subjects.lock().len(), imported);
    }
}
