//! What the journal is told of a group.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::{Arc, atomic::Ordering},
};

use super::{
    group::{Body, Group},
    plan::Draft,
};
use crate::{
    index::{
        IndexError,
        codec::decode_summary,
        journal::{Again, Audiences, Chains, Entry, Fact, Retold, Told},
        keys::{self, kind},
    },
    types::{Country, RecordId},
};

impl Group<'_> {
    /// Tells of rows again, as the batch leaves them.
    pub(super) fn retell(&mut self, after: &[u8]) -> Result<Retold, IndexError> {
        let (rows, next) = self.inner.again(after)?;
        for Again { row, body, countries } in rows {
            if let Some(countries) = countries {
                self.audiences.tell(row.clone(), countries);
            }
            self.again.push((row, body));
        }
        Ok(next)
    }

    /// Writes a single row without an entry in the ledger: it tells of nothing but the gateway's own work.
    pub(super) fn keep(&mut self, row: &[u8], body: Vec<u8>) {
        self.overlay.insert(row.to_vec(), Some(Body::Sealed(body)));
    }

    /// Removes the outbox rows of what the journal holds everywhere.
    pub(super) fn trim_outbox(&mut self) {
        for number in self.inner.journal.finished(super::GROUP_OPERATIONS) {
            self.overlay.insert(keys::outbox(number), None);
        }
    }

    /// What the journal is told of the batch; nothing while it is off.
    pub(super) fn journal_entry(&self) -> Result<Option<Entry>, IndexError> {
        let Some(chains) = self.inner.journal.chains() else { return Ok(None) };
        let mut facts = Vec::new();
        let moved = self.moved_versions(&chains)?;
        for (row, body) in self.overlay.iter().filter(|(row, _)| Audiences::is_journalled(row)) {
            facts.push(match (body, moved.get(row)) {
                (Some(Body::Sealed(body) | Body::Clear(body)), _) => {
                    let to = self.audiences.of(row, body, &chains)?;
                    let (fact, left) = (Some(Arc::new(Fact::put(row, body))), self.left(row, &to, &chains)?);
                    Told { row: row.clone(), fact, to, left, elsewhere: None }
                }
                // Who is not told where a version is now must not hear that it is no longer where it was: it would be lost between the two.
                (None, Some(Moved { knew, now })) => {
                    Told { left: knew - now, elsewhere: Some(now.clone()), ..Told::gone(row.clone(), knew & now) }
                }
                (None, None) => Told::gone(row.clone(), chains.all.clone()),
            });
        }
        // What the batch also writes is told as it writes it.
        for (row, body) in self.again.iter().filter(|(row, _)| !self.overlay.contains_key(row)) {
            let (fact, to) = (Fact::put(row, body), self.audiences.of(row, body, &chains)?);
            facts.push(Told { row: row.clone(), fact: Some(Arc::new(fact)), to, left: BTreeSet::new(), elsewhere: None });
        }
        if facts.is_empty() {
            return Ok(None);
        }
        let number = self.inner.tickets.next.fetch_add(1, Ordering::Relaxed);
        let intents = self.inner.ongoing.intents.lock();
        let open: HashSet<RecordId> = intents.keys().filter(|id| !self.resolved.contains(id)).map(|id| id.0).collect();
        Ok(Some(Entry { number, facts, open: open.into_iter().collect() }))
    }

    /// The chains that know the row as it was before the batch, and are not among those to tell of it now.
    fn left(&self, row: &[u8], to: &BTreeSet<Country>, chains: &Chains) -> Result<BTreeSet<Country>, IndexError> {
        // Of one country there is nothing to leave; what nobody may be kept from is told everywhere already.
        if chains.all.len() == to.len() {
            return Ok(BTreeSet::new());
        }
        let knew = self.inner.row_with(row, |before| knew(chains, row, before))?.unwrap_or_default();
        Ok(&knew - to)
    }

    /// The rows that the batch takes away of versions to which it gives another row.
    fn moved_versions(&self, chains: &Chains) -> Result<HashMap<&Vec<u8>, Moved>, IndexError> {
        let versions = || self.overlay.iter().filter(|(row, _)| is_version(row));
        let gone: Vec<_> = versions().filter(|(_, body)| body.is_none()).map(|(row, _)| row).collect();
        if gone.is_empty() {
            return Ok(HashMap::new());
        }
        let mut kept = HashMap::new();
        for (row, body) in versions() {
            if let Some(Body::Sealed(body) | Body::Clear(body)) = body {
                kept.insert(decode_summary(body)?.id, self.audiences.of(row, body, chains)?);
            }
        }
        let mut moved = HashMap::new();
        for row in gone {
            let before = self.inner.row_with(row, |before| Ok((decode_summary(before)?.id, knew(chains, row, before)?)))?;
            if let Some((id, knew)) = before
                && let Some(now) = kept.get(&id)
            {
                moved.insert(row, Moved { knew, now: now.clone() });
            }
        }
        Ok(moved)
    }

    /// As [`crate::index::Committed::held_by`], of a planned change.
    pub(super) fn holders(&self, draft: &Draft) -> Result<BTreeSet<BTreeSet<Country>>, IndexError> {
        let Some(chains) = self.inner.journal.chains() else { return Ok(BTreeSet::new()) };
        let mut holders = BTreeSet::new();
        for (row, body) in draft.writes.iter().filter(|(row, _)| is_version(row)) {
            if let Some(Body::Sealed(body) | Body::Clear(body)) = body {
                holders.extend(chains.stated(row, body)?.filter(|told| !told.is_empty()));
            }
        }
        Ok(holders)
    }

    /// The rows of the batch that an export holds.
    pub(super) fn journalled_rows(&self) -> Vec<Vec<u8>> {
        self.overlay.keys().filter(|row| Audiences::is_journalled(row)).cloned().collect()
    }
}

/// A version that has another row now.
struct Moved {
    /// The chains that know the row that it had.
    knew: BTreeSet<Country>,
    /// Those that are told of the one that it has.
    now: BTreeSet<Country>,
}

/// The chains that know a row as it was before the batch. Who knew one that does not say it cannot be told any more: anybody may have.
fn knew(chains: &Chains, row: &[u8], before: &[u8]) -> Result<BTreeSet<Country>, IndexError> {
    Ok(chains.stated(row, before)?.unwrap_or_else(|| chains.all.clone()))
}

/// Whether a row is a version of a key.
fn is_version(row: &[u8]) -> bool {
    matches!(row.first(), Some(&(kind::RECORD | kind::HISTORY)))
}
