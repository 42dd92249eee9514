//! Random histories with crashes against plain maps: everything that a bucket, its uploads and the directory go through, on both engines.
//!
//! What must hold after each: the index shows what the reference does; a commit that fails is whole or absent; counters, ledger and secondary
//! rows fit; what the journal was told gives the same index, and so does an export; and of all blobs that were ever written each is either
//! needed or comes to be garbage, never both and never neither.
//!
//! `DOMICILE_MODEL_CASES` multiplies the number of histories; `./test --full` sets it.

mod reference;
mod store;

use self::{
    reference::{KEYS, Kept, Known, Live, Open, Reference, SUBJECTS, Seen},
    store::{Moment, Store},
};
use super::{
    exports::{exported, imported},
    journal::{Listener, Told, replays, retell, rows},
    *,
};
use crate::bucket::{Setting, Versioning};

/// One thing that happens.
#[derive(Debug, Clone)]
enum Step {
    /// A write; a late one took its ticket before the step that came before it.
    Put {
        key: usize,
        size: u64,
        site: usize,
        subject: usize,
        late: bool,
    },
    Delete {
        key: usize,
        late: bool,
    },
    DeleteVersion {
        key: usize,
        nth: usize,
    },
    Tag {
        key: usize,
        nth: usize,
        value: u8,
    },
    Versioning(bool),
    Begin {
        key: usize,
        subject: usize,
    },
    Part {
        upload: usize,
        number: u32,
        size: u64,
    },
    /// With all its parts, or all but the first.
    Complete {
        upload: usize,
        all: bool,
    },
    Abort {
        upload: usize,
    },
    /// Sets what is known of a subject, or forgets it.
    Subject {
        subject: usize,
        citizen: Option<bool>,
    },
    Settle {
        subject: usize,
    },
    Move {
        key: usize,
        nth: usize,
        site: usize,
    },
    /// Removes the blobs of the nth piece of garbage, and its row.
    Collect {
        nth: usize,
    },
    /// Tells the journal everything again.
    Retell,
    /// Reads an export and compares.
    Export,
    Reopen,
    /// The process dies in this step's commit.
    Crash(Moment, Box<Self>),
}

fn commits() -> impl Strategy<Value = Step> {
    let (key, nth, upload) = (|| 0..KEYS.len(), || 0..4usize, || 0..3usize);
    let (site, subject) = (|| 0..SITES.len(), || 0..SUBJECTS.len());
    // Around a border of extents, too.
    let size = || prop_oneof![3 => 0..100_000u64, 1 => (8 << 20) - 1..(8 << 20) + 2u64];
    prop_oneof![
        6 => (key(), size(), site(), subject(), prop::bool::weighted(0.2))
            .prop_map(|(key, size, site, subject, late)| Step::Put { key, size, site, subject, late }),
        3 => (key(), prop::bool::weighted(0.2)).prop_map(|(key, late)| Step::Delete { key, late }),
        2 => (key(), nth()).prop_map(|(key, nth)| Step::DeleteVersion { key, nth }),
        1 => (key(), nth(), any::<u8>()).prop_map(|(key, nth, value)| Step::Tag { key, nth, value }),
        2 => any::<bool>().prop_map(Step::Versioning),
        2 => (key(), subject()).prop_map(|(key, subject)| Step::Begin { key, subject }),
        3 => (upload(), 1..4u32, size()).prop_map(|(upload, number, size)| Step::Part { upload, number, size }),
        2 => (upload(), any::<bool>()).prop_map(|(upload, all)| Step::Complete { upload, all }),
        1 => upload().prop_map(|upload| Step::Abort { upload }),
        1 => (subject(), any::<Option<bool>>()).prop_map(|(subject, citizen)| Step::Subject { subject, citizen }),
        1 => subject().prop_map(|subject| Step::Settle { subject }),
        2 => (key(), nth(), site()).prop_map(|(key, nth, site)| Step::Move { key, nth, site }),
        2 => nth().prop_map(|nth| Step::Collect { nth }),
    ]
}

