//! The index as the rest of the gateway sees it: opening, point reads, what is held, and the way into the committer.

use std::{
    collections::{BTreeMap, HashMap},
    ops::{Bound, ControlFlow},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
    thread::JoinHandle,
};

use arc_swap::ArcSwap;
use crossbeam_channel::Sender;
use parking_lot::{Condvar, Mutex, RwLock};
use tokio::sync::{Semaphore, oneshot, watch};

use super::{
    Blob, Bucket, BucketId, Busy, Change, CommitError, Committed, Counters, Engine, EngineStats, Erasure, IndexError, Intent,
    IntentGuard, PartEntry, Pin, PolicyStanding, Record, Reservation, SiteRow, Upload, Waste,
    codec::{decode, decode_record, decode_version},
    commit::{self, Request, Work},
    counters::{Counter, count, counters_of},
    export::Tap,
    garbage::{blobs_of, run},
    guards::Ongoing,
    journal::Journal,
    keeping::Keeper,
    keys::{self, kind, successor},
    ledger,
    list::Step,
    sealing::Sealing,
    session::start_session,
};
use crate::{
    audit::{Event, Frontier, LedgerHead, note::Signer},
    clock::Clock,
    kms::{KeyOwner, Pseudonyms, SecretKey, WrappedSubjectKey},
    types::{BucketName, KeyId, ObjectKey, PolicyRevision, RecordId, SiteId, Ticket, UploadId},
};

/// The installation's keys that the index works with.
#[derive(Debug)]
pub struct IndexKeys {
    /// Seals row values.
    pub index_key: SecretKey,
    /// Authenticates the ledger's head.
    pub ledger_key: SecretKey,
    /// Signs the ledger's checkpoints.
    pub log: Signer,
    /// Names subjects in row keys.
    pub pseudonyms: Arc<Pseudonyms>,
}

/// The catalogue. Clones share it; when the last one is dropped, what is queued is committed and the committer ends.
#[derive(Clone)]
pub struct Index {
    pub(super) inner: Arc<Inner>,
    handle: Arc<Handle>,
}

/// What readers and the committer share.
pub(super) struct Inner {
    pub(super) engine: Arc<dyn Engine>,
    pub(super) sealing: Sealing,
    pub(super) keys: IndexKeys,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) ongoing: Arc<Ongoing>,
    pub(super) buckets: ArcSwap<BTreeMap<BucketName, Arc<Bucket>>>,
    pub(super) counters: Mutex<Counters>,
    pub(super) head: Mutex<LedgerHead>,
    pub(super) policy: Mutex<Option<PolicyRevision>>,
    pub(super) policies: Mutex<Arc<PolicyStanding>>,
    /// The erasures that are not complete.
    pub(super) erasures: ArcSwap<BTreeMap<u64, Erasure>>,
    pub(super) directory_changes: AtomicU64,
    /// When the next change of the directory comes to hold, in milliseconds.
    pub(super) next_due: AtomicI64,
    pub(super) tickets: Tickets,
    pub(super) journal: Journal,
    pub(super) tap: Tap,
    pub(super) keeper: RwLock<Option<Arc<dyn Keeper>>>,
    pub(super) stopped: AtomicBool,
    pub(super) failure: watch::Sender<Option<IndexError>>,
    part_tables: moka::sync::Cache<UploadId, Arc<[PartEntry]>>,
}

struct Handle {
    queue: Sender<Work>,
    places: Arc<Semaphore>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        let _ = self.queue.send(Work::Stop);
        if let Some(thread) = self.thread.get_mut().take() {
            let _ = thread.join();
        }
    }
}

/// Numbers below `limit` are durably reserved; none is issued twice, whatever happens.
#[derive(Debug, Default)]
pub(super) struct Tickets {
    pub(super) next: AtomicU64,
    pub(super) limit: AtomicU64,
    pub(super) waiting: Mutex<()>,
    pub(super) extended: Condvar,
}

/// How many tickets are reserved at a time.
pub(super) const TICKET_BLOCK: u64 = 1 << 20;
/// How many requests may wait for the committer; more wait for their turn to queue.
const PLACES: usize = 1024;
/// The bytes that cached part tables may take.
const PART_TABLE_CACHE: u64 = 16 * 1024 * 1024;

