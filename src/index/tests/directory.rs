//! The subject directory: what was said, from when on it holds, and what that does to decisions.

use std::ops::{Bound, ControlFlow};

use super::{
    journal::{Listener, Told, replays, retell},
    *,
};
use crate::{
    clock::Clock,
    index::{
        codec::{decode, encode},
        directory::Entry,
        engine::Batch,
        keys::{self, kind},
    },
};

const NOW: i64 = 1_000_000_000;

fn time(millis: i64) -> Timestamp {
    Timestamp::from_millis(NOW + millis)
}

fn ayesha() -> SubjectId {
    SubjectId::new("ayesha").unwrap()
}

fn lives(country: &str) -> Option<Attributes> {
    Some(Attributes::from([("residence".to_owned(), country.to_owned())]))
}

fn saying(attributes: Option<Attributes>, effective: Option<i64>) -> Saying {
    Saying { attributes, effective: effective.map(time), ..Saying::default() }
}

fn says(attributes: Option<Attributes>, effective: Option<i64>) -> Change {
    let saying = saying(attributes, effective);
    Change::Subject(Box::new(SubjectChange { saying, ..SubjectChange::now(ayesha(), None) }))
}

struct Kept {
    index: Index,
    bucket: Arc<Bucket>,
    clock: Arc<ManualClock>,
    engine: Arc<dyn Engine>,
}

impl Kept {
    async fn new() -> Self {
        let engine: Arc<dyn Engine> = Arc::new(MemoryEngine::new());
        let (index, bucket) = prepared(Arc::clone(&engine)).await;
        drop(index);
        let clock = Arc::new(ManualClock::new(time(0)));
        Self { index: Index::open(Arc::clone(&engine), index_keys(), clock.clone()).unwrap(), bucket, clock, engine }
    }

    /// The same after the process has ended.
    fn again(self) -> Self {
        let Self { index, bucket, clock, engine } = self;
        drop(index);
        Self { index: Index::open(Arc::clone(&engine), index_keys(), clock.clone()).unwrap(), bucket, clock, engine }
    }

    async fn say(&self, attributes: Option<Attributes>, effective: Option<i64>) -> Committed {
        self.index.commit(says(attributes, effective), event()).await.unwrap()
    }

    fn now(&self) -> (Option<String>, u64) {
        let entry = self.index.lookup(&ayesha()).unwrap().unwrap_or_default();
        (entry.attributes.get("residence").cloned(), entry.generation.0)
    }

    fn name(&self) -> Pseudonym {
        self.index.inner.keys.pseudonyms.subject(&ayesha())
    }

    fn rows_of(&self, letter: u8) -> usize {
        let mut rows = 0;
        let count = &mut |_: &[u8], _: &[u8]| {
            rows += 1;
            ControlFlow::Continue(())
        };
        self.engine.scan(Bound::Included(&[letter]), Bound::Excluded(&[letter + 1]), count).unwrap();
        rows
    }

    /// A write that was decided under a generation.
    async fn put(&self, key: &str, generation: u64) -> Result<Committed, CommitError> {
        let change = put_change(&self.bucket, key, record(&self.index, 1, SITES[0], "ayesha"), WriteCondition::None);
        let basis = Basis { subject_generation: Generation(generation), ..basis() };
        self.index.commit(Change::Put(Box::new(PutChange { basis, ..change })), event()).await
    }
}

#[tokio::test]
async fn what_is_to_come_holds_at_its_time_whoever_writes_it_down() {
    let kept = Kept::new().await;
    kept.say(lives("PK"), None).await;
    kept.put("k", 1).await.unwrap();
    kept.say(lives("SG"), Some(100)).await;
    let seen = kept.index.directory_changes();
    assert_eq!((kept.now(), kept.index.directory_changes()), ((Some("PK".to_owned()), 2), seen));
    assert_eq!((kept.index.due(10).await.unwrap(), kept.rows_of(kind::APPOINTED)), (vec![], 1));
    assert!(kept.index.unsettled(None, 10).await.unwrap().is_empty());

    kept.clock.advance(99);
    kept.put("before", 2).await.unwrap();
    kept.clock.advance(1);
    assert_eq!(kept.now(), (Some("SG".to_owned()), 3));
    let looks = [kept.index.directory_changes(), kept.index.directory_changes()];
    assert!(looks[0] > seen && looks[1] > looks[0], "nothing may be relied on until it is written down");
    assert!(matches!(kept.put("late", 2).await, Err(CommitError::Stale(Stale::Subject))));
    kept.put("after", 3).await.unwrap();

    let kept = kept.again();
    assert_eq!((kept.now(), kept.index.due(10).await.unwrap()), ((Some("SG".to_owned()), 3), vec![kept.name()]));
    kept.index.commit(Change::Due(kept.name()), event()).await.unwrap();
    assert_eq!((kept.now(), kept.rows_of(kind::APPOINTED)), ((Some("SG".to_owned()), 3), 0));
    assert_eq!(kept.index.directory_changes(), kept.index.directory_changes());
    let unsettled = kept.index.unsettled(None, 10).await.unwrap();
    assert_eq!((unsettled.len(), unsettled[0].subject, unsettled[0].generation), (1, kept.name(), Generation(3)));
    assert!(matches!(kept.index.commit(Change::Due(kept.name()), event()).await, Err(CommitError::Conflict)));
    assert!(kept.index.due(10).await.unwrap().is_empty());
}

