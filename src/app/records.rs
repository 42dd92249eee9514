//! A record as the admin API shows it.

use crate::admin::{CopyView, RecordView};
use crate::index::{CopyState, Record};
use crate::policy::Role;
use crate::types::{BucketName, ObjectKey};

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
    }
}
