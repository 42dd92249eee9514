//! What the tests of the index share, and commits that must not happen.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use proptest::prelude::*;
use tokio::runtime::Runtime;

use super::*;
use crate::{
    audit::{self, Actor, Event, Kind, note},
    backend::Receipt,
    bucket::Lock,
    clock::ManualClock,
    digest::ETag,
    kms::{KeyOwner, Pseudonyms, SecretKey, WrappedDek, WrappedKey, WrappedSubjectKey},
    policy::{DecisionSource, Role},
    residency::{Basis, Directory, Origin, PlacementRecord, PlannedCopy},
    seal::BlobName,
    types::*,
};

mod apart;
mod commits;
mod directory;
mod entries;
mod expire;
mod exports;
mod histories;
mod journal;
mod keeping;
mod leaving;
mod model;
mod moves;
mod names;
mod policies;
mod population;
mod search;
mod sites;
mod versions;

const POLICY: PolicyRevision = PolicyRevision::from_bytes([7; 32]);

fn event() -> Event {
    Event::new(Kind::PutObject, Actor::System)
}

pub(crate) fn index_keys() -> IndexKeys {
    let key = |byte| SecretKey::from_slice(&[byte; 32]).unwrap();
    IndexKeys {
        index_key: key(1),
        ledger_key: key(2),
        log: note::Signer::new("domicile/test", &[2; 32]).unwrap(),
        pseudonyms: Arc::new(Pseudonyms::new(key(3))),
    }
}

pub(super) fn open(engine: Arc<dyn Engine>) -> Index {
    Index::open(engine, index_keys(), Arc::new(ManualClock::new(Timestamp::from_seconds(1_000_000)))).unwrap()
}

fn key(text: &str) -> ObjectKey {
    ObjectKey::new(text).unwrap()
}

fn owner() -> KeyOwner {
    KeyOwner::Subject(Pseudonym::from_bytes([5; 16]))
}

fn basis() -> Basis {
    Basis { policy: POLICY, subject_generation: Generation(0), until: None }
}

/// An index with a policy, a subject key and a bucket.
async fn prepared(engine: Arc<dyn Engine>) -> (Index, Arc<Bucket>) {
    let index = open(engine);
    index.commit(Change::Policy(PolicyChange::in_force(POLICY)), event()).await.unwrap();
    index.commit(Change::SubjectKey { key: Box::new(wrapped(1)), replaces: None }, event()).await.unwrap();
    let created = index.commit(create("bucket"), event()).await.unwrap();
    (index, created.bucket.unwrap())
}

fn create(name: &str) -> Change {
    Change::CreateBucket {
        name: BucketName::new(name).unwrap(),
        owner: AccountId::new("feed").unwrap(),
        region: None,
        settings: Box::default(),
    }
}

fn wrapped(generation: u64) -> WrappedSubjectKey {
    WrappedSubjectKey {
        owner: owner(),
        key: KeyId::new("pk").unwrap(),
        country: "PK".parse().unwrap(),
        generation: Generation(generation),
        wrapped: WrappedKey::new("a.b.c.d.e"),
        sites: BTreeSet::new(),
        created: None,
        wraps: 0,
        abroad: Default::default(),
    }
}

