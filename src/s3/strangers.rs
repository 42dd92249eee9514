//! What who does not sign may take up and is told, over the whole front.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, stream};
use http::{Method, Request};
use http_body_util::{Full, StreamBody};

use super::{
    facts::Client,
    service::{S3Parts, S3Service},
};
use crate::{
    authn::{HostRules, Principals, Quota, S3Authenticator, UnsignedPayload},
    objects::tests::{PK_ONLY, World},
};

const PATIENCE: Duration = Duration::from_secs(60);

fn front(world: &World, at_once: u32, strangers: u32) -> S3Service {
    let principals = Arc::new(ArcSwap::from_pointee(Principals::default()));
    S3Service::new(S3Parts {
        objects: world.objects.clone(),
        authenticator: Arc::new(S3Authenticator::new(principals, "khi".to_owned(), HostRules::default())),
        clock: world.clock.clone(),
        external_url: None,
        unsigned_payload: UnsignedPayload::Allow,
        customer_keys_over_http: false,
        new_buckets: Default::default(),
        body_patience: PATIENCE,
        concurrent_requests: NonZeroU32::new(at_once).unwrap(),
        anonymous: Quota { concurrent_requests: NonZeroU32::new(strangers), ..Quota::default() },
    })
}

fn request(method: Method, path: &str, headers: &[(&str, &str)]) -> http::request::Builder {
    let builder = Request::builder().method(method).uri(path).header("host", "s3.example");
    headers.iter().fold(builder, |builder, (name, value)| builder.header(*name, *value))
}

/// A body of which these bytes come, and then nothing more.
fn stalled(sent: &'static str) -> impl http_body::Body<Data = Bytes, Error = std::io::Error> + Send {
    let first = stream::iter([Ok(http_body::Frame::data(Bytes::from_static(sent.as_bytes())))]);
    StreamBody::new(first.chain(stream::pending()))
}

async fn status(front: &S3Service) -> u16 {
    let ask = request(Method::GET, "/media/a", &[]).body(Full::new(Bytes::new())).unwrap();
    front.handle(ask, Client::default()).await.status().as_u16()
}

#[tokio::test]
async fn who_is_refused_and_does_not_send_the_body_holds_no_place() {
    let world = World::new(PK_ONLY).await;
    let front = front(&world, 3, 3);
    let credential = "AWS4-HMAC-SHA256 Credential=AK/20270115/khi/s3/aws4_request, SignedHeaders=host, Signature=00";
    let mut waiting = Vec::new();
    for at in 0..9 {
        let (method, headers): (_, &[_]) = match at % 3 {
            0 => (Method::PUT, &[("authorization", credential), ("content-length", "1000")]),
            1 => (Method::PUT, &[("content-length", "1000")]),
            _ => (Method::OPTIONS, &[("content-length", "1000"), ("origin", "http://a")]),
        };
        let ask = request(method, "/media/a", headers).body(stalled("")).unwrap();
        let shared = front.clone();
        waiting.push(tokio::spawn(async move { shared.handle(ask, Client::default()).await }));
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(!waiting[at].is_finished(), "its body is waited for");
        assert_eq!(status(&front).await, 403, "after {at}");
    }
    for answer in waiting {
        assert_eq!(answer.await.unwrap().headers()["connection"], "close");
    }
}

#[tokio::test(start_paused = true)]
async fn forms_whose_fields_do_not_come_take_no_place_from_others_and_end() {
    let world = World::new(PK_ONLY).await;
    let front = front(&world, 9, 2);
    let form = || {
        let headers = [("content-length", "1000"), ("content-type", "multipart/form-data; boundary=b")];
        let body = stalled("--b\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\na");
        Box::pin(front.handle(request(Method::POST, "/media", &headers).body(body).unwrap(), Client::default()))
    };
    let mut reading: Vec<_> = (0..2).map(|_| form()).collect();
    for form in &mut reading {
        assert!(futures_util::poll!(form.as_mut()).is_pending());
    }
    assert_eq!(form().await.status(), 503, "as many forms are read as there may be unsigned requests");
    assert_eq!(status(&front).await, 403);
    for form in reading {
        assert_eq!(form.await.status(), 400);
    }
    assert!(form().now_or_never().is_none());
}
