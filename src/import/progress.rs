//! How far an import has come.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use serde::Serialize;

use crate::{index::Tally, types::Country};

/// Objects that are listed as left, at the most; the rest is counted.
const MOST_LISTED: usize = 1000;

/// How far an import has come; of one that only plans, what it would do.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Progress {
    /// Objects looked at.
    pub objects: Tally,
    /// Objects imported.
    pub imported: Tally,
    /// The imported ones by the countries that hold them.
    pub countries: Vec<Placed>,
    /// Objects that were there already.
    pub present: Tally,
    /// Objects that the policies, permissions or limits refuse.
    pub refused: Tally,
    /// Objects at whose key something else is.
    pub conflicts: Tally,
    /// Objects that could not be read, stored or verified.
    pub failed: Tally,
    /// Objects removed at the source.
    pub deleted: Tally,
    /// Objects that are imported and should have been removed at the source, but are still there.
    pub kept: Tally,
    /// The first of those that were refused, in conflict, failed or kept.
    pub left: Vec<Left>,
    /// Why it ended before its end.
    pub stopped: Option<String>,
}

/// Imported objects by where they are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Placed {
    /// The countries with a copy.
    pub countries: Vec<Country>,
    /// The objects.
    pub records: Tally,
}

/// An object that the import did not do with as ordered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Left {
    /// Its key at the source.
    pub key: String,
    /// What became of it.
    pub why: Why,
    /// Why, in words.
    pub reason: String,
}

/// What became of an object that is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// Policies, permissions or limits refuse it: the same order will find the same.
    Refused,
    /// Something else is at its key.
    Conflict,
    /// It could not be read, stored or verified.
    Failed,
    /// It is imported, but still at the source, too.
    Kept,
}

/// Counts while an import goes on.
#[derive(Debug, Default)]
pub struct Counting(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    progress: Progress,
    countries: BTreeMap<Vec<Country>, Tally>,
}

impl Counting {
    /// As of now.
    pub fn progress(&self) -> Progress {
        let counts = self.0.lock();
        let placed = |(countries, records): (&Vec<Country>, &Tally)| Placed { countries: countries.clone(), records: *records };
        Progress { countries: counts.countries.iter().map(placed).collect(), ..counts.progress.clone() }
    }

    pub(super) fn looked(&self, bytes: u64) {
        add(&mut self.0.lock().progress.objects, bytes);
    }

    pub(super) fn imported(&self, countries: Vec<Country>, bytes: u64) {
        let mut counts = self.0.lock();
        add(&mut counts.progress.imported, bytes);
        add(counts.countries.entry(countries).or_default(), bytes);
    }

    pub(super) fn present(&self, bytes: u64) {
        add(&mut self.0.lock().progress.present, bytes);
    }

    pub(super) fn deleted(&self, bytes: u64) {
        add(&mut self.0.lock().progress.deleted, bytes);
    }

    pub(super) fn left(&self, key: &str, bytes: u64, why: Why, reason: String) {
        let progress = &mut self.0.lock().progress;
        add(
            match why {
                Why::Refused => &mut progress.refused,
                Why::Conflict => &mut progress.conflicts,
                Why::Failed => &mut progress.failed,
                Why::Kept => &mut progress.kept,
            },
            bytes,
        );
        if progress.left.len() < MOST_LISTED {
            progress.left.push(Left { key: key.to_owned(), why, reason });
        }
    }

    pub(super) fn stopped(&self, reason: String) {
        self.0.lock().progress.stopped = Some(reason);
    }
}

fn add(tally: &mut Tally, bytes: u64) {
    tally.objects = tally.objects.saturating_add(1);
    tally.bytes = tally.bytes.saturating_add(bytes);
}
