//! Ledger entries by what they are about: by key and subject, by class, by kind and by time.
//!
//! The ledger only grows, so the number of the entry to go on with is a cursor that no write can shift.

use std::{
    collections::BTreeSet,
    ops::{Bound, ControlFlow, Range},
};

use serde::Deserialize;

use super::{
    Index, IndexError,
    catalogue::Inner,
    keys::{self, Facet},
    ledger,
};
use crate::{
    audit::{Class, Facets},
    types::{BucketName, ObjectKey, RecordId, SubjectId, Timestamp},
};

/// Which entries: all that is given must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EntriesQuery {
    /// From this number on.
    pub from: u64,
    /// Below this number, and the newest first.
    pub before: Option<u64>,
    /// At most so many.
    pub limit: usize,
    /// Of this class.
    pub class: Option<Class>,
    /// Of this kind, as entries write it.
    pub kind: Option<String>,
    /// Written at this time or later.
    pub since: Option<Timestamp>,
    /// Written before this time.
    pub until: Option<Timestamp>,
    /// That name this key in this bucket.
    pub key: Option<(BucketName, ObjectKey)>,
    /// That name this subject.
    pub subject: Option<SubjectId>,
    /// Whose the key was, as far as no row says it any more: entries about it were named under their salts.
    pub owners: Vec<SubjectId>,
}

/// One page of entries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EntriesPage {
    /// The leaves as they are, in the order that was asked for.
    pub leaves: Vec<Vec<u8>>,
    /// The number to go on with, as `from` or as `before`; `None` when there are no more. A page can be short, even empty, and still have a
    /// next one.
    pub next: Option<u64>,
}

/// Entries looked at for one page, at the most.
const LOOKED: usize = 20_000;
/// How far clocks may have been put back: entries are in the order in which they were written, and a clock need not be.
const SLACK_MILLIS: i64 = 3_600_000;

#[derive(Deserialize)]
struct Head<'a> {
    time: &'a str,
    kind: &'a str,
}

impl Index {
    /// The entries of `query`, a page at a time.
    ///
    /// # Errors
    /// Those of reading rows.
    pub async fn ledger_search(&self, query: EntriesQuery) -> Result<EntriesPage, IndexError> {
        self.blocking(move |inner| inner.ledger_search(&query)).await
    }

    /// The entries that tell of blobs of a record that were removed.
    ///
    /// # Errors
    /// Those of reading rows.
    pub async fn collections_of(&self, record: RecordId) -> Result<Vec<Vec<u8>>, IndexError> {
        self.blocking(move |inner| {
            let size = inner.head.lock().size;
            let seqs = inner.found_by(Facet::Collected(record), &(0..size), LOOKED, false)?;
            seqs.into_iter().filter_map(|seq| inner.leaf(seq).transpose()).collect()
        })
        .await
    }
}

impl EntriesQuery {
    /// Whether any entry from `from` on is wanted.
    pub const fn is_plain(&self) -> bool {
        let Self { from: _, before: _, limit: _, class, kind, since, until, key, subject, owners: _ } = self;
        class.is_none() && kind.is_none() && since.is_none() && until.is_none() && key.is_none() && subject.is_none()
    }
}

impl Inner {
    fn ledger_search(&self, query: &EntriesQuery) -> Result<EntriesPage, IndexError> {
        // What is being committed this moment has its rows, and is not durable.
        let size = self.head.lock().size;
        let mut page = EntriesPage::default();
        let of_key =
            |(bucket, key): &(BucketName, ObjectKey)| self.names_of_key(bucket, key, query.owners.iter().chain(&query.subject));
        let keys = query.key.as_ref().map(of_key).transpose()?;
        let keys: Option<Vec<Facet>> = keys.map(|names| names.iter().copied().map(Facet::Key).collect());
        let subjects = query.subject.as_ref().map(|subject| self.names_of_subject(subject)).transpose()?;
        let subjects: Option<Vec<Facet>> = subjects.map(|names| names.iter().copied().map(Facet::Subject).collect());
        let leading = keys.as_ref().or(subjects.as_ref()).cloned().or_else(|| query.class.map(|class| vec![Facet::Class(class)]));
        // What names a key or somebody is looked at whole, so that no clock, wherever it was put, hides an entry.
        let is_named = keys.is_some() || subjects.is_some();
        let back = query.before.is_some();
        let mut span = query.from..query.before.map_or(size, |before| before.min(size));
        if let Some(since) = query.since.filter(|_| !is_named) {
            span.start = span.start.max(self.seq_near(since.plus_millis(-SLACK_MILLIS), size)?);
        }
        if let Some(until) = query.until.filter(|_| back && !is_named) {
            span.end = span.end.min(self.seq_near(until.plus_millis(SLACK_MILLIS), size)?);
        }
        let (candidates, more) = self.candidates(leading.as_deref(), span, back)?;
        for seq in candidates {
            if page.leaves.len() >= query.limit {
                page.next = Some(if back { seq + 1 } else { seq });
                return Ok(page);
            }
            let leaf = self.leaf(seq)?.ok_or(IndexError::Corrupt { kind: 'l' })?;
            let Some((time, kind)) = head_of(&leaf) else { continue };
            if !back && !is_named && query.until.is_some_and(|until| time >= until.plus_millis(SLACK_MILLIS)) {
                return Ok(page);
            }
            let facets = if leading.is_some() { Facets::of(&leaf) } else { Facets::default() };
            let wanted = query.since.is_none_or(|since| time >= since)
                && query.until.is_none_or(|until| time < until)
                && query.kind.as_ref().is_none_or(|wanted| *wanted == kind)
                && query.class.is_none_or(|class| facets.classes.contains(&class))
                && keys.as_ref().is_none_or(|names| facets.key.is_some_and(|key| names.contains(&Facet::Key(key))))
                && subjects.as_ref().is_none_or(|names| facets.subject.is_some_and(|one| names.contains(&Facet::Subject(one))));
            if wanted {
                page.leaves.push(leaf);
            }
        }
        page.next = more;
        Ok(page)
    }

