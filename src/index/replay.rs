//! Building an index from what the journal says, alone or since an export: the facts first, then what derives from them.

use std::{
    collections::HashMap,
    io::Read,
    ops::{Bound, ControlFlow},
    sync::Arc,
};

use super::{
    BucketId, Counters, Engine, ExportError, Exported, ImportedIndex, IndexError, IndexKeys, Layout, Record, SubjectRow, Version,
    codec::{decode, decode_version, encode},
    counters::{count, counters_of},
    engine::Batch,
    export,
    journal::{Audiences, Group, row_hash},
    keys::{self, Secondary, kind},
    ledger::head_row,
    sealing::Sealing,
    session::start_session,
};
use crate::{
    audit::{Frontier, LedgerHead},
    types::{Pseudonym, Ticket, Timestamp},
};

/// Rows written at a time.
const BATCH: usize = 300;
/// How far the numbers jump: further than a lost end of the journal can have used them.
const JUMP: u64 = 1 << 40;

/// An index that is being built in an empty engine.
pub struct Replay {
    engine: Arc<dyn Engine>,
    sealing: Sealing,
    keys: IndexKeys,
    /// Which commit said the last word about a row, and whether the row is there by it.
    words: HashMap<[u8; 16], (u64, bool)>,
    batch: Batch,
    highest: u64,
    /// The export that the facts are told on top of.
    base: Option<Exported>,
    imported: Option<ImportedIndex>,
}

/// What a replay came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Replayed {
    /// Versions with bytes.
    pub records: u64,
    /// Delete markers.
    pub markers: u64,
    /// Entries of the ledger.
    pub entries: u64,
    /// Entries that are missing, or there behind a missing one: the ledger ends before them.
    pub entries_lost: u64,
    /// Records whose part table is missing: they cannot be read.
    pub without_parts: u64,
}

impl Replay {
    /// Begins in an empty engine.
    ///
    /// # Errors
    /// Those of the engine.
    pub fn begin(engine: Arc<dyn Engine>, keys: IndexKeys) -> Result<Self, IndexError> {
        let (sealing, _) = start_session(engine.as_ref(), &keys.index_key)?;
        Ok(Self { engine, sealing, keys, words: HashMap::new(), batch: Batch::default(), highest: 0, base: None, imported: None })
    }

    /// Takes the rows of an export, before any fact: what commits up to its number did is in it and told nobody again. Shows the bytes of
    /// each line.
    ///
    /// # Errors
    /// Those of the file and the engine; nothing may be made of what was read then.
    pub fn load(
        &mut self,
        source: impl Read,
        installation: [u8; 16],
        mut seen: impl FnMut(u64),
    ) -> Result<Exported, ExportError> {
        let index_key = self.keys.index_key.clone();
        let exported = export::read(source, &index_key, installation, |row, body| {
            seen((row.len() + body.as_ref().map_or(0, Vec::len)) as u64);
            if !Audiences::is_journalled(&row) {
                return Err(IndexError::Corrupt { kind: row.first().copied().map_or('?', char::from) });
            }
            match body {
                Some(body) => self.put(row, &body),
                None => self.write(row, None),
            }
        })?;
        self.highest = self.highest.max(exported.number);
        self.base = Some(exported.clone());
        Ok(exported)
    }

    /// Leaves in the index that it lacks what only some sites know since its export.
    pub fn leave_behind(&mut self, imported: ImportedIndex) {
        self.imported = Some(imported);
    }

    /// Takes the facts of a commit. Order does not matter, nor does it when they come twice.
    ///
    /// # Errors
    /// Those of the engine, or that a fact is about no row that the journal tells of.
    pub fn take(&mut self, group: &Group) -> Result<(), IndexError> {
        self.highest = self.highest.max(group.number);
        if self.base.as_ref().is_some_and(|base| group.number <= base.number) {
            return Ok(());
        }
        for fact in &group.facts {
            let letter = fact.row.first().copied().map_or('?', char::from);
            let hash = fact.hash().ok_or(IndexError::Corrupt { kind: 'j' })?;
            if fact.body.is_some() && !Audiences::is_journalled(&fact.row) {
                return Err(IndexError::Corrupt { kind: letter });
            }
            if self.words.get(&hash).is_some_and(|(number, _)| *number >= group.number) {
                continue;
            }
            self.words.insert(hash, (group.number, fact.body.is_some()));
            if let Some(body) = &fact.body {
                self.put(fact.row.clone(), body)?;
            }
        }
        Ok(())
    }

