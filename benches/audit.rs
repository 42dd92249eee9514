//! An auditor's questions to a catalogue of a million records, and what the ledger costs a commit.
//!
//! `cargo bench --features test-util --bench audit -- [--records N]`. For what the ledger costs, the commits that it reports are compared with
//! those of `RUSTFLAGS="--cfg domicile_no_ledger" cargo bench --features test-util --bench audit -- --records 100000`, where no entry is written,
//! hashed or found by anything; nothing else differs.
#![expect(clippy::expect_used, clippy::print_stdout, reason = "a bench may stop, and this is its report")]

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use domicile::{
    app::population_rows,
    audit::{Class, Event, Frontier},
    backend::Receipt,
    index::{Bucket, Change, CopyState, EntriesQuery, Index, RecordsQuery},
    policy::Role,
    residency::PlannedCopy,
    seal::BlobName,
    types::{Country, InstrumentId, ObjectKey, SubjectId, Timestamp},
};
use futures_util::{StreamExt, TryStreamExt, stream};

use self::catalogue::{event, open, put};

#[expect(dead_code, reason = "another bench uses the rest")]
mod catalogue;

/// Records of one subject.
const OF_SUBJECT: usize = 50;
/// Questions of each kind.
const ROUNDS: usize = 50;

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip_while(|argument| *argument != "--records");
    let records: usize = arguments.nth(1).and_then(|records| records.parse().ok()).unwrap_or(1_000_000);
    let folder = tempfile::tempdir().expect("a folder");
    let (index, bucket) = open(folder.path()).await;
    let started = Instant::now();
    write(&index, &bucket, records).await;
    let rate = records as f64 / started.elapsed().as_secs_f64();
    println!("commits   {rate:>10.0} records/s, {} ledger entries", index.ledger_head().size);
    if cfg!(domicile_no_ledger) {
        return;
    }

    let names = |round: usize| subject(round * 7919 % (records / OF_SUBJECT).max(1));
    report("summary, counters by name", timed(async |_| assert!(!index.summary().is_empty())).await);
    let country = || RecordsQuery { country: Some(pk()), limit: 100, ..RecordsQuery::default() };
    report("first page, records of a country", timed(async |_| search(&index, country(), 100).await).await);
    let of = |round| RecordsQuery { subject: Some(names(round)), limit: 100, ..RecordsQuery::default() };
    report("records of a subject", timed(async |round| search(&index, of(round), OF_SUBJECT).await).await);
    let deep = cursor_in_the_middle(&index, records).await;
    let later = || RecordsQuery { cursor: deep.clone(), ..country() };
    report("a page in the middle", timed(async |_| search(&index, later(), 100).await).await);
    let entries = |query: EntriesQuery| index.ledger_search(EntriesQuery { limit: 100, ..query });
    let about = |round| EntriesQuery { subject: Some(names(round)), ..EntriesQuery::default() };
    report("ledger entries of a subject", timed(async |round| drop(entries(about(round)).await.expect("finds"))).await);
    let named = |round: usize| Some((bucket.name.clone(), key(round * 7919 % records)));
    let story = |round| EntriesQuery { key: named(round), ..EntriesQuery::default() };
    report("ledger entries of a key", timed(async |round| drop(entries(story(round)).await.expect("finds"))).await);
    let refused = || EntriesQuery { class: Some(Class::Refusals), ..EntriesQuery::default() };
    report("refusals", timed(async |_| drop(entries(refused()).await.expect("finds"))).await);
    let since = || EntriesQuery { since: Some(Timestamp::from_millis(i64::MAX / 2)), ..EntriesQuery::default() };
    report("ledger entries since a time", timed(async |_| drop(entries(since()).await.expect("finds"))).await);

    for _ in 0..3 {
        let started = Instant::now();
        let rows = export(&index).await;
        println!("export    {:>10.0} rows/s of {rows}", rows as f64 / started.elapsed().as_secs_f64());
        assert_eq!(rows, records as u64);
    }
}

fn pk() -> Country {
    "PK".parse().expect("valid")
}

fn subject(number: usize) -> SubjectId {
    SubjectId::new(format!("subject-{number:07}")).expect("valid")
}

