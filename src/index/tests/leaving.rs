//! What the country that a row leaves is told: that it is gone, and nothing of what became of it.

use std::time::Duration;

use super::{
    journal::{home, retell, rows},
    *,
};
use crate::index::journal::Group as Told;

pub(super) fn abroad() -> Country {
    "SG".parse().unwrap()
}

pub(super) fn begin(index: &Index) {
    index.begin_journal(home(), &[home(), abroad()].into()).unwrap();
}

/// What waits for a country, as its site then holds it.
pub(super) async fn told(index: &Index, country: Country) -> Vec<Told> {
    tokio::time::timeout(Duration::from_secs(9), index.journal_due(country, Duration::ZERO)).await.expect("something is told");
    let taken = index.journal_next(country).await.unwrap();
    index.journal_written(country, &taken.groups.iter().map(|group| group.number).collect::<Vec<_>>());
    taken.groups
}

pub(super) fn rebuilt(chains: &[&[Told]]) -> Index {
    let engine: Arc<dyn Engine> = Arc::new(MemoryEngine::new());
    let mut replay = Replay::begin(Arc::clone(&engine), index_keys()).unwrap();
    chains.iter().copied().flatten().for_each(|group| replay.take(group).unwrap());
    replay.finish(Timestamp::from_seconds(9), &BTreeSet::new()).unwrap();
    Replay::forget(engine.as_ref()).unwrap();
    open(engine)
}

pub(super) fn of_country(mut record: Record, country: Country) -> Record {
    for copy in &mut record.detail.copies {
        copy.country = country;
    }
    record
}

pub(super) fn says(text: &str, groups: &[Told]) -> bool {
    let bodies = groups
        .iter()
        .flat_map(|group| &group.facts)
        .flat_map(|fact| [Some(&fact.row[..]), fact.body.as_deref().map(|body| &body[..])]);
    bodies.flatten().any(|bytes| bytes.windows(text.len()).any(|window| window == text.as_bytes()))
}

/// A record abroad, and the change that takes it home: overwritten, or moved.
pub(super) async fn leaves(index: &Index, bucket: &Bucket, moved: bool) {
    let old = of_country(record(index, 1, SITES[0], "ayesha"), abroad());
    index.commit(put(bucket, "a", old.clone()), event()).await.unwrap();
    if moved {
        let change = moving(bucket, "a", &of_country(old.clone(), home()), SITES[1]);
        let change = RelocateChange { before: old.detail.copies, ..change };
        index.commit(Change::Relocate(Box::new(change)), event()).await.unwrap();
    } else {
        index.commit(put(bucket, "a", record(index, 2, SITES[1], "bilal")), event()).await.unwrap();
    }
}

#[tokio::test]
async fn a_rebuild_without_the_country_that_a_record_came_to_does_not_bring_back_what_it_was() {
    for moved in [false, true] {
        let (index, bucket) = prepared(Arc::new(MemoryEngine::new())).await;
        begin(&index);
        retell(&index).await;
        leaves(&index, &bucket, moved).await;
        let (at_home, left) = (told(&index, home()).await, told(&index, abroad()).await);
        let alone = rebuilt(&[&left]);
        assert_eq!(list_all(&alone, &bucket, "", None, 10).await, [], "moved: {moved}");
        for chains in [[&at_home[..], &left], [&left, &at_home]] {
            let whole = rebuilt(&chains);
            assert_eq!(list_all(&whole, &bucket, "", None, 10).await, list_all(&index, &bucket, "", None, 10).await);
            assert_eq!(rows(&whole), rows(&index));
        }
    }
}

#[tokio::test]
async fn what_waits_for_a_country_when_a_process_ends_is_not_told_of_a_row_that_has_left_it() {
    let engine: Arc<dyn Engine> = Arc::new(MemoryEngine::new());
    {
        let (index, bucket) = prepared(Arc::clone(&engine)).await;
        begin(&index);
        leaves(&index, &bucket, false).await;
    }
    let index = open(engine);
    begin(&index);
    let left = told(&index, abroad()).await;
    assert!(!says("bilal", &left), "the record that is at home now");
    assert!(!says("ayesha", &left), "the one that is not there any more");
    assert!(says("bilal", &told(&index, home()).await));
}

#[tokio::test]
async fn a_subject_that_moves_leaves_the_country_that_it_moves_from() {
    let (index, _) = prepared(Arc::new(MemoryEngine::new())).await;
    begin(&index);
    let ayesha = SubjectId::new("ayesha").unwrap();
    let lives_in = |country: &str| Attributes::from([("residence".parse().unwrap(), country.to_owned())]);
    for country in ["SG", "PK"] {
        let change = SubjectChange::now(ayesha.clone(), Some(lives_in(country)));
        index.commit(Change::Subject(Box::new(change)), event()).await.unwrap();
    }
    let (at_home, left) = (told(&index, home()).await, told(&index, abroad()).await);
    assert!(rebuilt(&[&left]).lookup(&ayesha).unwrap().is_none());
    let known = rebuilt(&[&left, &at_home]).lookup(&ayesha).unwrap().unwrap();
    assert_eq!(known, index.lookup(&ayesha).unwrap().unwrap());
}

#[tokio::test]
async fn a_subject_of_a_country_without_a_chain_is_told_of_at_home() {
    let (index, _) = prepared(Arc::new(MemoryEngine::new())).await;
    begin(&index);
    let amelie = SubjectId::new("amelie").unwrap();
    let attributes = Attributes::from([("residence".parse().unwrap(), "FR".to_owned())]);
    let change = SubjectChange::now(amelie.clone(), Some(attributes));
    index.commit(Change::Subject(Box::new(change)), event()).await.unwrap();
    assert_eq!(index.journal_countries(), [home(), abroad()].into(), "no chain that nobody writes");
    assert!(rebuilt(&[&told(&index, home()).await]).lookup(&amelie).unwrap().is_some());
    assert!(!says("amelie", &told(&index, abroad()).await));
}

#[tokio::test]
async fn what_waits_is_told_to_the_chain_of_a_site_that_is_new_at_the_next_start() {
    let engine: Arc<dyn Engine> = Arc::new(MemoryEngine::new());
    let amelie = SubjectId::new("amelie").unwrap();
    let france: Country = "FR".parse().unwrap();
    {
        let (index, _) = prepared(Arc::clone(&engine)).await;
        begin(&index);
        let attributes = Attributes::from([("residence".parse().unwrap(), "FR".to_owned())]);
        let change = SubjectChange::now(amelie.clone(), Some(attributes));
        index.commit(Change::Subject(Box::new(change)), event()).await.unwrap();
    }
    let index = open(engine);
    index.begin_journal(home(), &[home(), france].into()).unwrap();
    assert!(rebuilt(&[&told(&index, france).await]).lookup(&amelie).unwrap().is_some());
    assert!(!says("amelie", &told(&index, home()).await), "her country has a chain now");
}
