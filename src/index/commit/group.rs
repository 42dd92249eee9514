//! One batch in the making: what has been planned so far, seen by the changes planned after it.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    ops::{Bound, ControlFlow},
    sync::{Arc, atomic::Ordering},
};

use serde::{Serialize, de::DeserializeOwned};

use super::{plan::Draft, policies::step};
use crate::{
    audit::{self, Event, Frontier, Kind, LedgerHead, Outcome, tile::MOST_ENTRY_BYTES},
    index::{
        Bucket, BucketId, Change, CommitError, Committed, CopyRow, Counter, Counters, Erasure, Garbage, GarbageReason,
        IndexError, PolicyStanding, Record, Tally, Version, Waste,
        catalogue::Inner,
        codec::{decode, decode_record, decode_version, encode},
        counters::count,
        engine::Batch,
        facets::facet_rows,
        journal::{Audiences, Outgoing},
        keys::{self, successor},
        ledger::{DERIVED, head_row},
        tree,
    },
    kms::{KeyOwner, LedgerSalt},
    seal::BlobName,
    types::{AttemptId, BucketName, Generation, KeyId, PolicyRevision, Pseudonym, RecordId, SiteId, Timestamp},
};

/// Subject key generations remembered at the most, and salts of subjects.
pub(super) const CACHED: usize = 65_536;
/// How long an attempt lasts before its intent is written.
const INTENT_AGE_MILLIS: i64 = 250;

/// What the committer knows without reading. Ahead of what readers see while a batch is in the making.
pub(super) struct State {
    pub(super) buckets: BTreeMap<BucketName, Arc<Bucket>>,
    pub(super) bucket_ids: HashMap<BucketId, BucketName>,
    pub(super) buckets_changed: bool,
    pub(super) counters: Counters,
    pub(super) frontier: Frontier,
    pub(super) policy: Option<PolicyRevision>,
    /// Shared with readers once it is durable.
    pub(super) policies: Arc<PolicyStanding>,
    pub(super) key_generations: HashMap<(KeyId, KeyOwner), Generation>,
    /// What the ledger's names of subjects are made with.
    pub(super) salts: HashMap<Pseudonym, LedgerSalt>,
    /// Those that are not complete.
    pub(super) erasures: BTreeMap<u64, Erasure>,
    pub(super) erasures_changed: bool,
}

impl State {
    pub(super) fn new(inner: &Inner, frontier: Frontier) -> Self {
        let buckets = BTreeMap::clone(&inner.buckets.load());
        Self {
            bucket_ids: buckets.values().map(|bucket| (bucket.id, bucket.name.clone())).collect(),
            buckets,
            buckets_changed: false,
            counters: inner.counters.lock().clone(),
            frontier,
            policy: *inner.policy.lock(),
            policies: Arc::clone(&inner.policies.lock()),
            key_generations: HashMap::new(),
            salts: HashMap::new(),
            erasures: BTreeMap::clone(&inner.erasures.load()),
            erasures_changed: false,
        }
    }

    /// Whether copies are under a key that an erasure has destroyed.
    pub(super) fn is_erased(&self, copies: &[CopyRow]) -> bool {
        self.erasures.values().any(|erasure| erasure.reaches(copies))
    }
}

/// A row's body: sealed when it is written, or as it is.
#[derive(Debug, Clone)]
pub(super) enum Body {
    Sealed(Vec<u8>),
    Clear(Vec<u8>),
}

/// One batch in the making.
pub(super) struct Group<'a> {
    pub(super) inner: &'a Inner,
    pub(super) state: &'a mut State,
    pub(super) now: Timestamp,
    pub(super) overlay: BTreeMap<Vec<u8>, Option<Body>>,
    counted: HashSet<Counter>,
    pub(super) resolved: Vec<(RecordId, AttemptId)>,
    written_intents: Vec<(RecordId, AttemptId)>,
    entries: usize,
    /// By what the new entries are found. Small rows that nobody reads in this batch.
    facets: Vec<Vec<u8>>,
    pub(super) audiences: Audiences,
    /// Rows that are not written, but told of once more.
    pub(super) again: Vec<(Vec<u8>, Vec<u8>)>,
    failed: Option<IndexError>,
}

