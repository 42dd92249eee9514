//! What an instrument may ask about a record.

use crate::types::{Attributes, BucketName, ObjectKey, PrincipalId};

/// Everything a decision depends on besides the policy set.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// Whether the record is somebody's. Who that is, no instrument asks.
    pub has_subject: bool,
    /// What is known of the subject; empty when there is none.
    pub attributes: &'a Attributes,
    /// The bucket the record goes to.
    pub bucket: &'a BucketName,
    /// The key the record goes to.
    pub key: &'a ObjectKey,
    /// Who writes it.
    pub principal: &'a PrincipalId,
    /// The date on which `effective` is judged (UTC).
    pub today: time::Date,
}
