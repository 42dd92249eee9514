//! Versions of keys: finding one, and listing them by merging the current records with the history.

use std::{collections::VecDeque, ops::ControlFlow};

use super::{
    Bucket, BucketId, Index, IndexError, Summary, Version,
    catalogue::Inner,
    codec::{decode_summary, decode_version},
    keys::{self, kind, successor},
    list::{Step, common_prefix},
};
use crate::types::{ObjectKey, Ticket, VersionId};

/// Which versions to list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionsQuery {
    /// The bucket.
    pub bucket: BucketId,
    /// Only keys that begin so.
    pub prefix: String,
    /// As in [`super::ListQuery`].
    pub delimiter: Option<String>,
    /// After all versions of this key, or after this common prefix; with `version_marker`, after that version of the key.
    pub key_marker: Option<String>,
    /// See `key_marker`.
    pub version_marker: Option<VersionId>,
    /// Versions, delete markers and common prefixes together.
    pub limit: usize,
}

/// One page of versions.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VersionsPage {
    /// By key, then the newest first.
    pub versions: Vec<VersionItem>,
    /// In order.
    pub common_prefixes: Vec<String>,
    /// Whether there is more.
    pub truncated: bool,
    /// The markers of the next page: the last key or common prefix, and the last version's id.
    pub next: Option<(String, Option<VersionId>)>,
}

/// A version or delete marker in a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionItem {
    /// The key.
    pub key: String,
    /// What is shown of it; a delete marker says so.
    pub summary: Summary,
    /// Whether it is the newest of its key.
    pub is_latest: bool,
    /// When a newer version took its place: the modification time of the one before it in this order. `None` for the newest, and for
    /// the first of a page that begins within a key.
    pub noncurrent_since: Option<crate::types::Timestamp>,
}

/// Rows that a cursor reads at a time.
const CHUNK: usize = 256;

impl Index {
    /// One version of a key.
    pub fn version(&self, bucket: &Bucket, key: &ObjectKey, version: VersionId) -> Result<Option<Version>, IndexError> {
        let current = self.inner.record(bucket.id, key.as_str())?;
        if let Some(current) = current.filter(|record| record.summary.version == version) {
            return Ok(Some(Version::Record(Box::new(current))));
        }
        let ticket = match version.ticket() {
            Some(ticket) => Some(ticket),
            None => self.inner.row(&keys::null_version(bucket.id, key.as_str()))?,
        };
        let Some(ticket) = ticket else { return Ok(None) };
        let found = self.inner.row_with(&keys::history(bucket.id, key.as_str(), ticket), decode_version)?;
        Ok(found.filter(|found| found.summary().version == version))
    }

    /// The newest version of a key, which may be a delete marker.
    pub fn latest(&self, bucket: &Bucket, key: &ObjectKey) -> Result<Option<Version>, IndexError> {
        if let Some(current) = self.inner.record(bucket.id, key.as_str())? {
            return Ok(Some(Version::Record(Box::new(current))));
        }
        let mut newest = None;
        self.inner.walk(&keys::versions(bucket.id, key.as_str()), None, |row, sealed| {
            newest = Some(self.inner.sealing.open(row, sealed, decode_version)?);
            Ok(Step::Stop)
        })?;
        Ok(newest)
    }

    /// Every version of a key, the newest first.
    pub async fn versions_of(&self, bucket: &Bucket, key: &ObjectKey) -> Result<Vec<Version>, IndexError> {
        let (bucket, key) = (bucket.id, key.clone());
        self.blocking(move |inner| {
            let current = inner.record(bucket, key.as_str())?.map(|record| Version::Record(Box::new(record)));
            let mut versions: Vec<Version> = current.into_iter().collect();
            inner.each(&keys::versions(bucket, key.as_str()), |_, body| {
                versions.push(decode_version(body)?);
                Ok(ControlFlow::Continue(()))
            })?;
            Ok(versions)
        })
        .await
    }

    /// One page of a bucket's versions.
    pub async fn versions(&self, query: VersionsQuery) -> Result<VersionsPage, IndexError> {
        self.blocking(move |inner| inner.list_versions(&query)).await
    }
}

/// A row with the key and the summary that it holds.
type Row = (Vec<u8>, String, Summary);

/// Reads rows of one kind in order, a chunk at a time.
struct Cursor<'a> {
    inner: &'a Inner,
    kind: u8,
    query: &'a VersionsQuery,
    ahead: VecDeque<Row>,
    next: Option<Vec<u8>>,
}

impl<'a> Cursor<'a> {
    fn new(inner: &'a Inner, kind: u8, query: &'a VersionsQuery, start: Option<Vec<u8>>) -> Self {
        let start = start.unwrap_or_else(|| keys::under(kind, query.bucket, &query.prefix));
        Self { inner, kind, query, ahead: VecDeque::new(), next: Some(start) }
    }