fn record(index: &Index, size: u64, site: &str, subject: &str) -> Record {
    let ticket = index.ticket().unwrap();
    let attempt = AttemptId::from_bytes(crate::digest::random());
    let summary = Summary {
        id: RecordId::from_bytes(crate::digest::random()),
        version: VersionId::Null,
        ticket,
        modified: Timestamp::from_seconds(5),
        size,
        etag: ETag::single([u8::try_from(size % 256).unwrap(); 16]),
        checksum_algorithm: None,
        owner: AccountId::new("feed").unwrap(),
        delete_marker: false,
    };
    let copy = CopyRow {
        site: SiteId::new(site).unwrap(),
        country: "PK".parse().unwrap(),
        key: KeyId::new("pk").unwrap(),
        owner: owner(),
        sk_generation: Generation(1),
        dek: WrappedDek::from_bytes([9; WrappedDek::LEN]),
        role: Role::Primary,
        state: CopyState::Stored { at: Timestamp::default() },
        manifest_head_len: 300,
        manifest_attempt: attempt,
        moved: None,
        entry: None,
    };
    let placement = PlacementRecord {
        subject: Some(SubjectId::new(subject).unwrap()),
        attributes: Attributes::new(),
        assumed: Default::default(),
        principal: PrincipalId::new("feed").unwrap(),
        origins: Vec::new(),
        copies: Vec::new(),
        instruments: vec![InstrumentId::new("pk-cpoh-2020").unwrap()],
        shadow: Vec::new(),
        revision: POLICY,
        subject_generation: Generation(0),
        decided_at: Timestamp::default(),
        source: DecisionSource::Instruments,
        principal_country: None,
        exceptions: Vec::new(),
        signals: Default::default(),
    };
    let detail = Detail {
        content: BTreeMap::new(),
        metadata: BTreeMap::from([("a".to_owned(), "b".to_owned())]),
        tags: Vec::new(),
        checksum: None,
        lock: Lock::default(),
        customer: None,
        acl: None,
        placement,
        copies: vec![copy],
        layout: Layout::Whole { attempt },
        moves: 0,
        imported: None,
        entry: None,
    };
    Record { summary, detail }
}

fn receipts(record: &Record) -> Vec<Receipt> {
    let of = |copy: &CopyRow| {
        let name = BlobName::of(copy.country, &copy.manifest(record.summary.id, record.detail.layout));
        Receipt::for_test(copy.site.clone(), copy.country, name, 1)
    };
    record.detail.copies.iter().map(of).collect()
}

fn put_change(bucket: &Bucket, at: &str, record: Record, condition: WriteCondition) -> PutChange {
    PutChange { bucket: bucket.id, key: key(at), receipts: receipts(&record), record, basis: basis(), condition }
}

fn put(bucket: &Bucket, at: &str, record: Record) -> Change {
    Change::Put(Box::new(put_change(bucket, at, record, WriteCondition::None)))
}

fn delete(bucket: &Bucket, at: &str, ticket: Ticket) -> Change {
    Change::Delete(Box::new(deletion(bucket, at, ticket)))
}

fn deletion(bucket: &Bucket, at: &str, ticket: Ticket) -> DeleteChange {
    DeleteChange {
        bucket: bucket.id,
        key: key(at),
        version: None,
        record: None,
        owner: AccountId::new("feed").unwrap(),
        ticket,
        marker: VersionId::new(ticket, [1; 8]),
        condition: WriteCondition::None,
        seen: Vec::new(),
        bypass_governance: false,
    }
}

/// Counters equal a recount and the ledger verifies against its head.
async fn check_whole(index: &Index) {
    assert_eq!(index.summary(), index.recount().await.unwrap());
    let entries = index.ledger_entries(0, usize::MAX).await.unwrap();
    let head = index.ledger_head();
    assert_eq!(audit::verify(&entries, &[head]).unwrap().entries, head.size);
}

async fn list_all(index: &Index, bucket: &Bucket, prefix: &str, delimiter: Option<&str>, limit: usize) -> Vec<ListItem> {
    let (mut items, mut after) = (Vec::new(), None);
    loop {
        let query =
            ListQuery { bucket: bucket.id, prefix: prefix.to_owned(), delimiter: delimiter.map(str::to_owned), after, limit };
        let page = index.list(query).await.unwrap();
        assert!(page.items.len() <= limit);
        assert_eq!(page.truncated, page.next.is_some());
        items.extend(page.items);
        after = page.next;
        if after.is_none() {
            return items;
        }
    }
}

const NAMES: [&str; 8] = ["a", "a/", "a/b", "a//c", "a\0", "a\u{ffff}", "b/\u{10ffff}/x", "users/ayesha/cv"];
const SITES: [&str; 2] = ["pk-khi", "pk-lhe"];