impl Index {
    /// Opens the catalogue in `engine`: starts a session, checks the ledger's head, loads the counters and starts the committer.
    pub fn open(engine: Arc<dyn Engine>, keys: IndexKeys, clock: Arc<dyn Clock>) -> Result<Self, IndexError> {
        let (sealing, first) = start_session(engine.as_ref(), &keys.index_key)?;
        let (frontier, head) = ledger::load(engine.as_ref(), keys.ledger_key.expose())?;
        super::tree::complete(engine.as_ref(), head.size)?;
        let tables = moka::sync::Cache::builder()
            .max_capacity(PART_TABLE_CACHE)
            .weigher(|_, table: &Arc<[PartEntry]>| u32::try_from(size_of_val(&table[..])).unwrap_or(u32::MAX))
            .build();
        let inner = Inner {
            engine,
            sealing,
            keys,
            clock,
            ongoing: Arc::default(),
            buckets: ArcSwap::default(),
            counters: Mutex::default(),
            head: Mutex::new(head),
            policy: Mutex::default(),
            policies: Mutex::default(),
            erasures: ArcSwap::default(),
            directory_changes: AtomicU64::default(),
            next_due: AtomicI64::new(i64::MAX),
            tickets: Tickets { next: first.into(), limit: (first + TICKET_BLOCK).into(), ..Tickets::default() },
            journal: Journal::default(),
            tap: Tap::default(),
            keeper: RwLock::default(),
            stopped: AtomicBool::new(false),
            failure: watch::Sender::new(None),
            part_tables: tables,
        };
        inner.load()?;
        let inner = Arc::new(inner);
        let (queue, work) = crossbeam_channel::unbounded();
        let thread = commit::start(Arc::clone(&inner), frontier, work)?;
        let handle = Handle { queue, places: Arc::new(Semaphore::new(PLACES)), thread: Mutex::new(Some(thread)) };
        Ok(Self { inner, handle: Arc::new(handle) })
    }

    /// Commits a change together with its ledger entry: on `Ok` both are durable. A refused change leaves an entry only when the event
    /// asks for it.
    pub async fn commit(&self, change: Change, event: Event) -> Result<Committed, CommitError> {
        let stopped = || CommitError::Fatal(IndexError::Stopped);
        let weighty = change.waits_for_the_journal();
        let place = Arc::clone(&self.handle.places).acquire_owned().await.map_err(|_| stopped())?;
        if !self.inner.engine.is_resident() {
            self.warm(&change).await;
        }
        let (answer, answered) = oneshot::channel();
        let request = Request { change, event, answer, place };
        self.handle.queue.send(Work::Commit(Box::new(request))).map_err(|_| stopped())?;
        let committed = answered.await.map_err(|_| stopped())??;
        if weighty { self.journalled(committed).await } else { Ok(committed) }
    }

    /// Reads the rows that the committer is going to read, so that it finds them in the cache.
    async fn warm(&self, change: &Change) {
        let row = match change {
            Change::Put(put) | Change::CompleteUpload { put, .. } => keys::record(put.bucket, put.key.as_str()),
            Change::Delete(delete) | Change::Outlived(delete) => keys::record(delete.bucket, delete.key.as_str()),
            Change::Expire(expire) => {
                let (bucket, key) = expire.what.place();
                keys::record(bucket, key.as_str())
            }
            Change::PutPart(part) => keys::upload(part.bucket, part.key.as_str(), &part.upload),
            Change::Due(subject) => keys::subject(subject),
            _ => return,
        };
        let parts = match change {
            Change::CompleteUpload { upload, .. } => Some(keys::parts(upload)),
            _ => None,
        };
        let inner = Arc::clone(&self.inner);
        let read = move || -> Result<(), IndexError> {
            inner.engine.get(&row)?;
            parts.map_or(Ok(()), |parts| inner.walk(&parts, None, |_, _| Ok(Step::Next)))
        };
        let _ = tokio::task::spawn_blocking(read).await;
    }

