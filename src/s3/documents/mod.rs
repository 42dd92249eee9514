//! The documents of sub-resources: one file each, read into and written from the types of `bucket` and `access`.
//!
//! As in S3, an element that the schema does not have, or has once and is given twice, makes a document `MalformedXML`.

pub(super) mod acl;
pub(super) mod cors;
pub(super) mod encryption;
mod fields;
pub(super) mod legal_hold;
pub(super) mod lifecycle;
pub(super) mod logging;
pub(super) mod object_lock;
pub(super) mod ownership_controls;
pub(super) mod public_access_block;
pub(super) mod request_payment;
pub(super) mod retention;
#[cfg(test)]
mod robustness;
pub(super) mod tagging;
pub(super) mod versioning;
