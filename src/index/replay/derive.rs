//! What a replay derives at its end from the rows that the journal told of.

use std::{
    collections::BTreeSet,
    ops::{Bound, ControlFlow},
};

use super::{BATCH, Departed, JUMP, Replay, Replayed, resume::Stage};
use crate::{
    audit::{Frontier, LedgerHead},
    index::{
        BucketId, Counters, Engine, IndexError, IndexKeys, Layout, Record, SubjectRow, Version,
        codec::{decode, decode_version, encode},
        counters::{count, counters_of},
        journal::{Audiences, row_hash},
        keys::{self, Secondary, kind},
        ledger::head_row,
        names::SaltRow,
    },
    kms::WrappedSubjectKey,
    types::{Country, Generation, Pseudonym, Ticket, Timestamp},
};

impl Replay {
    /// Ends it: removes the rows that are gone, and derives what the journal does not tell. [`super::Index::open`] can follow. The
    /// sites of `here` are there: what had gone to these countries can be looked for.
    ///
    /// # Errors
    /// Those of the engine, or a row that does not decode; [`IndexError::OtherLedger`].
    pub fn finish(mut self, now: Timestamp, here: &BTreeSet<Country>) -> Result<Replayed, IndexError> {
        self.flush()?;
        self.sweep(here)?;
        let mut replayed = Replayed { departed: self.departed.clone(), ..Replayed::default() };
        self.ledger(now, &mut replayed)?;
        self.derive(&mut replayed)?;
        if let Some(imported) = self.imported.take() {
            self.put(keys::IMPORTED.to_vec(), &encode(&imported)?)?;
        }
        // The last batch, whole or not at all: from then on everything is here.
        self.flush()?;
        self.write(keys::SEQUENCES.to_vec(), Some((self.highest + JUMP).to_be_bytes().to_vec()))?;
        self.keep_stage(&Stage::Derived(replayed.clone()))?;
        self.flush()?;
        Ok(replayed)
    }

    /// Removes rows of which a later commit said that they are gone, or went to other countries. Which records went to one of `here` is kept
    /// first.
    fn sweep(&mut self, here: &BTreeSet<Country>) -> Result<(), IndexError> {
        let (mut gone, mut departed) = (Vec::new(), Ok(Departed::new()));
        self.engine.scan(Bound::Unbounded, Bound::Unbounded, &mut |row, value| {
            if !Audiences::is_journalled(row) {
                return ControlFlow::Continue(());
            }
            let hash = row_hash(row);
            let (number, there) = self.words.get(&hash).copied().unwrap_or((0, true));
            let went = self.went.get(&hash).filter(|(went, _)| *went > number);
            if !there || went.is_some() {
                gone.push(row.to_vec());
            }
            let is_version = matches!(row.first(), Some(&(kind::RECORD | kind::HISTORY)));
            if let (Ok(known), Some(went)) = (&mut departed, went)
                && there
                && is_version
                && !went.1.is_disjoint(here)
            {
                match self.sealing.open(row, value, decode_version) {
                    Ok(Version::Record(record)) => drop(known.insert(record.summary.id, went.clone())),
                    Ok(Version::Marker(_)) => {}
                    Err(error) => departed = Err(error),
                }
            }
            ControlFlow::Continue(())
        })?;
        self.departed.append(&mut departed?);
        self.keep_stage(&self.deriving(self.entries_lost))?;
        self.flush()?;
        gone.into_iter().try_for_each(|row| self.write(row, None))?;
        self.flush()
    }

    fn deriving(&self, entries_lost: u64) -> Stage {
        Stage::Deriving { entries_lost, departed: self.departed.clone() }
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
        replayed.entries = frontier.size();
        replayed.entries_lost = last.map_or(0, |last| (last + 1).saturating_sub(frontier.size())).max(self.entries_lost);
        self.keep_stage(&self.deriving(replayed.entries_lost))?;
        self.flush()?;
        behind.into_iter().try_for_each(|row| self.write(row, None))?;
        let head = LedgerHead { size: frontier.size(), root: frontier.root(), time: now };
        // What derives from the ledger is written when the index is opened.
        let row = head_row(head, &frontier, self.keys.ledger_key.expose(), 0)?;
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
        self.subjects()?;
        self.settle_keys()?;
        for (counter, tally) in counters {
            let row = keys::counter(&encode(&counter)?);
            let value = self.sealing.seal(&row, &encode(&(counter, tally))?)?;
            self.write(row, Some(value))?;
        }
        Ok(())
    }