impl<'a> Group<'a> {
    pub(super) fn new(inner: &'a Inner, state: &'a mut State) -> Self {
        let now = inner.clock.now();
        Self {
            inner,
            state,
            now,
            overlay: BTreeMap::new(),
            counted: HashSet::new(),
            resolved: Vec::new(),
            written_intents: Vec::new(),
            entries: 0,
            facets: Vec::new(),
            audiences: Audiences::default(),
            again: Vec::new(),
            failed: None,
        }
    }

    /// How many operations the batch has so far.
    pub(super) fn operations(&self) -> usize {
        self.overlay.len() + self.counted.len() + self.again.len()
    }

    /// Plans a change with its ledger entry; a refused one leaves nothing but, when the event asks for it, an entry.
    pub(super) fn change(&mut self, change: Change, mut event: Event) -> Result<Committed, CommitError> {
        let waits = change.waits_for_the_journal();
        match self.plan(change) {
            Ok(mut draft) => {
                if waits {
                    draft.committed.held_by = self.holders(&draft)?;
                }
                // Only here is it certain which record a delete removes.
                if matches!(event.kind, Kind::DeleteObject | Kind::Erased)
                    && let Some(removed) = &draft.committed.replaced
                {
                    event = removed.describe(event);
                }
                event.gone.clone_from(&draft.gone);
                event.marker = draft.committed.marker.as_ref().map(|marker| marker.version);
                if let Some(erasure) = &draft.committed.erasure {
                    event.erasure = Some(erasure.id);
                    // It would be the one entry that goes on saying who.
                    (event.subject, event.whose) = (None, None);
                }
                event.whose = event.whose.or(draft.whose);
                if let Some(entry) = &draft.committed.policy {
                    event.revision = Some(entry.revision);
                    event.policy = Some(Box::new(step(entry)));
                }
                self.name(&mut event).map_err(CommitError::Fatal)?;
                let ledger = self.log(&event).map_err(CommitError::Fatal)?;
                for kind in &draft.also {
                    event.kind = *kind;
                    self.log(&event).map_err(CommitError::Fatal)?;
                }
                let mut committed = self.take(draft);
                committed.ledger = ledger;
                Ok(committed)
            }
            Err(error) => {
                if event.record_refusal {
                    event.outcome = Outcome::Refused { code: error.code() };
                    self.name(&mut event).map_err(CommitError::Fatal)?;
                    self.log(&event).map_err(CommitError::Fatal)?;
                }
                Err(error)
            }
        }
    }

    /// Adopts a planned change.
    fn take(&mut self, draft: Draft) -> Committed {
        self.overlay.extend(draft.writes);
        for (row, countries) in draft.audiences {
            self.audiences.tell(row, countries);
        }
        for (counter, size, add) in draft.counts {
            count(&mut self.state.counters, counter.clone(), size, add);
            self.counted.insert(counter);
        }
        for id in draft.resolved {
            self.resolve(id);
        }
        if let Some(bucket) = draft.bucket {
            self.state.bucket_ids.insert(bucket.id, bucket.name.clone());
            self.state.buckets.insert(bucket.name.clone(), bucket);
            self.state.buckets_changed = true;
        }
        if let Some((name, id)) = draft.deleted {
            self.state.bucket_ids.remove(&id);
            self.state.buckets.remove(&name);
            self.state.buckets_changed = true;
        }
        if let Some(revision) = draft.policy {
            self.state.policy = Some(revision);
        }
        if let Some(standing) = draft.policies {
            self.state.policies = Arc::new(standing);
        }
        if let Some((key, owner, generation)) = draft.key {
            self.remember_key(key, owner, generation);
        }
        for key in draft.gone_keys {
            self.state.key_generations.remove(&key);
        }
        if let Some(subject) = draft.gone_salt {
            self.state.salts.remove(&subject);
        }
        if let Some(erasure) = &draft.committed.erasure {
            if erasure.is_complete() {
                self.state.erasures.remove(&erasure.id);
            } else {
                self.state.erasures.insert(erasure.id, erasure.clone());
            }
            self.state.erasures_changed = true;
        }
        draft.committed
    }

