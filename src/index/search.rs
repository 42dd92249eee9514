//! The auditors' questions: which records of a subject, a country, a site, an instrument.

use std::sync::Arc;

use super::{
    BucketId, Index, IndexError, Record, Version,
    catalogue::Inner,
    codec::{decode, decode_record, decode_version},
    cursor,
    keys::{self, Secondary, kind, secondary_target},
    list::Step,
};
use crate::kms::{KeyOwner, WrappedSubjectKey};
use crate::types::{BucketName, Country, Generation, InstrumentId, KeyId, ObjectKey, SiteId, SubjectId, Timestamp};

/// What to look for: all that is given must hold.
#[derive(Debug, Clone, Default)]
pub struct RecordsQuery {
    /// In this bucket.
    pub bucket: Option<BucketName>,
    /// With a key that begins so.
    pub prefix: Option<String>,
    /// Data of this subject.
    pub subject: Option<SubjectId>,
    /// With a copy in this country.
    pub country: Option<Country>,
    /// With a copy at this site.
    pub site: Option<SiteId>,
    /// Bound by this instrument.
    pub instrument: Option<InstrumentId>,
    /// Written at this time or later.
    pub since: Option<Timestamp>,
    /// Written before this time.
    pub until: Option<Timestamp>,
    /// How many.
    pub limit: usize,
    /// From [`RecordsPage::next`] of the same query.
    pub cursor: Option<String>,
}

/// One page of records.
#[derive(Debug, Clone, Default)]
pub struct RecordsPage {
    /// By the rows that the query went through: by bucket number and key.
    pub records: Vec<FoundRecord>,
    /// Where to go on. A page can be short, even empty, and still have a next one.
    pub next: Option<String>,
}

/// A record that was found.
#[derive(Debug, Clone)]
pub struct FoundRecord {
    /// Its bucket.
    pub bucket: BucketName,
    /// Its key.
    pub key: ObjectKey,
    /// The record.
    pub record: Record,
}

/// The rows looked at for one page, at the most.
const ROWS_PER_PAGE: usize = 20_000;

impl Index {
    /// Looks through the shortest rows that the query allows: those of the subject, else of the site, else of the instrument, else of the
    /// bucket, else all.
    ///
    /// # Errors
    /// [`IndexError::Cursor`] for a cursor that is not from the same query.
    pub async fn search(&self, query: RecordsQuery) -> Result<RecordsPage, IndexError> {
        self.blocking(move |inner| inner.search(&query)).await
    }

    /// Records with queued copies that are not stored yet, from behind `after` on: at most `limit`, and where the next page begins.
    pub async fn pending(&self, after: Option<Vec<u8>>, limit: usize) -> Result<(Vec<FoundRecord>, Option<Vec<u8>>), IndexError> {
        self.blocking(move |inner| {
            let base = Secondary::Pending.prefix();
            let buckets = inner.buckets.load();
            let (mut found, mut last) = (Vec::new(), None);
            let mut looked = 0;
            inner.walk(&base, after, |row, _| {
                if looked == limit {
                    return Ok(Step::Stop);
                }
                looked += 1;
                last = Some([row, &[0]].concat());
                let target = inner.follow(row.get(base.len()..).unwrap_or_default())?;
                if let Some((id, key, record)) = target
                    && let (Some(bucket), Ok(key)) = (inner.bucket_ids_name(&buckets, id), ObjectKey::new(&key))
                {
                    found.push(FoundRecord { bucket, key, record });
                }
                Ok(Step::Next)
            })?;
            Ok((found, last.filter(|_| looked == limit)))
        })
        .await
    }