fn steps(most: usize) -> impl Strategy<Value = Vec<Step>> {
    let moment = prop_oneof![Just(Moment::Before), Just(Moment::After)];
    let step = prop_oneof![
        30 => commits(),
        3 => (moment, commits()).prop_map(|(moment, step)| Step::Crash(moment, Box::new(step))),
        1 => Just(Step::Reopen),
        1 => Just(Step::Retell),
        1 => Just(Step::Export),
    ];
    prop::collection::vec(step, 1..most)
}

/// An index in use, and what it should hold.
struct World {
    store: Store,
    index: Index,
    bucket: Arc<Bucket>,
    told: Told,
    listener: Listener,
    reference: Reference,
    /// Blobs that are gone.
    swept: BTreeSet<(SiteId, BlobName)>,
    /// A ticket from before the last step.
    early: Ticket,
}

impl World {
    async fn new(mut store: Store) -> Self {
        let (index, bucket) = prepared(store.engine(None).await).await;
        let told = Told::default();
        let listener = Listener::of(&index, &told);
        // What was committed before there was a journal.
        retell(&index).await;
        let early = index.ticket().unwrap();
        Self { store, index, bucket, told, listener, reference: Reference::default(), swept: BTreeSet::new(), early }
    }

    async fn reopen(self) -> Self {
        let Self { mut store, index, bucket, told, listener, reference, swept, early } = self;
        let before = index.ticket().unwrap_or(early);
        listener.stop().await;
        let index = open(store.engine(Some(index)).await);
        assert!(index.ticket().unwrap() > before, "no ticket is issued twice");
        let listener = Listener::of(&index, &told);
        Self { store, index, bucket, told, listener, reference, swept, early }
    }

    async fn take(mut self, step: Step) -> Self {
        let spare = self.index.ticket().unwrap();
        let mut world = match step {
            Step::Reopen => self.reopen().await,
            Step::Retell => {
                retell(&self.index).await;
                self
            }
            Step::Export => {
                let (again, _) = imported(Arc::new(MemoryEngine::new()), &exported(&self.index).await);
                assert_eq!(rows(&again), rows(&self.index));
                self
            }
            Step::Crash(moment, step) => {
                let mut with = self.reference.clone();
                self.store.fail_next(moment);
                match self.commit(&mut with, *step).await {
                    Ok(()) => {
                        // There was nothing to commit, or a commit of the index's own was the one that failed.
                        self.reference = with;
                        self.reopen().await
                    }
                    Err(CommitError::Fatal(_)) => {
                        let mut world = self.reopen().await;
                        let seen = Seen::of(&world.index, &world.bucket).await;
                        if seen != world.reference.seen() {
                            assert_eq!(moment, Moment::After, "nothing of it was applied");
                            assert_eq!(seen, with.seen(), "it is whole or absent");
                            world.reference = with;
                        } else if world.is_there(&with).await {
                            world.reference = with;
                        }
                        world
                    }
                    Err(error) => panic!("{error}"),
                }
            }
            step => {
                let mut with = self.reference.clone();
                self.commit(&mut with, step).await.unwrap();
                self.reference = with;
                self
            }
        };
        world.early = spare;
        world
    }

    /// Whether a commit of which nothing is seen has left garbage: a write that came too late, or a part that took another's place.
    async fn is_there(&self, with: &Reference) -> bool {
        let new: BTreeSet<_> = with.written.difference(&self.reference.written).collect();
        let garbage = self.index.garbage(Timestamp::from_millis(i64::MAX), None, 1000).await.unwrap();
        for (_, garbage) in garbage {
            let blobs = self.index.garbage_blobs(&garbage).await.unwrap().unwrap();
            if blobs.into_iter().any(|blob| new.contains(&(blob.site, blob.name))) {
                return true;
            }
        }
        false
    }

    fn basis(&self, subject: usize) -> Basis {
        Basis { subject_generation: Generation(self.reference.subjects[subject].generation), ..basis() }
    }