#[tokio::test]
async fn what_is_said_between_a_time_and_its_writing_down_comes_after_it() {
    let kept = Kept::new().await;
    kept.say(lives("PK"), None).await;
    kept.say(lives("SG"), Some(100)).await;
    kept.say(lives("DE"), Some(200)).await;
    kept.clock.advance(150);
    assert_eq!(kept.now(), (Some("SG".to_owned()), 4));
    kept.say(lives("IN"), None).await;
    assert_eq!((kept.now(), kept.rows_of(kind::APPOINTED)), ((Some("IN".to_owned()), 5), 1));
    kept.clock.advance(50);
    assert_eq!(kept.now(), (Some("DE".to_owned()), 6));
    let row = kept.index.subject(&ayesha()).unwrap().unwrap();
    let at =
        |millis| row.held(time(millis), time(1_000_000)).and_then(|held| held.attributes).map(|held| held["residence"].clone());
    assert_eq!([at(-1), at(0), at(120), at(170), at(300)].map(Option::unwrap_or_default), ["", "PK", "SG", "IN", "DE"]);
}

#[tokio::test]
async fn what_is_said_of_the_past_holds_now_and_what_was_known_stays_known() {
    let kept = Kept::new().await;
    kept.say(lives("PK"), None).await;
    kept.put("k", 1).await.unwrap();
    kept.clock.advance(1000);
    kept.say(lives("SG"), Some(-5000)).await;
    assert_eq!((kept.now(), kept.index.unsettled(None, 10).await.unwrap().len()), ((Some("SG".to_owned()), 2), 1));
    let row = kept.index.subject(&ayesha()).unwrap().unwrap();
    let held = |at, known| row.held(time(at), time(known)).and_then(|held| held.attributes).map(|held| held["residence"].clone());
    assert_eq!((held(500, 999).as_deref(), held(500, 1000).as_deref()), (Some("PK"), Some("SG")));
    assert_eq!((held(-1, 999).as_deref(), held(-1, 1000).as_deref()), (None, Some("SG")));
}

#[tokio::test]
async fn what_is_known_already_changes_nothing() {
    let kept = Kept::new().await;
    for (attributes, effective) in
        [(lives("PK"), None), (lives("SG"), Some(500)), (lives("PK"), Some(-500)), (lives("PK"), Some(300))]
    {
        assert!(!kept.say(attributes.clone(), effective).await.unchanged);
        let before = kept.index.subject(&ayesha()).unwrap();
        kept.clock.advance(1);
        assert!(kept.say(attributes.clone(), effective).await.unchanged);
        assert!(!kept.index.is_news(&ayesha(), &saying(attributes, effective)).unwrap());
        assert_eq!(kept.index.subject(&ayesha()).unwrap(), before);
    }
    assert!(kept.index.is_news(&ayesha(), &saying(lives("SG"), None)).unwrap());
    let nobody = SubjectId::new("nobody").unwrap();
    assert!(!kept.index.is_news(&nobody, &saying(None, None)).unwrap(), "of whom nothing is known nothing is forgotten");
}

