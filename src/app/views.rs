//! The index's rows as the admin API shows them.

use std::{collections::BTreeMap, sync::Arc};

use crate::admin::{CopyView, CounterView, DecidedByView, ExceptionView, ImportedView, RecordView, SummaryView};
use crate::index::{Bucket, BucketId, CopyState, Counter, Counters, Record, Tally};
use crate::policy::UsedException;
use crate::types::{BucketName, Country, KeyId, ObjectKey};

fn add(counter: &mut CounterView, tally: &Tally) {
    counter.objects = counter.objects.saturating_add(tally.objects);
    counter.bytes = counter.bytes.saturating_add(tally.bytes);
}

/// All counters, by names.
pub(super) fn summary(buckets: &[Arc<Bucket>], counters: Counters) -> SummaryView {
    let buckets: BTreeMap<_, _> = buckets.iter().map(|bucket| (bucket.id, bucket.name.to_string())).collect();
    let name = |bucket: BucketId| buckets.get(&bucket).cloned().unwrap_or_else(|| "(deleted)".to_owned());
    let mut summary = SummaryView::default();
    for (counter, tally) in counters {
        let counted = match counter {
            Counter::Records => &mut summary.total,
            Counter::Queued => &mut summary.queued,
            Counter::Country(country) => summary.countries.entry(country.to_string()).or_default(),
            Counter::Bucket(bucket) => summary.buckets.entry(name(bucket)).or_default(),
            Counter::Instrument(id) => summary.instruments.entry(id.to_string()).or_default(),
            Counter::Exception(id) => summary.exceptions.entry(id.to_string()).or_default(),
            Counter::Site(country, site, bucket) => {
                add(summary.sites.entry(site.to_string()).or_default(), &tally);
                add(pair(&mut summary.country_sites, country.to_string(), site.to_string()), &tally);
                pair(&mut summary.site_buckets, site.to_string(), name(bucket))
            }
            Counter::CountryBucket(country, bucket) => pair(&mut summary.country_buckets, country.to_string(), name(bucket)),
            Counter::CountryInstrument(country, id) => {
                pair(&mut summary.country_instruments, country.to_string(), id.to_string())
            }
            Counter::BucketInstrument(bucket, id) => pair(&mut summary.bucket_instruments, name(bucket), id.to_string()),
        };
        add(counted, &tally);
    }
    summary
}

fn pair(pairs: &mut BTreeMap<String, BTreeMap<String, CounterView>>, one: String, other: String) -> &mut CounterView {
    pairs.entry(one).or_default().entry(other).or_default()
}

fn exception(used: &UsedException) -> ExceptionView {
    ExceptionView {
        instrument: used.instrument.clone(),
        basis: used.basis,
        reference: used.reference.clone(),
        countries: used.countries.clone(),
    }
}

/// `country_of` says where a country key belongs.
pub(super) fn view(
    bucket: &BucketName,
    key: &ObjectKey,
    record: &Record,
    country_of: impl Fn(&KeyId) -> Option<Country>,
) -> RecordView {
    let (summary, placement) = (&record.summary, &record.detail.placement);
    let copy = |copy: &crate::index::CopyRow| CopyView {
        site: copy.site.clone(),
        country: copy.country,
        key_country: country_of(&copy.key),
        key: copy.key.clone(),
        role: copy.role.as_str().to_owned(),
        stored: match copy.state {
            CopyState::Stored { at } => Some(at.to_rfc3339()),
            CopyState::Pending => None,
        },
    };
    RecordView {
        bucket: bucket.clone(),
        key: key.clone(),
        version: summary.version,
        record: summary.id,
        size: summary.size,
        etag: summary.etag.to_string(),
        modified: summary.modified.to_rfc3339(),
        owner: summary.owner.clone(),
        customer_key: record.detail.customer.is_some(),
        subject: placement.subject.clone(),
        attributes: placement.attributes.clone(),
        countries: record
            .detail
            .copies
            .iter()
            .filter(|copy| matches!(copy.state, CopyState::Stored { .. }))
            .map(|copy| copy.country)
            .collect(),
        copies: record.detail.copies.iter().map(copy).collect(),
        instruments: placement.instruments.clone(),
        shadow: placement.shadow.clone(),
        revision: placement.revision,
        decided: placement.decided_at.to_rfc3339(),
        decided_by: DecidedByView { source: placement.source.as_str(), signals: placement.told_by() },
        exceptions: placement.exceptions.iter().map(exception).collect(),
        imported: record.detail.imported.as_ref().map(|imported| ImportedView {
            source: imported.source.clone(),
            bucket: imported.bucket.clone(),
            key: imported.key.clone(),
            etag: imported.etag.clone(),
            modified: imported.modified.to_rfc3339(),
        }),
    }
}
