//! What the AWS SDK for Rust signs and frames, checked by the gateway's own authenticator, decoder and server.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::{net::SocketAddr, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use aws_sdk_s3::{
    Client, Config,
    config::{BehaviorVersion, Credentials, Region},
    presigning::PresigningConfig,
    primitives::ByteStream,
    types::ChecksumAlgorithm,
};
use bytes::Bytes;
use domicile::{
    authn::{AccessKey, HostRules, Payload, Principal, Principals, S3Authenticator},
    clock::{Clock, SystemClock},
    s3::chunked::{Decoder, Framing},
    server::{Limits, Peer, Reserved, serve},
};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use tokio::{sync::oneshot, task::JoinHandle};

/// Every character that some encoder somewhere treats in its own way.
const AWKWARD_KEY: &str = "a b//./../c+d=é&(1)~*'!$@,;:%41?#.txt";

fn authenticator() -> S3Authenticator {
    let access_key = AccessKey::new("AKEXAMPLE", "secret".to_owned().into());
    let principal = Principal::unrestricted("example", vec![access_key]).unwrap();
    let principals = Arc::new(ArcSwap::from_pointee(Principals::new([principal]).unwrap()));
    S3Authenticator::new(principals, "us-east-1".to_owned(), HostRules::default())
}

/// Answers 200 with the form and length of a body whose signature and framing are right, and 403 with the reason otherwise.
async fn check(authenticator: Arc<S3Authenticator>, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let header = |name: &str| parts.headers.get(name).map_or("", |value| value.to_str().unwrap());
    let outcome = authenticator.verify(&parts, SystemClock.now()).map_err(|error| error.to_string()).and_then(|verified| {
        let framing = match verified.payload {
            Payload::Unsigned => return Ok(("unsigned", body.len())),
            Payload::Sha256(_) => return Ok(("hashed", body.len())),
            Payload::SignedChunks { signer, trailer } => Framing::Signed { signer, trailer },
            Payload::UnsignedTrailer => Framing::UnsignedTrailer,
        };
        let decoded_len = header("x-amz-decoded-content-length").parse().unwrap();
        let mut decoder = Decoder::new(framing, decoded_len, header("x-amz-trailer"));
        let mut pieces = Vec::new();
        decoder.push(body, &mut pieces).and_then(|()| decoder.finish()).map_err(|error| error.to_string())?;
        Ok(("chunked", pieces.iter().map(Bytes::len).sum()))
    });
    let response = match outcome {
        Ok((form, len)) => Response::builder().status(200).header("etag", format!("{form} {len}")).body(Full::default()),
        Err(reason) => Response::builder().status(403).body(Full::new(Bytes::from(reason))),
    };
    response.unwrap()
}

async fn start() -> (SocketAddr, oneshot::Sender<()>, JoinHandle<()>) {
    let listener = Reserved::new("127.0.0.1:0".parse().unwrap()).unwrap().listen().unwrap();
    let address = listener.local_addr().unwrap();
    let (shutdown, stop) = oneshot::channel::<()>();
    let authenticator = Arc::new(authenticator());
    let service = move |request, _: Peer| check(Arc::clone(&authenticator), request);
    let stop = async {
        let _ = stop.await;
    };
    let task = tokio::spawn(async move {
        serve(listener, None, Limits::default(), stop, service).await;
    });
    (address, shutdown, task)
}

fn client(address: SocketAddr) -> Client {
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .credentials_provider(Credentials::new("AKEXAMPLE", "secret", None, None, "test"))
        .region(Region::new("us-east-1"))
        .endpoint_url(format!("http://{address}"))
        .force_path_style(true)
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build();
    Client::from_conf(config)
}

#[tokio::test]
async fn requests_of_the_sdk_are_accepted() {
    let (address, shutdown, server) = start().await;
    let client = client(address);

    let put = client.put_object().bucket("media").key(AWKWARD_KEY).metadata("note", "two  spaces").content_type("text/plain");
    let put = put.body(ByteStream::from_static(b"hello")).send().await.unwrap();
    assert!(put.e_tag().unwrap().ends_with(" 5"), "{put:?}");

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("body");
    std::fs::write(&file, vec![b'a'; 300_000]).unwrap();
    let body = ByteStream::from_path(&file).await.unwrap();
    let put = client.put_object().bucket("media").key("k").checksum_algorithm(ChecksumAlgorithm::Crc64Nvme).body(body);
    assert_eq!(put.send().await.unwrap().e_tag(), Some("chunked 300000"));

    client.get_object().bucket("media").key(AWKWARD_KEY).range("bytes=0-1").send().await.unwrap();
    client.head_object().bucket("media").key(AWKWARD_KEY).version_id("a+b/c=").send().await.unwrap();
    client.delete_object().bucket("media").key(AWKWARD_KEY).send().await.unwrap();

    shutdown.send(()).unwrap();
    server.await.unwrap();
}

#[tokio::test]
async fn presigned_urls_of_the_sdk_are_accepted_until_they_are_changed() {
    let client = client("127.0.0.1:9".parse().unwrap());
    let week = PresigningConfig::expires_in(Duration::from_secs(604_800)).unwrap();
    let get = client.get_object().bucket("media").key(AWKWARD_KEY).response_content_type("a b+c").presigned(week).await.unwrap();
    let parts = |uri: &str| Request::get(uri).header("host", "127.0.0.1:9").body(()).unwrap().into_parts().0;
    let verify = |uri: &str| authenticator().verify(&parts(uri), SystemClock.now());
    assert!(matches!(verify(get.uri()).unwrap().payload, Payload::Unsigned));
    for (from, to) in [("/media/", "/other/"), ("Expires=604800", "Expires=604799"), ("a%20b", "a%20c")] {
        let changed = get.uri().replacen(from, to, 1);
        assert_ne!(changed, get.uri());
        assert_eq!(verify(&changed).unwrap_err().code(), "SignatureDoesNotMatch", "{from}");
    }
}
