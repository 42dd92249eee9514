//! What a request costs before anything is done with it: checking its signature, and decoding its body.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a benchmark")]

use std::{hint::black_box, sync::Arc};

use arc_swap::ArcSwap;
use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use domicile::{
    authn::{AccessKey, HostRules, Payload, Principal, Principals, S3Authenticator},
    s3::chunked::{Decoder, Framing},
    types::Timestamp,
};
use http::{Request, request::Parts};

const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const SCOPE: &str = "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request";
const NOW: Timestamp = Timestamp::from_seconds(1_369_353_600);

fn authenticator() -> S3Authenticator {
    let access_key = AccessKey::new("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned().into());
    let principal = Principal::unrestricted("example", vec![access_key]).unwrap();
    let principals = Arc::new(ArcSwap::from_pointee(Principals::new([principal]).unwrap()));
    S3Authenticator::new(principals, "us-east-1".to_owned(), HostRules::default())
}

/// The examples of the Amazon S3 API Reference, as in `tests/sigv4_vectors.rs`.
fn get_object() -> Parts {
    let signature = "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41";
    Request::get("/test.txt")
        .header("host", "examplebucket.s3.amazonaws.com")
        .header("range", "bytes=0-9")
        .header("x-amz-content-sha256", EMPTY)
        .header("x-amz-date", "20130524T000000Z")
        .header(
            "authorization",
            format!("{SCOPE}, SignedHeaders=host;range;x-amz-content-sha256;x-amz-date, Signature={signature}"),
        )
        .body(())
        .unwrap()
        .into_parts()
        .0
}

fn presigned() -> Parts {
    let uri = "/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256\
        &X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request\
        &X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host\
        &X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404";
    Request::get(uri).header("host", "examplebucket.s3.amazonaws.com").body(()).unwrap().into_parts().0
}

fn verify(c: &mut Criterion) {
    let authenticator = authenticator();
    let mut group = c.benchmark_group("verify");
    for (name, parts) in [("header", get_object()), ("presigned", presigned())] {
        group.bench_function(name, |b| b.iter(|| authenticator.verify(black_box(&parts), NOW).unwrap()));
    }
    group.finish();
}

/// The published chunked upload: 65 KiB in signed chunks.
fn signed_upload() -> (Parts, Vec<u8>) {
    let headers =
        "content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class";
    let seed = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9";
    let request = Request::put("/examplebucket/chunkObject.txt")
        .header("host", "s3.amazonaws.com")
        .header("content-encoding", "aws-chunked")
        .header("content-length", "66824")
        .header("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD")
        .header("x-amz-date", "20130524T000000Z")
        .header("x-amz-decoded-content-length", "66560")
        .header("x-amz-storage-class", "REDUCED_REDUNDANCY")
        .header("authorization", format!("{SCOPE}, SignedHeaders={headers}, Signature={seed}"));
    let mut body = Vec::new();
    for (len, signature) in [
        (65_536, "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648"),
        (1024, "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497"),
        (0, "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9"),
    ] {
        body.extend(format!("{len:x};chunk-signature={signature}\r\n").into_bytes());
        body.extend(vec![b'a'; len]);
        body.extend(b"\r\n");
    }
    (request.body(()).unwrap().into_parts().0, body)
}

fn unsigned_upload() -> Vec<u8> {
    const CHUNK: usize = 64 * 1024;
    let mut body = Vec::new();
    for _ in 0..16 {
        body.extend(format!("{CHUNK:x}\r\n").into_bytes());
        body.extend(vec![b'a'; CHUNK]);
        body.extend(b"\r\n");
    }
    body.extend(b"0\r\nx-amz-checksum-crc32c:sOO8/Q==\r\n\r\n");
    body
}

/// Pushes `body` in pieces of 16 KiB, as a socket gives them.
fn decode(mut decoder: Decoder, mut body: Bytes) -> usize {
    let mut pieces = Vec::with_capacity(128);
    while !body.is_empty() {
        decoder.push(body.split_to(body.len().min(16 * 1024)), &mut pieces).unwrap();
    }
    decoder.finish().unwrap();
    pieces.iter().map(Bytes::len).sum()
}

fn chunks(c: &mut Criterion) {
    let mut group = c.benchmark_group("aws-chunked");
    let (parts, body) = signed_upload();
    let body = Bytes::from(body);
    let Payload::SignedChunks { signer, trailer } = authenticator().verify(&parts, NOW).unwrap().payload else {
        panic!("the example is signed in chunks")
    };
    group.throughput(Throughput::Bytes(66_560));
    group.bench_function("signed", |b| {
        let decoder = || Decoder::new(Framing::Signed { signer: signer.clone(), trailer }, 66_560, "");
        b.iter_batched(decoder, |decoder| decode(decoder, body.clone()), BatchSize::SmallInput);
    });
    let body = Bytes::from(unsigned_upload());
    group.throughput(Throughput::Bytes(1 << 20));
    group.bench_function("unsigned-trailer", |b| {
        let decoder = || Decoder::new(Framing::UnsignedTrailer, 1 << 20, "x-amz-checksum-crc32c");
        b.iter_batched(decoder, |decoder| decode(decoder, body.clone()), BatchSize::SmallInput);
    });
    group.finish();
}

criterion_group!(benches, verify, chunks);
criterion_main!(benches);
