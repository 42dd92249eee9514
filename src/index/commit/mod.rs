//! The committer: one thread that owns every write. It takes what waits in the queue up to a batch's worth, plans each change against
//! what the batch already says, applies the batch durably, and only then answers.

mod group;
mod plan;

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
    keys,
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
        self.inner.stopped.store(true, Ordering::Release);
        self.inner.tickets.extended.notify_all();
    }

    /// One batch: plan, apply, publish, answer.
    fn group(&mut self, first: Option<Work>, tick: bool) -> (bool, Result<(), IndexError>) {
        if let Err(error) = self.extend_tickets() {
            return (false, Err(error));
        }
        let mut group = Group::new(&self.inner, &mut self.state);
        let mut waiting: Vec<Waiting> = Vec::new();
        let mut stop = false;
        let mut next = first;
        while let Some(work) = next {
            match work {
                Work::Commit(request) => {
                    let Request { change, event, answer, place } = *request;
                    waiting.push((answer, group.change(change, event), place));
                }
                Work::Resolve { id, blobs } => group.give_up(id, blobs),
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
        }
        let result = group.apply();
        fail::fail_point!("index::after-sync");
        for (answer, planned, place) in waiting {
            let answered = match &result {
                Ok(()) => planned,
                Err(error) => Err(CommitError::Fatal(error.clone())),
            };
            // A requester that has gone away does not want the answer; the commit stands.
            let _ = answer.send(answered);
            drop(place);
        }
        (stop, result)
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
