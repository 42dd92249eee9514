//! The chains as they wait to be written, and those who wait for them.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::{Chains, Fact, Group};
use crate::types::{Country, RecordId};

/// The bytes of facts that a chain keeps in memory. Of what comes beyond it only the rows' keys are kept; the facts are read again.
const KEPT: usize = 64 * 1024 * 1024;
/// About how many bytes of facts are taken at a time: one segment and its head fit an extent.
const TAKEN: usize = 4 * 1024 * 1024;

/// All chains of an index. Without [`Journal::begin`] it is off: nothing is kept and nobody waits.
#[derive(Debug, Default)]
pub(in crate::index) struct Journal {
    on: AtomicBool,
    state: Mutex<State>,
    /// Something was queued.
    queued: Notify,
    /// Something became durable.
    durable: Notify,
}

#[derive(Debug, Default)]
struct State {
    home: Option<Country>,
    chains: BTreeMap<Country, Chain>,
    /// The numbers whose facts are not durable everywhere.
    pending: BTreeMap<u64, Pending>,
    /// The numbers whose facts are, and whose rows in the outbox can go.
    finished: Vec<u64>,
    /// A number, and those of earlier processes that go with it.
    leftover: Option<(u64, Vec<u64>)>,
}

#[derive(Debug, Default)]
struct Chain {
    queue: VecDeque<Arc<Item>>,
    /// The bytes of the facts that the queue keeps.
    bytes: usize,
    /// The highest number with facts for it.
    latest: u64,
    urgent: bool,
}

#[derive(Debug)]
struct Pending {
    missing: BTreeSet<Country>,
    /// The chains that have it.
    durable: BTreeSet<Country>,
}

impl Pending {
    /// Whether some chain has it, and one of each of these.
    fn is_held(&self, by: &BTreeSet<BTreeSet<Country>>) -> bool {
        !self.durable.is_empty() && by.iter().all(|countries| !countries.is_disjoint(&self.durable))
    }
}

/// What one commit tells one chain.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) number: u64,
    pub(super) facts: Vec<Held>,
    pub(super) open: Arc<[RecordId]>,
    since: Instant,
    bytes: usize,
}

/// A fact, or the key of the row to read it from.
#[derive(Debug, Clone)]
pub(super) enum Held {
    Fact(Arc<Fact>),
    Row(Vec<u8>),
}

/// What one commit has to tell.
#[derive(Debug, Default)]
pub(in crate::index) struct Entry {
    pub(in crate::index) number: u64,
    pub(in crate::index) facts: Vec<Told>,
    pub(in crate::index) open: Arc<[RecordId]>,
}

/// What is told of a row.
#[derive(Debug)]
pub(in crate::index) struct Told {
    pub(in crate::index) row: Vec<u8>,
    /// `None` to read it from the row when it is written.
    pub(in crate::index) fact: Option<Arc<Fact>>,
    /// The chains that are told it.
    pub(in crate::index) to: BTreeSet<Country>,
    /// Whom a version that has another row now is told to; `None` where the row itself is there, or nothing is.
    pub(in crate::index) elsewhere: Option<BTreeSet<Country>>,
    /// The chains that knew the row before and are not to know what became of it. They are told where it went.
    pub(in crate::index) left: BTreeSet<Country>,
}

impl Told {
    /// That a row is gone.
    pub(in crate::index) fn gone(row: Vec<u8>, to: BTreeSet<Country>) -> Self {
        let fact = Some(Arc::new(Fact::gone(&row)));
        Self { row, fact, to, elsewhere: None, left: BTreeSet::new() }
    }
}

/// Facts that are to be written to a chain; they stay queued until [`crate::index::Index::journal_written`].
#[derive(Debug, Clone)]
pub struct Taken {
    /// The facts by commit.
    pub groups: Vec<Group>,
    /// As [`super::Segment::open`], of the last of them.
    pub open: Arc<[RecordId]>,
    /// As [`super::Segment::latest`].
    pub latest: BTreeMap<Country, u64>,
}

/// How long a chain has waited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// Since the oldest of what waits was committed; zero when nothing waits.
    pub lag: Duration,
    /// How many commits wait.
    pub commits: usize,
}

impl Journal {
    pub(in crate::index) fn begin(&self, home: Country, countries: &BTreeSet<Country>) {
        let mut state = self.state.lock();
        state.home = Some(home);
        for country in countries.iter().chain([&home]) {
            state.chains.entry(*country).or_default();
        }
        self.on.store(true, Ordering::Release);
    }

    /// The chains, when the journal is on.
    pub(in crate::index) fn chains(&self) -> Option<Chains> {
        if !self.on.load(Ordering::Acquire) {
            return None;
        }
        let state = self.state.lock();
        state.home.map(|home| Chains { home, all: state.chains.keys().copied().collect() })
    }

    /// The countries that have a chain.
    pub(in crate::index) fn countries(&self) -> BTreeSet<Country> {
        self.state.lock().chains.keys().copied().collect()
    }

