//! What a commit checks, and what is left when it is refused or fails.

use super::*;
use crate::access::{CannedAcl, ObjectOwnership, PublicAccessBlock};
use crate::bucket::{Setting, Versioning};

#[tokio::test]
async fn conditions_order_and_receipts_are_checked() {
    let (index, bucket) = prepared(Arc::new(MemoryEngine::new())).await;
    let early = record(&index, 1, SITES[0], "s");
    let late = record(&index, 2, SITES[0], "s");
    let id = late.summary.id;
    let mut unproven = put_change(&bucket, "k", late.clone(), WriteCondition::None);
    unproven.receipts.clear();
    assert!(matches!(index.commit(Change::Put(Box::new(unproven)), event()).await, Err(CommitError::NotStored { .. })));
    let absent = put_change(&bucket, "k", late.clone(), WriteCondition::IfMatch(vec![]));
    assert!(matches!(index.commit(Change::Put(Box::new(absent)), event()).await, Err(CommitError::NoSuchKey)));
    let first = put_change(&bucket, "k", late, WriteCondition::IfAbsent);
    index.commit(Change::Put(Box::new(first)), event()).await.unwrap();
    let entries = index.ledger_head().size;
    let again = put_change(&bucket, "k", record(&index, 3, SITES[0], "s"), WriteCondition::IfAbsent);
    let mut recorded = event();
    recorded.record_refusal = true;
    assert!(matches!(index.commit(Change::Put(Box::new(again)), recorded).await, Err(CommitError::PreconditionFailed)));
    assert_eq!(index.ledger_head().size, entries + 1, "the refusal is in the ledger");
    let delete_early = delete(&bucket, "k", early.summary.ticket);
    assert!(index.commit(delete_early, event()).await.unwrap().superseded);
    assert!(index.commit(put(&bucket, "k", early), event()).await.unwrap().superseded);
    assert_eq!(index.current(&bucket, &key("k")).unwrap().unwrap().summary.id, id);
    let full = Change::DeleteBucket { name: bucket.name.clone(), id: bucket.id };
    assert!(matches!(index.commit(full, event()).await, Err(CommitError::BucketNotEmpty)));
    check_whole(&index).await;
}

#[tokio::test]
async fn an_acl_is_held_against_the_bucket_as_it_is_at_the_commit() {
    let (index, bucket) = prepared(Arc::new(MemoryEngine::new())).await;
    let public = CannedAcl::PublicRead.for_object(&bucket.owner, &bucket.owner);
    let mut open = record(&index, 1, SITES[0], "s");
    open.detail.acl = Some(public.clone());
    let (id, ticket) = (open.summary.id, open.summary.ticket);
    index.commit(put(&bucket, "k", open.clone()), event()).await.unwrap();
    let publish = || {
        let update = RecordUpdate::Acl(public.clone());
        Change::Update(Box::new(UpdateChange { bucket: bucket.id, key: key("k"), record: id, ticket, update, basis: None }))
    };
    index.commit(publish(), event()).await.unwrap();
    for (setting, code) in [
        (Setting::PublicAccess(Some(PublicAccessBlock::ALL)), "AccessDenied"),
        (Setting::Ownership(Some(ObjectOwnership::BucketOwnerEnforced)), "AccessControlListNotSupported"),
    ] {
        let close = Change::SetBucket { name: bucket.name.clone(), id: bucket.id, setting: Box::new(setting) };
        index.commit(close, event()).await.unwrap();
        let late = Record { summary: record(&index, 2, SITES[0], "s").summary, ..open.clone() };
        for change in [publish(), put(&bucket, "other", late)] {
            match index.commit(change, event()).await {
                Err(CommitError::Setting(refused)) => assert_eq!(refused.code(), code),
                other => panic!("{other:?}"),
            }
        }
    }
}

#[tokio::test]
async fn what_an_attempt_leaves_is_garbage_unless_it_committed() {
    let (index, bucket) = prepared(Arc::new(MemoryEngine::new())).await;
    for commits in [true, false] {
        let record = record(&index, 1, SITES[0], "s");
        let attempt = record.detail.copies[0].manifest_attempt;
        let intent = Intent { record: record.summary.id, attempt, sites: Vec::new(), started: Timestamp::default() };
        let mut guard = index.intent(intent);
        guard.add(&SiteId::new(SITES[0]).unwrap(), *receipts(&record)[0].name());
        assert!(index.is_intended(record.summary.id, attempt));
        let pin = index.pin(record.summary.id);
        if commits {
            index.commit(put(&bucket, "k", record), event()).await.unwrap();
        }
        drop(guard);
        index.commit(Change::Note, event()).await.unwrap();
        let garbage = index.garbage(Timestamp::from_millis(i64::MAX), None, 9).await.unwrap();
        assert_eq!(garbage.len(), usize::from(!commits));
        if let Some((_, garbage)) = garbage.first() {
            assert_eq!(garbage.why, GarbageReason::Abandoned);
            assert!(index.garbage_blobs(garbage).await.unwrap().is_none(), "pinned");
            drop(pin);
            assert_eq!(index.garbage_blobs(garbage).await.unwrap().unwrap().len(), 1);
        }
    }
    let reserved = index.reserve(bucket.id, &key("k")).unwrap();
    assert_eq!(index.reserve(bucket.id, &key("k")).unwrap_err(), Busy);
    drop(reserved);
    assert!(index.reserve(bucket.id, &key("k")).is_ok());
}