    /// Keeps a row, durably, without an entry in the ledger. The journal is told where it is of a kind that it is told of.
    pub(super) async fn keep<T: serde::Serialize + Sync>(
        &self,
        row: impl Into<Vec<u8>>,
        value: &T,
    ) -> Result<Option<u64>, IndexError> {
        let (row, body) = (row.into(), super::codec::encode(value)?);
        let (answer, answered) = oneshot::channel();
        self.enqueue(Work::Keep { row, body, answer })?;
        answered.await.map_err(|_| IndexError::Stopped)?
    }

    pub(super) fn enqueue(&self, work: Work) -> Result<(), IndexError> {
        self.handle.queue.send(work).map_err(|_| IndexError::Stopped)
    }

    /// Waits until the index fails. The process must end then: whether the last commits are durable is unknown.
    pub async fn failed(&self) -> IndexError {
        let mut failure = self.inner.failure.subscribe();
        let seen = failure.wait_for(Option::is_some).await;
        seen.ok().and_then(|error| error.clone()).unwrap_or(IndexError::Stopped)
    }

    /// Whether commits are possible.
    pub fn is_healthy(&self) -> bool {
        !self.inner.stopped.load(Ordering::Acquire)
    }

    /// A bucket, from memory.
    pub fn bucket(&self, name: &BucketName) -> Result<Option<Arc<Bucket>>, IndexError> {
        Ok(self.inner.buckets.load().get(name).cloned())
    }

    /// All buckets in the order of their names.
    pub fn buckets(&self) -> Result<Vec<Arc<Bucket>>, IndexError> {
        Ok(self.inner.buckets.load().values().cloned().collect())
    }

    /// The current record of a key; `None` also when its newest version is a delete marker.
    pub fn current(&self, bucket: &Bucket, key: &ObjectKey) -> Result<Option<Record>, IndexError> {
        self.inner.record(bucket.id, key.as_str())
    }

    /// The part table of a completed upload. A record that names one has one: its absence is corruption.
    pub fn parts_of(&self, table: UploadId) -> Result<Arc<[PartEntry]>, IndexError> {
        if let Some(parts) = self.inner.part_tables.get(&table) {
            return Ok(parts);
        }
        let Some(parts) = self.inner.part_table(&table)? else { return Err(IndexError::Corrupt { kind: 't' }) };
        let parts: Arc<[PartEntry]> = parts.into();
        self.inner.part_tables.insert(table, Arc::clone(&parts));
        Ok(parts)
    }

    /// An upload, open or lately closed.
    pub fn upload(&self, bucket: BucketId, key: &ObjectKey, id: &UploadId) -> Result<Option<Upload>, IndexError> {
        if let Some(upload) = self.inner.row(&keys::upload(bucket, key.as_str(), id))? {
            return Ok(Some(upload));
        }
        let closed: Option<Upload> = self.inner.row(&keys::closed_upload(id))?;
        Ok(closed.filter(|upload| upload.bucket == bucket && upload.key == *key))
    }

    /// An owner's subject key under a country key.
    pub fn subject_key(&self, key: &KeyId, owner: &KeyOwner) -> Result<Option<Arc<WrappedSubjectKey>>, IndexError> {
        self.inner.row(&keys::subject_key(key, owner))
    }

    /// A site as it was last seen.
    pub fn site(&self, site: &SiteId) -> Result<Option<SiteRow>, IndexError> {
        self.inner.row(&keys::site(site))
    }

    /// All sites ever seen.
    pub fn sites(&self) -> Result<Vec<SiteRow>, IndexError> {
        self.inner.rows(&[kind::SITE], usize::MAX).map(|rows| rows.into_iter().map(|row| row.1).collect())
    }

    /// Objects and bytes, from memory.
    pub fn summary(&self) -> Counters {
        self.inner.counters.lock().clone()
    }

    /// The policy set in force, as last committed.
    pub fn policy(&self) -> Option<PolicyRevision> {
        *self.inner.policy.lock()
    }

    /// How far the ledger has come.
    pub fn ledger_head(&self) -> LedgerHead {
        *self.inner.head.lock()
    }

