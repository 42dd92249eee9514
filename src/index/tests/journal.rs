//! What the journal is told is enough to build the index again.

use std::{ops::ControlFlow, time::Duration};

use parking_lot::Mutex;
use tokio::task::JoinHandle;

use super::*;
use crate::index::{
    journal::{Audiences, Group},
    keys::{self, kind},
};

pub(super) fn home() -> Country {
    "PK".parse().unwrap()
}

/// Everything that a journal was told.
pub(super) type Told = Arc<Mutex<Vec<Group>>>;

/// Takes what an index tells, as the sites would.
pub(super) struct Listener(JoinHandle<()>);

impl Listener {
    pub(super) fn of(index: &Index, told: &Told) -> Self {
        index.begin_journal(home(), &[home()].into()).unwrap();
        let (index, told) = (index.clone(), Arc::clone(told));
        Self(tokio::spawn(async move {
            loop {
                index.journal_due(home(), Duration::from_millis(1)).await;
                let taken = index.journal_next(home()).await.unwrap();
                let numbers: Vec<u64> = taken.groups.iter().map(|group| group.number).collect();
                told.lock().extend(taken.groups);
                index.journal_written(home(), &numbers);
            }
        }))
    }

    /// Stops in the middle of whatever it does.
    pub(super) async fn stop(self) {
        self.0.abort();
        let _ = self.0.await;
    }
}

/// Tells the whole index again.
pub(super) async fn retell(index: &Index) {
    let mut next = Some(Vec::new());
    while let Some(after) = next {
        next = index.retell(after).await.unwrap();
    }
}

/// All rows that two indexes with the same content share, open.
pub(super) fn rows(index: &Index) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut rows = BTreeMap::new();
    for letter in
        [kind::APPOINTED, kind::BY_SUBJECT, kind::BY_SITE, kind::BY_INSTRUMENT, kind::PENDING, kind::LEDGER, kind::FACET]
    {
        let (from, to) = ([letter], [letter + 1]);
        let mut add = |row: &[u8], value: &[u8]| {
            rows.insert(row.to_vec(), value.to_vec());
            ControlFlow::Continue(())
        };
        let range = (std::ops::Bound::Included(&from[..]), std::ops::Bound::Excluded(&to[..]));
        index.inner.engine.scan(range.0, range.1, &mut add).unwrap();
    }
    let letters = (b'A'..=b'Z').chain(b'a'..=b'z');
    let sealed = letters.filter(|letter| Audiences::is_journalled(&[*letter]) || *letter == kind::NULL_VERSION);
    for letter in sealed.filter(|letter| *letter != kind::LEDGER) {
        let mut add = |row: &[u8], body: &[u8]| {
            rows.insert(row.to_vec(), body.to_vec());
            Ok(ControlFlow::Continue(()))
        };
        index.inner.each(&[letter], &mut add).unwrap();
    }
    let policy = index.inner.row_with(keys::POLICY, |body| Ok(body.to_vec())).unwrap();
    rows.extend(policy.map(|body| (keys::POLICY.to_vec(), body)));
    rows
}

/// Waits until the journal holds everything, and returns a number behind it.
pub(super) async fn held(index: &Index) -> u64 {
    let last = index.ticket().unwrap().0;
    while !index.journal_holds(last) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    last
}

/// Size and root of the ledger.
pub(super) fn head(index: &Index) -> (u64, [u8; 32]) {
    (index.ledger_head().size, index.ledger_head().root)
}

/// In which order a replay takes what was told.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Way {
    Forwards,
    Backwards,
    /// From both ends in turn, in a few pieces, broken off and gone on with before, in and after every piece and while it derives.
    BrokenOff,
}

/// A replay of `groups` that is dropped again and again.
fn broken_off(engine: &Arc<dyn Engine>, groups: &[Group]) -> Replay {
    let resume = |pieces: usize, closed: bool| {
        let (replay, earlier) = Replay::resume(Arc::clone(engine), index_keys()).unwrap().expect("it was begun");
        assert_eq!((earlier.pieces.len(), earlier.closed, &*earlier.order), (pieces, closed, &b"order"[..]));
        replay
    };
    assert!(Replay::resume(Arc::clone(engine), index_keys()).unwrap().is_none());
    let mut replay = Replay::begin(Arc::clone(engine), index_keys()).unwrap();
    replay.remember(b"order").unwrap();
    let mut pieces: std::collections::VecDeque<&[Group]> = groups.chunks(groups.len() / 5 + 1).collect();
    let mut done = 0;
    while let Some(piece) = if done % 2 == 0 { pieces.pop_back() } else { pieces.pop_front() } {
        // Taken in part, and lost.
        piece.iter().take(2).for_each(|group| replay.take(group).unwrap());
        replay = resume(done, false);
        piece.iter().for_each(|group| replay.take(group).unwrap());
        replay.end_piece(&format!("piece {done}"), vec![7]).unwrap();
        done += 1;
        replay = resume(done, false);
    }
    replay.finish(Timestamp::from_seconds(9), &BTreeSet::new()).unwrap();
    resume(done, true)
}

