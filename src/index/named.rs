//! Which blobs the rows name. What lies at a site beside them, nobody needs.
//!
//! The walk goes on while rows change, and must not miss a blob that some row names all the time. So it follows the rows by site, which stay
//! where they are when a version stops being the current one or becomes it again, and looks at each kind of row before the kind that
//! takes over from it: uploads before records, queued copies before stored ones, and all of them before garbage.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::{
    BucketId, CopyRow, Counter, Garbage, Index, IndexError, Layout, Part, Record, Upload,
    catalogue::Inner,
    codec::{decode, decode_version},
    garbage::run,
    keys::{self, Secondary, kind},
    replay::page,
};
use crate::{
    kms::WrappedSubjectKey,
    seal::BlobName,
    types::{ObjectKey, RecordId, SiteId, Ticket},
};

/// Names of blobs by site.
pub type BlobNames = HashMap<SiteId, HashSet<BlobName>>;

/// How often a record that is neither current nor in the history is looked for again.
const LOOKS: usize = 100;

impl Index {
    /// The blobs that any row names and that are `wanted`: of records, uploads, garbage and subject keys. A blob that is named when this begins,
    /// and as long as this takes, is among them. Takes memory for what is wanted.
    ///
    /// # Errors
    /// Those of reading rows.
    pub async fn named_blobs(
        &self,
        wanted: impl Fn(&SiteId, &BlobName) -> bool + Send + 'static,
    ) -> Result<BlobNames, IndexError> {
        self.blocking(move |inner| {
            let mut names = BlobNames::new();
            inner.named_blobs(&mut |site, name| {
                if wanted(site, &name) {
                    match names.get_mut(site) {
                        Some(names) => drop(names.insert(name)),
                        None => drop(names.insert(site.clone(), HashSet::from([name]))),
                    }
                }
            })?;
            Ok(names)
        })
        .await
    }

    /// Whether any version of the key is this record.
    ///
    /// # Errors
    /// Those of reading rows.
    pub fn has_record(&self, bucket: BucketId, key: &ObjectKey, ticket: Ticket, record: RecordId) -> Result<bool, IndexError> {
        if self.inner.record(bucket, key.as_str())?.is_some_and(|current| current.summary.id == record) {
            return Ok(true);
        }
        let row = keys::history(bucket, key.as_str(), ticket);
        let version = self.inner.row_with(&row, decode_version)?;
        Ok(version.is_some_and(|version| version.summary().id == record))
    }
}

impl Inner {
    fn named_blobs(&self, add: &mut impl FnMut(&SiteId, BlobName)) -> Result<(), IndexError> {
        for letter in [kind::UPLOAD, kind::CLOSED_UPLOAD] {
            self.pages(&[letter], |row, sealed| {
                let upload: Upload = self.sealing.open(row, sealed, |body| decode('u', body))?;
                for (_, part) in self.rows::<Part>(&keys::parts(&upload.id), usize::MAX)? {
                    let part = part.entry;
                    let at = upload.copies.iter().map(CopyRow::stored_at);
                    let blobs = at.flat_map(|at| run(at, upload.record, part.number, part.attempt, part.size));
                    blobs.for_each(|blob| add(&blob.site, blob.name));
                }
                Ok(())
            })?;
        }
        self.pages(&[kind::SUBJECT_KEY], |row, sealed| {
            let key: WrappedSubjectKey = self.sealing.open(row, sealed, |body| decode('k', body))?;
            let name = BlobName::of_subject_key(&key);
            key.sites.iter().for_each(|site| add(site, name));
            Ok(())
        })?;
        let sites: BTreeSet<SiteId> = self.counters.lock().keys().filter_map(site_of).collect();
        let prefixes = sites.iter().map(|site| Secondary::Site(site).prefix());
        for prefix in std::iter::once(Secondary::Pending.prefix()).chain(prefixes) {
            self.pages(&prefix, |row, _| {
                if let Some(record) = self.behind(row, row.get(prefix.len()..).unwrap_or_default())? {
                    let parts = match record.detail.layout {
                        Layout::Parts { table, .. } => self.part_table(&table)?.unwrap_or_default(),
                        Layout::Whole { .. } | Layout::Extents { .. } => Vec::new(),
                    };
                    record.blobs(&parts).for_each(|blob| add(&blob.site, blob.name));
                }
                Ok(())
            })?;
        }
        self.pages(&[kind::GARBAGE], |row, sealed| {
            let garbage: Garbage = self.sealing.open(row, sealed, |body| decode('g', body))?;
            match self.blobs(&garbage.what) {
                Ok(blobs) => blobs.iter().for_each(|blob| add(&blob.site, blob.name)),
                // Its part table went with it, after its blobs.
                Err(IndexError::Corrupt { .. }) if self.engine.get(row)?.is_none() => {}
                Err(error) => return Err(error),
            }
            Ok(())
        })
    }

    /// The record that a secondary row leads to; `None` when both are gone by now.
    fn behind(&self, row: &[u8], tail: &[u8]) -> Result<Option<Record>, IndexError> {
        for _ in 0..LOOKS {
            if let Some((_, _, record)) = self.follow(tail)? {
                return Ok(Some(record));
            }
            // It went from one of its two places to the other between the two looks, unless it is gone.
            if self.engine.get(row)?.is_none() {
                return Ok(None);
            }
        }
        Err(IndexError::Corrupt { kind: 'y' })
    }

    /// Shows every row under `prefix`, a page at a time, so that `visit` may read other rows.
    fn pages(&self, prefix: &[u8], mut visit: impl FnMut(&[u8], &[u8]) -> Result<(), IndexError>) -> Result<(), IndexError> {
        let to = keys::successor(prefix).unwrap_or_else(|| vec![0xFF]);
        let mut from = prefix.to_vec();
        loop {
            let page = page(self.engine.as_ref(), &from, &to)?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            from = [last.as_slice(), &[0]].concat();
            for (row, value) in &page {
                visit(row, value)?;
            }
        }
    }
}

fn site_of(counter: &Counter) -> Option<SiteId> {
    match counter {
        Counter::Site(_, site, _) => Some(site.clone()),
        _ => None,
    }
}
