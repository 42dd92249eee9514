//! Relocations that somebody ordered: one runs at a time, the others wait for their turn.
//!
//! Jobs live as long as the process. One that a stop or crash broke off is ordered again and goes on where the other came to: what has moved
//! by then stays where it is.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use serde::Serialize;
use tokio::sync::{Notify, watch};

use super::{
    plan::{Plan, plan},
    run::{Counting, Order, Progress, run},
};
use crate::{
    index::IndexError,
    objects::Objects,
    types::{BucketName, SubjectId, Timestamp},
};

/// Jobs that are remembered, at the most: the oldest that have ended are forgotten first.
const REMEMBERED: usize = 100;

/// What is known of one job.
#[derive(Debug, Clone, Serialize)]
pub struct Job {
    /// Its number in this run of the gateway.
    pub id: u64,
    /// Where it stands.
    pub state: JobState,
    /// Whether it only plans.
    pub dry_run: bool,
    /// Only this bucket.
    pub bucket: Option<BucketName>,
    /// Only keys that begin so.
    pub prefix: Option<String>,
    /// Only this subject.
    pub subject: Option<SubjectId>,
    /// When it was ordered, RFC 3339.
    pub ordered: String,
    /// When it ended.
    pub ended: Option<String>,
    /// What has been done.
    pub progress: Progress,
    /// What would be done, of one that only plans.
    pub plan: Option<Plan>,
}

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum JobState {
    /// Another one is at work.
    Waiting,
    /// At work.
    Running,
    /// At its end; what could not be moved is in its progress.
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
#[error("too many relocations wait for their turn")]
pub struct TooMany;

/// The jobs of a gateway.
pub struct Relocations {
    objects: Objects,
    entries: Mutex<BTreeMap<u64, Entry>>,
    ordered: Notify,
}

struct Entry {
    order: Order,
    dry_run: bool,
    at: Timestamp,
    ended: Option<Timestamp>,
    state: JobState,
    counting: Arc<Counting>,
    plan: Option<Plan>,
    cancel: watch::Sender<bool>,
}

impl Relocations {
    /// Without any job.
    pub fn new(objects: Objects) -> Self {
        Self { objects, entries: Mutex::default(), ordered: Notify::new() }
    }

    /// Orders a job; it has its turn when those before it have ended.
    ///
    /// # Errors
    /// [`TooMany`] when as many wait as are remembered.
    pub fn order(&self, order: Order, dry_run: bool) -> Result<Job, TooMany> {
        let mut entries = self.entries.lock();
        if entries.len() >= REMEMBERED {
            let ended = entries.iter().find(|(_, entry)| entry.state.has_ended()).map(|(id, _)| *id);
            entries.remove(&ended.ok_or(TooMany)?);
        }
        let id = entries.last_key_value().map_or(1, |(id, _)| id.saturating_add(1));
        let entry = Entry {
            order,
            dry_run,
            at: self.objects.clock.now(),
            ended: None,
            state: JobState::Waiting,
            counting: Arc::default(),
            plan: None,
            cancel: watch::Sender::new(false),
        };
        let job = entry.job(id);
        entries.insert(id, entry);
        drop(entries);
        self.ordered.notify_one();
        Ok(job)
    }

    /// All jobs, in the order in which they were ordered.
    pub fn jobs(&self) -> Vec<Job> {
        self.entries.lock().iter().map(|(id, entry)| entry.job(*id)).collect()
    }

    /// One job.
    pub fn job(&self, id: u64) -> Option<Job> {
        self.entries.lock().get(&id).map(|entry| entry.job(id))
    }

    /// Calls a job off: no further record begins to move, and one that is being moved stays where it is.
    pub fn cancel(&self, id: u64) -> Option<Job> {
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
                Some((id, work)) => self.work(id, work).await,
                None => self.ordered.notified().await,
            }
        }
    }

    fn next(&self) -> Option<(u64, Work)> {
        let mut entries = self.entries.lock();
        let (id, entry) = entries.iter_mut().find(|(_, entry)| entry.state == JobState::Waiting)?;
        entry.state = JobState::Running;
        let work = Work {
            order: entry.order.clone(),
            dry_run: entry.dry_run,
            counting: Arc::clone(&entry.counting),
            cancelled: entry.cancel.subscribe(),
        };
        Some((*id, work))
    }

    async fn work(&self, id: u64, mut work: Work) {
        let outcome = tokio::select! {
            outcome = work_of(&self.objects, &work.order, work.dry_run, &work.counting) => Some(outcome),
            _ = work.cancelled.wait_for(|cancelled| *cancelled) => None,
        };
        let now = self.objects.clock.now();
        let mut entries = self.entries.lock();
        let Some(entry) = entries.get_mut(&id) else { return };
        match outcome {
            None => entry.end(JobState::Cancelled, now),
            Some(Ok(plan)) => {
                entry.plan = plan;
                entry.end(JobState::Done, now);
            }
            Some(Err(error)) => {
                tracing::error!(%error, "a relocation broke off");
                entry.end(JobState::Failed, now);
            }
        }
    }
}

/// A job at work.
struct Work {
    order: Order,
    dry_run: bool,
    counting: Arc<Counting>,
    cancelled: watch::Receiver<bool>,
}

async fn work_of(objects: &Objects, order: &Order, dry_run: bool, counting: &Counting) -> Result<Option<Plan>, IndexError> {
    if dry_run {
        let set = objects.policies.load_full();
        return plan(objects, &set, order.stock.clone()).await.map(Some);
    }
    run(objects, order, counting).await.map(|()| None)
}

impl Entry {
    fn end(&mut self, state: JobState, now: Timestamp) {
        self.state = state;
        self.ended = Some(now);
    }

    fn job(&self, id: u64) -> Job {
        let stock = &self.order.stock;
        Job {
            id,
            state: self.state,
            dry_run: self.dry_run,
            bucket: stock.bucket.clone(),
            prefix: stock.prefix.clone(),
            subject: stock.subject.clone(),
            ordered: self.at.to_rfc3339(),
            ended: self.ended.map(|at| at.to_rfc3339()),
            progress: self.counting.progress(),
            plan: self.plan.clone(),
        }
    }
}