    /// That of an owner's subject keys which has this generation: the one in use, or one of before.
    ///
    /// # Errors
    /// Those of reading rows.
    pub fn subject_key_of(
        &self,
        key: &KeyId,
        owner: &KeyOwner,
        generation: Generation,
    ) -> Result<Option<Arc<WrappedSubjectKey>>, IndexError> {
        let retired = || self.inner.row::<Arc<WrappedSubjectKey>>(&keys::retired_key(key, owner, generation));
        // Once more, since one can be retired between the two looks.
        for _ in 0..2 {
            let now = self.subject_key(key, owner)?;
            if now.as_ref().is_some_and(|now| now.generation == generation) {
                return Ok(now);
            }
            if let Some(found) = retired()? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// About `limit` wrapped subject keys behind `after`, in the order of their country keys and owners; those of one owner are never
    /// torn apart, so there may be more.
    pub async fn subject_keys(
        &self,
        after: Option<(KeyId, KeyOwner)>,
        limit: usize,
    ) -> Result<Vec<WrappedSubjectKey>, IndexError> {
        let start = after.map(|(key, owner)| keys::after_owner(&key, &owner));
        self.blocking(move |inner| {
            let mut found: Vec<WrappedSubjectKey> = Vec::new();
            inner.walk(&[kind::SUBJECT_KEY], start, |row, sealed| {
                let next: WrappedSubjectKey = inner.sealing.open(row, sealed, |body| decode('k', body))?;
                if found.len() >= limit && found.last().is_some_and(|last| last.owner != next.owner || last.key != next.key) {
                    return Ok(Step::Stop);
                }
                found.push(next);
                Ok(Step::Next)
            })?;
            Ok(found)
        })
        .await
    }

    /// The same of those that one country key wraps.
    pub async fn subject_keys_of(
        &self,
        key: KeyId,
        after: Option<KeyOwner>,
        limit: usize,
    ) -> Result<Vec<WrappedSubjectKey>, IndexError> {
        let start = after.map(|owner| keys::after_owner(&key, &owner));
        self.blocking(move |inner| {
            let mut found: Vec<WrappedSubjectKey> = Vec::new();
            inner.walk(&keys::subject_keys_of(&key), start, |row, sealed| {
                let next: WrappedSubjectKey = inner.sealing.open(row, sealed, |body| decode('k', body))?;
                if found.len() >= limit && found.last().is_some_and(|last| last.owner != next.owner || last.key != next.key) {
                    return Ok(Step::Stop);
                }
                found.push(next);
                Ok(Step::Next)
            })?;
            Ok(found)
        })
        .await
    }
}

impl Inner {
    fn search(&self, query: &RecordsQuery) -> Result<RecordsPage, IndexError> {
        let mut page = RecordsPage::default();
        let after = query.cursor.as_deref().map(|cursor| cursor::open(&self.keys, query, cursor)).transpose()?;
        let buckets = self.buckets.load();
        let bucket = match &query.bucket {
            Some(name) => match buckets.get(name) {
                Some(bucket) => Some(bucket.id),
                None => return Ok(page),
            },
            None => None,
        };
        let subject = query.subject.as_ref().map(|subject| self.keys.pseudonyms.subject(subject));
        let (base, primary) = match (&subject, &query.site, &query.instrument) {
            (Some(subject), _, _) => (Secondary::Subject(subject).prefix(), false),
            (None, Some(site), _) => (Secondary::Site(site).prefix(), false),
            (None, None, Some(instrument)) => (Secondary::Instrument(instrument).prefix(), false),
            (None, None, None) => (vec![kind::RECORD], true),
        };
        let mut under = base.clone();
        if let Some(bucket) = bucket {
            under.extend_from_slice(&bucket.0.to_be_bytes());
            keys::escape(query.prefix.as_deref().unwrap_or_default(), &mut under);
        }
        let start = after.map(|row| [row.as_slice(), &[0]].concat());
        let (mut looked, mut last) = (0, Vec::new());
        let mut more = false;
        self.walk(&under, start, |row, sealed| {
            if page.records.len() >= query.limit || looked >= ROWS_PER_PAGE {
                more = true;
                return Ok(Step::Stop);
            }
            looked += 1;
            last = row.to_vec();
            let tail = row.get(base.len()..).unwrap_or_default();
            let found = if primary { self.open_primary(tail, row, sealed)? } else { self.follow(tail)? };
            let Some((id, key, record)) = found else { return Ok(Step::Next) };
            if query.matches(&key, &record) {
                let named = self.bucket_ids_name(&buckets, id);
                if let (Some(bucket), Ok(key)) = (named, ObjectKey::new(&key)) {
                    page.records.push(FoundRecord { bucket, key, record });
                }
            }
            Ok(Step::Next)
        })?;
        if more {
            page.next = Some(cursor::seal(&self.keys, query, &last)?);
        }
        Ok(page)
    }

    fn open_primary(&self, tail: &[u8], row: &[u8], sealed: &[u8]) -> Result<Option<(BucketId, String, Record)>, IndexError> {
        let corrupt = || IndexError::Corrupt { kind: 'r' };
        let (id, rest) = tail.split_first_chunk::<8>().ok_or_else(corrupt)?;
        let (key, _) = keys::unescape(rest).ok_or_else(corrupt)?;
        let record = self.sealing.open(row, sealed, decode_record)?;
        Ok(Some((BucketId(u64::from_be_bytes(*id)), key, record)))
    }

    /// From a secondary row to its record; a row whose record has just been replaced leads nowhere.
    pub(super) fn follow(&self, tail: &[u8]) -> Result<Option<(BucketId, String, Record)>, IndexError> {
        let (id, key, ticket) = secondary_target(tail).ok_or(IndexError::Corrupt { kind: 'x' })?;
        let record = self.record(id, &key)?.filter(|record| record.summary.ticket == ticket);
        let record = match record {
            Some(record) => Some(record),
            None => self.row_with(&keys::history(id, &key, ticket), decode_version)?.and_then(Version::into_record),
        };
        Ok(record.map(|record| (id, key, record)))
    }

    pub(super) fn bucket_ids_name(
        &self,
        buckets: &std::collections::BTreeMap<BucketName, Arc<super::Bucket>>,
        id: BucketId,
    ) -> Option<BucketName> {
        buckets.values().find(|bucket| bucket.id == id).map(|bucket| bucket.name.clone())
    }
}

impl RecordsQuery {
    /// The rows themselves are not authenticated, so everything is asked of the record again.
    fn matches(&self, key: &str, record: &Record) -> bool {
        let (summary, detail) = (&record.summary, &record.detail);
        let stored = || detail.copies.iter().filter(|copy| copy.is_stored());
        self.prefix.as_deref().is_none_or(|prefix| key.starts_with(prefix))
            && self.subject.as_ref().is_none_or(|subject| detail.placement.subject.as_ref() == Some(subject))
            && self.country.is_none_or(|country| stored().any(|copy| copy.country == country))
            && self.site.as_ref().is_none_or(|site| stored().any(|copy| copy.site == *site))
            && self.instrument.as_ref().is_none_or(|id| detail.placement.instruments.contains(id))
            && self.since.is_none_or(|since| summary.modified >= since)
            && self.until.is_none_or(|until| summary.modified < until)
    }
}
