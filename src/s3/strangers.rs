//! What who does not sign may take up and is told, over the whole front.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, stream};
use http::{Method, Request};
use http_body_util::{BodyExt, Full, StreamBody};

use super::{
    facts::Client,
    service::{S3Parts, S3Service},
};
use crate::{
    access::{Action, BucketPolicy, PublicAccessBlock},
    authn::{HostRules, Principals, Quota, S3Authenticator, UnsignedPayload},
    bucket::Setting,
    objects::{
        Description,
        tests::{PK_ONLY, World, bucket},
    },
    policy::{PolicyFile, PolicySet},
};

const PATIENCE: Duration = Duration::from_secs(60);

fn front(world: &World, at_once: u32, strangers: u32) -> S3Service {
    telling(world, at_once, strangers, false)
}

fn telling(world: &World, at_once: u32, strangers: u32, anonymous_residence: bool) -> S3Service {
    let principals = Arc::new(ArcSwap::from_pointee(Principals::default()));
    S3Service::new(S3Parts {
        objects: world.objects.clone(),
        authenticator: Arc::new(S3Authenticator::new(principals, "khi".to_owned(), HostRules::default())),
        clock: world.clock.clone(),
        external_url: None,
        unsigned_payload: UnsignedPayload::Allow,
        customer_keys_over_http: false,
        anonymous_residence,
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

/// As those of [`World`], and what is known of somebody may stand in metadata.
fn policies() -> Arc<PolicySet> {
    let text = "version = 1\n[subject]\nfrom = [\"key:{subject}/**\", \"metadata:whose\"]\n\
                [attributes.residence]\nfrom = [\"directory\", \"principal\", \"metadata:residence\"]\n\
                [no-subject]\nbuckets = { \"static-*\" = [\"SG\"] }\n[default]\ncountries = [\"SG\"]\n";
    Arc::new(PolicySet::parse(&[PolicyFile { path: "gateway.toml".to_owned(), text: text.to_owned() }]).unwrap())
}

/// Lets everybody read and write `media`.
async fn opened(world: &World) {
    let block = Setting::PublicAccess(Some(PublicAccessBlock::NONE));
    let policy = r#"{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": ["s3:GetObject", "s3:PutObject"],
        "Resource": "arn:aws:s3:::media/*"}]}"#;
    let policy = Setting::Policy(Some(BucketPolicy::for_bucket(policy, &bucket()).unwrap()));
    for (action, setting) in [(Action::PutBucketPublicAccessBlock, block), (Action::PutBucketPolicy, policy)] {
        world.objects.configure_bucket(&world.asks(), &bucket(), action, setting).await.unwrap();
    }
}

#[tokio::test]
async fn nobody_in_particular_is_not_told_where_a_record_lives_and_why() {
    let world = World::new(PK_ONLY).await;
    opened(&world).await;
    world.decide_by(policies()).await;
    let metadata =
        [("whose", "ali"), ("residence", "PK"), ("colour", "red")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    world.put_described("ali/a", Description { metadata: metadata.into(), ..Description::default() }).await;
    let form = "--b\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\nali/b\r\n\
                --b\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\nx\r\n--b--\r\n";
    let length = form.len().to_string();
    let form_headers = [("content-length", length.as_str()), ("content-type", "multipart/form-data; boundary=b")];
    for told in [false, true] {
        let front = telling(&world, 9, 9, told);
        for (method, path, headers, body, status) in [
            (Method::GET, "/media/ali/a", &[][..], "", 200),
            (Method::HEAD, "/media/ali/a", &[], "", 200),
            // Nothing is known of whom nobody speaks for.
            (Method::PUT, "/media/ali/b", &[("content-length", "1")], "x", 403),
            (Method::POST, "/media", &form_headers, form, 403),
        ] {
            let ask = request(method, path, headers).body(Full::new(Bytes::from_static(body.as_bytes()))).unwrap();
            let (answer, body) = front.handle(ask, Client::default()).await.into_parts();
            let body = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
            assert_eq!(answer.status, status, "{body}");
            if status == 200 {
                let names = ["x-domicile-country", "x-domicile-site", "x-amz-meta-whose", "x-amz-meta-residence"];
                assert!(names.iter().all(|name| answer.headers.contains_key(*name) == told), "{:?}", answer.headers);
                assert_eq!(answer.headers["x-amz-meta-colour"], "red", "what else is in its metadata is for everybody");
            } else {
                assert!(body.contains("<Code>ResidencyUnknown</Code>"), "{body}");
                assert_eq!(body.contains("residence"), told, "{body}");
            }
        }
    }
}
