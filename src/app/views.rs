//! The index's rows as the admin API shows them.

use crate::admin::{CopyView, CounterView, ExceptionView, ImportedView, RecordView};
use crate::index::{CopyState, Record, Tally};
use crate::policy::{Role, UsedException};
use crate::types::{BucketName, ObjectKey};

pub(super) fn add(counter: &mut CounterView, tally: &Tally) {
    counter.objects = counter.objects.saturating_add(tally.objects);
    counter.bytes = counter.bytes.saturating_add(tally.bytes);
}

fn exception(used: &UsedException) -> ExceptionView {
    ExceptionView {
        instrument: used.instrument.clone(),
        basis: used.basis,
        reference: used.reference.clone(),
        countries: used.countries.clone(),
    }
}

pub(super) fn view(bucket: &BucketName, key: &ObjectKey, record: &Record) -> RecordView {
    let (summary, placement) = (&record.summary, &record.detail.placement);
    let copy = |copy: &crate::index::CopyRow| CopyView {
        site: copy.site.clone(),
        country: copy.country,
        key: copy.key.clone(),
        role: match copy.role {
            Role::Primary => "primary",
            Role::Required => "required",
            Role::Queued => "queued",
        }
        .to_owned(),
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