    pub(super) fn remember_key(&mut self, key: KeyId, owner: KeyOwner, generation: Generation) {
        if self.state.key_generations.len() >= CACHED {
            self.state.key_generations.clear();
        }
        self.state.key_generations.insert((key, owner), generation);
    }

    /// The number of the entry that the change being planned is told by.
    pub(super) const fn next_entry(&self) -> u64 {
        self.state.frontier.size()
    }

    fn log(&mut self, event: &Event) -> Result<u64, IndexError> {
        // What `benches/audit.rs` compares with.
        if cfg!(domicile_no_ledger) {
            return Ok(0);
        }
        let seq = self.state.frontier.size();
        let encode =
            |event: &Event| audit::entry::leaf(seq, self.now, event).map_err(|error| IndexError::Encode(error.to_string()));
        let mut leaf = encode(event)?;
        if leaf.len() > MOST_ENTRY_BYTES {
            leaf = encode(&event.lean())?;
        }
        if leaf.len() > MOST_ENTRY_BYTES {
            // No bundle of the log could hold it, nor could anybody read on behind it.
            return Err(IndexError::Encode(format!("an entry of the ledger would have {} bytes", leaf.len())));
        }
        let overlay = &mut self.overlay;
        self.state.frontier.push_hash(audit::leaf_hash(&leaf), |height, hash| {
            if let Some(row) = tree::row(height, seq) {
                overlay.insert(row, Some(Body::Clear(hash.to_vec())));
            }
        });
        self.facets.extend(facet_rows(seq, &leaf));
        self.overlay.insert(keys::ledger(seq), Some(Body::Clear(leaf)));
        self.entries += 1;
        Ok(seq)
    }

    /// Marks an intent as ended by its commit.
    fn resolve(&mut self, id: (RecordId, AttemptId)) {
        let durable = self.inner.ongoing.intents.lock().get(&id).is_some_and(|state| state.durable);
        if durable {
            self.overlay.insert(keys::intent(&id.0, &id.1), None);
        }
        self.resolved.push(id);
    }

    /// The guard of an intent is gone: without a commit before, its blobs are garbage.
    pub(super) fn give_up(&mut self, id: (RecordId, AttemptId), blobs: Vec<(SiteId, BlobName)>) {
        let live = self.inner.ongoing.intents.lock().contains_key(&id);
        if !live || self.resolved.contains(&id) {
            return;
        }
        self.resolve(id);
        for blobs in blobs.chunks(256) {
            let what = Waste::Blobs { record: id.0, blobs: blobs.to_vec() };
            let garbage = Garbage { since: self.now, why: GarbageReason::Abandoned, what };
            match self.garbage_row(&garbage) {
                Ok((row, body)) => drop(self.overlay.insert(row, body)),
                Err(error) => self.failed = Some(error),
            }
        }
    }

    /// Writes the intents of attempts that have lasted a while.
    pub(super) fn write_lasting_intents(&mut self) {
        let intents = self.inner.ongoing.intents.lock();
        let room = super::GROUP_OPERATIONS;
        let old = |started: Timestamp| self.now.millis().saturating_sub(started.millis()) >= INTENT_AGE_MILLIS;
        let lasting =
            intents.iter().filter(|(id, state)| !state.durable && old(state.intent.started) && !self.resolved.contains(id));
        for (id, state) in lasting.take(room) {
            if let Ok(body) = encode(&state.intent) {
                self.overlay.insert(keys::intent(&id.0, &id.1), Some(Body::Sealed(body)));
                self.written_intents.push(*id);
            }
        }
    }