    /// Queues what a durable commit has to tell.
    pub(in crate::index) fn push(&self, entry: Entry) {
        let mut state = self.state.lock();
        let mut shares: BTreeMap<Country, (Vec<Held>, usize)> = BTreeMap::new();
        for told in entry.facts {
            for country in &told.left {
                let (share, bytes) = shares.entry(*country).or_default();
                let went = Fact::went(&told.row, told.elsewhere.as_ref().unwrap_or(&told.to));
                *bytes += went.size();
                share.push(Held::Fact(Arc::new(went)));
            }
            for country in &told.to {
                let (share, bytes) = shares.entry(*country).or_default();
                let kept = state.chains.get(country).map_or(0, |chain| chain.bytes) + *bytes;
                match &told.fact {
                    Some(fact) if fact.body.is_none() || kept < KEPT => {
                        *bytes += fact.size();
                        share.push(Held::Fact(Arc::clone(fact)));
                    }
                    _ => share.push(Held::Row(told.row.clone())),
                }
            }
        }
        if shares.is_empty() {
            state.finished.push(entry.number);
            return;
        }
        let pending = Pending { missing: shares.keys().copied().collect(), durable: BTreeSet::new() };
        state.pending.insert(entry.number, pending);
        for (country, (facts, bytes)) in shares {
            let chain = state.chains.entry(country).or_default();
            let item = Item { number: entry.number, facts, open: Arc::clone(&entry.open), since: Instant::now(), bytes };
            chain.bytes += bytes;
            chain.latest = entry.number;
            chain.queue.push_back(Arc::new(item));
        }
        drop(state);
        self.queued.notify_waiters();
    }

    /// Queues what earlier processes left to be told, under `before`, as one entry.
    pub(in crate::index) fn push_after(&self, before: Vec<u64>, entry: Entry) {
        let number = entry.number;
        self.push(entry);
        let mut state = self.state.lock();
        if state.pending.contains_key(&number) {
            state.leftover = Some((number, before));
        } else {
            state.finished.extend(before);
        }
    }

    /// Waits until a chain that was told of `number` holds it durably, and one of each of `by`; `false` when that takes longer than `most`.
    pub(in crate::index) async fn wait(&self, number: u64, by: &BTreeSet<BTreeSet<Country>>, most: Duration) -> bool {
        {
            let mut state = self.state.lock();
            let Some(pending) = state.pending.get(&number) else { return true };
            let missing = pending.missing.clone();
            for country in missing {
                if let Some(chain) = state.chains.get_mut(&country) {
                    chain.urgent = true;
                }
            }
        }
        self.queued.notify_waiters();
        let held = async {
            loop {
                let changed = self.durable.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                if self.state.lock().pending.get(&number).is_none_or(|pending| pending.is_held(by)) {
                    return;
                }
                changed.await;
            }
        };
        tokio::time::timeout(most, held).await.is_ok()
    }

    /// Waits until the chain has something to write: at once when somebody waits for it, else once the oldest is `lag` old.
    pub(in crate::index) async fn due(&self, country: Country, lag: Duration) {
        loop {
            let changed = self.queued.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let pause = {
                let state = self.state.lock();
                let chain = state.chains.get(&country);
                match chain.and_then(|chain| chain.queue.front().map(|item| (item.since.elapsed(), chain.urgent))) {
                    Some((waited, urgent)) if urgent || waited >= lag => return,
                    Some((waited, _)) => Some(lag.saturating_sub(waited)),
                    None => None,
                }
            };
            match pause {
                Some(pause) => drop(tokio::time::timeout(pause, changed).await),
                None => changed.await,
            }
        }
    }

    /// The first of what waits, up to a segment's worth, and the highest numbers of all chains.
    pub(super) fn first(&self, country: Country) -> (Vec<Arc<Item>>, BTreeMap<Country, u64>) {
        let mut state = self.state.lock();
        let latest = state.chains.iter().map(|(country, chain)| (*country, chain.latest)).collect();
        let Some(chain) = state.chains.get_mut(&country) else { return (Vec::new(), latest) };
        let mut bytes = 0;
        let mut items = Vec::new();
        for item in &chain.queue {
            bytes += item.bytes + 64 * item.facts.len();
            if !items.is_empty() && bytes > TAKEN {
                break;
            }
            items.push(Arc::clone(item));
        }
        // What comes from now on may be waited for anew.
        if items.len() == chain.queue.len() {
            chain.urgent = false;
        }
        (items, latest)
    }

    /// A chain holds these numbers durably.
    pub(in crate::index) fn written(&self, country: Country, numbers: &[u64]) {
        let mut state = self.state.lock();
        let state = &mut *state;
        if let Some(chain) = state.chains.get_mut(&country) {
            while let Some(item) = chain.queue.pop_front_if(|item| numbers.contains(&item.number)) {
                chain.bytes = chain.bytes.saturating_sub(item.bytes);
            }
        }
        for number in numbers {
            let Some(pending) = state.pending.get_mut(number) else { continue };
            if pending.missing.remove(&country) {
                pending.durable.insert(country);
            }
            if pending.missing.is_empty() {
                state.pending.remove(number);
                state.finished.push(*number);
                if let Some((_, before)) = state.leftover.take_if(|(leftover, _)| leftover == number) {
                    state.finished.extend(before);
                }
            }
        }
        self.durable.notify_waiters();
    }

    /// How long a chain has waited.
    pub(in crate::index) fn lag(&self, country: Country) -> Due {
        let state = self.state.lock();
        let chain = state.chains.get(&country);
        let lag = chain.and_then(|chain| chain.queue.front()).map_or(Duration::ZERO, |item| item.since.elapsed());
        Due { lag, commits: chain.map_or(0, |chain| chain.queue.len()) }
    }

    /// Whether nothing waits that was committed before `number`.
    pub(super) fn holds(&self, number: u64) -> bool {
        self.state.lock().pending.first_key_value().is_none_or(|(first, _)| *first > number)
    }

    /// The same of one chain.
    pub(super) fn of_holds(&self, country: Country, number: u64) -> bool {
        let state = self.state.lock();
        !state.pending.range(..=number).any(|(_, pending)| pending.missing.contains(&country))
    }

    /// Up to `limit` numbers whose rows in the outbox can go.
    pub(in crate::index) fn finished(&self, limit: usize) -> Vec<u64> {
        let finished = &mut self.state.lock().finished;
        let from = finished.len().saturating_sub(limit);
        finished.split_off(from)
    }
}