    /// Up to `limit` ledger entries from number `from` on.
    pub async fn ledger_entries(&self, from: u64, limit: usize) -> Result<Vec<Vec<u8>>, IndexError> {
        self.blocking(move |inner| ledger::entries(inner.engine.as_ref(), from, limit)).await
    }

    /// The counters computed anew from the records.
    pub async fn recount(&self) -> Result<Counters, IndexError> {
        self.blocking(|inner| {
            let mut counters = Counters::new();
            for kind in [kind::RECORD, kind::HISTORY] {
                inner.each(&[kind], |row, body| {
                    let bucket = row.get(1..9).and_then(|id| id.try_into().ok()).map(u64::from_be_bytes);
                    let bucket = BucketId(bucket.ok_or(IndexError::Corrupt { kind: 'r' })?);
                    if let Some(record) = decode_version(body)?.into_record() {
                        for counter in counters_of(bucket, &record) {
                            count(&mut counters, counter, record.summary.size, true);
                        }
                    }
                    Ok(ControlFlow::Continue(()))
                })?;
            }
            Ok(counters)
        })
        .await
    }

    /// The next ticket: greater than every one issued before, also before a crash.
    pub fn ticket(&self) -> Result<Ticket, IndexError> {
        let tickets = &self.inner.tickets;
        let ticket = tickets.next.fetch_add(1, Ordering::Relaxed);
        let limit = tickets.limit.load(Ordering::Acquire);
        if limit.saturating_sub(ticket) == TICKET_BLOCK / 2 || ticket >= limit {
            let _ = self.handle.queue.send(Work::Nudge);
        }
        if ticket >= limit {
            let mut waiting = tickets.waiting.lock();
            while ticket >= tickets.limit.load(Ordering::Acquire) {
                if !self.is_healthy() {
                    return Err(IndexError::Stopped);
                }
                tickets.extended.wait_for(&mut waiting, std::time::Duration::from_millis(50));
            }
        }
        Ok(Ticket(ticket))
    }

    /// Reserves a key for a conditional write.
    pub fn reserve(&self, bucket: BucketId, key: &ObjectKey) -> Result<Reservation, Busy> {
        Reservation::new(Arc::clone(&self.inner.ongoing), bucket, key)
    }

    /// Keeps a record's blobs while somebody reads them.
    pub fn pin(&self, record: RecordId) -> Pin {
        Pin::new(Arc::clone(&self.inner.ongoing), record)
    }

    /// Declares an attempt. Known at once to this process; its row is written with a later commit if the attempt lasts.
    pub fn intent(&self, intent: Intent) -> IntentGuard {
        IntentGuard::new(&self.inner.ongoing, self.handle.queue.clone(), intent)
    }

    /// Figures about the engine.
    pub fn stats(&self) -> EngineStats {
        self.inner.engine.stats()
    }

    /// Runs a read that may take long away from the async threads.
    pub(super) async fn blocking<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Inner) -> Result<T, IndexError> + Send + 'static,
    ) -> Result<T, IndexError> {
        let inner = Arc::clone(&self.inner);
        tokio::task::spawn_blocking(move || read(&inner)).await.map_err(|_| IndexError::Stopped)?
    }
}

impl Inner {
    /// Reads and decodes one row.
    pub(super) fn row<T: serde::de::DeserializeOwned>(&self, row: &[u8]) -> Result<Option<T>, IndexError> {
        let letter = row.first().copied().map_or('?', char::from);
        self.row_with(row, |body| decode(letter, body))
    }

    pub(super) fn row_with<T>(
        &self,
        row: &[u8],
        read: impl FnOnce(&[u8]) -> Result<T, IndexError>,
    ) -> Result<Option<T>, IndexError> {
        let Some(sealed) = self.engine.get(row)? else { return Ok(None) };
        self.sealing.open(row, &sealed, read).map(Some)
    }

    pub(super) fn record(&self, bucket: BucketId, key: &str) -> Result<Option<Record>, IndexError> {
        self.row_with(&keys::record(bucket, key), decode_record)
    }