#[tokio::test]
async fn nothing_is_acknowledged_after_a_failure_and_a_changed_head_does_not_open() {
    let engine = Arc::new(MemoryEngine::new());
    let (index, bucket) = prepared(engine.clone()).await;
    engine.fail_next_apply();
    let failed = index.commit(put(&bucket, "k", record(&index, 1, SITES[0], "s")), event()).await;
    assert!(matches!(failed, Err(CommitError::Fatal(_))));
    index.failed().await;
    assert!(!index.is_healthy());
    assert!(matches!(index.commit(Change::Note, event()).await, Err(CommitError::Fatal(_))));

    let engine = Arc::new(MemoryEngine::new());
    drop(prepared(engine.clone()).await);
    let stored = || StoredLedger::open(engine.as_ref()).unwrap();
    assert_eq!(stored().verify(&[], true).unwrap().unwrap().entries, 3);
    assert!(stored().is_of(index_keys().ledger_key.expose()) && !stored().is_of(b"another key"));
    let mut cut = engine::Batch::default();
    cut.delete(keys::ledger(2));
    engine.apply(cut).unwrap();
    assert_eq!(stored().verify(&[], true).unwrap().unwrap_err(), audit::Fault::at(2, audit::FaultKind::Truncated));
    let reopened = Index::open(engine, index_keys(), Arc::new(ManualClock::default()));
    assert!(matches!(reopened.err(), Some(IndexError::LedgerHead)));
}

#[tokio::test]
async fn a_delete_is_held_against_what_the_right_to_it_was_judged_by() {
    let (index, bucket) = prepared(Arc::new(MemoryEngine::default())).await;
    let at = key("k");
    let look = |version: Option<VersionId>| {
        let found = match version {
            Some(version) => index.version(&bucket, &at, version).unwrap(),
            None => index.latest(&bucket, &at).unwrap(),
        };
        Seen { version, found }
    };
    let judged = |version, seen: Seen| {
        let deletion = deletion(&bucket, "k", index.ticket().unwrap());
        Change::Delete(Box::new(DeleteChange { version, seen: vec![seen], ..deletion }))
    };
    for versioning in [None, Some(Versioning::Enabled), Some(Versioning::Suspended)] {
        if let Some(versioning) = versioning {
            let setting = Box::new(Setting::Versioning(versioning));
            index.commit(Change::SetBucket { name: bucket.name.clone(), id: bucket.id, setting }, event()).await.unwrap();
        }
        let absent = look(None);
        let mut stored = record(&index, 1, SITES[0], "s");
        if versioning == Some(Versioning::Enabled) {
            stored.summary.version = VersionId::new(stored.summary.ticket, [2; 8]);
        }
        let (id, ticket, version) = (stored.summary.id, stored.summary.ticket, stored.summary.version);
        index.commit(put(&bucket, "k", stored), event()).await.unwrap();
        let refused = index.commit(judged(None, absent), event()).await;
        assert!(matches!(refused, Err(CommitError::Conflict)), "a record came between: {versioning:?}");
        for only in [None, Some(version)] {
            let before = look(only);
            let update = RecordUpdate::Tags(vec![("team".to_owned(), format!("{only:?}"))]);
            let tags = UpdateChange { bucket: bucket.id, key: at.clone(), record: id, ticket, update, basis: None };
            index.commit(Change::Update(Box::new(tags)), event()).await.unwrap();
            let refused = index.commit(judged(only, before), event()).await;
            assert!(matches!(refused, Err(CommitError::Conflict)), "other tags came between: {versioning:?} {only:?}");
            assert_eq!(index.current(&bucket, &at).unwrap().unwrap().summary.id, id);
        }
        index.commit(judged(None, look(None)), event()).await.unwrap();
        assert!(index.current(&bucket, &at).unwrap().is_none());
        // A delete marker may be what was judged, too.
        index.commit(judged(None, look(None)), event()).await.unwrap();
    }
    check_whole(&index).await;
}

#[tokio::test]
async fn an_entry_that_no_bundle_can_hold_is_refused_with_its_change() {
    let (index, bucket) = prepared(Arc::new(MemoryEngine::new())).await;
    let before = index.ledger_head().size;
    let left = (0..3000).map(|number| SiteId::new(format!("site-{number:020}")).unwrap()).collect();
    let long = Event { left, ..event() };
    let refused = index.commit(put(&bucket, "k", record(&index, 1, SITES[0], "s")), long).await;
    assert!(matches!(refused, Err(CommitError::Fatal(IndexError::Encode(_)))), "{refused:?}");
    assert_eq!((index.ledger_head().size, index.current(&bucket, &key("k")).unwrap()), (before, None));
    // The log goes on, and is read as tiles.
    index.commit(put(&bucket, "k", record(&index, 2, SITES[0], "s")), event()).await.unwrap();
    let tile = audit::tile::Tile { level: audit::tile::Level::Entries, index: 0, width: before + 1 };
    assert!(index.tile(tile).await.unwrap().is_some());
    check_whole(&index).await;
}
