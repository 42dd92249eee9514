//! Objects and bytes by country, site, bucket and instrument: kept in memory, written as absolute values with each commit.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::{BucketId, Record, Tally};
use crate::types::{Country, InstrumentId, SiteId};

/// What is counted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Counter {
    /// The copies at a site that belong to a bucket.
    Site(Country, SiteId, BucketId),
    /// The records that an instrument bound.
    Instrument(InstrumentId),
}

/// All counters; those at zero are left out.
pub type Counters = HashMap<Counter, Tally>;

/// Everything that a record counts for.
pub(super) fn counters_of(bucket: BucketId, record: &Record) -> impl Iterator<Item = Counter> + '_ {
    let sites = record.detail.copies.iter().filter(|copy| copy.is_stored());
    let instruments = record.detail.placement.instruments.iter();
    sites
        .map(move |copy| Counter::Site(copy.country, copy.site.clone(), bucket))
        .chain(instruments.map(|id| Counter::Instrument(id.clone())))
}

/// Adds a record, or takes it away.
pub(super) fn count(counters: &mut Counters, counter: Counter, size: u64, add: bool) {
    let tally = counters.entry(counter).or_default();
    if add {
        tally.objects = tally.objects.saturating_add(1);
        tally.bytes = tally.bytes.saturating_add(size);
    } else {
        tally.objects = tally.objects.saturating_sub(1);
        tally.bytes = tally.bytes.saturating_sub(size);
    }
}
