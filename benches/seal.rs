//! Sealing and opening one extent, in plaintext bytes a second on one core.

#![expect(clippy::expect_used, reason = "a bench that cannot set up has nothing to measure")]

use std::{hint::black_box, time::Duration};

use bytes::Bytes;
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use domicile::{
    digest,
    kms::{KeyOwner, SubjectKey},
    seal::{ExtentId, ExtentOpener, ExtentSealer, ReadPlan, RecordKey, SealTarget, SealedBlob},
    types::{AttemptId, Country, KeyId, Pseudonym, RecordId},
};

const SIZES: [usize; 3] = [4 * 1024, 64 * 1024, 8 * 1024 * 1024];
/// As hyper gives a body: pieces of up to 64 KiB.
const CHUNK: usize = 64 * 1024;

fn seal(target: &SealTarget, key: &RecordKey, plain: &[u8]) -> SealedBlob {
    let attempt = AttemptId::from_bytes(digest::random());
    let id = ExtentId { record: key.record(), part: 0, attempt, extent: 0 };
    let mut sealer = ExtentSealer::new(target, id, key, plain.len()).expect("the target is the key's");
    for chunk in plain.chunks(CHUNK) {
        sealer.push(chunk).expect("the extent has room");
    }
    sealer.finish(None).expect("no manifest is too long")
}

fn benches(criterion: &mut Criterion) {
    let (key_id, country): (KeyId, Country) = ("pk".parse().expect("a key id"), "PK".parse().expect("a country"));
    let target = SealTarget::for_test("pk-khi", country, &key_id).expect("a site id");
    let owner = KeyOwner::Subject(Pseudonym::from_bytes([1; 16]));
    let subject_key = SubjectKey::for_test(owner, key_id, country);
    let key = RecordKey::create(&subject_key, RecordId::from_bytes([2; 16])).expect("a record key");

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
}

criterion_group!(group, benches);
criterion_main!(group);
