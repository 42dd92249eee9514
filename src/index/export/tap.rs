//! The keys of the rows that are written while an export is under way. Keys alone: what a row holds is read when its turn comes.

use std::collections::BTreeSet;

use parking_lot::Mutex;

use crate::index::IndexError;

/// The bytes of keys that are kept for a reader who is slow to take what has been read.
const KEPT: usize = 64 * 1024 * 1024;

/// One export at a time.
#[derive(Debug, Default)]
pub(in crate::index) struct Tap(Mutex<State>);

#[derive(Debug, Default)]
enum State {
    #[default]
    Off,
    /// An export waits for the committer, which alone knows a moment between two commits.
    Asked,
    On {
        rows: BTreeSet<Vec<u8>>,
        bytes: usize,
    },
    /// Too much was written.
    Overflown,
}

impl Tap {
    /// Takes it for one export; `false` while another has it.
    pub(super) fn ask(&self) -> bool {
        let mut state = self.0.lock();
        let free = matches!(*state, State::Off);
        if free {
            *state = State::Asked;
        }
        free
    }

    /// Begins to keep keys. Of the committer, between two commits: what it has applied by now is seen by a walk that begins, and what it
    /// applies from now on is noted.
    pub(in crate::index) fn open(&self) {
        let mut state = self.0.lock();
        if matches!(*state, State::Asked) {
            *state = State::On { rows: BTreeSet::new(), bytes: 0 };
        }
    }

    pub(super) fn close(&self) {
        *self.0.lock() = State::Off;
    }

    pub(in crate::index) fn is_on(&self) -> bool {
        matches!(*self.0.lock(), State::On { .. })
    }

    /// Notes rows that have been written.
    pub(in crate::index) fn add(&self, written: Vec<Vec<u8>>) {
        let mut state = self.0.lock();
        let State::On { rows, bytes } = &mut *state else { return };
        for row in written {
            let size = row.len() + 64;
            if rows.insert(row) {
                *bytes += size;
            }
        }
        if *bytes > KEPT {
            *state = State::Overflown;
        }
    }

    /// The next row to read again.
    pub(super) fn next(&self) -> Result<Option<Vec<u8>>, IndexError> {
        match &mut *self.0.lock() {
            State::On { rows, bytes } => {
                let row = rows.pop_first();
                *bytes = bytes.saturating_sub(row.as_ref().map_or(0, |row| row.len() + 64));
                Ok(row)
            }
            State::Overflown => Err(IndexError::ExportTooSlow),
            State::Off | State::Asked => Err(IndexError::Stopped),
        }
    }

    /// How many rows wait to be read again; more than any number when they are too many to know.
    pub(super) fn len(&self) -> usize {
        match &*self.0.lock() {
            State::On { rows, .. } => rows.len(),
            State::Overflown => usize::MAX,
            State::Off | State::Asked => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_export_at_a_time_keeps_keys_from_its_opening_on_and_not_without_end() {
        let tap = Tap::default();
        tap.add(vec![b"before".to_vec()]);
        assert!(tap.ask() && !tap.ask() && !tap.is_on());
        tap.open();
        tap.add(vec![b"b".to_vec(), b"a".to_vec(), b"b".to_vec()]);
        assert_eq!(tap.len(), 2);
        assert_eq!(tap.next().unwrap().as_deref(), Some(&b"a"[..]));
        assert_eq!(tap.next().unwrap().as_deref(), Some(&b"b"[..]));
        assert_eq!(tap.next().unwrap(), None);
        for n in 0..KEPT as u64 / 1024 {
            tap.add(vec![[&n.to_be_bytes()[..], &[0; 1024]].concat()]);
        }
        assert!(matches!(tap.next(), Err(IndexError::ExportTooSlow)));
        tap.close();
        tap.open();
        assert!(!tap.is_on(), "nobody asks any more");
        assert!(tap.ask());
    }
}
