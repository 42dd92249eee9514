//! All records as they were at one commit, whatever is written meanwhile.

use super::*;

#[derive(Debug, Clone)]
enum Step {
    Put(usize, usize),
    Delete(usize),
    Move(usize, usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let key = || 0..16usize;
    let site = || 0..SITES.len();
    let step = prop_oneof![
        3 => (key(), site()).prop_map(|(key, site)| Step::Put(key, site)),
        2 => key().prop_map(Step::Delete),
        2 => (key(), site()).prop_map(|(key, site)| Step::Move(key, site)),
    ];
    prop::collection::vec(step, 0..6)
}

async fn happen(index: &Index, bucket: &Bucket, step: Step) {
    match step {
        Step::Put(at, site) => {
            let mut new = record(index, 7, SITES[site], "ayesha");
            new.summary.version = VersionId::new(new.summary.ticket, [1; 8]);
            index.commit(put(bucket, &format!("k{at:02}"), new), event()).await.unwrap();
        }
        Step::Delete(at) => {
            let ticket = index.ticket().unwrap();
            let name = key(&format!("k{at:02}"));
            // One version for good, else a marker would be all that comes.
            let version = index.current(bucket, &name).unwrap().map(|record| record.summary.version);
            let change = DeleteChange { version, ..deletion(bucket, name.as_str(), ticket) };
            index.commit(Change::Delete(Box::new(change)), event()).await.unwrap();
        }
        Step::Move(at, site) => {
            let name = format!("k{at:02}");
            let Some(now) = index.current(bucket, &key(&name)).unwrap() else { return };
            if now.detail.copies[0].site.as_str() != SITES[site] {
                let change = Change::Relocate(Box::new(moving(bucket, &name, &now, SITES[site])));
                index.commit(change, event()).await.unwrap();
            }
        }
    }
}

type Line = (String, RecordId, SiteId, bool);

async fn next(population: &mut Population) -> Option<Vec<Line>> {
    let page = population.next().await.unwrap()?;
    let mut lines = Vec::new();
    page.each(|found, current| {
        let copy = &found.record.detail.copies[0];
        lines.push((found.key.as_str().to_owned(), found.record.summary.id, copy.site.clone(), current));
    })
    .unwrap();
    Some(lines)
}

async fn all(index: &Index) -> Vec<Line> {
    let mut population = index.population(RecordsQuery::default()).await.unwrap();
    let mut lines = Vec::new();
    while let Some(more) = next(&mut population).await {
        lines.extend(more);
    }
    lines
}

async fn is_of_one_moment(before: Vec<Step>, meanwhile: Vec<Vec<Step>>) {
    let (index, bucket) = prepared(Arc::new(MemoryEngine::new())).await;
    let setting = Box::new(crate::bucket::Setting::Versioning(crate::bucket::Versioning::Enabled));
    let on = Change::SetBucket { name: bucket.name.clone(), id: bucket.id, setting };
    index.commit(on, event()).await.unwrap();
    for at in 0..12 {
        happen(&index, &bucket, Step::Put(at, at % 2)).await;
    }
    for step in before {
        happen(&index, &bucket, step).await;
    }
    let expected = all(&index).await;
    let counted = index.summary().get(&Counter::Records).map_or(0, |tally| tally.objects);
    assert_eq!(expected.len() as u64, counted);
    let ledger = index.ledger_head();
    let mut population = index.population(RecordsQuery::default()).await.unwrap();
    let mut seen = Vec::new();
    let mut meanwhile = meanwhile.into_iter();
    loop {
        for step in meanwhile.next().unwrap_or_default() {
            happen(&index, &bucket, step).await;
        }
        match next(&mut population).await {
            Some(lines) => seen.extend(lines),
            None => break,
        }
    }
    assert_eq!(seen, expected);
    assert_eq!(population.taken().ledger, ledger);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn a_population_is_of_one_moment(before in steps(), meanwhile in prop::collection::vec(steps(), 0..10)) {
        Runtime::new().unwrap().block_on(is_of_one_moment(before, meanwhile));
    }
}

#[tokio::test]
async fn what_is_written_too_fast_breaks_it_off_and_not_the_writes() {
    let (index, bucket) = prepared(Arc::new(MemoryEngine::new())).await;
    for n in 0..400 {
        index.commit(put(&bucket, &format!("{n:03}"), record(&index, 1, SITES[0], "s")), event()).await.unwrap();
    }
    let mut population = index.population(RecordsQuery::default()).await.unwrap();
    for n in 0..400 {
        index.commit(put(&bucket, &format!("{n:03}"), record(&index, 1, SITES[0], "s")), event()).await.unwrap();
    }
    assert!(matches!(population.next().await, Ok(Some(_)) | Err(IndexError::ExportTooSlow)));
    let mut last = Ok(());
    while last.is_ok() {
        match population.next().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("a walk that lost rows came to its end"),
            Err(error) => last = Err(error),
        }
    }
    assert!(matches!(last, Err(IndexError::ExportTooSlow)));
    drop(population);
    assert_eq!(all(&index).await.len(), 400);
}

#[tokio::test]
async fn so_many_at_a_time_and_the_places_come_back() {
    let (index, _) = prepared(Arc::new(MemoryEngine::new())).await;
    let mut open = Vec::new();
    for _ in 0..4 {
        open.push(index.population(RecordsQuery::default()).await.unwrap());
    }
    assert!(matches!(index.population(RecordsQuery::default()).await, Err(IndexError::Exporting)));
    open.pop();
    assert!(index.population(RecordsQuery::default()).await.is_ok());
}