#[tokio::test]
async fn an_entry_takes_so_much_to_come_and_keeps_so_much_of_what_was() {
    let kept = Kept::new().await;
    for day in 1..=16 {
        kept.say(lives(if day % 2 == 0 { "PK" } else { "SG" }), Some(day * 1000)).await;
    }
    let refused = kept.index.commit(says(lives("DE"), Some(90_000)), event()).await;
    assert!(matches!(refused, Err(CommitError::TooMuchToCome)));
    for round in 0..100 {
        kept.clock.advance(1);
        kept.say(lives(if round % 2 == 0 { "IN" } else { "US" }), None).await;
    }
    let row = kept.index.subject(&ayesha()).unwrap().unwrap();
    assert_eq!((row.coming.len(), row.past.len(), row.cut.is_some()), (16, 64, true));
    kept.clock.advance(20_000);
    let row = kept.index.subject(&ayesha()).unwrap().unwrap();
    assert_eq!((row.coming.len(), row.past.len()), (0, 64));
    let held = row.held(time(20_100), time(20_100)).unwrap();
    assert_eq!((held.attributes, held.effective), (lives("PK"), time(16_000)), "what holds is kept, though it was said early");
}

#[tokio::test]
async fn an_erasure_forgets_what_was_and_what_is_to_come() {
    let kept = Kept::new().await;
    kept.say(lives("PK"), None).await;
    kept.say(lives("SG"), Some(100)).await;
    let erase = EraseChange { subject: ayesha(), at_once: true, watch: kept.index.watch_holds(&ayesha()) };
    kept.clock.advance(100);
    let told = kept.index.inner.keys.pseudonyms.subject(&ayesha());
    kept.index.commit(Change::Erase(Box::new(erase)), event()).await.unwrap();
    assert_eq!((kept.index.subject(&ayesha()).unwrap(), kept.rows_of(kind::APPOINTED)), (None, 0));
    let row: SubjectRow = kept.index.inner.row(&keys::subject(&told)).unwrap().unwrap();
    assert_eq!((row.past.len(), row.coming.len(), row.generation, row.erased), (0, 0, Generation(4), Some(Generation(4))));
    assert!(kept.index.due(10).await.unwrap().is_empty());
    kept.say(lives("PK"), None).await;
    assert_eq!(kept.index.subject(&ayesha()).unwrap().unwrap().statements().len(), 1);
}

#[tokio::test]
async fn a_rebuild_finds_the_history_and_what_is_to_come() {
    let kept = Kept::new().await;
    let told = Told::default();
    let listener = Listener::of(&kept.index, &told);
    retell(&kept.index).await;
    kept.say(lives("PK"), None).await;
    kept.say(lives("SG"), Some(500)).await;
    kept.say(lives("DE"), Some(100)).await;
    kept.say(lives("PK"), Some(100)).await;
    replays(&kept.index, &told).await;
    kept.clock.advance(200);
    kept.index.commit(Change::Due(kept.name()), event()).await.unwrap();
    replays(&kept.index, &told).await;
    listener.stop().await;
}

/// The row as it was before there was a history, and that of a subject to settle.
#[derive(serde::Serialize)]
struct OldRow {
    id: Option<SubjectId>,
    attributes: Attributes,
    generation: Generation,
    updated: Timestamp,
    removed: bool,
}

#[derive(serde::Serialize)]
struct OldUnsettled {
    subject: SubjectId,
    generation: Generation,
    since: Timestamp,
}

#[tokio::test]
async fn rows_of_before_there_was_a_history_can_be_read() {
    let kept = Kept::new().await;
    let row = OldRow {
        id: Some(ayesha()),
        attributes: lives("PK").unwrap(),
        generation: Generation(7),
        updated: time(-1000),
        removed: false,
    };
    let unsettled = OldUnsettled { subject: ayesha(), generation: Generation(7), since: time(-1000) };
    let mut batch = Batch::default();
    for (row, body) in
        [(keys::subject(&kept.name()), encode(&row).unwrap()), (keys::unsettled(&kept.name()), encode(&unsettled).unwrap())]
    {
        batch.put(row.clone(), kept.index.inner.sealing.seal(&row, &body).unwrap());
    }
    kept.engine.apply(batch).unwrap();
    let kept = kept.again();
    assert_eq!(kept.now(), (Some("PK".to_owned()), 7));
    assert_eq!(kept.index.unsettled(None, 10).await.unwrap()[0].subject, kept.name());
    assert!(kept.say(lives("PK"), None).await.unchanged);
    kept.say(lives("SG"), None).await;
    let row = kept.index.subject(&ayesha()).unwrap().unwrap();
    let said: Vec<_> = row.statements().into_iter().map(|said| (said.attributes, said.effective, said.generation.0)).collect();
    assert_eq!(said, [(lives("PK"), time(-1000), 7), (lives("SG"), time(0), 8)]);
}

