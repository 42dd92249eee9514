//! What is held for as long as something goes on: pins of readers, reservations of keys, intents of writers.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use crossbeam_channel::Sender;
use parking_lot::Mutex;

use super::{BucketId, Index, IndexError, Intent, commit::Work, keys::kind};
use crate::{
    seal::BlobName,
    types::{AttemptId, ObjectKey, PolicyRevision, RecordId, SiteId, SubjectId},
};

/// What is going on at present.
#[derive(Debug, Default)]
pub(super) struct Ongoing {
    pins: Mutex<HashMap<RecordId, u32>>,
    reserved: Mutex<HashSet<(BucketId, ObjectKey)>>,
    pub(super) intents: Mutex<HashMap<(RecordId, AttemptId), IntentState>>,
    /// Subjects that are about to be erased; how many wait for it, and how many holds have come meanwhile.
    watched: Mutex<HashMap<SubjectId, Watched>>,
}

#[derive(Debug, Default)]
struct Watched {
    watches: usize,
    holds: u64,
}

/// An intent and whether its row is durable.
#[derive(Debug)]
pub(super) struct IntentState {
    pub(super) intent: Intent,
    pub(super) durable: bool,
}

/// Keeps the blobs of a record from being collected while somebody reads them.
#[derive(Debug)]
pub struct Pin {
    ongoing: Arc<Ongoing>,
    record: RecordId,
}

impl Pin {
    pub(super) fn new(ongoing: Arc<Ongoing>, record: RecordId) -> Self {
        *ongoing.pins.lock().entry(record).or_default() += 1;
        Self { ongoing, record }
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        let mut pins = self.ongoing.pins.lock();
        if let Some(count) = pins.get_mut(&self.record) {
            *count -= 1;
            if *count == 0 {
                pins.remove(&self.record);
            }
        }
    }
}

impl Ongoing {
    pub(super) fn is_pinned(&self, record: RecordId) -> bool {
        self.pins.lock().contains_key(&record)
    }

    pub(super) fn is_written(&self, record: RecordId) -> bool {
        self.intents.lock().keys().any(|(of, _)| *of == record)
    }

    /// A version of a subject is about to be held or retained.
    pub(super) fn held(&self, subject: Option<&SubjectId>) {
        if let Some(subject) = subject
            && let Some(watched) = self.watched.lock().get_mut(subject)
        {
            watched.holds += 1;
        }
    }

    pub(super) fn is_intended(&self, record: RecordId, attempt: AttemptId) -> bool {
        self.intents.lock().contains_key(&(record, attempt))
    }
}

/// Notices when a version of a subject gets a retention or a legal hold, or the policies change that can keep it, from its making on.
#[derive(Debug)]
pub struct HoldWatch {
    ongoing: Arc<Ongoing>,
    subject: SubjectId,
    /// The holds that had come before.
    before: u64,
    /// The policy set in force then.
    policy: Option<PolicyRevision>,
}

impl HoldWatch {
    fn new(ongoing: Arc<Ongoing>, subject: &SubjectId, policy: Option<PolicyRevision>) -> Self {
        let before = {
            let mut watched = ongoing.watched.lock();
            let watched = watched.entry(subject.clone()).or_default();
            watched.watches += 1;
            watched.holds
        };
        Self { ongoing, subject: subject.clone(), before, policy }
    }

    /// Whether none has come, and the policies are the same.
    pub(super) fn is_quiet(&self, policy: Option<PolicyRevision>) -> bool {
        self.policy == policy
            && self.ongoing.watched.lock().get(&self.subject).is_some_and(|watched| watched.holds == self.before)
    }
}

impl Drop for HoldWatch {
    fn drop(&mut self) {
        let mut watched = self.ongoing.watched.lock();
        if let Some(of) = watched.get_mut(&self.subject) {
            of.watches -= 1;
            if of.watches == 0 {
                watched.remove(&self.subject);
            }
        }
    }
}

/// The key is reserved by another conditional write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("another conditional write of the key is in progress")]
pub struct Busy;

/// Holds a key for one conditional write.
#[derive(Debug)]
pub struct Reservation {
    ongoing: Arc<Ongoing>,
    key: (BucketId, ObjectKey),
}

impl Reservation {
    pub(super) fn new(ongoing: Arc<Ongoing>, bucket: BucketId, key: &ObjectKey) -> Result<Self, Busy> {
        let key = (bucket, key.clone());
        if !ongoing.reserved.lock().insert(key.clone()) {
            return Err(Busy);
        }
        Ok(Self { ongoing, key })
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.ongoing.reserved.lock().remove(&self.key);
    }
}

/// An attempt in progress. A commit of its record or part resolves it; dropped without one, the blobs that were told to it become
/// garbage. A future that is cancelled while its commit is in the queue is safe: the committer sees both in order.
#[derive(Debug)]
pub struct IntentGuard {
    id: (RecordId, AttemptId),
    blobs: Vec<(SiteId, BlobName)>,
    queue: Sender<Work>,
}

impl IntentGuard {
    pub(super) fn new(ongoing: &Ongoing, queue: Sender<Work>, intent: Intent) -> Self {
        let id = (intent.record, intent.attempt);
        ongoing.intents.lock().insert(id, IntentState { intent, durable: false });
        Self { id, blobs: Vec::new(), queue }
    }

    /// Tells of a blob that is about to be written: call it before the write, since a failed write may have happened.
    pub fn add(&mut self, site: &SiteId, name: BlobName) {
        self.blobs.push((site.clone(), name));
    }

    /// Gives the attempt up, with these blobs as well as those told before.
    pub fn abandon(mut self, blobs: impl IntoIterator<Item = (SiteId, BlobName)>) {
        self.blobs.extend(blobs);
    }
}

impl Drop for IntentGuard {
    fn drop(&mut self) {
        let blobs = std::mem::take(&mut self.blobs);
        // The queue is gone only when the index is; the scrub finds the blobs then.
        let _ = self.queue.send(Work::Resolve { id: self.id, blobs });
    }
}

impl Index {
    /// Whether an attempt is in progress: a scrub must leave its blobs alone.
    pub fn is_intended(&self, record: RecordId, attempt: AttemptId) -> bool {
        self.inner.ongoing.is_intended(record, attempt)
    }

    /// Notices what keeps versions of a subject from now on.
    pub fn watch_holds(&self, subject: &SubjectId) -> HoldWatch {
        HoldWatch::new(Arc::clone(&self.inner.ongoing), subject, *self.inner.policy.lock())
    }

    /// Whether anything of a record is being written.
    pub fn is_written(&self, record: RecordId) -> bool {
        self.inner.ongoing.is_written(record)
    }

    /// Intents of earlier runs that neither committed nor were given up: a scrub decides about their blobs.
    pub fn leftover_intents(&self) -> Result<Vec<Intent>, IndexError> {
        let rows = self.inner.rows::<Intent>(&[kind::INTENT], usize::MAX)?;
        Ok(rows.into_iter().map(|row| row.1).filter(|intent| !self.is_intended(intent.record, intent.attempt)).collect())
    }
}
