//! Sealing and opening one extent, in plaintext bytes a second on one core; and the same with the layer of a client's key (SSE-C).

#![expect(clippy::expect_used, reason = "a bench that cannot set up has nothing to measure")]

use std::{hint::black_box, time::Duration};

use bytes::Bytes;
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use domicile::{
    digest,
    kms::{KeyOwner, SubjectKey},
    seal::{
        CustomerKey, CustomerSeal, ExtentId, ExtentOpener, ExtentSealer, InnerKey, ReadPlan, RecordKey, SealTarget, SealedBlob,
    },
    types::{AttemptId, Country, KeyId, Pseudonym, RecordId},
};

const SIZES: [usize; 3] = [4 * 1024, 64 * 1024, 8 * 1024 * 1024];
/// As hyper gives a body: pieces of up to 64 KiB.
const CHUNK: usize = 64 * 1024;

fn seal(target: &SealTarget, key: &RecordKey, plain: &[u8]) -> SealedBlob {
    seal_all(target, key, plain.len(), plain.chunks(CHUNK))
}

fn seal_all(target: &SealTarget, key: &RecordKey, length: usize, chunks: impl Iterator<Item: AsRef<[u8]>>) -> SealedBlob {
    let attempt = AttemptId::from_bytes(digest::random());
    let id = ExtentId { record: key.record(), part: 0, attempt, extent: 0 };
    let mut sealer = ExtentSealer::new(target, id, key, length).expect("the target is the key's");
    for chunk in chunks {
        sealer.push(chunk.as_ref()).expect("the extent has room");
    }
    sealer.finish(None).expect("no manifest is too long")
}

/// The layer by itself, and before the seal: as an upload under a client's key goes.
fn customer(criterion: &mut Criterion, target: &SealTarget, key: &RecordKey) {
    let customer_key = CustomerKey::from_slice(&[7; 32]).expect("32 bytes");
    let (kept, inner) = CustomerSeal::new(&customer_key, key.record());
    let cipher = |inner: &InnerKey| inner.cipher(0, AttemptId::from_bytes([3; 16]), 0);
    let mut group = criterion.benchmark_group("customer");
    group.warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(3));
    group.bench_function("open", |bencher| bencher.iter(|| kept.open(black_box(&customer_key), key.record()).expect("the key")));
    for size in SIZES {
        let plain = vec![0x5a; size];
        let pieces = || plain.chunks(CHUNK).map(Bytes::copy_from_slice).collect::<Vec<_>>();
        group.throughput(Throughput::Bytes(size as u64));
        group.bench_function(BenchmarkId::new("layer", size), |bencher| {
            let apply = |pieces: Vec<Bytes>| {
                let mut cipher = cipher(&inner);
                pieces.into_iter().map(|piece| cipher.apply(piece)).collect::<Vec<_>>()
            };
            bencher.iter_batched(pieces, apply, BatchSize::LargeInput);
        });
        group.bench_function(BenchmarkId::new("layer and seal", size), |bencher| {
            let both = |pieces: Vec<Bytes>| {
                let mut cipher = cipher(&inner);
                seal_all(target, key, size, pieces.into_iter().map(|piece| cipher.apply(piece)))
            };
            bencher.iter_batched(pieces, both, BatchSize::LargeInput);
        });
    }
    group.finish();
}

fn benches(criterion: &mut Criterion) {
    let (key_id, country): (KeyId, Country) = ("pk".parse().expect("a key id"), "PK".parse().expect("a country"));
    let target = SealTarget::for_test("pk-khi", country, &key_id).expect("a site id");
    let owner = KeyOwner::Subject(Pseudonym::from_bytes([1; 16]));
    let subject_key = SubjectKey::for_test(owner, key_id, country);
    let key = RecordKey::create(&subject_key, RecordId::from_bytes([2; 16]), subject_key.country()).expect("a record key");

    let mut group = criterion.benchmark_group("seal");
    group.warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(3));
    for size in SIZES {
        let plain = vec![0x5a; size];
        group.throughput(Throughput::Bytes(size as u64));
        group.bench_function(BenchmarkId::new("seal", size), |bencher| {
            bencher.iter(|| black_box(seal(&target, &key, black_box(&plain))));
        });

        let blob = seal(&target, &key, &plain);
        let plan = ReadPlan::new(blob.head_len(), size as u64, 0..size as u64);
        let id = *blob.id().expect("an extent");
        let whole = blob.pieces().concat();
        group.bench_function(BenchmarkId::new("open", size), |bencher| {
            let pieces = || whole.chunks(CHUNK).map(Bytes::copy_from_slice).collect::<Vec<_>>();
            let open = |pieces: Vec<Bytes>| {
                let mut opener = ExtentOpener::new(id, country, &key, &plan).expect("the record's key");
                let mut out = Vec::with_capacity(pieces.len() + 1);
                for piece in pieces {
                    opener.push(piece, &mut out).expect("an untouched blob");
                }
                opener.finish().expect("the whole blob");
                out
            };
            bencher.iter_batched(pieces, open, BatchSize::LargeInput);
        });
    }
    group.finish();
    customer(criterion, &target, &key);
}

criterion_group!(group, benches);
criterion_main!(group);
