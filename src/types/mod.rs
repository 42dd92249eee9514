//! The nouns of the gateway as newtypes, usable by every module.
//!
//! A value of one of these types has been checked: a [`Country`] is two upper-case letters, an [`ObjectKey`] fits S3's limits.
//! Parsing happens once, at the edge; what is inside need not ask again.

mod attributes;
mod country;
mod id;
mod name;
mod time;
mod words;

pub use attributes::Attributes;
pub use country::{Country, InvalidCountry};
pub use id::{AttemptId, Generation, InvalidId, PolicyRevision, Pseudonym, RecordId, Ticket, UploadId, VersionId};
pub use name::{
    AccountId, BucketName, InstrumentId, InvalidName, KeyId, ObjectKey, PrincipalId, RequestId, SiteId, SourceId, SubjectId,
};
pub use time::Timestamp;
pub use words::decode_words;