/// Builds the index again from what was told, in whatever order, and compares.
pub(super) async fn replays(index: &Index, told: &Told) {
    let last = held(index).await;
    let groups = told.lock().clone();
    for way in [Way::Forwards, Way::Backwards, Way::BrokenOff] {
        let engine: Arc<dyn Engine> = Arc::new(MemoryEngine::new());
        let mut replay = match way {
            Way::BrokenOff => broken_off(&engine, &groups),
            _ => Replay::begin(Arc::clone(&engine), index_keys()).unwrap(),
        };
        let take = |group: &Group| replay.take(group).unwrap();
        match way {
            Way::Forwards => groups.iter().for_each(take),
            Way::Backwards => groups.iter().rev().for_each(take),
            Way::BrokenOff => {}
        }
        let replayed = replay.finish(Timestamp::from_seconds(9), &BTreeSet::new()).unwrap();
        Replay::forget(engine.as_ref()).unwrap();
        assert_eq!((replayed.entries_lost, replayed.without_parts), (0, 0));
        let again = open(engine);
        assert_eq!(rows(&again), rows(index));
        assert_eq!(again.summary(), index.summary());
        assert_eq!(again.buckets().unwrap(), index.buckets().unwrap());
        assert_eq!(head(&again), head(index));
        assert!(again.ticket().unwrap().0 > last);
    }
}

#[tokio::test]
async fn what_waits_for_the_journal_is_told_that_it_stands_when_no_site_takes_it() {
    tokio::time::pause();
    let (index, _) = prepared(Arc::new(MemoryEngine::new())).await;
    index.begin_journal(home(), &[home()].into()).unwrap();
    assert!(matches!(index.commit(create("second"), event()).await, Err(CommitError::NotJournalled)));
    assert!(index.bucket(&BucketName::new("second").unwrap()).unwrap().is_some());
    assert!(index.journal_lag(home()).commits == 1);
}

/// A country that held a key and not the one that came after it is not told of that one: without the others' journals the old key is the one in
/// use, by what was said of it last.
#[tokio::test]
async fn without_the_country_that_has_the_new_key_the_old_one_is_in_use_as_it_is_now() {
    let (index, _) = prepared(Arc::new(MemoryEngine::new())).await;
    let abroad: Country = "SG".parse().unwrap();
    index.begin_journal(home(), &[home(), abroad].into()).unwrap();
    let site = |name: &str| SiteId::new(name).unwrap();
    let mut old = WrappedSubjectKey::clone(&index.subject_key(&wrapped(1).key, &owner()).unwrap().unwrap());
    for (name, country) in [("pk-khi", home()), ("sg-sin", abroad)] {
        old.kept_at(&site(name), country);
        index.commit(Change::SubjectKey { key: Box::new(old.clone()), replaces: None }, event()).await.unwrap();
    }
    let mut new = wrapped(2);
    new.kept_at(&site("pk-khi"), home());
    index.commit(Change::RotateSubjectKey(Box::new(new), Generation(1)), event()).await.unwrap();
    // Then the version that wrapped it before is destroyed.
    let again = WrappedSubjectKey { wrapped: WrappedKey::new("again"), ..old.clone() };
    let change = Change::SubjectKey { key: Box::new(again.clone()), replaces: Some(Box::new(old)) };
    index.commit(change, event()).await.unwrap();

    let mut told = Vec::new();
    for retold in [false, true] {
        if retold {
            // Compacted: what was said of the row before is not in the journal any more.
            told.clear();
            retell(&index).await;
        }
        index.journal_due(abroad, Duration::from_millis(1)).await;
        let taken = index.journal_next(abroad).await.unwrap();
        index.journal_written(abroad, &taken.groups.iter().map(|group| group.number).collect::<Vec<_>>());
        told.extend(taken.groups);
        let engine: Arc<dyn Engine> = Arc::new(MemoryEngine::new());
        let mut replay = Replay::begin(Arc::clone(&engine), index_keys()).unwrap();
        told.iter().for_each(|group| replay.take(group).unwrap());
        replay.finish(Timestamp::from_seconds(9), &BTreeSet::new()).unwrap();
        Replay::forget(engine.as_ref()).unwrap();
        let rebuilt = open(engine);
        assert_eq!(rebuilt.subject_keys_of(again.key.clone(), None, 10).await.unwrap(), std::slice::from_ref(&again), "{retold}");
        assert_eq!(*rebuilt.subject_key(&again.key, &owner()).unwrap().unwrap(), again, "so an erasure finds its owner");
    }
}
