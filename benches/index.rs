//! The index on sled: durable commits by 1, 16 and 64 writers, point reads, listings.
//!
//! `cargo bench --bench index`; `DOMICILE_BENCH_KEYS=1000000` lists from a million keys instead of 100,000.
#![expect(clippy::expect_used, reason = "a bench may stop")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use domicile::{digest::random, index::ListQuery, types::ObjectKey};
use tokio::runtime::Runtime;

use self::catalogue::{open, write};

mod catalogue;

fn commits(criterion: &mut Criterion) {
    let (runtime, folder) = (Runtime::new().expect("a runtime"), tempfile::tempdir().expect("a folder"));
    let (index, bucket) = runtime.block_on(open(folder.path()));
    let mut group = criterion.benchmark_group("commit");
    for writers in [1u64, 16, 64] {
        group.throughput(Throughput::Elements(writers));
        group.bench_function(format!("{writers} writers"), |bencher| {
            let keys = || (0..writers).map(|_| hex::encode(random::<8>()));
            bencher.iter(|| runtime.block_on(write(&index, &bucket, keys())));
        });
    }
}

fn reads(criterion: &mut Criterion) {
    let keys = std::env::var("DOMICILE_BENCH_KEYS").ok().and_then(|text| text.parse().ok()).unwrap_or(100_000u32);
    let (runtime, folder) = (Runtime::new().expect("a runtime"), tempfile::tempdir().expect("a folder"));
    let (index, bucket) = runtime.block_on(open(folder.path()));
    runtime.block_on(write(&index, &bucket, (0..keys).map(|n| format!("folder-{:05}/{n:08}", n / 100))));
    let mut group = criterion.benchmark_group(format!("read of {keys}"));
    let mut n = 0;
    group.bench_function("get", |bencher| {
        bencher.iter(|| {
            n = (n + 7919) % keys;
            let key = ObjectKey::new(format!("folder-{:05}/{n:08}", n / 100)).expect("valid");
            index.current(&bucket, &key).expect("reads").expect("is there")
        });
    });
    for (name, delimiter) in [("list 1,000 keys", None), ("list 1,000 common prefixes", Some("/".to_owned()))] {
        let query = ListQuery { bucket: bucket.id, prefix: String::new(), delimiter, after: None, limit: 1000 };
        group.bench_function(name, |bencher| bencher.iter(|| runtime.block_on(index.list(query.clone())).expect("lists")));
    }
}

criterion_group! { name = benches; config = Criterion::default().sample_size(20); targets = commits, reads }
criterion_main!(benches);