    fn version_id(&self, ticket: Ticket) -> VersionId {
        if self.reference.versioning == Versioning::Enabled { VersionId::new(ticket, [0; 8]) } else { VersionId::Null }
    }

    async fn send(&self, change: Change) -> Result<(), CommitError> {
        self.index.commit(change, event()).await.map(drop)
    }

    /// A version with bytes, as the index has it.
    fn record_of(&self, key: usize, nth: usize) -> Option<Record> {
        let kept = self.reference.versions[key].get(nth).filter(|kept| kept.live.is_some())?;
        let found = self.index.version(&self.bucket, &super::key(KEYS[key]), kept.version).unwrap();
        found.and_then(Version::into_record)
    }

    fn parts_of(&self, record: &Record) -> Arc<[PartEntry]> {
        match record.detail.layout {
            Layout::Parts { table, .. } => self.index.parts_of(table).unwrap(),
            _ => Arc::default(),
        }
    }

    /// Commits what a step is, if there is anything to do; `with` is what should be there afterwards.
    async fn commit(&mut self, with: &mut Reference, step: Step) -> Result<(), CommitError> {
        let bucket = Arc::clone(&self.bucket);
        match step {
            Step::Put { key, size, site, subject, late } => {
                let mut new = record(&self.index, size, SITES[site], SUBJECTS[subject]);
                if late {
                    new.summary.ticket = self.early;
                }
                if size > crate::seal::EXTENT_SIZE as u64 {
                    new.detail.layout = Layout::Extents { attempt: AttemptId::from_bytes(crate::digest::random()) };
                }
                new.summary.version = self.version_id(new.summary.ticket);
                with.write(key, &new, &[], subject);
                let put = put_change(&bucket, KEYS[key], new, WriteCondition::None);
                self.send(Change::Put(Box::new(PutChange { basis: self.basis(subject), ..put }))).await
            }
            Step::Delete { key, late } => {
                let ticket = if late { self.early } else { self.index.ticket().unwrap() };
                let deletion = deletion(&bucket, KEYS[key], ticket);
                with.delete(key, ticket, deletion.marker);
                self.send(Change::Delete(Box::new(deletion))).await
            }
            Step::DeleteVersion { key, nth } => {
                let known = self.reference.versions[key].get(nth).map(|kept| kept.version);
                let version = known.unwrap_or_else(|| VersionId::new(Ticket(3), [9; 8]));
                with.versions[key].retain(|kept| kept.version != version);
                let deletion = deletion(&bucket, KEYS[key], self.index.ticket().unwrap());
                self.send(Change::Delete(Box::new(DeleteChange { version: Some(version), ..deletion }))).await
            }
            Step::Tag { key, nth, value } => {
                let Some(record) = self.record_of(key, nth) else { return Ok(()) };
                let tags = vec![("value".to_owned(), value.to_string())];
                if let Some(live) = &mut with.versions[key][nth].live {
                    live.tags.clone_from(&tags);
                }
                let update = UpdateChange {
                    bucket: bucket.id,
                    key: super::key(KEYS[key]),
                    record: record.summary.id,
                    ticket: record.summary.ticket,
                    update: RecordUpdate::Tags(tags),
                    basis: None,
                };
                self.send(Change::Update(Box::new(update))).await
            }
            Step::Versioning(on) => {
                with.versioning = if on { Versioning::Enabled } else { Versioning::Suspended };
                let setting = Box::new(Setting::Versioning(with.versioning));
                self.send(Change::SetBucket { name: bucket.name.clone(), id: bucket.id, setting }).await
            }
            Step::Begin { key, subject } => {
                let mut upload = upload_of(&self.index, &bucket, KEYS[key]);
                upload.placement.subject = Some(SubjectId::new(SUBJECTS[subject]).unwrap());
                with.uploads.push(Open { upload: upload.clone(), subject, parts: BTreeMap::new() });
                self.send(Change::CreateUpload { upload: Box::new(upload), basis: self.basis(subject) }).await
            }
            Step::Part { upload, number, size } => {
                let Some(open) = self.reference.uploads.get(upload) else { return Ok(()) };
                let basis = self.basis(open.subject);
                let change = part_change(&bucket, &open.upload, number, size, basis);
                let blobs = change.receipts.iter().map(|receipt| (receipt.site().clone(), *receipt.name()));
                with.written.extend(blobs);
                with.uploads[upload].parts.insert(number, change.part.entry);
                self.send(Change::PutPart(Box::new(change))).await
            }
            Step::Complete { upload, all } => self.complete(with, upload, all).await,
            Step::Abort { upload } => {
                if upload >= self.reference.uploads.len() {
                    return Ok(());
                }
                let Upload { key, id, .. } = with.uploads.remove(upload).upload;
                self.send(Change::AbortUpload { bucket: bucket.id, key, upload: id }).await
            }
            Step::Subject { subject, citizen } => {
                // The one chain of these tests is that of the home country.
                let attributes = citizen.map(|citizen| Attributes::from([("citizen".to_owned(), citizen.to_string())]));
                with.know(subject, attributes.clone());
                self.send(Change::Subject(Box::new(SubjectChange::now(SubjectId::new(SUBJECTS[subject]).unwrap(), attributes))))
                    .await
            }
            Step::Settle { subject } => {
                let Known { generation, .. } = self.reference.subjects[subject];
                with.subjects[subject].unsettled = None;
                let subject = self.index.inner.keys.pseudonyms.subject(&SubjectId::new(SUBJECTS[subject]).unwrap());
                self.send(Change::Settled { subject, generation: Generation(generation) }).await
            }
            Step::Move { key, nth, site } => {
                let Some(record) = self.record_of(key, nth) else { return Ok(()) };
                let Some(live) = &mut with.versions[key][nth].live else { return Ok(()) };
                live.site = SITES[site].to_owned();
                live.moves += 1;
                let basis = self.basis(live.subject);
                let change = moving(&bucket, KEYS[key], &record, SITES[site]);
                let mut then = record.clone();
                then.detail.copies.clone_from(&change.after);
                let blobs = then.blobs(&self.parts_of(&record)).map(|blob| (blob.site, blob.name)).collect::<Vec<_>>();
                with.written.extend(blobs);
                self.send(Change::Relocate(Box::new(RelocateChange { basis, ..change }))).await
            }
            Step::Collect { nth } => {
                let due = self.index.garbage(Timestamp::from_millis(i64::MAX), None, nth + 1).await.unwrap();
                let Some((row, garbage)) = due.into_iter().next_back() else { return Ok(()) };
                self.sweep(&garbage).await;
                self.send(Change::Collected { garbage: vec![row] }).await
            }
            Step::Retell | Step::Export | Step::Reopen | Step::Crash(..) => Ok(()),
        }
    }

