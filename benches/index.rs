//! The index on sled: durable commits by 1, 16 and 64 writers, point reads, listings.
//!
//! `cargo bench --bench index`; `DOMICILE_BENCH_KEYS=1000000` lists from a million keys instead of 100,000.
#![expect(clippy::expect_used, reason = "a bench may stop")]

use std::{collections::BTreeMap, sync::Arc};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use domicile::{
    audit::{Actor, Event, Kind},
    clock::SystemClock,
    digest::{ETag, random},
    index::{
        Bucket, Change, CopyRow, CopyState, Detail, Index, IndexKeys, Layout, ListQuery, PutChange, Record, SledEngine, Summary,
        WriteCondition,
    },
    kms::{KeyOwner, Pseudonyms, SecretKey, WrappedDek, WrappedKey, WrappedSubjectKey},
    policy::{DecisionSource, Role},
    residency::{Basis, PlacementRecord},
    types::{
        AccountId, AttemptId, Attributes, BucketName, Country, Generation, KeyId, ObjectKey, PolicyRevision, PrincipalId,
        Pseudonym, RecordId, SiteId, Timestamp, VersionId,
    },
};
use tokio::runtime::Runtime;

const POLICY: PolicyRevision = PolicyRevision::from_bytes([7; 32]);

fn event() -> Event {
    Event::new(Kind::PutObject, Actor::System)
}

fn pk() -> (KeyId, Country, KeyOwner) {
    let key = KeyId::new("pk").expect("valid");
    (key, "PK".parse().expect("valid"), KeyOwner::Subject(Pseudonym::from_bytes([5; 16])))
}

async fn open(folder: &std::path::Path) -> (Index, Arc<Bucket>) {
    let engine = SledEngine::open(folder, SledEngine::DEFAULT_CACHE_BYTES).expect("opens");
    let pseudonyms = Arc::new(Pseudonyms::new(SecretKey::random()));
    let keys = IndexKeys { index_key: SecretKey::random(), ledger_key: SecretKey::random(), pseudonyms };
    let index = Index::open(Arc::new(engine), keys, Arc::new(SystemClock)).expect("opens");
    let (key, country, owner) = pk();
    let (wrapped, sites) = (WrappedKey::new("a.b.c.d.e"), Default::default());
    let wrapped = WrappedSubjectKey { owner, key, country, generation: Generation(1), wrapped, sites };
    index.commit(Change::Policy { revision: POLICY }, event()).await.expect("commits");
    index.commit(Change::SubjectKey { key: Box::new(wrapped), rewrap: false }, event()).await.expect("commits");
    let name = BucketName::new("bench").expect("valid");
    let create =
        Change::CreateBucket { name, owner: AccountId::new("domicile").expect("valid"), region: None, settings: Box::default() };
    let bucket = index.commit(create, event()).await.expect("commits").bucket.expect("created");
    (index, bucket)
}

/// A record whose only copy is queued: the one kind that commits without a receipt, which a bench cannot make.
fn put(index: &Index, bucket: &Bucket, key: &str) -> Change {
    let attempt = AttemptId::from_bytes(random());
    let principal = PrincipalId::new("feed").expect("valid");
    let (key_id, country, owner) = pk();
    let summary = Summary {
        id: RecordId::from_bytes(random()),
        version: VersionId::Null,
        ticket: index.ticket().expect("a ticket"),
        modified: Timestamp::from_seconds(5),
        size: 4096,
        etag: ETag::single([3; 16]),
        checksum_algorithm: None,
        owner: AccountId::new("domicile").expect("valid"),
        delete_marker: false,
    };
    let copy = CopyRow {
        site: SiteId::new("pk-khi").expect("valid"),
        country,
        key: key_id,
        owner,
        sk_generation: Generation(1),
        dek: WrappedDek::from_bytes([9; WrappedDek::LEN]),
        role: Role::Queued,
        state: CopyState::Pending,
        manifest_head_len: 300,
        manifest_attempt: attempt,
    };
    let placement = PlacementRecord {
        subject: None,
        attributes: Attributes::new(),
        assumed: Default::default(),
        principal,
        origins: Vec::new(),
        copies: Vec::new(),
        instruments: Vec::new(),
        shadow: Vec::new(),
        revision: POLICY,
        subject_generation: Generation(0),
        decided_at: Timestamp::default(),
        source: DecisionSource::Default,
    };
    let detail = Detail {
        content: BTreeMap::from([("content-type".to_owned(), "image/jpeg".to_owned())]),
        metadata: BTreeMap::new(),
        tags: Vec::new(),
        checksum: None,
        lock: Default::default(),
        customer: None,
        acl: None,
        placement,
        copies: vec![copy],
        layout: Layout::Whole { attempt },
    };
    let basis = Basis { policy: POLICY, subject_generation: Generation(0) };
    Change::Put(Box::new(PutChange {
        bucket: bucket.id,
        key: ObjectKey::new(key).expect("valid"),
        record: Record { summary, detail },
        receipts: Vec::new(),
        basis,
        condition: WriteCondition::None,
    }))
}

async fn write(index: &Index, bucket: &Arc<Bucket>, keys: impl Iterator<Item = String>) {
    let mut writers = tokio::task::JoinSet::new();
    for key in keys {
        let (index, bucket) = (index.clone(), Arc::clone(bucket));
        let change = put(&index, &bucket, &key);
        writers.spawn(async move { index.commit(change, event()).await.expect("commits") });
        if writers.len() >= 512 {
            writers.join_next().await;
        }
    }
    while writers.join_next().await.is_some() {}
}

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
