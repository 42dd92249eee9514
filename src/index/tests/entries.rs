//! Ledger entries by what they are about.

use super::*;
use crate::{audit::Class, clock::Clock};

/// All entries of a question, page by page, in both directions: they are the same.
async fn seqs(index: &Index, query: EntriesQuery) -> Vec<u64> {
    let size = index.ledger_head().size;
    let found = paged(index, query.clone()).await;
    for before in [size, u64::MAX, size / 2] {
        let mut back = paged(index, EntriesQuery { before: Some(before), ..query.clone() }).await;
        back.reverse();
        let below: Vec<u64> = found.iter().copied().filter(|seq| *seq < before).collect();
        assert_eq!(back, below, "{query:?} before {before}");
    }
    found
}

async fn paged(index: &Index, query: EntriesQuery) -> Vec<u64> {
    let (mut found, mut query) = (Vec::new(), EntriesQuery { limit: 2, ..query });
    loop {
        let page = index.ledger_search(query.clone()).await.unwrap();
        assert!(page.leaves.len() <= 2);
        found.extend(page.leaves.iter().map(|leaf| audit::entry::sequence(leaf).unwrap()));
        match page.next {
            Some(next) if query.before.is_some() => query.before = Some(next),
            Some(next) => query.from = next,
            None => return found,
        }
    }
}

fn about(index: &Index, kind: Kind, at: &str, subject: &str) -> Event {
    let names = index.pseudonyms();
    let bucket = BucketName::new("bucket").unwrap();
    Event {
        bucket: Some(names.bucket(&bucket)),
        key: Some(names.key(&bucket, &key(at))),
        subject: Some(names.subject(&SubjectId::new(subject).unwrap())),
        ..Event::new(kind, Actor::System)
    }
}

/// All answers to some questions.
async fn answers(index: &Index) -> Vec<Vec<u64>> {
    let of_key = |at: &str| Some((BucketName::new("bucket").unwrap(), key(at)));
    let ayesha = Some(SubjectId::new("ayesha").unwrap());
    let owners = || vec![SubjectId::new("ayesha").unwrap(), SubjectId::new("bilal").unwrap()];
    let queries = [
        EntriesQuery { key: of_key("a"), owners: owners(), ..EntriesQuery::default() },
        EntriesQuery { subject: ayesha.clone(), ..EntriesQuery::default() },
        EntriesQuery { key: of_key("a"), subject: ayesha, ..EntriesQuery::default() },
        EntriesQuery { class: Some(Class::Refusals), ..EntriesQuery::default() },
        EntriesQuery { class: Some(Class::Removals), key: of_key("b"), owners: owners(), ..EntriesQuery::default() },
        EntriesQuery { kind: Some("put-object".to_owned()), ..EntriesQuery::default() },
        EntriesQuery { key: of_key("never"), ..EntriesQuery::default() },
        EntriesQuery::default(),
    ];
    let mut answers = Vec::new();
    for query in queries {
        answers.push(seqs(index, query).await);
    }
    answers
}

#[tokio::test]
async fn entries_are_found_by_what_they_say_also_where_an_older_program_wrote_them() {
    let engine: Arc<dyn Engine> = Arc::new(MemoryEngine::new());
    let (index, bucket) = prepared(Arc::clone(&engine)).await;
    let base = index.ledger_head().size;
    let note = async |event: Event| index.commit(Change::Note, event).await.unwrap();
    note(about(&index, Kind::PutObject, "a", "ayesha")).await;
    note(about(&index, Kind::PutObject, "b", "bilal")).await;
    note(about(&index, Kind::PutObject, "a", "bilal").refused("ResidencyConflict")).await;
    note(about(&index, Kind::DeleteObject, "b", "ayesha")).await;
    index
        .commit(put(&bucket, "k", record(&index, 3, SITES[0], "s")), about(&index, Kind::PutObject, "a", "ayesha"))
        .await
        .unwrap();
    let at = |seqs: &[u64]| seqs.iter().map(|seq| base + seq).collect::<Vec<_>>();
    let leaves = index.ledger_entries(0, usize::MAX).await.unwrap();
    let is_put = |leaf: &Vec<u8>| String::from_utf8_lossy(leaf).contains("\"kind\":\"put-object\"");
    let puts: Vec<u64> = (0..).zip(&leaves).filter(|(_, leaf)| is_put(leaf)).map(|(seq, _)| seq).collect();
    assert!(puts.ends_with(&at(&[0, 1, 2, 4])));
    let expected =
        vec![at(&[0, 2, 4]), at(&[0, 3, 4]), at(&[0, 4]), at(&[2]), at(&[3]), puts, Vec::new(), (0..base + 5).collect()];
    assert_eq!(answers(&index).await, expected);

    // As an older program leaves it: entries without facets, a head that says nothing of them, counters of fewer sorts.
    let (head, counters) = (index.ledger_head(), index.summary());
    drop(index);
    let mut older = engine::Batch::default();
    let mut all = |row: &[u8], _: &[u8]| {
        older.delete(row);
        std::ops::ControlFlow::Continue(())
    };
    for kind in [keys::kind::FACET, keys::kind::COUNTER] {
        engine.scan(std::ops::Bound::Included(&[kind]), std::ops::Bound::Excluded(&[kind + 1]), &mut all).unwrap();
    }
    let mut frontier = audit::Frontier::default();
    for leaf in ledger::entries(engine.as_ref(), 0, usize::MAX).unwrap() {
        frontier.push(&leaf);
    }
    older.put(keys::LEDGER_HEAD, ledger::head_row(head, &frontier, index_keys().ledger_key.expose(), 0).unwrap());
    engine.apply(older).unwrap();
    let index = open(engine);
    assert_eq!(answers(&index).await, expected);
    assert_eq!((index.ledger_head(), index.summary()), (head, counters));
}