    async fn complete(&self, with: &mut Reference, upload: usize, all: bool) -> Result<(), CommitError> {
        let Some(open) = self.reference.uploads.get(upload) else { return Ok(()) };
        let skipped = usize::from(!all && open.parts.len() > 1);
        let parts: Vec<PartEntry> = open.parts.values().skip(skipped).copied().collect();
        let size = parts.iter().map(|part| part.size).sum();
        let Some(count) = u32::try_from(parts.len()).ok().filter(|count| *count > 0) else { return Ok(()) };
        let (subject, id) = (open.subject, open.upload.id);
        let at = KEYS.iter().position(|name| *name == open.upload.key.as_str()).unwrap();
        let mut whole = record(&self.index, size, SITES[0], SUBJECTS[subject]);
        whole.summary.id = open.upload.record;
        whole.summary.version = self.version_id(whole.summary.ticket);
        whole.detail.layout = Layout::Parts { table: id, count };
        with.uploads.remove(upload);
        with.write(at, &whole, &parts, subject);
        let put = put_change(&self.bucket, KEYS[at], whole, WriteCondition::None);
        let put = Box::new(PutChange { basis: self.basis(subject), ..put });
        self.send(Change::CompleteUpload { put, upload: id, parts, parts_digest: [4; 32] }).await
    }

