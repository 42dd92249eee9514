//! Long work that somebody ordered: of each kind one piece at a time, the others wait for their turn.
//!
//! Jobs live as long as the process. One that a stop or crash broke off is ordered again; what it had done by then stays done.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;

use parking_lot::Mutex;
use serde::Serialize;
use tokio::sync::{Notify, watch};

use crate::objects::{ObjectError, Objects};
use crate::types::Timestamp;

/// Jobs that are remembered, at the most: the oldest that have ended are forgotten first.
const REMEMBERED: usize = 100;

/// One kind of long work, as it was ordered.
pub trait Task: Clone + Send + Sync + 'static {
    /// What is counted while it goes on.
    type Counting: Default + Send + Sync + 'static;
    /// What is told of it: what was ordered, and how far it is.
    type View: Serialize + Send;

    /// What it is called where something is said about it.
    const NAME: &'static str;

    /// As of now.
    fn view(&self, counting: &Self::Counting) -> Self::View;

    /// Lets go of what only the work needs: there will be no more of it.
    fn release(&self) {}

    /// Does it. May be dropped at any point.
    fn work(&self, objects: &Objects, counting: &Self::Counting) -> impl Future<Output = Result<(), ObjectError>> + Send;
}

/// What is known of one job.
#[derive(Debug, Clone, Serialize)]
pub struct Job<V> {
    /// Its number in this run of the gateway.
    pub id: u64,
    /// Where it stands.
    pub state: JobState,
    /// When it was ordered, RFC 3339.
    pub ordered: String,
    /// When it ended.
    pub ended: Option<String>,
    /// Why it broke off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// What was ordered, and how far it is.
    #[serde(flatten)]
    pub view: V,
}

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum JobState {
    /// Another one is at work.
    Waiting,
    /// At work.
    Running,
    /// At its end; what could not be done is in its progress.
    Done,
    /// Called off.
    Cancelled,
    /// Broken off by a failure of the index.
    Failed,
}

impl JobState {
    const fn has_ended(self) -> bool {
        matches!(self, Self::Done | Self::Cancelled | Self::Failed)
    }
}

/// Too many jobs wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many jobs of this kind wait for their turn")]
pub struct TooMany;

/// The jobs of one kind.
pub struct Jobs<T: Task> {
    objects: Objects,
    entries: Mutex<BTreeMap<u64, Entry<T>>>,
    ordered: Notify,
}

struct Entry<T: Task> {
    task: T,
    at: Timestamp,
    ended: Option<Timestamp>,
    failure: Option<String>,
    state: JobState,
    counting: Arc<T::Counting>,
    cancel: watch::Sender<bool>,
}

impl<T: Task> Jobs<T> {
    /// Without any job.
    pub fn new(objects: Objects) -> Self {
        Self { objects, entries: Mutex::default(), ordered: Notify::new() }
    }

    /// Orders a job; it has its turn when those before it have ended.
    ///
    /// # Errors
    /// [`TooMany`] when as many wait as are remembered.
    pub fn order(&self, task: T) -> Result<Job<T::View>, TooMany> {
        let mut entries = self.entries.lock();
        if entries.len() >= REMEMBERED {
            let ended = entries.iter().find(|(_, entry)| entry.state.has_ended()).map(|(id, _)| *id);
            entries.remove(&ended.ok_or(TooMany)?);
        }
        let id = entries.last_key_value().map_or(1, |(id, _)| id.saturating_add(1));
        let at = self.objects.clock.now();
        let cancel = watch::Sender::new(false);
        let entry = Entry { task, at, ended: None, failure: None, state: JobState::Waiting, counting: Arc::default(), cancel };
        let job = entry.job(id);
        entries.insert(id, entry);
        drop(entries);
        self.ordered.notify_one();
        Ok(job)
    }

    /// All jobs, in the order in which they were ordered.
    pub fn jobs(&self) -> Vec<Job<T::View>> {
        self.entries.lock().iter().map(|(id, entry)| entry.job(*id)).collect()
    }

    /// One job.
    pub fn job(&self, id: u64) -> Option<Job<T::View>> {
        self.entries.lock().get(&id).map(|entry| entry.job(id))
    }

    /// Calls a job off: nothing further is begun, and what is half done is as if it had not been begun.
    pub fn cancel(&self, id: u64) -> Option<Job<T::View>> {
        let mut entries = self.entries.lock();
        let entry = entries.get_mut(&id)?;
        entry.cancel.send_replace(true);
        if entry.state == JobState::Waiting {
            entry.end(JobState::Cancelled, self.objects.clock.now());
        }
        Some(entry.job(id))
    }

    /// Does the jobs until the task is dropped. Meant to be spawned once.
    pub async fn serve(&self) {
        loop {
            match self.next() {
                Some(turn) => self.work(turn).await,
                None => self.ordered.notified().await,
            }
        }
    }

    fn next(&self) -> Option<Turn<T>> {
        let mut entries = self.entries.lock();
        let (id, entry) = entries.iter_mut().find(|(_, entry)| entry.state == JobState::Waiting)?;
        entry.state = JobState::Running;
        let (task, counting) = (entry.task.clone(), Arc::clone(&entry.counting));
        Some(Turn { id: *id, task, counting, cancelled: entry.cancel.subscribe() })
    }

    async fn work(&self, mut turn: Turn<T>) {
        let outcome = tokio::select! {
            outcome = turn.task.work(&self.objects, &turn.counting) => Some(outcome),
            _ = turn.cancelled.wait_for(|cancelled| *cancelled) => None,
        };
        let (state, failure) = match outcome {
            None => (JobState::Cancelled, None),
            Some(Ok(())) => (JobState::Done, None),
            Some(Err(error)) => {
                tracing::error!(job = T::NAME, %error, "a job broke off");
                (JobState::Failed, Some(error.to_string()))
            }
        };
        let now = self.objects.clock.now();
        if let Some(entry) = self.entries.lock().get_mut(&turn.id) {
            entry.failure = failure;
            entry.end(state, now);
        }
    }
}

/// A job at work.
struct Turn<T: Task> {
    id: u64,
    task: T,
    counting: Arc<T::Counting>,
    cancelled: watch::Receiver<bool>,
}

impl<T: Task> Entry<T> {
    fn end(&mut self, state: JobState, now: Timestamp) {
        self.state = state;
        self.ended = Some(now);
        self.task.release();
    }

    fn job(&self, id: u64) -> Job<T::View> {
        Job {
            id,
            state: self.state,
            ordered: self.at.to_rfc3339(),
            ended: self.ended.map(|at| at.to_rfc3339()),
            failure: self.failure.clone(),
            view: self.task.view(&self.counting),
        }
    }
}
