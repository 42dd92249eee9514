//! The committer: one thread that owns every write. It takes what waits in the queue up to a batch's worth, plans each change against
//! what the batch already says, applies the batch durably, and only then answers.

mod deletes;
mod erase;
mod expire;
mod group;
mod journal;
mod names;
mod plan;
mod policies;
mod records;
mod relocate;
mod subject_keys;
mod subjects;
mod uploads;

use std::{
    sync::{Arc, atomic::Ordering},
    thread::JoinHandle,
    time::Duration,
};

use crossbeam_channel::{Receiver, RecvTimeoutError};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use self::group::{Group, State};
use super::{
    Change, CommitError, Committed, IndexError,
    catalogue::{Inner, TICKET_BLOCK},
    engine::Batch,
    export::Last,
    journal::Retold,
    keys,
    population::Begun,
};
use crate::{
    audit::{Event, Frontier},
    seal::BlobName,
    types::{AttemptId, RecordId, SiteId},
};

/// sled stays flat in memory with batches of up to 300 to 400 operations.
const GROUP_OPERATIONS: usize = 300;
/// How often intents are looked at when nothing else happens. A younger intent is not written: most attempts end sooner.
const TICK: Duration = Duration::from_millis(250);
/// How many part rows one sweep of a closed upload removes.
pub(super) const SWEEP_PARTS: usize = 200;

/// What comes through the queue.
#[derive(Debug)]
pub(super) enum Work {
    Commit(Box<Request>),
    /// An intent ended; unless its commit came before, its blobs are garbage.
    Resolve {
        id: (RecordId, AttemptId),
        blobs: Vec<(SiteId, BlobName)>,
    },
    /// Tell the journal rows again, from this one on.
    Retell {
        after: Vec<u8>,
        answer: oneshot::Sender<Result<Retold, IndexError>>,
    },
    /// Keep a row by which the gateway's own long work goes on where it was, or a checkpoint.
    Keep {
        row: Vec<u8>,
        body: Vec<u8>,
        /// The number under which the journal is told of it.
        answer: oneshot::Sender<Result<Option<u64>, IndexError>>,
    },
    /// Answer once everything that came before is durable.
    Fence {
        answer: oneshot::Sender<Result<(), IndexError>>,
    },
    /// From now on, note what is written.
    Tap {
        answer: oneshot::Sender<Result<(), IndexError>>,
    },
    /// Read what an export lacks still, behind the commits so far.
    LastOfExport {
        answer: oneshot::Sender<Result<Option<Last>, IndexError>>,
    },
    /// From now on, keep what the records hold that are written.
    Population {
        answer: oneshot::Sender<Result<Begun, IndexError>>,
    },
    /// Reserve more tickets.
    Nudge,
    Stop,
}

/// A change that somebody waits for.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) change: Change,
    pub(super) event: Event,
    pub(super) answer: oneshot::Sender<Result<Committed, CommitError>>,
    /// Its place in the queue, given back when it is answered.
    pub(super) place: OwnedSemaphorePermit,
}

/// Starts the thread.
pub(super) fn start(inner: Arc<Inner>, frontier: Frontier, work: Receiver<Work>) -> Result<JoinHandle<()>, IndexError> {
    let state = State::new(&inner, frontier);
    std::thread::Builder::new()
        .name("committer".to_owned())
        .spawn(move || Committer { inner, state, work }.run())
        .map_err(|error| IndexError::Thread(error.to_string()))
}

struct Committer {
    inner: Arc<Inner>,
    state: State,
    work: Receiver<Work>,
}

type Waiting = (oneshot::Sender<Result<Committed, CommitError>>, Result<Committed, CommitError>, OwnedSemaphorePermit);

impl Committer {
    fn run(mut self) {
        let mut last_tick = std::time::Instant::now();
        loop {
            let first = match self.work.recv_timeout(TICK) {
                Ok(work) => Some(work),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => break,
            };
            let tick = last_tick.elapsed() >= TICK;
            if tick {
                last_tick = std::time::Instant::now();
            }
            let (stop, result) = self.group(first, tick);
            if let Err(error) = result {
                self.fail(error);
                break;
            }
            if stop {
                break;
            }
        }
    }