    pub(super) fn garbage_row(&self, garbage: &Garbage) -> Result<(Vec<u8>, Option<Body>), IndexError> {
        let seq = self.inner.tickets.next.fetch_add(1, Ordering::Relaxed);
        Ok((keys::garbage(garbage.since, seq), Some(sealed(garbage)?)))
    }

    /// A row as the batch will leave it.
    pub(super) fn row<T: DeserializeOwned>(&self, row: &[u8]) -> Result<Option<T>, IndexError> {
        let letter = row.first().copied().map_or('?', char::from);
        self.body(row, |body| decode(letter, body))
    }

    pub(super) fn record(&self, row: &[u8]) -> Result<Option<Record>, IndexError> {
        self.body(row, decode_record)
    }

    pub(super) fn version(&self, row: &[u8]) -> Result<Option<Version>, IndexError> {
        self.body(row, decode_version)
    }

    /// A row's text as the batch will leave it.
    pub(super) fn body<T>(&self, row: &[u8], read: impl FnOnce(&[u8]) -> Result<T, IndexError>) -> Result<Option<T>, IndexError> {
        match self.overlay.get(row) {
            Some(Some(Body::Sealed(body) | Body::Clear(body))) => read(body).map(Some),
            Some(None) => Ok(None),
            None => self.inner.row_with(row, read),
        }
    }

    /// The first version under `prefix`, from the row `from` on, as the batch will leave it.
    pub(super) fn first_version(&self, prefix: &[u8], from: &[u8]) -> Result<Option<(Vec<u8>, Version)>, IndexError> {
        let end = successor(prefix);
        let to = end.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        let mut planned = self.overlay.range::<[u8], _>((Bound::Included(from), to));
        let mut row = planned.find(|(_, body)| body.is_some()).map(|(row, _)| row.clone());
        self.inner.engine.scan(Bound::Included(from), to, &mut |stored, _| {
            if row.as_deref().is_some_and(|row| row <= stored) {
                return ControlFlow::Break(());
            }
            if self.overlay.contains_key(stored) {
                return ControlFlow::Continue(());
            }
            row = Some(stored.to_vec());
            ControlFlow::Break(())
        })?;
        let Some(row) = row else { return Ok(None) };
        Ok(self.version(&row)?.map(|version| (row, version)))
    }

