//! Every stored record once, versions included, a page at a time.
//!
//! The walk follows secondary rows: they stay where they are when a version stops being the current one, or becomes it again.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{
    Counter, FoundRecord, Index, IndexError, Record,
    catalogue::Inner,
    keys::{self, Secondary},
    list::Step,
};
use crate::types::{BucketName, ObjectKey, Pseudonym, SiteId, SubjectId};

/// Which records.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stock {
    /// In this bucket.
    pub bucket: Option<BucketName>,
    /// With a key that begins so.
    pub prefix: Option<String>,
    /// Data of this subject.
    pub subject: Option<SubjectId>,
    /// Data of the subject of that name in rows, where its id is not known.
    pub pseudonym: Option<Pseudonym>,
}

/// How far a walk has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The site whose rows are walked; `None` where they are a subject's.
    site: Option<SiteId>,
    #[serde(with = "serde_bytes")]
    row: Vec<u8>,
}

/// One page of a walk.
#[derive(Debug, Clone, Default)]
pub struct StockPage {
    /// Can be few, even none, while there are more.
    pub records: Vec<FoundRecord>,
    /// Where to go on; `None` at the end.
    pub next: Option<Place>,
}

impl Index {
    /// The stored records of `stock` behind `after`, of at most `rows` rows. Each comes once in a walk, unless it gets other copies
    /// meanwhile.
    pub async fn stock(&self, stock: Stock, after: Option<Place>, rows: usize) -> Result<StockPage, IndexError> {
        self.blocking(move |inner| inner.stock(&stock, after, rows)).await
    }
}

impl Inner {
    fn stock(&self, stock: &Stock, after: Option<Place>, rows: usize) -> Result<StockPage, IndexError> {
        let buckets = self.buckets.load();
        let bucket = match &stock.bucket {
            None => None,
            Some(name) => match buckets.get(name) {
                Some(bucket) => Some(bucket.id),
                None => return Ok(StockPage::default()),
            },
        };
        let (from, start) = match after {
            None => (None, None),
            Some(place) => (place.site, Some(place.row)),
        };
        let name = |subject: &SubjectId| self.keys.pseudonyms.subject(subject);
        let subject = stock.subject.as_ref().map(name).or(stock.pseudonym);
        let site = match (&subject, from) {
            (Some(_), _) => None,
            (None, Some(site)) => Some(site),
            (None, None) => match self.site_behind(None) {
                Some(site) => Some(site),
                None => return Ok(StockPage::default()),
            },
        };
        let base = match (&subject, &site) {
            (Some(subject), _) => Secondary::Subject(subject).prefix(),
            (None, Some(site)) => Secondary::Site(site).prefix(),
            (None, None) => return Ok(StockPage::default()),
        };
        let mut under = base.clone();
        if let Some(bucket) = bucket {
            under.extend_from_slice(&bucket.0.to_be_bytes());
            keys::escape(stock.prefix.as_deref().unwrap_or_default(), &mut under);
        }
        let mut page = StockPage::default();
        let start = start.filter(|row| !row.is_empty());
        let (mut looked, mut last) = (0, None);
        self.walk(&under, start, |row, _| {
            if looked == rows {
                return Ok(Step::Stop);
            }
            looked += 1;
            last = Some([row, &[0]].concat());
            let Some((id, key, record)) = self.follow(row.get(base.len()..).unwrap_or_default())? else { return Ok(Step::Next) };
            // A record at several sites comes at the first of them.
            let is_its_turn = site.as_ref().is_none_or(|site| first_site(&record) == Some(site));
            let wanted = is_its_turn
                && bucket.is_none_or(|bucket| bucket == id)
                && stock.prefix.as_deref().is_none_or(|prefix| key.starts_with(prefix))
                && subject.is_none_or(|subject| record.detail.placement.subject.as_ref().map(name) == Some(subject));
            if wanted && let (Some(bucket), Ok(key)) = (self.bucket_ids_name(&buckets, id), ObjectKey::new(&key)) {
                page.records.push(FoundRecord { bucket, key, record });
            }
            Ok(Step::Next)
        })?;
        page.next = match last.filter(|_| looked == rows) {
            Some(row) => Some(Place { site, row }),
            None => site.and_then(|site| self.site_behind(Some(&site))).map(|site| Place { site: Some(site), row: Vec::new() }),
        };
        Ok(page)
    }

    /// The first site that holds something, in the order of names, or the next behind one.
    fn site_behind(&self, site: Option<&SiteId>) -> Option<SiteId> {
        let counters = self.counters.lock();
        let sites: BTreeSet<&SiteId> = counters
            .keys()
            .filter_map(|counter| match counter {
                Counter::Site(_, site, _) => Some(site),
                _ => None,
            })
            .collect();
        sites.into_iter().find(|other| site.is_none_or(|site| *other > site)).cloned()
    }
}

/// The site at whose rows a walk finds the record.
fn first_site(record: &Record) -> Option<&SiteId> {
    record.detail.copies.iter().filter(|copy| copy.is_stored()).map(|copy| &copy.site).min()
}