#[tokio::test]
async fn no_row_shows_a_subject_and_where_ids_are_hashed_none_is_kept() {
    let kept = Kept::new().await;
    let hashed = |attributes, effective| {
        let saying = saying(attributes, effective);
        Change::Subject(Box::new(SubjectChange { subject: ayesha(), keep_id: false, saying }))
    };
    kept.index.commit(hashed(lives("PK"), None), event()).await.unwrap();
    kept.put("k", 1).await.unwrap();
    kept.index.commit(hashed(lives("SG"), None), event()).await.unwrap();
    kept.index.commit(hashed(lives("DE"), Some(1000)), event()).await.unwrap();
    let shows = |bytes: &[u8]| bytes.windows(6).any(|window| window == b"ayesha");
    let mut rows = 0;
    let look = &mut |row: &[u8], value: &[u8]| {
        rows += 1;
        assert!(!shows(row) && !shows(value), "row of kind {}", char::from(row[0]));
        ControlFlow::Continue(())
    };
    kept.engine.scan(Bound::Unbounded, Bound::Unbounded, look).unwrap();
    assert!(rows > 10);
    for letter in [kind::SUBJECT, kind::UNSETTLED] {
        let mut found = 0;
        let visit = |_: &[u8], body: &[u8]| {
            found += 1;
            assert!(!shows(body));
            Ok(ControlFlow::Continue(()))
        };
        kept.index.inner.each(&[letter], visit).unwrap();
        assert_eq!(found, 1, "open, neither");
    }
    assert_eq!(kept.now(), (Some("SG".to_owned()), 2 + 1), "by the id all the same");
}

/// What holds at `at`, as the rule is told: the last word counts from its day on, but for a later day that was still to come when it was
/// said.
fn naive(said: &[(i64, i64, Option<Attributes>)], at: i64) -> Option<Attributes> {
    let mut holds: Option<&(i64, i64, Option<Attributes>)> = None;
    for word in said.iter().filter(|word| word.0 <= at) {
        if !holds.is_some_and(|other| other.0 > word.0 && other.0 > word.1) {
            holds = Some(word);
        }
    }
    holds.and_then(|word| word.2.clone())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]
    #[test]
    fn rows_histories_and_the_rule_agree(
        steps in prop::collection::vec((0_i64..4, prop::option::of(-9_i64..10), prop::option::of(0_usize..3)), 1..12),
    ) {
        let countries = ["PK", "SG", "DE"];
        let clock = ManualClock::new(time(0));
        let mut row = SubjectRow::unknown(Generation(0));
        let (mut said, mut known) = (Vec::new(), Vec::<(Timestamp, Vec<_>)>::new());
        let days = -30..60_i64;
        for (passes, effective, country) in steps {
            clock.advance(passes);
            let now = clock.now();
            let at = now.millis() - NOW;
            let attributes = country.and_then(|country| lives(countries[country]));
            let effective = effective.map(|day| at + day);
            let generation = row.clone().at(now).generation;
            row = row.at(now);
            let changed = row.say(saying(attributes.clone(), effective), now).unwrap();
            prop_assert_eq!(row.generation.0, generation.0 + u64::from(changed));
            said.push((effective.unwrap_or(at), at, attributes));
            let line: Vec<_> = days.clone().map(|day| naive(&said, day)).collect();
            known.retain(|(time, _)| *time != now);
            known.push((now, line));
        }
        let (mut last, now) = (row.generation, clock.now());
        for day in days.clone() {
            let body = encode(&row).unwrap();
            let entry: crate::residency::DirectoryEntry = decode::<Entry>('d', &body).unwrap().at(time(day).max(now)).into();
            let then = row.clone().at(time(day).max(now));
            prop_assert_eq!((&entry.attributes, entry.generation), (&then.attributes, then.generation));
            prop_assert_eq!(then.attributes, naive(&said, day.max(now.millis() - NOW)).unwrap_or_default());
            prop_assert!(then.generation >= last);
            last = then.generation;
        }
        for (time_known, line) in known {
            for (day, expected) in days.clone().zip(line) {
                let held = row.held(time(day), time_known).and_then(|held| held.attributes);
                prop_assert_eq!(held, expected, "day {} as known at {:?}", day, time_known);
            }
        }
    }
}