    /// The next entries of a span that may be wanted, ascending or, when it is gone through `back`, descending; and the number to go on
    /// with when there may be more.
    fn candidates(&self, facets: Option<&[Facet]>, span: Range<u64>, back: bool) -> Result<(Vec<u64>, Option<u64>), IndexError> {
        let Some(facets) = facets else {
            return Ok(if back {
                let start = span.start.max(span.end.saturating_sub(LOOKED as u64));
                ((start..span.end).rev().collect(), Some(start).filter(|start| *start > span.start))
            } else {
                let end = span.end.min(span.start.saturating_add(LOOKED as u64));
                ((span.start..end).collect(), Some(end).filter(|end| *end < span.end))
            });
        };
        let mut all = BTreeSet::new();
        // Where the first facet was left of which there may be more: what is known of the others beyond it is not all.
        let mut left: Option<u64> = None;
        for facet in facets {
            let found = self.found_by(*facet, &span, LOOKED, back)?;
            if let Some(last) = found.last().copied().filter(|_| found.len() == LOOKED) {
                left = Some(left.map_or(last, |left| if back { left.max(last) } else { left.min(last) }));
            }
            all.extend(found);
        }
        Ok(match left {
            None if back => (all.into_iter().rev().collect(), None),
            None => (all.into_iter().collect(), None),
            Some(left) if back => (all.range(left..).rev().copied().collect(), Some(left).filter(|left| *left > span.start)),
            Some(left) => (all.range(..=left).copied().collect(), Some(left + 1)),
        })
    }

    /// The numbers of entries in a span that a facet leads to, from its start or its end on.
    fn found_by(&self, facet: Facet, span: &Range<u64>, limit: usize, back: bool) -> Result<Vec<u64>, IndexError> {
        let mut found = Vec::new();
        if span.is_empty() {
            return Ok(found);
        }
        let (start, end) = (facet.row(span.start), facet.row(span.end));
        let visit = &mut |row: &[u8], _: &[u8]| {
            if found.len() == limit {
                return ControlFlow::Break(());
            }
            found.extend(row.last_chunk::<8>().map(|seq| u64::from_be_bytes(*seq)));
            ControlFlow::Continue(())
        };
        let (start, end) = (Bound::Included(start.as_slice()), Bound::Excluded(end.as_slice()));
        if back {
            self.engine.scan_back(start, end, visit)?
        } else {
            self.engine.scan(start, end, visit)?
        }
        Ok(found)
    }

    /// An entry as it is.
    pub(super) fn leaf(&self, seq: u64) -> Result<Option<Vec<u8>>, IndexError> {
        Ok(self.engine.get(&keys::ledger(seq))?.map(|leaf| leaf.to_vec()))
    }

    /// A number before which no entry is of that time or later, as long as no clock was put back by more than [`SLACK_MILLIS`].
    fn seq_near(&self, time: Timestamp, size: u64) -> Result<u64, IndexError> {
        let (mut low, mut high) = (0, size);
        while low < high {
            let middle = low + (high - low) / 2;
            let leaf = ledger::entries(self.engine.as_ref(), middle, 1)?;
            let before = leaf.first().and_then(|leaf| head_of(leaf)).is_some_and(|(at, _)| at < time);
            if before { low = middle + 1 } else { high = middle }
        }
        Ok(low)
    }
}

fn head_of(leaf: &[u8]) -> Option<(Timestamp, String)> {
    let head: Head<'_> = serde_json::from_slice(leaf).ok()?;
    Some((Timestamp::parse_rfc3339(head.time)?, head.kind.to_owned()))
}