#[tokio::test]
async fn a_page_goes_on_where_it_ended_whatever_was_appended() {
    let (index, _) = prepared(Arc::new(MemoryEngine::new())).await;
    let names = ["a", "b"];
    for n in 0..6 {
        index.commit(Change::Note, about(&index, Kind::PutObject, names[n % 2], "ayesha")).await.unwrap();
    }
    let key = Some((BucketName::new("bucket").unwrap(), key("a")));
    let owners = vec![SubjectId::new("ayesha").unwrap()];
    let query = EntriesQuery { key, owners, limit: 1, ..EntriesQuery::default() };
    let (mut from, mut found) = (0, 0);
    for round in 0..5 {
        let page = index.ledger_search(EntriesQuery { from, ..query.clone() }).await.unwrap();
        found += page.leaves.len();
        assert_eq!(page.leaves.len(), 1, "{round}");
        index.commit(Change::Note, about(&index, Kind::PutObject, "a", "ayesha")).await.unwrap();
        from = page.next.unwrap_or_else(|| index.ledger_head().size - 1);
    }
    assert_eq!(found, 5);
}

#[tokio::test]
async fn entries_are_found_by_their_time() {
    let clock = Arc::new(ManualClock::new(Timestamp::from_seconds(1_000_000)));
    let index = Index::open(Arc::new(MemoryEngine::new()), index_keys(), Arc::clone(&clock) as _).unwrap();
    let mut times = Vec::new();
    for hour in 0..200_i64 {
        // A clock that is put back now and then.
        let time = Timestamp::from_seconds(1_000_000 + hour * 3600 - if hour % 7 == 0 { 1800 } else { 0 });
        clock.advance(time.millis() - clock.now().millis());
        times.push(time);
        index.commit(Change::Note, event()).await.unwrap();
    }
    for (since, until) in [(0, 200), (50, 60), (49, 49), (199, 300), (300, 400)] {
        let at = |hour: i64| Timestamp::from_seconds(1_000_000 + hour * 3600);
        let (since, until) = (at(since), at(until));
        let expected: Vec<u64> =
            (0..).zip(&times).filter(|(_, time)| (since..until).contains(*time)).map(|(seq, _)| seq).collect();
        let query = EntriesQuery { since: Some(since), until: Some(until), ..EntriesQuery::default() };
        assert_eq!(seqs(&index, query).await, expected);
    }
}

#[tokio::test]
async fn no_clock_hides_what_names_a_key_or_somebody() {
    let clock = Arc::new(ManualClock::new(Timestamp::from_seconds(1_000_000)));
    let index = Index::open(Arc::new(MemoryEngine::new()), index_keys(), Arc::clone(&clock) as _).unwrap();
    let day = 86_400_000;
    // For one entry it is tomorrow, for one it was yesterday.
    for off in [0, day, 0, -day, 0] {
        clock.advance(off);
        index.commit(Change::Note, about(&index, Kind::PutObject, "a", "ayesha")).await.unwrap();
        clock.advance(1000 - off);
    }
    let (since, until) = (Some(Timestamp::from_seconds(1_000_000)), Some(Timestamp::from_seconds(1_000_010)));
    let ayesha = SubjectId::new("ayesha").unwrap();
    let of_key = Some((BucketName::new("bucket").unwrap(), key("a")));
    let query = EntriesQuery { key: of_key, owners: vec![ayesha.clone()], since, until, ..EntriesQuery::default() };
    assert_eq!(seqs(&index, query).await, [0, 2, 4]);
    assert_eq!(seqs(&index, EntriesQuery { subject: Some(ayesha), since, until, ..EntriesQuery::default() }).await, [0, 2, 4]);
}