    /// Removes what a piece of garbage names, which nothing may need.
    async fn sweep(&mut self, garbage: &Garbage) {
        let needed = self.needed();
        for blob in self.index.garbage_blobs(garbage).await.unwrap().unwrap() {
            let blob = (blob.site, blob.name);
            assert!(!needed.contains(&blob), "what is needed is no garbage");
            self.swept.insert(blob);
        }
    }

    /// The blobs of every record and of every part of an open upload.
    fn needed(&self) -> BTreeSet<(SiteId, BlobName)> {
        let mut needed = BTreeSet::new();
        for key in 0..KEYS.len() {
            for nth in 0..self.reference.versions[key].len() {
                let Some(record) = self.record_of(key, nth) else { continue };
                let parts = self.parts_of(&record);
                needed.extend(record.blobs(&parts).map(|blob| (blob.site, blob.name)));
            }
        }
        for Open { upload, parts, .. } in &self.reference.uploads {
            for (part, copy) in parts.values().flat_map(|part| upload.copies.iter().map(move |copy| (part, copy))) {
                let blobs = garbage::run(copy.stored_at(), upload.record, part.number, part.attempt, part.size);
                needed.extend(blobs.map(|blob| (blob.site, blob.name)));
            }
        }
        needed
    }

    /// Holds everything against the reference, and sweeps all that is garbage.
    async fn end(mut self) {
        assert_eq!(Seen::of(&self.index, &self.bucket).await, self.reference.seen());
        check_whole(&self.index).await;
        replays(&self.index, &self.told).await;
        while let Some((row, garbage)) = self.index.garbage(Timestamp::from_millis(i64::MAX), None, 1).await.unwrap().pop() {
            self.sweep(&garbage).await;
            self.index.commit(Change::Collected { garbage: vec![row] }, event()).await.unwrap();
        }
        let left: BTreeSet<_> = self.reference.written.difference(&self.swept).cloned().collect();
        assert_eq!(left, self.needed(), "every blob is needed or was garbage");
        replays(&self.index, &self.told).await;
        self.listener.stop().await;
    }
}

impl Reference {
    /// A record comes in.
    fn write(&mut self, key: usize, record: &Record, parts: &[PartEntry], subject: usize) {
        self.written.extend(record.blobs(parts).map(|blob| (blob.site, blob.name)));
        let live = Live {
            id: record.summary.id,
            size: record.summary.size,
            tags: Vec::new(),
            moves: 0,
            site: record.detail.copies[0].site.to_string(),
            subject,
        };
        self.add(key, Kept { version: record.summary.version, ticket: record.summary.ticket, live: Some(live) });
    }
}

fn run(store: Store, steps: Vec<Step>) {
    thread_local! {
        static RUNTIME: Runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    }
    RUNTIME.with(|runtime| {
        runtime.block_on(async {
            let mut world = World::new(store).await;
            for step in steps {
                world = world.take(step).await;
            }
            world.end().await;
        });
    });
}

/// So many histories, or as many times more as the environment says.
fn cases(number: u32) -> ProptestConfig {
    let times = std::env::var("DOMICILE_MODEL_CASES").ok().map_or(1, |times| times.parse().unwrap());
    ProptestConfig::with_cases(number * times)
}

/// Tests that share the histories, so that they run beside each other.
macro_rules! histories {
    ($($share:ident),+ are $number:literal of at most $most:literal steps on $store:expr) => {
        $(proptest! {
            #![proptest_config(cases($number))]
            #[test]
            fn $share(steps in steps($most)) {
                run($store, steps);
            }
        })+
    };
}

histories! { in_memory_1, in_memory_2, in_memory_3, in_memory_4 are 2500 of at most 14 steps on Store::memory() }
histories! { on_disk_1, on_disk_2 are 100 of at most 30 steps on Store::sled() }
