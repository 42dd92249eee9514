//! All records as they were at one commit, in order, while the gateway serves.
//!
//! Nothing is copied when it begins. From that moment on the committer keeps what a row held, the first time that it writes one that the
//! walk has not passed; the walk takes that instead of what it finds. So what comes out is the index between two commits, whatever is
//! written meanwhile, and costs memory only for what is.

use std::{
    collections::BTreeMap,
    ops::{Bound, ControlFlow},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::{
    Bucket, BucketId, FoundRecord, Index, IndexError, RecordsQuery, Version,
    catalogue::Inner,
    codec::decode_version,
    commit::Work,
    engine::{Engine, Value},
    keys::{self, kind},
};
use crate::{
    audit::LedgerHead,
    types::{BucketName, ObjectKey, Timestamp},
};

/// Rows of one page.
const PAGE: usize = if cfg!(test) { 3 } else { 2_000 };
/// The bytes of rows that are kept for all walks, at the most; beyond that the walk that keeps the most breaks off.
const KEPT: usize = if cfg!(test) { 256 * 1024 } else { 64 * 1024 * 1024 };
/// Walks at a time.
const TOGETHER: usize = 4;

/// All records of one moment. Dropped, it is called off.
pub struct Population {
    index: Index,
    claim: Claim,
    query: RecordsQuery,
    buckets: Arc<BTreeMap<BucketName, Arc<Bucket>>>,
    taken: Taken,
    /// What is still to be walked through, the next row first.
    ranges: Vec<(Vec<u8>, Vec<u8>)>,
}

/// The moment that a population is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// When.
    pub time: Timestamp,
    /// The ledger then.
    pub ledger: LedgerHead,
}

/// Rows that were read, still sealed: to be opened elsewhere, several pages at a time.
pub struct PopulationPage {
    inner: Arc<Inner>,
    query: RecordsQuery,
    names: Arc<BTreeMap<BucketId, BucketName>>,
    rows: Vec<(Vec<u8>, Value)>,
}

/// The walks under way.
#[derive(Default)]
pub(super) struct Walks {
    open: AtomicUsize,
    walks: Mutex<BTreeMap<u64, Walk>>,
}

#[derive(Default)]
struct Walk {
    /// Rows up to here have been read.
    passed: Vec<u8>,
    /// What rows behind that held; `None` of those that were not there.
    kept: BTreeMap<Vec<u8>, Option<Value>>,
    bytes: usize,
    /// More was written than could be kept.
    broken: bool,
}

struct Claim {
    inner: Arc<Inner>,
    id: u64,
}

/// A walk that has begun.
pub(super) struct Begun {
    claim: Claim,
    taken: Taken,
    buckets: Arc<BTreeMap<BucketName, Arc<Bucket>>>,
}

impl Index {
    /// Begins to walk through the records that `query` asks for, its page and cursor aside, as they are after the commits so far.
    ///
    /// # Errors
    /// [`IndexError::Exporting`] while too many others do.
    pub async fn population(&self, query: RecordsQuery) -> Result<Population, IndexError> {
        let (answer, answered) = oneshot::channel();
        self.enqueue(Work::Population { answer })?;
        let Begun { claim, taken, buckets } = answered.await.map_err(|_| IndexError::Stopped)??;
        let ranges = match &query.bucket {
            None => vec![(vec![kind::HISTORY], vec![kind::HISTORY + 1]), (vec![kind::RECORD], vec![kind::RECORD + 1])],
            Some(name) => {
                let under = |letter, id| {
                    let from = keys::under(letter, id, query.prefix.as_deref().unwrap_or_default());
                    let to = keys::successor(&from).unwrap_or_else(|| vec![letter + 1]);
                    (from, to)
                };
                let id = buckets.get(name).map(|bucket| bucket.id);
                id.map(|id| vec![under(kind::HISTORY, id), under(kind::RECORD, id)]).unwrap_or_default()
            }
        };
        // Taken from the end.
        let ranges = ranges.into_iter().rev().collect();
        Ok(Population { index: self.clone(), claim, query, buckets, taken, ranges })
    }
}

impl Population {
    /// The moment that it is of.
    pub const fn taken(&self) -> Taken {
        self.taken
    }

    /// The next rows; `None` at the end.
    ///
    /// # Errors
    /// Those of the index; [`IndexError::ExportTooSlow`] when more was written since it began than can be kept.
    pub async fn next(&mut self) -> Result<Option<PopulationPage>, IndexError> {
        let Some((from, to)) = self.ranges.pop() else { return Ok(None) };
        let (id, end) = (self.claim.id, to.clone());
        let (rows, upto) = self.index.blocking(move |inner| inner.population_rows(id, &from, &end)).await?;
        if let Some(upto) = upto {
            self.ranges.push(([upto.as_slice(), &[0]].concat(), to));
        }
        let names = self.buckets.values().map(|bucket| (bucket.id, bucket.name.clone())).collect();
        let (inner, query) = (Arc::clone(&self.claim.inner), self.query.clone());
        Ok(Some(PopulationPage { inner, query, names: Arc::new(names), rows }))
    }
}