fn key(number: usize) -> ObjectKey {
    ObjectKey::new(format!("users/{:07}/{number:08}", number / OF_SUBJECT)).expect("valid")
}

/// As a write of the gateway commits it, with the entry that it has.
fn change(index: &Index, bucket: &Bucket, number: usize) -> (Change, Event) {
    let (key, subject) = (key(number), subject(number / OF_SUBJECT));
    let Change::Put(mut put) = put(index, bucket, key.as_str()) else { unreachable!("a put") };
    let detail = &mut put.record.detail;
    detail.placement.subject = Some(subject.clone());
    detail.placement.instruments = vec![InstrumentId::new("pk-cpoh-2020").expect("valid")];
    let copy = &mut detail.copies[0];
    (copy.role, copy.state) = (Role::Primary, CopyState::Stored { at: Timestamp::from_seconds(5) });
    let planned = PlannedCopy { site: copy.site.clone(), country: copy.country, key: copy.key.clone(), role: copy.role };
    let name = BlobName::of(copy.country, &copy.manifest(put.record.summary.id, detail.layout));
    put.receipts = vec![Receipt::for_test(copy.site.clone(), copy.country, name, 1)];
    detail.placement.copies = vec![planned];
    let names = index.pseudonyms();
    let event = Event {
        bucket: Some(names.bucket(&bucket.name)),
        key: Some(names.key(&bucket.name, &key)),
        subject: Some(names.subject(&subject)),
        countries: vec![pk()],
        sites: vec![detail.copies[0].site.clone()],
        instruments: detail.placement.instruments.clone(),
        revision: Some(detail.placement.revision),
        ..put.record.summary.describe(event())
    };
    (Change::Put(put), event)
}

async fn write(index: &Index, bucket: &Arc<Bucket>, records: usize) {
    let all = stream::iter(0..records).map(|number| {
        let (change, event) = change(index, bucket, number);
        async move { index.commit(change, event).await.expect("commits") }
    });
    all.buffer_unordered(512).for_each(async |_| {}).await;
}

async fn search(index: &Index, query: RecordsQuery, expected: usize) {
    assert_eq!(index.search(query).await.expect("finds").records.len(), expected);
}

async fn cursor_in_the_middle(index: &Index, records: usize) -> Option<String> {
    let mut cursor = None;
    for _ in 0..records / 2 / 1000 {
        let query = RecordsQuery { country: Some(pk()), limit: 1000, cursor, ..RecordsQuery::default() };
        cursor = index.search(query).await.expect("finds").next;
    }
    cursor
}

/// As an export of the gateway reads, opens and hashes its rows.
async fn export(index: &Index) -> u64 {
    let keys = Arc::new(BTreeMap::new());
    let population = index.population(RecordsQuery::default()).await.expect("begins");
    let pages = stream::try_unfold(population, async |mut population| {
        Ok::<_, domicile::index::IndexError>(population.next().await?.map(|page| (page, population)))
    });
    let rows = pages.map_ok(|page| {
        let keys = Arc::clone(&keys);
        async move { tokio::task::spawn_blocking(move || population_rows(&page, &keys)).await.expect("runs") }
    });
    let mut rows = std::pin::pin!(rows.try_buffered(4));
    let mut root = Frontier::default();
    while let Some(rows) = rows.try_next().await.expect("reads") {
        rows.hashes.iter().for_each(|hash| root.push_hash(*hash, |_, _| {}));
    }
    root.size()
}

async fn timed(question: impl AsyncFn(usize)) -> Vec<Duration> {
    let mut times = Vec::with_capacity(ROUNDS);
    for round in 0..ROUNDS {
        let started = Instant::now();
        question(round).await;
        times.push(started.elapsed());
    }
    times.sort();
    times
}

fn report(what: &str, times: Vec<Duration>) {
    let at = |percent: usize| times[(times.len() * percent / 100).min(times.len() - 1)].as_secs_f64() * 1000.0;
    println!("{what:<36} p50 {:>9.3} ms   p99 {:>9.3} ms", at(50), at(99));
}