    /// Writes when what is to come of subjects comes to hold, and removes salts of before an erasure, wherever they came back from.
    fn subjects(&mut self) -> Result<(), IndexError> {
        let corrupt = || IndexError::Corrupt { kind: 'd' };
        let mut from = vec![kind::SUBJECT];
        loop {
            let page = page(self.engine.as_ref(), &from, &[kind::SUBJECT + 1])?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            from = [last.as_slice(), &[0]].concat();
            for (row, value) in &page {
                let subject: SubjectRow = self.sealing.open(row, value, |body| decode('d', body))?;
                let name = row.get(1..).and_then(|name| name.try_into().ok()).map(Pseudonym::from_bytes).ok_or_else(corrupt)?;
                if let Some(erased) = subject.erased
                    && self.has_salt_of_before(&name, erased)?
                {
                    self.write(keys::salt(&name), None)?;
                }
                for next in &subject.coming {
                    self.write(keys::appointed(next.effective, &name), Some(Vec::new()))?;
                }
            }
        }
    }

    fn has_salt_of_before(&self, subject: &Pseudonym, erased: Generation) -> Result<bool, IndexError> {
        let row = keys::salt(subject);
        let Some(value) = self.engine.get(&row)? else { return Ok(false) };
        let kept: SaltRow = self.sealing.open(&row, &value, |body| decode('S', body))?;
        Ok(kept.generation < erased)
    }

    /// Puts the key in use of each owner in its place. A country that held a key and not the one after it was told that it is retired, and
    /// not what is in use since. Where nobody else's journal is there that key is in both places, and the later word is that behind; or, when the
    /// journal has been told again meanwhile, only there.
    fn settle_keys(&mut self) -> Result<(), IndexError> {
        let mut from = vec![kind::SUBJECT_KEY];
        let mut of_one: Vec<(Vec<u8>, WrappedSubjectKey)> = Vec::new();
        loop {
            let page = page(self.engine.as_ref(), &from, &[kind::SUBJECT_KEY + 1])?;
            let Some((last, _)) = page.last() else { return self.settle_owner(&mut of_one) };
            from = [last.as_slice(), &[0]].concat();
            for (row, value) in page {
                let key: WrappedSubjectKey = self.sealing.open(&row, &value, |body| decode('k', body))?;
                if of_one.last().is_some_and(|(_, last)| (&last.key, &last.owner) != (&key.key, &key.owner)) {
                    self.settle_owner(&mut of_one)?;
                }
                of_one.push((row, key));
            }
        }
    }

    fn settle_owner(&mut self, keys: &mut Vec<(Vec<u8>, WrappedSubjectKey)>) -> Result<(), IndexError> {
        let rows = std::mem::take(keys);
        let Some((_, first)) = rows.first() else { return Ok(()) };
        let place = keys::subject_key(&first.key, &first.owner);
        let (in_use, retired): (Vec<_>, Vec<_>) = rows.into_iter().partition(|(row, _)| *row == place);
        let promoted = match in_use.first() {
            Some((_, in_use)) => retired.into_iter().find(|(_, key)| key.generation == in_use.generation),
            None => retired.into_iter().max_by_key(|(_, key)| key.created),
        };
        let Some((row, key)) = promoted else { return Ok(()) };
        let value = self.sealing.seal(&place, &encode(&key)?)?;
        self.write(place, Some(value))?;
        self.write(row, None)
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
pub(in crate::index) fn page(engine: &dyn Engine, from: &[u8], to: &[u8]) -> Result<Vec<Stored>, IndexError> {
    let mut rows = Vec::new();
    engine.scan(Bound::Included(from), Bound::Excluded(to), &mut |row, value| {
        rows.push((row.to_vec(), value.to_vec()));
        if rows.len() < BATCH { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    Ok(rows)
}

/// The rows that lead to a record.
pub(in crate::index) fn secondary_rows<'a>(
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
