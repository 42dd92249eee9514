//! What the journal is told of a group.

use std::{
    collections::HashSet,
    sync::{Arc, atomic::Ordering},
};

use super::group::{Body, Group};
use crate::{
    index::{
        IndexError,
        journal::{Again, Audience, Audiences, Entry, Fact, Retold, Told},
        keys,
    },
    types::RecordId,
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
        let Some(home) = self.inner.journal.home() else { return Ok(None) };
        let everyone = self.inner.journal.countries();
        let mut facts = Vec::new();
        let written = self.overlay.iter().map(|(row, body)| match body {
            Some(Body::Sealed(body) | Body::Clear(body)) => (row, Some(body)),
            None => (row, None),
        });
        // What the batch also writes is told as it writes it.
        let again = self.again.iter().filter(|(row, _)| !self.overlay.contains_key(row)).map(|(row, body)| (row, Some(body)));
        for (row, body) in written.chain(again).filter(|(row, _)| Audiences::is_journalled(row)) {
            let (fact, countries) = match body {
                Some(body) => {
                    let countries = match self.audiences.of(row, body, home)? {
                        Audience::Nobody => continue,
                        Audience::Everyone => everyone.clone(),
                        Audience::These(countries) => countries,
                    };
                    (Fact::put(row, body), countries)
                }
                None => (Fact::gone(row), everyone.clone()),
            };
            facts.push((Told { row: row.clone(), fact: Some(Arc::new(fact)) }, countries));
        }
        if facts.is_empty() {
            return Ok(None);
        }
        let number = self.inner.tickets.next.fetch_add(1, Ordering::Relaxed);
        let intents = self.inner.ongoing.intents.lock();
        let open: HashSet<RecordId> = intents.keys().filter(|id| !self.resolved.contains(id)).map(|id| id.0).collect();
        Ok(Some(Entry { number, facts, open: open.into_iter().collect() }))
    }

    /// The rows of the batch that an export holds.
    pub(super) fn journalled_rows(&self) -> Vec<Vec<u8>> {
        self.overlay.keys().filter(|row| Audiences::is_journalled(row)).cloned().collect()
    }
}
