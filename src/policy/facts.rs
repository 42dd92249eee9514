//! What an instrument may ask about a record.

use crate::types::{Attributes, BucketName, Country, ObjectKey, PrincipalId};

/// Everything a decision depends on besides the policy set.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// Whether the record is somebody's. Who that is, no instrument asks.
    pub has_subject: bool,
    /// What is known of the subject; empty when there is none.
    pub attributes: &'a Attributes,
    /// The bucket the record goes to.
    pub bucket: &'a BucketName,
    /// The key the record goes to. `None` for a place where bytes have been under keys that are no longer told apart: every condition of an instrument
    /// on the key holds there, so that nothing gets out of what bound it, and none of an exception. No ceiling applies that asks for a key.
    pub key: Option<&'a ObjectKey>,
    /// Who writes it.
    pub principal: &'a PrincipalId,
    /// Where it processes: its own country, else the gateway's; `None` when neither is known, and no condition on it holds then.
    pub principal_country: Option<Country>,
    /// The date on which `effective`, `until` and `expires` are judged (UTC).
    pub today: time::Date,
}