    fn put(&mut self, row: Vec<u8>, body: &[u8]) -> Result<(), IndexError> {
        let value = match row.first() {
            Some(&kind::LEDGER) => body.to_vec(),
            _ => self.sealing.seal(&row, body)?,
        };
        self.write(row, Some(value))
    }

    fn write(&mut self, row: Vec<u8>, value: Option<Vec<u8>>) -> Result<(), IndexError> {
        self.batch.writes.push((row, value));
        if self.batch.writes.len() >= BATCH { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), IndexError> {
        Ok(self.engine.apply(std::mem::take(&mut self.batch))?)
    }

    /// Ends it: removes the rows that are gone, and derives what the journal does not tell. [`super::Index::open`] can follow.
    ///
    /// # Errors
    /// Those of the engine, or a row that does not decode; [`IndexError::OtherLedger`].
    pub fn finish(mut self, now: Timestamp) -> Result<Replayed, IndexError> {
        self.flush()?;
        self.sweep()?;
        let mut replayed = Replayed::default();
        self.ledger(now, &mut replayed)?;
        self.derive(&mut replayed)?;
        if let Some(imported) = self.imported.take() {
            self.put(keys::IMPORTED.to_vec(), &encode(&imported)?)?;
        }
        self.write(keys::SEQUENCES.to_vec(), Some((self.highest + JUMP).to_be_bytes().to_vec()))?;
        self.flush()?;
        Ok(replayed)
    }

    /// Removes rows of which a later commit said that they are gone.
    fn sweep(&mut self) -> Result<(), IndexError> {
        let mut gone = Vec::new();
        self.engine.scan(Bound::Unbounded, Bound::Unbounded, &mut |row, _| {
            if Audiences::is_journalled(row) && self.words.get(&row_hash(row)).is_some_and(|(_, there)| !there) {
                gone.push(row.to_vec());
            }
            ControlFlow::Continue(())
        })?;
        gone.into_iter().try_for_each(|row| self.write(row, None))?;
        self.flush()
    }

    /// Restores the ledger's head. An entry behind a missing one cannot be held against anything: the ledger ends at the first gap.
    fn ledger(&mut self, now: Timestamp, replayed: &mut Replayed) -> Result<(), IndexError> {
        let mut frontier = Frontier::default();
        let base = self.base.as_ref().map(|base| base.ledger);
        let (mut behind, mut last, mut continues) = (Vec::new(), None, base.is_none_or(|base| base.size == 0));
        self.engine.scan(Bound::Included(&[kind::LEDGER]), Bound::Excluded(&[kind::LEDGER + 1]), &mut |row, leaf| {
            last = row.get(1..).and_then(|seq| seq.try_into().ok()).map(u64::from_be_bytes);
            if last == Some(frontier.size()) {
                frontier.push(leaf);
                continues |= base.is_some_and(|base| base.size == frontier.size() && base.root == frontier.root());
            } else {
                behind.push(row.to_vec());
            }
            ControlFlow::Continue(())
        })?;
        if !continues {
            return Err(IndexError::OtherLedger);
        }
        behind.into_iter().try_for_each(|row| self.write(row, None))?;
        replayed.entries = frontier.size();
        replayed.entries_lost = last.map_or(0, |last| (last + 1).saturating_sub(frontier.size()));
        let head = LedgerHead { size: frontier.size(), root: frontier.root(), time: now };
        let row = head_row(head, &frontier, self.keys.ledger_key.expose())?;
        self.write(keys::LEDGER_HEAD.to_vec(), Some(row))
    }

    /// Writes the secondary rows, the ways to `null` versions, what is to come of subjects and the counters.
    fn derive(&mut self, replayed: &mut Replayed) -> Result<(), IndexError> {
        let mut counters = Counters::new();
        for letter in [kind::RECORD, kind::HISTORY] {
            let mut from = vec![letter];
            loop {
                // A page at a time: an engine need not take writes while it is being read.
                let page = page(self.engine.as_ref(), &from, &[letter + 1])?;
                let Some((last, _)) = page.last() else { break };
                from = [last.as_slice(), &[0]].concat();
                for (row, value) in &page {
                    let version = self.sealing.open(row, value, decode_version)?;
                    self.derive_from(row, &version, &mut counters, replayed)?;
                }
            }
        }
        self.appoint()?;
        for (counter, tally) in counters {
            let row = keys::counter(&encode(&counter)?);
            let value = self.sealing.seal(&row, &encode(&(counter, tally))?)?;
            self.write(row, Some(value))?;
        }
        Ok(())
    }

    /// Writes when what is to come of subjects comes to hold.
    fn appoint(&mut self) -> Result<(), IndexError> {
        let corrupt = || IndexError::Corrupt { kind: 'd' };
        let mut from = vec![kind::SUBJECT];
        loop {
            let page = page(self.engine.as_ref(), &from, &[kind::SUBJECT + 1])?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            from = [last.as_slice(), &[0]].concat();
            for (row, value) in &page {
                let subject: SubjectRow = self.sealing.open(row, value, |body| decode('d', body))?;
                let name = row.get(1..).and_then(|name| name.try_into().ok()).map(Pseudonym::from_bytes).ok_or_else(corrupt)?;
                for next in &subject.coming {
                    self.write(keys::appointed(next.effective, &name), Some(Vec::new()))?;
                }
            }
        }
    }

    fn derive_from(
        &mut self,
        row: &[u8],
        version: &Version,
        counters: &mut Counters,
        replayed: &mut Replayed,
    ) -> Result<(), IndexError> {
        let corrupt = || IndexError::Corrupt { kind: row.first().copied().map_or('?', char::from) };
        let (bucket, rest) = row.get(1..).and_then(|row| row.split_first_chunk::<8>()).ok_or_else(corrupt)?;
        let (key, _) = keys::unescape(rest).ok_or_else(corrupt)?;
        let bucket = BucketId(u64::from_be_bytes(*bucket));
        let summary = version.summary();
        self.highest = self.highest.max(summary.ticket.0).max(bucket.0);
        if row.first() == Some(&kind::HISTORY) && summary.version.ticket().is_none() {
            let null = keys::null_version(bucket, &key);
            let value = self.sealing.seal(&null, &encode(&summary.ticket)?)?;
            self.write(null, Some(value))?;
        }
        let Version::Record(record) = version else {
            replayed.markers += 1;
            return Ok(());
        };
        replayed.records += 1;
        if let Layout::Parts { table, .. } = record.detail.layout
            && self.engine.get(&keys::part_table(&table))?.is_none()
        {
            replayed.without_parts += 1;
        }
        let rows: Vec<_> = secondary_rows(&self.keys, bucket, &key, record).collect();
        rows.into_iter().try_for_each(|row| self.write(row, Some(Vec::new())))?;
        for counter in counters_of(bucket, record) {
            count(counters, counter, record.summary.size, true);
        }
        Ok(())
    }
}

/// A row's key and its stored value.
type Stored = (Vec<u8>, Vec<u8>);

/// The first rows of a range.
pub(super) fn page(engine: &dyn Engine, from: &[u8], to: &[u8]) -> Result<Vec<Stored>, IndexError> {
    let mut rows = Vec::new();
    engine.scan(Bound::Included(from), Bound::Excluded(to), &mut |row, value| {
        rows.push((row.to_vec(), value.to_vec()));
        if rows.len() < BATCH { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    Ok(rows)
}

/// The rows that lead to a record.
pub(super) fn secondary_rows<'a>(
    keys: &'a IndexKeys,
    bucket: BucketId,
    key: &'a str,
    record: &'a Record,
) -> impl Iterator<Item = Vec<u8>> + 'a {
    let ticket: Ticket = record.summary.ticket;
    let placement = &record.detail.placement;
    let subject = placement.subject.as_ref().map(|subject| keys.pseudonyms.subject(subject));
    let of_subject = subject.into_iter().map(move |subject| Secondary::Subject(&subject).row(bucket, key, ticket));
    let of_sites = record.detail.copies.iter().filter(|copy| copy.is_stored()).map(|copy| Secondary::Site(&copy.site));
    let of_instruments = placement.instruments.iter().map(Secondary::Instrument);
    let pending = record.queued().next().map(|_| Secondary::Pending);
    of_subject.chain(of_sites.chain(of_instruments).chain(pending).map(move |row| row.row(bucket, key, ticket)))
}