fn upload_of(index: &Index, bucket: &Bucket, at: &str) -> Upload {
    let template = record(index, 0, SITES[0], "ayesha");
    Upload {
        id: UploadId::from_bytes(crate::digest::random()),
        bucket: bucket.id,
        key: key(at),
        initiated: Timestamp::default(),
        owner: AccountId::new("feed").unwrap(),
        initiator: AccountId::new("feed").unwrap(),
        record: template.summary.id,
        content: BTreeMap::new(),
        metadata: BTreeMap::new(),
        tags: Vec::new(),
        checksum: None,
        lock: Lock::default(),
        customer: None,
        acl: None,
        placement: template.detail.placement,
        copies: template.detail.copies,
        state: UploadState::Open,
    }
}

fn part_change(bucket: &Bucket, upload: &Upload, number: u32, size: u64, basis: Basis) -> PutPartChange {
    let entry = PartEntry {
        number,
        attempt: AttemptId::from_bytes(crate::digest::random()),
        size,
        etag: ETag::single([1; 16]),
        checksum: None,
    };
    let copy = &upload.copies[0];
    let blobs = garbage::run(copy.stored_at(), upload.record, number, entry.attempt, size);
    PutPartChange {
        bucket: bucket.id,
        key: upload.key.clone(),
        upload: upload.id,
        part: Part { entry, modified: Timestamp::default() },
        receipts: blobs.map(|blob| Receipt::for_test(blob.site, copy.country, blob.name, 1)).collect(),
        basis,
        origins: Vec::new(),
    }
}

async fn put_part(index: &Index, bucket: &Bucket, upload: &Upload, number: u32, size: u64, origins: &[Origin]) -> PartEntry {
    let change = PutPartChange { origins: origins.to_vec(), ..part_change(bucket, upload, number, size, basis()) };
    let entry = change.part.entry;
    index.commit(Change::PutPart(Box::new(change)), event()).await.unwrap();
    entry
}

/// The change that moves `record` to another site, and what the row is then.
fn moving(bucket: &Bucket, at: &str, record: &Record, site: &str) -> RelocateChange {
    let moved = AttemptId::from_bytes(crate::digest::random());
    let before = record.detail.copies.clone();
    let copy = CopyRow { site: SiteId::new(site).unwrap(), moved: Some(moved), manifest_attempt: moved, ..before[0].clone() };
    let planned = PlannedCopy { site: copy.site.clone(), country: copy.country, key: copy.key.clone(), role: copy.role };
    let mut then = record.clone();
    then.detail.copies = vec![copy.clone()];
    RelocateChange {
        bucket: bucket.id,
        key: key(at),
        record: record.summary.id,
        ticket: record.summary.ticket,
        before,
        after: vec![copy],
        placement: PlacementRecord { copies: vec![planned], ..record.detail.placement.clone() },
        receipts: receipts(&then),
        basis: basis(),
    }
}

/// Uploads two parts, one of them twice, and completes with both or aborts.
async fn multipart(index: &Index, bucket: &Bucket, at: &str, size: u64, complete: bool) -> Option<RecordId> {
    let upload = upload_of(index, bucket, at);
    let change = Change::CreateUpload { upload: Box::new(upload.clone()), basis: basis() };
    index.commit(change, event()).await.unwrap();
    put_part(index, bucket, &upload, 1, 5, &[]).await;
    let parts = vec![put_part(index, bucket, &upload, 1, size, &[]).await, put_part(index, bucket, &upload, 2, 1, &[]).await];
    put_part(index, bucket, &upload, 3, 9, &[]).await;
    if !complete {
        let abort = || Change::AbortUpload { bucket: bucket.id, key: key(at), upload: upload.id };
        index.commit(abort(), event()).await.unwrap();
        assert!(matches!(index.commit(abort(), event()).await, Err(CommitError::NoSuchUpload)));
        return None;
    }
    let mut whole = record(index, size + 1, SITES[0], "ayesha");
    whole.summary.id = upload.record;
    whole.detail.layout = Layout::Parts { table: upload.id, count: 2 };
    let change = || Change::CompleteUpload {
        put: Box::new(put_change(bucket, at, whole.clone(), WriteCondition::None)),
        upload: upload.id,
        parts: parts.clone(),
        parts_digest: [4; 32],
    };
    index.commit(change(), event()).await.unwrap();
    assert!(matches!(index.commit(change(), event()).await, Err(CommitError::UploadCompleted(_))));
    assert_eq!(index.parts_of(upload.id).unwrap().len(), 2);
    Some(upload.record)
}