    pub(super) fn part_table(&self, table: &UploadId) -> Result<Option<Vec<PartEntry>>, IndexError> {
        self.row(&keys::part_table(table))
    }

    /// Opens every row under `prefix` until `visit` breaks.
    pub(super) fn each(
        &self,
        prefix: &[u8],
        mut visit: impl FnMut(&[u8], &[u8]) -> Result<ControlFlow<()>, IndexError>,
    ) -> Result<(), IndexError> {
        let end = successor(prefix);
        let to = end.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        let mut failed = None;
        self.engine.scan(Bound::Included(prefix), to, &mut |row, sealed| {
            self.sealing.open(row, sealed, |body| visit(row, body)).unwrap_or_else(|error| {
                failed = Some(error);
                ControlFlow::Break(())
            })
        })?;
        failed.map_or(Ok(()), Err)
    }

    pub(super) fn rows<T: serde::de::DeserializeOwned>(
        &self,
        prefix: &[u8],
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, T)>, IndexError> {
        let letter = prefix.first().copied().map_or('?', char::from);
        let mut rows = Vec::new();
        self.each(prefix, |row, body| {
            if rows.len() >= limit {
                return Ok(ControlFlow::Break(()));
            }
            rows.push((row.to_vec(), decode(letter, body)?));
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(rows)
    }

    /// The blobs of one piece of garbage.
    pub(super) fn blobs(&self, waste: &Waste) -> Result<Vec<Blob>, IndexError> {
        match waste {
            Waste::Blobs { blobs, .. } | Waste::Keys { blobs } => {
                Ok(blobs.iter().map(|(site, name)| Blob { site: site.clone(), name: *name, len: None }).collect())
            }
            Waste::Record { record, size, copies, layout } => {
                let parts = match layout {
                    super::Layout::Parts { table, .. } => self.part_table(table)?.ok_or(IndexError::Corrupt { kind: 't' })?,
                    _ => Vec::new(),
                };
                Ok(blobs_of(*record, *size, *layout, copies, &parts).collect())
            }
            Waste::Part { record, at, part } => {
                let of = |at: &super::StoredAt| run(at.clone(), *record, part.number, part.attempt, part.size);
                Ok(at.iter().flat_map(of).collect())
            }
            Waste::Upload { record, at, upload } => {
                let kept = self.part_table(upload)?.unwrap_or_default();
                let parts = self.rows::<super::Part>(&keys::parts(upload), commit::SWEEP_PARTS)?;
                let dropped = parts.iter().map(|row| row.1.entry).filter(|part| {
                    let same = kept.binary_search_by_key(&part.number, |entry| entry.number);
                    same.ok().and_then(|n| kept.get(n)).is_none_or(|entry| entry.attempt != part.attempt)
                });
                let of = |part: PartEntry| {
                    at.iter().flat_map(move |at| run(at.clone(), *record, part.number, part.attempt, part.size))
                };
                Ok(dropped.flat_map(of).collect())
            }
        }
    }

    fn load(&self) -> Result<(), IndexError> {
        let buckets = self.rows::<Bucket>(&[kind::BUCKET], usize::MAX)?;
        let buckets = buckets.into_iter().map(|(_, bucket)| (bucket.name.clone(), Arc::new(bucket)));
        self.buckets.store(Arc::new(buckets.collect()));
        let counters = self.rows::<(Counter, super::Tally)>(&[kind::COUNTER], usize::MAX)?;
        *self.counters.lock() = counters.into_iter().map(|row| row.1).collect::<HashMap<_, _>>();
        let policy = self.row(keys::POLICY)?;
        *self.policy.lock() = policy;
        *self.policies.lock() = Arc::new(self.load_policies(policy)?);
        self.look_ahead()?;
        let erasures = self.rows::<Erasure>(&[kind::ERASURE], usize::MAX)?.into_iter().map(|row| row.1);
        let pending = erasures.filter(|erasure| !erasure.is_complete()).map(|erasure| (erasure.id, erasure));
        self.erasures.store(Arc::new(pending.collect()));
        Ok(())
    }
}

/// A frontier restored at opening.
pub(super) type Restored = (Frontier, LedgerHead);