impl PopulationPage {
    /// Shows each record that is asked for, and whether it is the current one of its key.
    ///
    /// # Errors
    /// A row that does not open.
    pub fn each(&self, mut visit: impl FnMut(&FoundRecord, bool)) -> Result<(), IndexError> {
        for (row, value) in &self.rows {
            let letter = row.first().copied().unwrap_or_default();
            let corrupt = || IndexError::Corrupt { kind: char::from(letter) };
            let version = self.inner.sealing.open(row, value, decode_version)?;
            let Version::Record(record) = version else { continue };
            let (id, rest) = row.get(1..).and_then(|row| row.split_first_chunk::<8>()).ok_or_else(corrupt)?;
            let (key, _) = keys::unescape(rest).ok_or_else(corrupt)?;
            let key = ObjectKey::new(&key).map_err(|_| corrupt())?;
            let bucket = self.names.get(&BucketId(u64::from_be_bytes(*id))).cloned().ok_or_else(corrupt)?;
            if self.query.matches(key.as_str(), &record) {
                visit(&FoundRecord { bucket, key, record: *record }, letter == kind::RECORD);
            }
        }
        Ok(())
    }
}

impl std::fmt::Debug for Begun {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Begun").field("taken", &self.taken).finish_non_exhaustive()
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let walks = &self.inner.walks;
        walks.walks.lock().remove(&self.id);
        walks.open.fetch_sub(1, Ordering::Release);
    }
}

impl Walks {
    fn begin(&self, id: u64) -> Result<(), IndexError> {
        let mut walks = self.walks.lock();
        if walks.len() >= TOGETHER {
            return Err(IndexError::Exporting);
        }
        walks.insert(id, Walk::default());
        self.open.fetch_add(1, Ordering::Release);
        Ok(())
    }

    /// Keeps what rows hold that are about to be written. The committer's, before it applies a batch.
    pub(super) fn keep<'r>(&self, engine: &dyn Engine, rows: impl Iterator<Item = &'r [u8]>) -> Result<(), IndexError> {
        if self.open.load(Ordering::Acquire) == 0 {
            return Ok(());
        }
        let mut walks = self.walks.lock();
        for row in rows.filter(|row| matches!(row.first(), Some(&(kind::RECORD | kind::HISTORY)))) {
            let wanting = |walk: &&mut Walk| !walk.broken && row > walk.passed.as_slice() && !walk.kept.contains_key(row);
            if walks.values_mut().any(|walk| wanting(&walk)) {
                let held = engine.get(row)?;
                for walk in walks.values_mut().filter(wanting) {
                    walk.bytes += row.len() + held.as_ref().map_or(0, |value| value.len()) + 64;
                    walk.kept.insert(row.to_vec(), held.clone());
                }
            }
        }
        if walks.values().map(|walk| walk.bytes).sum::<usize>() > KEPT
            && let Some(largest) = walks.values_mut().max_by_key(|walk| walk.bytes)
        {
            *largest = Walk { broken: true, ..Walk::default() };
        }
        Ok(())
    }

    /// Puts what was kept in the place of what was read, and passes by what was there up to `upto`.
    fn pass(&self, id: u64, rows: Vec<(Vec<u8>, Value)>, from: &[u8], upto: &[u8]) -> Result<Vec<(Vec<u8>, Value)>, IndexError> {
        let mut walks = self.walks.lock();
        let walk = walks.get_mut(&id).filter(|walk| !walk.broken).ok_or(IndexError::ExportTooSlow)?;
        let behind = walk.kept.split_off(upto);
        let mut kept = std::mem::replace(&mut walk.kept, behind);
        if let Some((row, held)) = walk.kept.remove_entry(upto) {
            kept.insert(row, held);
        }
        walk.passed = upto.to_vec();
        walk.bytes = walk.kept.iter().map(|(row, held)| row.len() + held.as_ref().map_or(0, |value| value.len()) + 64).sum();
        drop(walks);
        kept.retain(|row, _| row.as_slice() >= from);
        if kept.is_empty() {
            return Ok(rows);
        }
        let mut merged: BTreeMap<Vec<u8>, Value> = rows.into_iter().collect();
        for (row, held) in kept {
            match held {
                Some(value) => drop(merged.insert(row, value)),
                None => drop(merged.remove(&row)),
            }
        }
        Ok(merged.into_iter().collect())
    }
}

impl Inner {
    /// Only the committer may ask for it, before it applies a batch: what is visible then is what the walk is of.
    pub(super) fn begin_population(self: &Arc<Self>) -> Result<Begun, IndexError> {
        let id = self.tickets.next.fetch_add(1, Ordering::Relaxed);
        self.walks.begin(id)?;
        let claim = Claim { inner: Arc::clone(self), id };
        let taken = Taken { time: self.clock.now(), ledger: *self.head.lock() };
        Ok(Begun { claim, taken, buckets: self.buckets.load_full() })
    }

    /// The rows of a page as they were, and the last one looked at when there can be more.
    #[expect(clippy::type_complexity, reason = "rows with their values, and where to go on")]
    fn population_rows(&self, id: u64, from: &[u8], to: &[u8]) -> Result<(Vec<(Vec<u8>, Value)>, Option<Vec<u8>>), IndexError> {
        let mut rows: Vec<(Vec<u8>, Value)> = Vec::with_capacity(PAGE);
        self.engine.scan(Bound::Included(from), Bound::Excluded(to), &mut |row, value| {
            if rows.len() == PAGE {
                return ControlFlow::Break(());
            }
            rows.push((row.to_vec(), Value::Shared(value.into())));
            ControlFlow::Continue(())
        })?;
        let upto = rows.last().filter(|_| rows.len() == PAGE).map(|row| row.0.clone());
        let rows = self.walks.pass(id, rows, from, upto.as_deref().unwrap_or(to))?;
        Ok((rows, upto))
    }
}
