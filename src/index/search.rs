//! The auditors' questions: which records of a subject, a country, a site, an instrument.

use std::{collections::BTreeSet, sync::Arc};

use super::{
    BucketId, Index, IndexError, Record, Version,
    catalogue::Inner,
    codec::{decode, decode_version},
    counters::Counter,
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
    /// By bucket number, key, and the newest version first.
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
    /// All versions that match, by bucket number, key, and the newest first. Looks through the shortest rows that the query allows: those of
    /// the subject, else of the site, else of the country's sites, else of the instrument, else of all sites.
    ///
    /// From page to page: what matches throughout comes exactly once, whatever is written, deleted or moved meanwhile.
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
        let mut after = query.cursor.as_deref().map(|cursor| cursor::open(&self.keys, query, cursor)).transpose()?;
        let buckets = self.buckets.load();
        let bucket = match &query.bucket {
            Some(name) => match buckets.get(name) {
                Some(bucket) => Some(bucket.id),
                None => return Ok(page),
            },
            None => None,
        };
        let bases = self.bases(query);
        let mut within = Vec::new();
        if let Some(bucket) = bucket {
            within.extend_from_slice(&bucket.0.to_be_bytes());
            keys::escape(query.prefix.as_deref().unwrap_or_default(), &mut within);
        }
        let count = query.limit.saturating_add(1).min(ROWS_PER_PAGE);
        let mut looked = 0;
        loop {
            let (tails, more) = self.tails(&bases, &within, after.as_deref(), count)?;
            for tail in tails {
                if page.records.len() >= query.limit || looked >= ROWS_PER_PAGE {
                    page.next = after.as_deref().map(|last| cursor::seal(&self.keys, query, last)).transpose()?;
                    return Ok(page);
                }
                looked += 1;
                let found = self.follow(&tail)?;
                after = Some(tail);
                let Some((id, key, record)) = found else { continue };
                if bucket.is_none_or(|bucket| bucket == id) && query.matches(&key, &record) {
                    let named = self.bucket_ids_name(&buckets, id);
                    if let (Some(bucket), Ok(key)) = (named, ObjectKey::new(&key)) {
                        page.records.push(FoundRecord { bucket, key, record });
                    }
                }
            }
            if !more {
                return Ok(page);
            }
        }
    }

    /// The rows that lead to what a query wants: each of its records is in one of these kinds at least.
    fn bases(&self, query: &RecordsQuery) -> Vec<Vec<u8>> {
        if let Some(subject) = &query.subject {
            return vec![Secondary::Subject(&self.keys.pseudonyms.subject(subject)).prefix()];
        }
        if let Some(site) = &query.site {
            return vec![Secondary::Site(site).prefix()];
        }
        if let (Some(instrument), None) = (&query.instrument, query.country) {
            return vec![Secondary::Instrument(instrument).prefix()];
        }
        // Every record is at a site.
        let counters = self.counters.lock();
        let sites: BTreeSet<&SiteId> = counters
            .keys()
            .filter_map(|counter| match counter {
                Counter::Site(country, site, _) if query.country.is_none_or(|wanted| wanted == *country) => Some(site),
                _ => None,
            })
            .collect();
        sites.into_iter().map(|site| Secondary::Site(site).prefix()).collect()
    }

    /// The next rows behind `after`, without their beginnings and each once, and whether there can be more: in the order of buckets, keys
    /// and versions, whichever site they are at, so that a record keeps its place in the order when it moves.
    fn tails(
        &self,
        bases: &[Vec<u8>],
        within: &[u8],
        after: Option<&[u8]>,
        count: usize,
    ) -> Result<(BTreeSet<Vec<u8>>, bool), IndexError> {
        let (mut tails, mut bound) = (BTreeSet::new(), None::<Vec<u8>>);
        // Once more but for the last: what moves from a site that is still to be read to one that has been read would be seen at neither.
        let again = bases.len().saturating_sub(1);
        for base in bases.iter().chain(&bases[..again]) {
            let start = after.map(|tail| [base, tail, &[0]].concat());
            let mut found = 0;
            self.walk(&[base.as_slice(), within].concat(), start, |row, _| {
                if found == count {
                    return Ok(Step::Stop);
                }
                found += 1;
                let tail = row.get(base.len()..).unwrap_or_default().to_vec();
                if found == count && bound.as_ref().is_none_or(|bound| tail < *bound) {
                    bound = Some(tail.clone());
                }
                tails.insert(tail);
                Ok(Step::Next)
            })?;
        }
        if let Some(bound) = &bound {
            tails.retain(|tail| tail <= bound);
        }
        Ok((tails, bound.is_some()))
    }

    /// From a secondary row to its record; a row whose record has just been replaced leads nowhere.
    pub(super) fn follow(&self, tail: &[u8]) -> Result<Option<(BucketId, String, Record)>, IndexError> {
        let (id, key, ticket) = secondary_target(tail).ok_or(IndexError::Corrupt { kind: 'x' })?;
        let current = || Ok::<_, IndexError>(self.record(id, &key)?.filter(|record| record.summary.ticket == ticket));
        let mut record = current()?;
        if record.is_none() {
            record = self.row_with(&keys::history(id, &key, ticket), decode_version)?.and_then(Version::into_record);
        }
        // It may have become current again between the two looks.
        if record.is_none() {
            record = current()?;
        }
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
    pub(super) fn matches(&self, key: &str, record: &Record) -> bool {
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