    /// One batch: plan, apply, publish, answer.
    fn group(&mut self, first: Option<Work>, tick: bool) -> (bool, Result<(), IndexError>) {
        if let Err(error) = self.extend_tickets() {
            return (false, Err(error));
        }
        let mut group = Group::new(&self.inner, &mut self.state);
        let mut waiting: Vec<Waiting> = Vec::new();
        let (mut told, mut kept, mut fenced, mut tapped, mut last) = (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut begun = Vec::new();
        let mut stop = false;
        let mut next = first;
        while let Some(work) = next {
            match work {
                Work::Commit(request) => {
                    let Request { change, event, answer, place } = *request;
                    waiting.push((answer, group.change(change, event), place));
                }
                Work::Resolve { id, blobs } => group.give_up(id, blobs),
                Work::Retell { after, answer } => {
                    let next = group.retell(&after);
                    told.push((answer, next));
                }
                Work::Keep { row, body, answer } => {
                    group.keep(&row, body);
                    kept.push(answer);
                }
                Work::Fence { answer } => fenced.push(answer),
                Work::Tap { answer } => {
                    self.inner.tap.open();
                    tapped.push(answer);
                }
                Work::LastOfExport { answer } => last.push(answer),
                Work::Population { answer } => begun.push((answer, self.inner.begin_population())),
                Work::Nudge => {}
                Work::Stop => stop = true,
            }
            if stop || group.operations() >= GROUP_OPERATIONS {
                break;
            }
            next = self.work.try_recv().ok();
        }
        if tick {
            group.write_lasting_intents();
            group.trim_outbox();
        }
        let result = group.apply();
        for (answer, planned, place) in waiting {
            fail::fail_point!("index::after-sync");
            let answered = match &result {
                Ok(number) => planned.map(|committed| Committed { journal: *number, ..committed }),
                Err(error) => Err(CommitError::Fatal(error.clone())),
            };
            // A requester that has gone away does not want the answer; the commit stands.
            let _ = answer.send(answered);
            drop(place);
        }
        for answer in kept {
            let _ = answer.send(result.clone());
        }
        let applied = result.map(drop);
        for (answer, next) in told {
            let _ = answer.send(applied.clone().and(next));
        }
        for answer in fenced {
            let _ = answer.send(applied.clone());
        }
        for answer in tapped {
            let _ = answer.send(applied.clone());
        }
        for (answer, population) in begun {
            let _ = answer.send(applied.clone().and(population));
        }
        for answer in last {
            let _ = answer.send(applied.clone().and_then(|()| self.inner.last_of_export()));
        }
        (stop, applied)
    }

    fn extend_tickets(&self) -> Result<(), IndexError> {
        let tickets = &self.inner.tickets;
        let (next, limit) = (tickets.next.load(Ordering::Relaxed), tickets.limit.load(Ordering::Acquire));
        if limit.saturating_sub(next) > TICKET_BLOCK / 2 {
            return Ok(());
        }
        let limit = next.max(limit) + TICKET_BLOCK;
        let mut batch = Batch::default();
        batch.put(keys::SEQUENCES, limit.to_be_bytes());
        self.inner.engine.apply(batch)?;
        tickets.limit.store(limit, Ordering::Release);
        let _waiting = tickets.waiting.lock();
        tickets.extended.notify_all();
        Ok(())
    }

    /// Nothing is acknowledged after a failure.
    fn fail(&self, error: IndexError) {
        tracing::error!(%error, "the index failed; nothing is committed any more");
        self.inner.stopped.store(true, Ordering::Release);
        self.inner.failure.send_replace(Some(error));
    }
}

/// However the thread ends, a panic included, nobody may take the index for one that still commits.
impl Drop for Committer {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.fail(IndexError::Panicked);
        }
        self.inner.stopped.store(true, Ordering::Release);
        self.inner.tickets.extended.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::ops::Bound;

    use super::*;
    use crate::{
        audit::{Actor, Kind},
        clock::ManualClock,
        index::{
            Engine, EngineError, EngineStats, Index, IndexKeys, MemoryEngine,
            engine::{Value, Visit},
        },
        kms::{Pseudonyms, SecretKey},
        types::Timestamp,
    };

    /// Breaks like a defect in the engine's own code, once told to.
    #[derive(Default)]
    struct Panicking {
        inner: MemoryEngine,
        armed: std::sync::atomic::AtomicBool,
    }

    impl Engine for Panicking {
        fn get(&self, key: &[u8]) -> Result<Option<Value>, EngineError> {
            self.inner.get(key)
        }
        fn scan(&self, from: Bound<&[u8]>, to: Bound<&[u8]>, visit: Visit<'_>) -> Result<(), EngineError> {
            self.inner.scan(from, to, visit)
        }
        fn scan_back(&self, from: Bound<&[u8]>, to: Bound<&[u8]>, visit: Visit<'_>) -> Result<(), EngineError> {
            self.inner.scan_back(from, to, visit)
        }
        fn apply(&self, batch: Batch) -> Result<(), EngineError> {
            assert!(!self.armed.load(Ordering::SeqCst), "a defect");
            self.inner.apply(batch)
        }
        fn is_resident(&self) -> bool {
            self.inner.is_resident()
        }
        fn stats(&self) -> EngineStats {
            self.inner.stats()
        }
    }

    #[tokio::test]
    async fn a_panic_of_the_committer_is_a_failure_of_the_index() {
        let engine = Arc::new(Panicking::default());
        let key = |byte| SecretKey::from_slice(&[byte; 32]).unwrap();
        let keys = IndexKeys {
            index_key: key(1),
            ledger_key: key(2),
            log: crate::audit::note::Signer::new("domicile/test", &[2; 32]).unwrap(),
            pseudonyms: Arc::new(Pseudonyms::new(key(3))),
        };
        let clock = Arc::new(ManualClock::new(Timestamp::from_seconds(1_000_000)));
        let index = Index::open(Arc::clone(&engine) as _, keys, clock).unwrap();
        let note = || index.commit(Change::Note, Event::new(Kind::Started, Actor::System));
        note().await.unwrap();
        engine.armed.store(true, Ordering::SeqCst);
        assert!(matches!(note().await, Err(CommitError::Fatal(_))));
        let failure = tokio::time::timeout(Duration::from_secs(60), index.failed()).await;
        assert!(matches!(failure, Ok(IndexError::Panicked)));
        assert!(!index.is_healthy());
        assert!(matches!(note().await, Err(CommitError::Fatal(_))));
    }
}