    /// The rows of a range that the batch writes.
    pub(super) fn planned<'b>(&'b self, from: &'b [u8], to: &'b [u8]) -> impl Iterator<Item = &'b [u8]> + 'b {
        let planned = self.overlay.range::<[u8], _>((Bound::Included(from), Bound::Excluded(to)));
        planned.filter(|(_, body)| body.is_some()).map(|(row, _)| row.as_slice())
    }

    /// Whether the batch will leave any row under `prefix`.
    pub(super) fn has_rows(&self, prefix: &[u8]) -> Result<bool, IndexError> {
        let end = successor(prefix);
        let to = end.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        let planned = self.overlay.range::<[u8], _>((Bound::Included(prefix), to));
        if planned.into_iter().any(|(_, body)| body.is_some()) {
            return Ok(true);
        }
        let mut found = false;
        self.inner.engine.scan(Bound::Included(prefix), to, &mut |row, _| {
            found = !matches!(self.overlay.get(row), Some(None));
            if found { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        Ok(found)
    }

    /// Writes the batch durably, then lets readers see what is kept in memory. Returns the number under which the journal is told of it.
    pub(super) fn apply(mut self) -> Result<Option<u64>, IndexError> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        if self.overlay.is_empty() && self.again.is_empty() {
            self.forget_resolved();
            return Ok(None);
        }
        let entry = self.journal_entry()?;
        let head = self.head();
        let writes = |kind| self.overlay.keys().any(|row| row.first() == Some(&kind));
        let (directory_changes, appointed) = (writes(keys::kind::SUBJECT), writes(keys::kind::APPOINTED));
        let written = self.inner.tap.is_on().then(|| self.journalled_rows());
        self.inner.walks.keep(self.inner.engine.as_ref(), self.overlay.keys().map(Vec::as_slice))?;
        let mut batch = self.batch(head)?;
        if let Some(entry) = &entry {
            let outgoing: Vec<_> = entry.facts.iter().map(Outgoing::of).collect();
            let row = keys::outbox(entry.number);
            batch.put(row.clone(), self.inner.sealing.seal(&row, &encode(&outgoing)?)?);
        }
        fail::fail_point!("index::before-apply");
        self.inner.engine.apply(batch)?;
        if let Some(written) = written {
            self.inner.tap.add(written);
        }
        if self.state.buckets_changed {
            self.inner.buckets.store(Arc::new(self.state.buckets.clone()));
            self.state.buckets_changed = false;
        }
        if self.state.erasures_changed {
            self.inner.erasures.store(Arc::new(self.state.erasures.clone()));
            self.state.erasures_changed = false;
        }
        let mut published = self.inner.counters.lock();
        for counter in &self.counted {
            match self.state.counters.get(counter).filter(|tally| **tally != Tally::default()) {
                Some(tally) => drop(published.insert(counter.clone(), *tally)),
                None => drop(published.remove(counter)),
            }
        }
        drop(published);
        *self.inner.head.lock() = head;
        *self.inner.policy.lock() = self.state.policy;
        *self.inner.policies.lock() = Arc::clone(&self.state.policies);
        if appointed {
            self.inner.look_ahead()?;
        }
        if directory_changes {
            self.inner.directory_changes.fetch_add(1, Ordering::Release);
        }
        self.forget_resolved();
        Ok(entry.map(|entry| {
            let number = entry.number;
            self.inner.journal.push(entry);
            number
        }))
    }

    fn head(&self) -> LedgerHead {
        let before = *self.inner.head.lock();
        if self.entries == 0 {
            return before;
        }
        LedgerHead { size: self.state.frontier.size(), root: self.state.frontier.root(), time: self.now }
    }

    fn batch(&mut self, head: LedgerHead) -> Result<Batch, IndexError> {
        let mut batch = Batch::default();
        for (row, body) in std::mem::take(&mut self.overlay) {
            let value = match body {
                Some(Body::Sealed(plain)) => Some(self.inner.sealing.seal(&row, &plain)?),
                Some(Body::Clear(plain)) => Some(plain),
                None => None,
            };
            batch.writes.push((row, value));
        }
        for row in std::mem::take(&mut self.facets) {
            batch.put(row, Vec::new());
        }
        for counter in &self.counted {
            let row = keys::counter(&encode(counter)?);
            match self.state.counters.get(counter).filter(|tally| **tally != Tally::default()) {
                Some(tally) => batch.put(row.clone(), self.inner.sealing.seal(&row, &encode(&(counter, tally))?)?),
                None => {
                    self.state.counters.remove(counter);
                    batch.delete(row);
                }
            }
        }
        if self.entries > 0 {
            batch.put(keys::LEDGER_HEAD, head_row(head, &self.state.frontier, self.inner.keys.ledger_key.expose(), DERIVED)?);
        }
        Ok(batch)
    }

    fn forget_resolved(&self) {
        let mut intents = self.inner.ongoing.intents.lock();
        for id in &self.resolved {
            intents.remove(id);
        }
        for id in &self.written_intents {
            if let Some(state) = intents.get_mut(id) {
                state.durable = true;
            }
        }
    }
}

/// A row to be sealed.
pub(super) fn sealed<T: Serialize>(row: &T) -> Result<Body, IndexError> {
    encode(row).map(Body::Sealed)
}
