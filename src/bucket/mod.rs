//! What a bucket is configured to do: versioning, object lock, lifecycle, CORS, tags and encryption, who may do what,
//! and what each says of a request.
//!
//! Pure: no I/O, no clock, no XML. The types are stored with the bucket (MessagePack with named fields); what is stored has been checked.

mod cors;
mod encryption;
mod error;
mod lifecycle;
mod object_lock;
mod settings;
mod tags;
mod versioning;

pub use cors::{Cors, CorsAnswer, CorsMethod, CorsRule};
pub use encryption::{Algorithm, Encryption};
pub use error::SettingError;
pub use lifecycle::{Candidate, Due, Expiration, Filter, Lifecycle, MAX_KEPT, NoncurrentExpiration, Rule, Scope};
pub use object_lock::{DefaultRetention, Lock, LockMode, LockRefused, ObjectLock, Period, Retention};
pub use settings::{BucketSettings, Setting};
pub use tags::{InvalidTag, MAX_BUCKET_TAGS, MAX_OBJECT_TAGS, check_bucket_tags, check_object_tags};
pub use versioning::Versioning;
