//! Finding records page by page.

use super::*;

#[tokio::test]
async fn a_cursor_goes_on_only_with_its_own_query() {
    let (index, bucket) = prepared(Arc::new(MemoryEngine::new())).await;
    for at in NAMES {
        index.commit(put(&bucket, at, record(&index, 1, SITES[0], "ayesha")), event()).await.unwrap();
    }
    let query = RecordsQuery { bucket: Some(bucket.name.clone()), limit: 1, ..RecordsQuery::default() };
    let with = |cursor: &str| RecordsQuery { cursor: Some(cursor.to_owned()), ..query.clone() };
    let cursor = index.search(query.clone()).await.unwrap().next.unwrap();
    let rest = index.search(RecordsQuery { limit: 100, ..with(&cursor) }).await.unwrap();
    assert_eq!((rest.records.len(), rest.next), (NAMES.len() - 1, None));

    let flipped = cursor.replacen(|digit| digit != '0', "0", 1);
    let others = RecordsQuery { bucket: None, ..with(&cursor) };
    let elsewhere = RecordsQuery { bucket: Some(BucketName::new("elsewhere").unwrap()), ..with(&cursor) };
    let damaged = ["", "forged", "00", &"00".repeat(40), &cursor[2..], &cursor[..cursor.len() - 2], &flipped].map(with);
    for query in damaged.into_iter().chain([others, elsewhere]) {
        let answer = index.search(query.clone()).await;
        assert!(matches!(answer, Err(IndexError::Cursor)), "{query:?}: {answer:?}");
    }
}

/// What happens between two pages.
#[derive(Debug, Clone)]
enum Meanwhile {
    Write(usize),
    Delete(usize),
    Move(usize, usize),
    Versioning(bool),
}

fn meanwhile() -> impl Strategy<Value = Vec<Meanwhile>> {
    let key = || 0..KEYS;
    let one = prop_oneof![
        2 => key().prop_map(Meanwhile::Write),
        1 => key().prop_map(Meanwhile::Delete),
        4 => (key(), 0..SITES.len()).prop_map(|(key, site)| Meanwhile::Move(key, site)),
        1 => any::<bool>().prop_map(Meanwhile::Versioning),
    ];
    prop::collection::vec(one, 0..5)
}

/// Keys that are there at the beginning; as many others come only later.
const KEYS: usize = 12;

async fn happen(index: &Index, bucket: &Bucket, what: &Meanwhile) {
    match what {
        Meanwhile::Write(key) => {
            let name = format!("k{:02}", key * 2);
            let new = record(index, 1, SITES[key % 2], "ayesha");
            index.commit(put(bucket, &name, new), event()).await.unwrap();
        }
        Meanwhile::Delete(key) => {
            let ticket = index.ticket().unwrap();
            index.commit(delete(bucket, &format!("k{key:02}"), ticket), event()).await.unwrap();
        }
        Meanwhile::Move(at, site) => {
            let name = format!("k{at:02}");
            let Some(now) = index.current(bucket, &key(&name)).unwrap() else { return };
            if now.detail.copies[0].site.as_str() != SITES[*site] {
                let change = Change::Relocate(Box::new(moving(bucket, &name, &now, SITES[*site])));
                index.commit(change, event()).await.unwrap();
            }
        }
        Meanwhile::Versioning(on) => {
            use crate::bucket::{Setting, Versioning};
            let versioning = if *on { Versioning::Enabled } else { Versioning::Suspended };
            let setting = Box::new(Setting::Versioning(versioning));
            let change = Change::SetBucket { name: bucket.name.clone(), id: bucket.id, setting };
            index.commit(change, event()).await.unwrap();
        }
    }
}

async fn all_there(index: &Index) -> BTreeSet<RecordId> {
    let mut ids = BTreeSet::new();
    let mut population = index.population(RecordsQuery::default()).await.unwrap();
    while let Some(page) = population.next().await.unwrap() {
        page.each(|found, _| ids.extend([found.record.summary.id])).unwrap();
    }
    ids
}