#[tokio::test]
async fn a_decision_that_no_longer_stands_does_not_commit() {
    let (index, bucket) = prepared(Arc::new(MemoryEngine::new())).await;
    let stale = |result: Result<Committed, CommitError>| match result {
        Err(CommitError::Stale(what)) => what,
        other => panic!("{other:?}"),
    };
    let fresh = || record(&index, 1, SITES[0], "ayesha");
    let subject = SubjectId::new("ayesha").unwrap();
    index.commit(Change::Subject(Box::new(SubjectChange::now(subject.clone(), Some(Attributes::new())))), event()).await.unwrap();
    assert_eq!(stale(index.commit(put(&bucket, "k", fresh()), event()).await), Stale::Subject);
    assert_eq!(index.lookup(&subject).unwrap().unwrap().generation, Generation(1));
    let other = || {
        let mut other = record(&index, 1, SITES[0], "bilal");
        other.detail.copies[0].sk_generation = Generation(2);
        other
    };
    assert_eq!(stale(index.commit(put(&bucket, "k", other()), event()).await), Stale::Key);
    // Nor does another key take the place of the one that records are under.
    let replaced = index.commit(Change::SubjectKey { key: Box::new(wrapped(2)), replaces: None }, event()).await;
    assert!(matches!(replaced, Err(CommitError::KeyExists(_))), "{replaced:?}");
    index.commit(Change::Policy(PolicyChange::in_force(PolicyRevision::from_bytes([8; 32]))), event()).await.unwrap();
    assert_eq!(stale(index.commit(put(&bucket, "k", other()), event()).await), Stale::Policy);
    index.commit(Change::DeleteBucket { name: bucket.name.clone(), id: bucket.id }, event()).await.unwrap();
    index.commit(create("bucket"), event()).await.unwrap();
    assert_eq!(stale(index.commit(put(&bucket, "k", other()), event()).await), Stale::Bucket);
    check_whole(&index).await;
}

#[tokio::test]
async fn the_sites_of_a_subject_key_come_together_and_belong_to_one_wrapping() {
    let (index, _) = prepared(Arc::new(MemoryEngine::new())).await;
    let sites = |names: &[&str]| names.iter().map(|name| SiteId::new(*name).unwrap()).collect::<BTreeSet<_>>();
    let keep = async |key: WrappedSubjectKey, replaces: Option<WrappedSubjectKey>| {
        index.commit(Change::SubjectKey { key: Box::new(key), replaces: replaces.map(Box::new) }, event()).await
    };
    let kept = || index.subject_key(&wrapped(1).key, &owner()).unwrap().unwrap();
    // Two sites at once: each knows only of itself.
    keep(WrappedSubjectKey { sites: sites(&["pk-khi"]), ..wrapped(1) }, None).await.unwrap();
    let one_site = WrappedSubjectKey::clone(&kept());
    keep(WrappedSubjectKey { sites: sites(&["pk-lhe"]), ..wrapped(1) }, None).await.unwrap();
    assert_eq!(kept().sites, sites(&["pk-khi", "pk-lhe"]));
    let again = WrappedSubjectKey { wrapped: WrappedKey::new("again"), sites: sites(&["pk-khi"]), ..wrapped(1) };
    assert!(matches!(keep(again.clone(), None).await, Err(CommitError::KeyExists(_))));
    // Wrapped again from what it no longer is: a site has come since, which the new wrapping is not at.
    assert!(matches!(keep(again.clone(), Some(one_site)).await, Err(CommitError::KeyExists(_))));
    let before = WrappedSubjectKey::clone(&kept());
    keep(again.clone(), Some(before.clone())).await.unwrap();
    assert_eq!(kept().sites, sites(&["pk-khi"]));
    assert!(matches!(keep(again, Some(before.clone())).await, Err(CommitError::KeyExists(_))), "only once");
    // The blobs of the wrapping before are garbage, and nothing else is.
    let garbage = index.garbage(Timestamp::from_seconds(1 << 40), None, 10).await.unwrap();
    let [(_, Garbage { why: GarbageReason::Rewrapped, what: Waste::Keys { blobs }, .. })] = &garbage[..] else {
        panic!("{garbage:?}")
    };
    let name = BlobName::of_subject_key(&before);
    assert_eq!(*blobs, ["pk-khi", "pk-lhe"].map(|site| (SiteId::new(site).unwrap(), name)));
    // A key that is not there is not wrapped again.
    let nobody = WrappedSubjectKey { owner: KeyOwner::Bucket(Pseudonym::from_bytes([6; 16])), ..before };
    let resurrected = keep(WrappedSubjectKey { wrapped: WrappedKey::new("again"), ..nobody.clone() }, Some(nobody)).await;
    assert!(matches!(resurrected, Err(CommitError::Stale(Stale::Key))), "{resurrected:?}");
}

