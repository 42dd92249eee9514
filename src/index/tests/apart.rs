//! Chains that are apart: one country's holds what another's does not yet, or has no site any more.

use std::time::Duration;

use super::{
    journal::{home, retell},
    leaving::{abroad, begin, leaves, of_country, rebuilt, says, told},
    *,
};
use crate::{
    bucket::{Setting, Versioning},
    index::journal::{Base, Group},
};

const KEY: &str = "users/ayesha/passport";

/// Commits while these countries' chains are written; what they were told.
async fn committed(index: &Index, change: Change, written: &[Country]) -> (Result<Committed, CommitError>, Vec<Group>) {
    let mut done = std::pin::pin!(index.commit(change, event()));
    let mut groups = Vec::new();
    loop {
        for country in written {
            let taken = index.journal_next(*country).await.unwrap().groups;
            index.journal_written(*country, &taken.iter().map(|group| group.number).collect::<Vec<_>>());
            groups.extend(taken);
        }
        if let Ok(done) = tokio::time::timeout(Duration::from_millis(5), &mut done).await {
            return (done, groups);
        }
    }
}

/// A version that lives abroad, which both chains hold.
async fn with_a_version_abroad() -> (Index, Arc<Bucket>, Record, [Vec<Group>; 2]) {
    let (index, bucket) = prepared(Arc::new(MemoryEngine::new())).await;
    begin(&index);
    retell(&index).await;
    let setting = Box::new(Setting::Versioning(Versioning::Enabled));
    let change = Change::SetBucket { name: bucket.name.clone(), id: bucket.id, setting };
    committed(&index, change, &[home(), abroad()]).await.0.unwrap();
    let mut old = of_country(record(&index, 1, SITES[0], "ayesha"), abroad());
    old.summary.version = VersionId::new(old.summary.ticket, [1; 8]);
    index.commit(put(&bucket, KEY, old.clone()), event()).await.unwrap();
    retell(&index).await;
    let chains = [told(&index, home()).await, told(&index, abroad()).await];
    (index, bucket, old, chains)
}

#[tokio::test]
async fn no_delete_marker_of_a_key_that_lives_abroad_is_told_at_home() {
    let (index, bucket, _, [at_home, _]) = with_a_version_abroad().await;
    assert!(!says(KEY, &at_home));
    for _ in 0..3 {
        let change = delete(&bucket, KEY, index.ticket().unwrap());
        let (done, there) = committed(&index, change, &[abroad()]).await;
        done.unwrap();
        assert!(says(KEY, &there));
        assert!(!says(KEY, &told(&index, home()).await));
    }
    retell(&index).await;
    assert!(!says(KEY, &told(&index, home()).await));
}

#[tokio::test]
async fn a_version_is_not_lost_between_its_rows_when_its_country_has_not_heard_of_the_other_one() {
    let (index, bucket, old, [at_home, there]) = with_a_version_abroad().await;
    let change = delete(&bucket, KEY, index.ticket().unwrap());
    let (done, late) = committed(&index, change, &[abroad()]).await;
    done.unwrap();
    let more = told(&index, home()).await;
    let without = rebuilt(&[&at_home, &there, &more]);
    assert_eq!(without.inner.record(bucket.id, KEY).unwrap().unwrap().summary.id, old.summary.id, "as it was");
    let with = rebuilt(&[&at_home, &there, &more, &late]);
    assert!(with.inner.record(bucket.id, KEY).unwrap().is_none());
    assert!(with.version(&bucket, &key(KEY), old.summary.version).unwrap().is_some());
}

#[tokio::test]
async fn who_waits_for_the_journal_waits_for_the_country_that_is_told_of_it() {
    let (index, bucket, _, _) = with_a_version_abroad().await;
    let change = delete(&bucket, KEY, index.ticket().unwrap());
    let alone = tokio::time::timeout(Duration::from_millis(300), committed(&index, change, &[home()])).await;
    assert!(alone.is_err(), "home knows nothing of it");
    let change = delete(&bucket, KEY, index.ticket().unwrap());
    committed(&index, change, &[abroad()]).await.0.unwrap();

    // That something is gone is told everywhere: one country is enough.
    let (index, bucket) = prepared(Arc::new(MemoryEngine::new())).await;
    begin(&index);
    index.commit(put(&bucket, KEY, of_country(record(&index, 1, SITES[0], "ayesha"), abroad())), event()).await.unwrap();
    let change = delete(&bucket, KEY, index.ticket().unwrap());
    committed(&index, change, &[home()]).await.0.unwrap();
}