async fn pages_are_stable(limit: usize, which: usize, steps: Vec<Vec<Meanwhile>>) {
    let (index, bucket) = prepared(Arc::new(MemoryEngine::new())).await;
    for at in 0..KEYS {
        let new = record(&index, 1, SITES[at % 2], "ayesha");
        index.commit(put(&bucket, &format!("k{at:02}"), new), event()).await.unwrap();
    }
    let query = match which {
        0 => RecordsQuery { country: Some("PK".parse().unwrap()), ..RecordsQuery::default() },
        1 => RecordsQuery { subject: Some(SubjectId::new("ayesha").unwrap()), ..RecordsQuery::default() },
        2 => RecordsQuery { bucket: Some(bucket.name.clone()), prefix: Some("k".to_owned()), ..RecordsQuery::default() },
        _ => RecordsQuery { instrument: Some(InstrumentId::new("pk-cpoh-2020").unwrap()), ..RecordsQuery::default() },
    };
    let mut throughout = all_there(&index).await;
    let (mut seen, mut cursor, mut steps) = (Vec::new(), None, steps.into_iter());
    loop {
        let page = index.search(RecordsQuery { limit, cursor, ..query.clone() }).await.unwrap();
        assert!(page.records.len() <= limit);
        seen.extend(page.records.iter().map(|found| found.record.summary.id));
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
        for step in steps.next().unwrap_or_default() {
            happen(&index, &bucket, &step).await;
        }
        let there = all_there(&index).await;
        throughout.retain(|id| there.contains(id));
    }
    let distinct: BTreeSet<RecordId> = seen.iter().copied().collect();
    assert_eq!(distinct.len(), seen.len(), "nothing comes twice");
    assert!(throughout.is_subset(&distinct), "what was there throughout came");
    check_whole(&index).await;
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn pages_miss_nothing_and_repeat_nothing_under_writes(
        limit in 1..5usize, which in 0..4usize, steps in prop::collection::vec(meanwhile(), 0..14)
    ) {
        Runtime::new().unwrap().block_on(pages_are_stable(limit, which, steps));
    }
}

#[tokio::test]
async fn every_version_counts_wherever_it_is() {
    let (index, bucket) = prepared(Arc::new(MemoryEngine::new())).await;
    happen(&index, &bucket, &Meanwhile::Versioning(true)).await;
    for n in 0..3 {
        let mut new = record(&index, 1, SITES[n % 2], "ayesha");
        new.summary.version = VersionId::new(new.summary.ticket, [1; 8]);
        index.commit(put(&bucket, "k", new), event()).await.unwrap();
    }
    let all = |query: RecordsQuery| {
        let index = index.clone();
        async move { index.search(RecordsQuery { limit: 10, ..query }).await.unwrap().records.len() }
    };
    let in_bucket = RecordsQuery { bucket: Some(bucket.name.clone()), ..RecordsQuery::default() };
    assert_eq!(all(in_bucket).await, 3);
    assert_eq!(all(RecordsQuery { country: Some("PK".parse().unwrap()), ..RecordsQuery::default() }).await, 3);
    assert_eq!(all(RecordsQuery { country: Some("SG".parse().unwrap()), ..RecordsQuery::default() }).await, 0);
    assert_eq!(all(RecordsQuery { site: Some(SiteId::new(SITES[0]).unwrap()), ..RecordsQuery::default() }).await, 2);
    let counted = |counter: Counter| index.summary().get(&counter).map_or(0, |tally| tally.objects);
    assert_eq!(counted(Counter::Records), 3);
    assert_eq!(counted(Counter::Bucket(bucket.id)), 3);
    assert_eq!(counted(Counter::CountryInstrument("PK".parse().unwrap(), InstrumentId::new("pk-cpoh-2020").unwrap())), 3);
}