#[tokio::test]
async fn an_upload_keeps_where_its_parts_come_from_and_completes_only_under_a_decision_that_counts_it() {
    let (index, bucket) = prepared(Arc::new(MemoryEngine::new())).await;
    let upload = upload_of(&index, &bucket, "k");
    index.commit(Change::CreateUpload { upload: Box::new(upload.clone()), basis: basis() }, event()).await.unwrap();
    let origin = Origin {
        has_subject: false,
        attributes: Attributes::new(),
        bucket: BucketName::new("clinic").unwrap(),
        principal: PrincipalId::new("feed").unwrap(),
        key: Some(key("k")),
        principal_country: None,
    };
    let origins = [origin.clone(), origin];
    let part = put_part(&index, &bucket, &upload, 1, 5, &origins).await;
    assert_eq!(put_part(&index, &bucket, &upload, 2, 5, &origins).await.number, 2);
    let kept = index.upload(bucket.id, &key("k"), &upload.id).unwrap().unwrap().placement.origins;
    assert_eq!(kept, origins[..1]);

    let mut whole = record(&index, 5, SITES[0], "ayesha");
    whole.summary.id = upload.record;
    whole.detail.layout = Layout::Parts { table: upload.id, count: 1 };
    let complete = |record: &Record| Change::CompleteUpload {
        put: Box::new(put_change(&bucket, "k", record.clone(), WriteCondition::None)),
        upload: upload.id,
        parts: vec![part],
        parts_digest: [4; 32],
    };
    let refused = index.commit(complete(&whole), event()).await;
    assert!(matches!(refused, Err(CommitError::Stale(Stale::Upload))), "{refused:?}");
    whole.detail.placement.origins = kept;
    index.commit(complete(&whole), event()).await.unwrap();
    check_whole(&index).await;
}

#[tokio::test]
async fn the_entry_of_a_delete_names_the_record_it_removed() {
    let (index, bucket) = prepared(Arc::new(MemoryEngine::new())).await;
    let record = record(&index, 7, SITES[0], "ayesha");
    index.commit(put(&bucket, "k", record.clone()), event()).await.unwrap();
    for (size, entry) in [(Some(7), Some(record.summary.id.to_string())), (None, None)] {
        let event = Event::new(Kind::DeleteObject, Actor::System);
        let committed = index.commit(delete(&bucket, "k", index.ticket().unwrap()), event).await.unwrap();
        let leaf = index.ledger_entries(committed.ledger, 1).await.unwrap().remove(0);
        let leaf: serde_json::Value = serde_json::from_slice(&leaf).unwrap();
        assert_eq!((leaf["size"].as_u64(), leaf["record"].as_str().map(str::to_owned)), (size, entry));
    }
}