#[tokio::test]
async fn what_moved_is_looked_for_where_it_came_to_when_that_country_does_not_know_it_yet() {
    let (index, bucket) = prepared(Arc::new(MemoryEngine::new())).await;
    begin(&index);
    retell(&index).await;
    told(&index, home()).await;
    leaves(&index, &bucket, true).await;
    let moved = index.inner.record(bucket.id, "a").unwrap().unwrap().summary.id;
    let left = told(&index, abroad()).await;
    let engine: Arc<dyn Engine> = Arc::new(MemoryEngine::new());
    let mut replay = Replay::begin(Arc::clone(&engine), index_keys()).unwrap();
    replay.remember(b"order").unwrap();
    left.iter().for_each(|group| replay.take(group).unwrap());
    replay.end_piece("piece", Vec::new()).unwrap();
    // One that goes on later knows it, too.
    drop(replay);
    let (replay, _) = Replay::resume(Arc::clone(&engine), index_keys()).unwrap().unwrap();
    let replayed = replay.finish(Timestamp::from_seconds(9), &[home(), abroad()].into()).unwrap();
    let number = left.last().unwrap().number;
    assert_eq!(replayed.departed, BTreeMap::from([(moved, (number, [home()].into()))]));
    Replay::forget(engine.as_ref()).unwrap();
    assert!(open(engine).inner.record(bucket.id, "a").unwrap().is_none());
}

#[tokio::test]
async fn a_moved_version_that_waits_for_its_country_is_not_told_to_be_gone_elsewhere_after_a_start() {
    let engine: Arc<dyn Engine> = Arc::new(MemoryEngine::new());
    let (at_home, there) = {
        let (index, bucket) = prepared(Arc::clone(&engine)).await;
        begin(&index);
        let setting = Box::new(Setting::Versioning(Versioning::Enabled));
        let change = Change::SetBucket { name: bucket.name.clone(), id: bucket.id, setting };
        committed(&index, change, &[home(), abroad()]).await.0.unwrap();
        let mut old = of_country(record(&index, 1, SITES[0], "ayesha"), abroad());
        old.summary.version = VersionId::new(old.summary.ticket, [1; 8]);
        index.commit(put(&bucket, KEY, old), event()).await.unwrap();
        retell(&index).await;
        let chains = (told(&index, home()).await, told(&index, abroad()).await);
        let change = delete(&bucket, KEY, index.ticket().unwrap());
        let waits = tokio::time::timeout(Duration::from_millis(100), index.commit(change, event())).await;
        assert!(waits.is_err());
        chains
    };
    let index = open(engine);
    begin(&index);
    let more = told(&index, home()).await;
    let bucket = index.bucket(&BucketName::new("bucket").unwrap()).unwrap().unwrap();
    assert!(rebuilt(&[&at_home, &there, &more]).inner.record(bucket.id, KEY).unwrap().is_some());
}

#[tokio::test]
async fn rows_of_a_country_that_has_no_site_any_more_are_told_to_nobody() {
    let engine: Arc<dyn Engine> = Arc::new(MemoryEngine::new());
    {
        let (index, bucket) = prepared(Arc::clone(&engine)).await;
        begin(&index);
        index.commit(put(&bucket, KEY, of_country(record(&index, 1, SITES[0], "ayesha"), abroad())), event()).await.unwrap();
    }
    let index = open(engine);
    index.begin_journal(home(), &[home()].into()).unwrap();
    assert!(!says(KEY, &told(&index, home()).await), "what waited");
    retell(&index).await;
    assert!(!says(KEY, &told(&index, home()).await), "what is told again");
}

#[tokio::test]
async fn a_journal_is_begun_anew_when_the_countries_are_others_and_kept_while_one_is_away() {
    let engine: Arc<dyn Engine> = Arc::new(MemoryEngine::new());
    let base = Base::new(5, 100);
    {
        let (index, _) = prepared(Arc::clone(&engine)).await;
        begin(&index);
        index.keep_base(base.clone()).await.unwrap();
        let kept = index.base().unwrap().unwrap();
        assert!(index.is_told_since(&kept) && index.countries_away_since(&kept).is_empty());
        assert!(!index.is_told_since(&base), "one that does not say whom it told");
    }
    for (at, countries, told, away) in [
        (home(), vec![home(), abroad()], true, vec![]),
        (abroad(), vec![home(), abroad()], false, vec![]),
        (home(), vec![home(), abroad(), "FR".parse().unwrap()], false, vec![]),
        (home(), vec![home()], true, vec![abroad()]),
    ] {
        let index = open(Arc::clone(&engine));
        index.begin_journal(at, &countries.into_iter().collect()).unwrap();
        let kept = index.base().unwrap().unwrap();
        assert_eq!(index.is_told_since(&kept), told);
        assert_eq!(index.countries_away_since(&kept), away.into_iter().collect());
    }
    // Once it is back, it is told what it missed.
    let index = open(Arc::clone(&engine));
    index.begin_journal(home(), &[home()].into()).unwrap();
    index.keep_who_is_away().await.unwrap();
    drop(index);
    let index = open(engine);
    begin(&index);
    let kept = index.base().unwrap().unwrap();
    assert!(!index.is_told_since(&kept) && index.countries_away_since(&kept).is_empty());
    index.keep_base(base).await.unwrap();
    assert!(index.is_told_since(&index.base().unwrap().unwrap()));
}
