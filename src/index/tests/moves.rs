//! What a switch to other copies is held against, and what it leaves.

use super::*;

async fn at(index: &Index, site: &str) -> usize {
    let query = RecordsQuery { site: Some(SiteId::new(site).unwrap()), limit: 10, ..RecordsQuery::default() };
    index.search(query).await.unwrap().records.len()
}

async fn refused(index: &Index, change: RelocateChange) -> CommitError {
    index.commit(Change::Relocate(Box::new(change)), event()).await.unwrap_err()
}

#[tokio::test]
async fn a_move_switches_rows_and_counters_and_leaves_garbage() {
    let (index, bucket) = prepared(Arc::new(MemoryEngine::new())).await;
    let record = record(&index, 7, SITES[0], "s");
    index.commit(put(&bucket, "k", record.clone()), event()).await.unwrap();
    index.commit(Change::Relocate(Box::new(moving(&bucket, "k", &record, SITES[1]))), event()).await.unwrap();
    let now = index.current(&bucket, &key("k")).unwrap().unwrap();
    assert_eq!((now.summary.clone(), now.detail.moves), (record.summary.clone(), 1));
    assert_eq!((at(&index, SITES[0]).await, at(&index, SITES[1]).await), (0, 1));
    let garbage = index.garbage(Timestamp::from_millis(i64::MAX), None, 9).await.unwrap();
    let [(_, garbage)] = garbage.as_slice() else { panic!("{garbage:?}") };
    assert_eq!(garbage.why, GarbageReason::Relocated);
    let left: BTreeSet<_> = index.garbage_blobs(garbage).await.unwrap().unwrap().into_iter().collect();
    assert_eq!(left, record.blobs(&[]).collect());
    assert!(now.blobs(&[]).all(|blob| left.iter().all(|old| old.name != blob.name)), "even at the same site");
    check_whole(&index).await;
}

#[tokio::test]
async fn a_record_knows_the_entries_that_placed_it_and_its_copies() {
    let (index, bucket) = prepared(Arc::new(MemoryEngine::new())).await;
    let record = record(&index, 7, SITES[0], "s");
    let told = || {
        let detail = index.current(&bucket, &key("k")).unwrap().unwrap().detail;
        (detail.entry, detail.copies.iter().map(|copy| copy.entry).collect::<Vec<_>>())
    };
    let placed = index.commit(put(&bucket, "k", record.clone()), event()).await.unwrap().ledger;
    assert_eq!(told(), (Some(placed), vec![Some(placed)]));
    let update = RecordUpdate::Tags(vec![("a".to_owned(), "b".to_owned())]);
    let (id, ticket) = (record.summary.id, record.summary.ticket);
    let tags = UpdateChange { bucket: bucket.id, key: key("k"), record: id, ticket, update, basis: None };
    index.commit(Change::Update(Box::new(tags)), event()).await.unwrap();
    assert_eq!(told(), (Some(placed), vec![Some(placed)]), "its place is as it was");
    let moved = index.commit(Change::Relocate(Box::new(moving(&bucket, "k", &record, SITES[1]))), event()).await.unwrap().ledger;
    assert_eq!(told(), (Some(moved), vec![Some(moved)]));
    // One that stays keeps its entry, whatever the change says of it.
    let now = index.current(&bucket, &key("k")).unwrap().unwrap();
    let mut stays = moving(&bucket, "k", &now, SITES[1]);
    stays.after = now.detail.copies.iter().map(|copy| CopyRow { entry: Some(0), ..copy.clone() }).collect();
    let again = index.commit(Change::Relocate(Box::new(stays)), event()).await.unwrap().ledger;
    assert_eq!(told(), (Some(again), vec![Some(moved)]));
    check_whole(&index).await;
}

#[tokio::test]
async fn a_move_is_refused_when_anything_has_changed_since() {
    let (index, bucket) = prepared(Arc::new(MemoryEngine::new())).await;
    let record = record(&index, 7, SITES[0], "s");
    index.commit(put(&bucket, "k", record.clone()), event()).await.unwrap();
    let change = || moving(&bucket, "k", &record, SITES[1]);
    let unproven = RelocateChange { receipts: Vec::new(), ..change() };
    assert!(matches!(refused(&index, unproven).await, CommitError::NotStored { .. }));
    let outside = RelocateChange { placement: record.detail.placement.clone(), ..change() };
    assert!(matches!(refused(&index, outside).await, CommitError::NotStored { .. }));
    let nowhere = RelocateChange { after: Vec::new(), ..change() };
    assert!(matches!(refused(&index, nowhere).await, CommitError::NotStored { .. }));
    let old_policy = Basis { policy: PolicyRevision::from_bytes([8; 32]), ..basis() };
    let stale = RelocateChange { basis: old_policy, ..change() };
    assert!(matches!(refused(&index, stale).await, CommitError::Stale(Stale::Policy)));
    let of_yesterday = Basis { until: Some(Timestamp::from_millis(0)), ..basis() };
    let stale = RelocateChange { basis: of_yesterday, ..change() };
    assert!(matches!(refused(&index, stale).await, CommitError::Stale(Stale::Policy)));
    let mut stranger = change();
    stranger.placement.subject = Some(SubjectId::new("other").unwrap());
    assert!(matches!(refused(&index, stranger).await, CommitError::Conflict));

    let twice = change();
    index.commit(Change::Relocate(Box::new(change())), event()).await.unwrap();
    assert!(matches!(refused(&index, twice).await, CommitError::Conflict), "it has other copies by now");
    let newer = super::record(&index, 8, SITES[0], "s");
    index.commit(put(&bucket, "k", newer), event()).await.unwrap();
    assert!(matches!(refused(&index, change()).await, CommitError::NoSuchKey), "a write wins");
    check_whole(&index).await;
}

#[tokio::test]
async fn the_part_table_stays_with_the_record_and_goes_with_it() {
    let (index, bucket) = prepared(Arc::new(MemoryEngine::new())).await;
    multipart(&index, &bucket, "k", 6, true).await.unwrap();
    let record = index.current(&bucket, &key("k")).unwrap().unwrap();
    let Layout::Parts { table, .. } = record.detail.layout else { panic!("{record:?}") };
    let parts = index.parts_of(table).unwrap();
    index.commit(Change::Relocate(Box::new(moving(&bucket, "k", &record, SITES[1]))), event()).await.unwrap();
    let collect = async || {
        for (row, garbage) in index.garbage(Timestamp::from_millis(i64::MAX), None, 99).await.unwrap() {
            index.garbage_blobs(&garbage).await.unwrap().unwrap();
            index.commit(Change::Collected { garbage: vec![row] }, event()).await.unwrap();
        }
    };
    collect().await;
    assert_eq!(index.parts_of(table).unwrap(), parts, "what it left is collected, and the record still reads");
    index.commit(delete(&bucket, "k", index.ticket().unwrap()), event()).await.unwrap();
    collect().await;
    let tables = index.inner.rows::<Vec<PartEntry>>(&[keys::kind::PART_TABLE], 9).unwrap();
    assert!(tables.is_empty(), "neither its own table nor that of what it left");
    check_whole(&index).await;
}
