//! A catalogue on sled to measure, filled with records that are not stored anywhere.

use std::{collections::BTreeMap, sync::Arc};

use domicile::{
    audit::{Actor, Event, Kind, note::Signer},
    clock::SystemClock,
    digest::{ETag, random},
    index::{
        Bucket, Change, CopyRow, CopyState, Detail, Index, IndexKeys, Layout, PolicyChange, PutChange, Record, SledEngine,
        Summary, WriteCondition,
    },
    kms::{KeyOwner, Pseudonyms, SecretKey, WrappedDek, WrappedKey, WrappedSubjectKey},
    policy::{DecisionSource, Role},
    residency::{Basis, PlacementRecord},
    types::{
        AccountId, AttemptId, Attributes, BucketName, Country, Generation, KeyId, ObjectKey, PolicyRevision, PrincipalId,
        Pseudonym, RecordId, SiteId, Timestamp, VersionId,
    },
};

/// That of the gateway.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const POLICY: PolicyRevision = PolicyRevision::from_bytes([7; 32]);

pub(crate) fn event() -> Event {
    Event::new(Kind::PutObject, Actor::System)
}

fn pk() -> (KeyId, Country, KeyOwner) {
    let key = KeyId::new("pk").expect("valid");
    (key, "PK".parse().expect("valid"), KeyOwner::Subject(Pseudonym::from_bytes([5; 16])))
}

pub(crate) async fn open(folder: &std::path::Path) -> (Index, Arc<Bucket>) {
    let cache = std::env::var("DOMICILE_BENCH_CACHE").ok().and_then(|text| text.parse::<u64>().ok());
    let cache = cache.map_or(SledEngine::DEFAULT_CACHE_BYTES, |mebibytes| mebibytes << 20);
    let engine = SledEngine::open(folder, cache).expect("opens");
    let pseudonyms = Arc::new(Pseudonyms::new(SecretKey::random()));
    let log = Signer::new("domicile/bench", &[1; 32]).expect("a name");
    let keys = IndexKeys { index_key: SecretKey::random(), ledger_key: SecretKey::random(), log, pseudonyms };
    let index = Index::open(Arc::new(engine), keys, Arc::new(SystemClock)).expect("opens");
    let (key, country, owner) = pk();
    let (wrapped, sites) = (WrappedKey::new("a.b.c.d.e"), Default::default());
    let abroad = Default::default();
    let wrapped =
        WrappedSubjectKey { owner, key, country, generation: Generation(1), wrapped, sites, abroad, created: None, wraps: 0 };
    index.commit(Change::Policy(PolicyChange::in_force(POLICY)), event()).await.expect("commits");
    index.commit(Change::SubjectKey { key: Box::new(wrapped), replaces: None }, event()).await.expect("commits");
    let name = BucketName::new("bench").expect("valid");
    let create =
        Change::CreateBucket { name, owner: AccountId::new("domicile").expect("valid"), region: None, settings: Box::default() };
    let bucket = index.commit(create, event()).await.expect("commits").bucket.expect("created");
    (index, bucket)
}

/// A record whose only copy is queued: the one kind that commits without a receipt, which a bench cannot make.
pub(crate) fn put(index: &Index, bucket: &Bucket, key: &str) -> Change {
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
        moved: None,
        entry: None,
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
        principal_country: None,
        exceptions: Vec::new(),
        signals: Default::default(),
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
        moves: 0,
        imported: None,
        entry: None,
    };
    let basis = Basis { policy: POLICY, subject_generation: Generation(0), until: None };
    Change::Put(Box::new(PutChange {
        bucket: bucket.id,
        key: ObjectKey::new(key).expect("valid"),
        record: Record { summary, detail },
        receipts: Vec::new(),
        basis,
        condition: WriteCondition::None,
    }))
}

pub(crate) async fn write(index: &Index, bucket: &Arc<Bucket>, keys: impl Iterator<Item = String>) {
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
