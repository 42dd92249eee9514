//! Objects and bytes by whatever an auditor asks for: kept in memory, written as absolute values with each commit.

use std::collections::{BTreeSet, HashMap};

use serde::{Deserialize, Serialize};

use super::{BucketId, Record, Tally};
use crate::types::{Country, InstrumentId, SiteId};

/// What is counted: records, each version one, and each once however many copies it has.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Counter {
    /// Those of a bucket with a copy at a site.
    Site(Country, SiteId, BucketId),
    /// Those that an instrument bound.
    Instrument(InstrumentId),
    /// All.
    Records,
    /// Those of a bucket.
    Bucket(BucketId),
    /// Those with a copy in a country.
    Country(Country),
    /// Those of a bucket with a copy in a country.
    CountryBucket(Country, BucketId),
    /// Those that an instrument bound with a copy in a country.
    CountryInstrument(Country, InstrumentId),
    /// Those of a bucket that an instrument bound.
    BucketInstrument(BucketId, InstrumentId),
    /// Those that are where they are only by an exception of an instrument.
    Exception(InstrumentId),
    /// Those with copies that are still to follow.
    Queued,
}

/// All counters; those at zero are left out.
pub type Counters = HashMap<Counter, Tally>;

/// Everything that a record counts for, each once.
pub(super) fn counters_of(bucket: BucketId, record: &Record) -> Vec<Counter> {
    let placement = &record.detail.placement;
    let stored = || record.detail.copies.iter().filter(|copy| copy.is_stored());
    let countries: BTreeSet<Country> = stored().map(|copy| copy.country).collect();
    let exceptions: BTreeSet<&InstrumentId> = placement.exceptions.iter().map(|exception| &exception.instrument).collect();
    let mut counters = vec![Counter::Records, Counter::Bucket(bucket)];
    counters.extend(stored().map(|copy| Counter::Site(copy.country, copy.site.clone(), bucket)));
    for country in countries {
        counters.extend([Counter::Country(country), Counter::CountryBucket(country, bucket)]);
        counters.extend(placement.instruments.iter().map(|id| Counter::CountryInstrument(country, id.clone())));
    }
    for id in &placement.instruments {
        counters.extend([Counter::Instrument(id.clone()), Counter::BucketInstrument(bucket, id.clone())]);
    }
    counters.extend(exceptions.into_iter().map(|id| Counter::Exception(id.clone())));
    counters.extend(record.queued().next().map(|_| Counter::Queued));
    counters
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