    /// The row that comes next: its key and summary.
    fn peek(&mut self) -> Result<Option<&Row>, IndexError> {
        if self.ahead.is_empty()
            && let Some(from) = self.next.take()
        {
            let under = keys::under(self.kind, self.query.bucket, &self.query.prefix);
            let ahead = &mut self.ahead;
            let chunk = CHUNK.min(self.query.limit.saturating_add(1));
            self.inner.walk(&under, Some(from), |row, sealed| {
                let (key, _) = row.get(9..).and_then(keys::unescape).ok_or(IndexError::Corrupt { kind: 'h' })?;
                let summary = self.inner.sealing.open(row, sealed, decode_summary)?;
                ahead.push_back((row.to_vec(), key, summary));
                Ok(if ahead.len() == chunk { Step::Stop } else { Step::Next })
            })?;
            if self.ahead.len() == chunk {
                self.next = self.ahead.back().map(|(row, ..)| [row.as_slice(), &[0]].concat());
            }
        }
        Ok(self.ahead.front())
    }

    /// Goes on behind everything that begins with `prefix`.
    fn skip(&mut self, prefix: &str) {
        self.ahead.retain(|(_, key, _)| !key.starts_with(prefix));
        if self.ahead.is_empty() && self.next.is_some() {
            self.next = successor(&keys::under(self.kind, self.query.bucket, prefix));
        }
    }
}

impl Inner {
    fn list_versions(&self, query: &VersionsQuery) -> Result<VersionsPage, IndexError> {
        let mut page = VersionsPage::default();
        if query.limit == 0 {
            return Ok(page);
        }
        let (of_records, of_history, within) = self.starts(query)?;
        let mut records = Cursor::new(self, kind::RECORD, query, of_records);
        let mut history = Cursor::new(self, kind::HISTORY, query, of_history);
        // The key whose newest version has been passed, and when the version before the next was written.
        let mut passed: Option<(String, Option<crate::types::Timestamp>)> = within.map(|key| (key, None));
        loop {
            let record = records.peek()?.map(|(_, key, _)| key.as_str());
            let older = history.peek()?.map(|(_, key, _)| key.as_str());
            let from_records = match (record, older) {
                (None, None) => break,
                (Some(record), Some(older)) => record <= older,
                (record, None) => record.is_some(),
                (None, _) => false,
            };
            if page.versions.len() + page.common_prefixes.len() == query.limit {
                page.truncated = true;
                break;
            }
            let from = if from_records { &mut records } else { &mut history };
            let Some((_, key, summary)) = from.ahead.pop_front() else { break };
            if let Some(common) = common_prefix(&key, &query.prefix, query.delimiter.as_deref()) {
                page.next = Some((common.to_owned(), None));
                page.common_prefixes.push(common.to_owned());
                records.skip(common);
                history.skip(common);
                continue;
            }
            let before = passed.take().filter(|(passed, _)| *passed == key);
            let is_latest = before.is_none();
            passed = Some((key.clone(), Some(summary.modified)));
            page.next = Some((key.clone(), Some(summary.version)));
            page.versions.push(VersionItem { key, summary, is_latest, noncurrent_since: before.and_then(|(_, since)| since) });
        }
        page.next = page.next.filter(|_| page.truncated);
        Ok(page)
    }

    /// Where the two cursors begin, and within which key.
    #[expect(clippy::type_complexity, reason = "the starts of both cursors are one decision")]
    fn starts(&self, query: &VersionsQuery) -> Result<(Option<Vec<u8>>, Option<Vec<u8>>, Option<String>), IndexError> {
        let Some(key) = query.key_marker.as_deref() else { return Ok((None, None, None)) };
        let both = |start: &dyn Fn(u8) -> Option<Vec<u8>>| (start(kind::RECORD), start(kind::HISTORY), None);
        if query.version_marker.is_none()
            && common_prefix(key, &query.prefix, query.delimiter.as_deref()).is_some_and(|common| common == key)
        {
            return Ok(both(&|kind| successor(&keys::under(kind, query.bucket, key))));
        }
        let after = |kind| Some(keys::after_key(kind, query.bucket, key));
        let Some(version) = query.version_marker else { return Ok(both(&after)) };
        let ticket = match version.ticket() {
            Some(ticket) => Some(ticket),
            None => self.row(&keys::null_version(query.bucket, key))?,
        };
        let current = self.record(query.bucket, key)?.map(|record| record.summary);
        let history = match (ticket, current) {
            // The marker is the current record: all of the history follows.
            (_, Some(current)) if current.version == version => Some(keys::versions(query.bucket, key)),
            (Some(ticket), _) => Some(keys::history(query.bucket, key, Ticket(ticket.0.saturating_sub(1)))),
            // A null version that is gone: nothing tells where it was.
            (None, _) => after(kind::HISTORY),
        };
        Ok((after(kind::RECORD), history, Some(key.to_owned())))
    }
}
