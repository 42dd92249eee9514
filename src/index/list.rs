//! Listing by seek: a common prefix costs one seek however many keys it stands for.

use std::ops::{Bound, ControlFlow};

use super::{
    BucketId, Index, IndexError, Summary,
    catalogue::Inner,
    codec::decode_summary,
    keys::{self, kind, successor},
};

/// What to list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListQuery {
    /// The bucket.
    pub bucket: BucketId,
    /// Only keys that begin so.
    pub prefix: String,
    /// Keys that are equal up to the first delimiter after the prefix become one common prefix. An empty delimiter is none.
    pub delimiter: Option<String>,
    /// Where to go on.
    pub after: Option<ListAfter>,
    /// Keys and common prefixes together.
    pub limit: usize,
}

/// A position in a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListAfter {
    /// After this key. A common prefix that this key begins with can still follow.
    Key(String),
    /// After everything that begins so.
    Prefix(String),
}

/// One page.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ListPage {
    /// In the order of the keys.
    pub items: Vec<ListItem>,
    /// Where the next page begins; `None` when this is the last.
    pub next: Option<ListAfter>,
    /// Whether there is more.
    pub truncated: bool,
}

/// One line of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListItem {
    /// A key with its current record.
    Object {
        /// The key.
        key: String,
        /// What is shown of it.
        summary: Summary,
    },
    /// A common prefix.
    Prefix(String),
}

/// What a walk makes of one row.
pub(super) enum Step {
    /// Go on with the next row.
    Next,
    /// Go on at this row.
    Seek(Vec<u8>),
    Stop,
}

impl Index {
    /// One page of a bucket's keys. Keys that are deleted and older versions are not shown.
    pub async fn list(&self, query: ListQuery) -> Result<ListPage, IndexError> {
        self.blocking(move |inner| inner.list(&query)).await
    }
}

impl ListItem {
    fn position(&self) -> ListAfter {
        match self {
            Self::Object { key, .. } => ListAfter::Key(key.clone()),
            Self::Prefix(prefix) => ListAfter::Prefix(prefix.clone()),
        }
    }
}

/// The common prefix of `key` under `prefix`, if the delimiter occurs after it.
pub(super) fn common_prefix<'k>(key: &'k str, prefix: &str, delimiter: Option<&str>) -> Option<&'k str> {
    let delimiter = delimiter.filter(|delimiter| !delimiter.is_empty())?;
    let at = key.get(prefix.len()..)?.find(delimiter)?;
    key.get(..prefix.len() + at + delimiter.len())
}

impl Inner {
    /// Walks rows from `start` under `prefix`; `visit` sees row and sealed value.
    pub(super) fn walk(
        &self,
        prefix: &[u8],
        start: Option<Vec<u8>>,
        mut visit: impl FnMut(&[u8], &[u8]) -> Result<Step, IndexError>,
    ) -> Result<(), IndexError> {
        let end = successor(prefix);
        let to = end.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        let mut next = Some(start.filter(|start| start.as_slice() > prefix).unwrap_or_else(|| prefix.to_vec()));
        while let Some(from) = next.take() {
            let mut failed = None;
            self.engine.scan(Bound::Included(&from), to, &mut |row, sealed| match visit(row, sealed) {
                Ok(Step::Next) => ControlFlow::Continue(()),
                Ok(Step::Seek(row)) => {
                    next = Some(row);
                    ControlFlow::Break(())
                }
                Ok(Step::Stop) => ControlFlow::Break(()),
                Err(error) => {
                    failed = Some(error);
                    ControlFlow::Break(())
                }
            })?;
            if let Some(error) = failed {
                return Err(error);
            }
        }
        Ok(())
    }

    fn list(&self, query: &ListQuery) -> Result<ListPage, IndexError> {
        let mut page = ListPage::default();
        if query.limit == 0 {
            return Ok(page);
        }
        let start = match &query.after {
            Some(ListAfter::Key(key)) => Some(keys::after_key(kind::RECORD, query.bucket, key)),
            Some(ListAfter::Prefix(prefix)) => successor(&keys::under(kind::RECORD, query.bucket, prefix)),
            None => None,
        };
        let under = keys::under(kind::RECORD, query.bucket, &query.prefix);
        let corrupt = || IndexError::Corrupt { kind: 'r' };
        self.walk(&under, start, |row, sealed| {
            let (key, _) = row.get(9..).and_then(keys::unescape).ok_or_else(corrupt)?;
            if page.items.len() == query.limit {
                page.truncated = true;
                return Ok(Step::Stop);
            }
            if let Some(common) = common_prefix(&key, &query.prefix, query.delimiter.as_deref()) {
                page.items.push(ListItem::Prefix(common.to_owned()));
                return Ok(successor(&keys::under(kind::RECORD, query.bucket, common)).map_or(Step::Stop, Step::Seek));
            }
            let summary = self.sealing.open(row, sealed, decode_summary)?;
            page.items.push(ListItem::Object { key, summary });
            Ok(Step::Next)
        })?;
        if page.truncated {
            page.next = page.items.last().map(ListItem::position);
        }
        Ok(page)
    }
}
