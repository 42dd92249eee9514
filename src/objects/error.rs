//! Why a use case did not do what it was asked: one variant for each thing a client can act on.

use crate::access::{Denial, InvalidAcl};
use crate::authn::Forbidden;
use crate::backend::BackendError;
use crate::bucket::SettingError;
use crate::digest::ETag;
use crate::index::{CommitError, IndexError, Stale};
use crate::kms::KmsError;
use crate::objects::{BodyError, CustomerKeyError};
use crate::residency::Refusal;
use crate::seal::SealError;
use crate::types::{Country, Timestamp, VersionId};

/// The outcome of a use case that failed. No variant carries a key, a subject or a secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ObjectError {
    /// The bucket does not exist.
    #[error("the bucket does not exist")]
    NoSuchBucket,
    /// The key does not exist in the bucket.
    #[error("the key does not exist")]
    NoSuchKey,
    /// The key has no such version.
    #[error("the version does not exist")]
    NoSuchVersion,
    /// The multipart upload does not exist: never created, completed or aborted.
    #[error("the multipart upload does not exist")]
    NoSuchUpload,
    /// The bucket exists and belongs to somebody else.
    #[error("the bucket exists and belongs to another account")]
    BucketExists,
    /// A bucket with records or uploads cannot be deleted.
    #[error("the bucket is not empty")]
    BucketNotEmpty,
    /// The change is made, but no site has confirmed it in the journal: a rebuild of the index could undo it. Asking again is safe.
    #[error("the change is made, but no site has confirmed it in time: ask again")]
    Unconfirmed,
    /// The configuration does not let the principal do this.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The bucket's settings do not let the caller do this.
    #[error(transparent)]
    Denied(#[from] Denial),
    /// The same to a caller of another account, who is not told why.
    #[error("access denied")]
    NotAllowed,
    /// The bucket is not the account's that the request expects it to be.
    #[error("the bucket belongs to another account than the request expects")]
    WrongOwner,
    /// The policy refuses, or no allowed site can be had.
    #[error(transparent)]
    Residency(#[from] Refusal),
    /// A condition of the request does not hold.
    #[error("the condition {condition} does not hold")]
    PreconditionFailed {
        /// The header that set it.
        condition: &'static str,
    },
    /// The client's copy is still good.
    #[error("not modified")]
    NotModified {
        /// The entity tag of the current version.
        etag: ETag,
        /// When it was written.
        modified: Timestamp,
    },
    /// Another conditional write to the same key is under way.
    #[error("a conflicting conditional write to this key is under way")]
    ConditionalConflict,
    /// The range lies outside the object.
    #[error("the range cannot be satisfied by an object of {size} bytes")]
    InvalidRange {
        /// Size of the object, in bytes.
        size: u64,
    },
    /// A part named by a complete request was never uploaded, or with another entity tag.
    #[error("part {number} was not uploaded with this entity tag")]
    InvalidPart {
        /// The part's number.
        number: u32,
    },
    /// The parts of a complete request are not in ascending order.
    #[error("the parts are not in ascending order")]
    InvalidPartOrder,
    /// A part other than the last is smaller than S3 allows.
    #[error("part {number} has {size} bytes, less than the minimum")]
    EntityTooSmall {
        /// The part's number.
        number: u32,
        /// Its size, in bytes.
        size: u64,
    },
    /// The body is larger than one request may carry.
    #[error("a body of {size} bytes exceeds the maximum of {max}")]
    EntityTooLarge {
        /// Declared size, in bytes.
        size: u64,
        /// The limit, in bytes.
        max: u64,
    },
    /// What was received does not hash to what the client said.
    #[error("the {0} does not match what was received")]
    BadDigest(&'static str),
    /// The request's body could not be read to its end.
    #[error(transparent)]
    Body(#[from] BodyError),
    /// An argument has a value that cannot be used.
    #[error("invalid {name}: {message}")]
    InvalidArgument {
        /// The header, query parameter or XML element.
        name: &'static str,
        /// What is wrong with it and what would be right.
        message: String,
    },
    /// The client's key does not fit, or is missing.
    #[error(transparent)]
    CustomerKey(CustomerKeyError),
    /// A copy of an object onto itself that changes nothing.
    #[error("copying an object to itself must change its metadata, tags or encryption")]
    CopyToItself,
    /// A read asks for a part that the object does not have.
    #[error("the object has no part {number}")]
    NoSuchPart {
        /// The part's number.
        number: u32,
    },
    /// A tag breaks the rules of S3.
    #[error("invalid tag: {message}")]
    InvalidTag {
        /// The rule it breaks.
        message: &'static str,
    },
    /// User metadata is over the limit.
    #[error("user metadata has {size} bytes, more than {max}")]
    MetadataTooLarge {
        /// Bytes of names and values together.
        size: usize,
        /// The limit, in bytes.
        max: usize,
    },
    /// The key's newest version is a delete marker.
    #[error("the key does not exist")]
    Deleted {
        /// The marker's version id.
        marker: VersionId,
    },
    /// The method does not apply to a delete marker.
    #[error("the version is a delete marker")]
    DeleteMarker {
        /// The marker's version id.
        marker: VersionId,
        /// When it was written.
        modified: Timestamp,
    },
    /// A retention or a legal hold keeps the version.
    #[error("a retention or a legal hold keeps the version")]
    Locked,
    /// The policy in force keeps the version.
    #[error("the policy in force keeps the version until {until}")]
    Kept {
        /// The first moment at which it may be removed.
        until: Timestamp,
    },
    /// A lock was asked for, or about, in a bucket without object lock.
    #[error("the bucket has no object lock configuration")]
    ObjectLockMissing,
    /// An ACL cannot be set.
    #[error(transparent)]
    Acl(#[from] InvalidAcl),
    /// The bucket cannot be configured so.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// No site of a country that the operation needs can be had.
    #[error("no site in {country} can be reached")]
    SiteUnavailable {
        /// The country.
        country: Country,
    },
    /// The key provider of a country cannot be had.
    #[error("the keys of {country} cannot be had")]
    KeysUnavailable {
        /// The country.
        country: Country,
    },
    /// The version of a country's key that sealed the data has been destroyed: there is nothing to wait for.
    #[error("the key of {country} that sealed the data has been destroyed")]
    KeysDestroyed {
        /// The country.
        country: Country,
    },
    /// What the site returned is not what was written there.
    #[error("the stored bytes are not what was written: {0}")]
    Tampered(#[from] SealError),
    /// The gateway is at the limit of its memory; the client should slow down.
    #[error("the gateway is busy")]
    Overloaded,
    /// A defect or a failing disk; the message is for the log only.
    #[error("internal error: {0}")]
    Internal(String),
}

impl ObjectError {
    /// Why a site could not serve `country`: absence of bytes that the index promises is tampering, all else is unavailability.
    pub(crate) fn from_backend(country: Country, error: &BackendError) -> Self {
        tracing::warn!(%country, error = %error, "site operation failed");
        match error {
            BackendError::NotFound { .. } => Self::Internal("a blob that the index names is missing at its site".to_owned()),
            BackendError::Corrupt { .. } => Self::Internal(error.to_string()),
            _ => Self::SiteUnavailable { country },
        }
    }

    /// The ledger's code for a failure that kept a record from being stored because no allowed place could be had; `None` for all
    /// others. Refusals by policy are recorded where they are decided.
    pub(crate) const fn outage_code(&self) -> Option<&'static str> {
        match self {
            Self::SiteUnavailable { .. } => Some("ResidencyUnavailable"),
            Self::KeysUnavailable { .. } => Some("KeysUnavailable"),
            _ => None,
        }
    }

    /// Why the keys of `country` could not be used.
    pub(crate) fn from_kms(country: Country, error: &KmsError) -> Self {
        tracing::warn!(%country, error = %error, "key provider failed");
        match error {
            KmsError::Destroyed { .. } => Self::KeysDestroyed { country },
            _ => Self::KeysUnavailable { country },
        }
    }
}

impl From<IndexError> for ObjectError {
    fn from(error: IndexError) -> Self {
        Self::Internal(format!("index: {error}"))
    }
}

impl From<CommitError> for ObjectError {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::PreconditionFailed => Self::PreconditionFailed { condition: "If-Match or If-None-Match" },
            CommitError::Conflict => Self::ConditionalConflict,
            CommitError::NoSuchBucket | CommitError::Stale(Stale::Bucket) => Self::NoSuchBucket,
            CommitError::Stale(Stale::Erased) => erased_meanwhile().into(),
            CommitError::Stale(what) => {
                Refusal::Stale { reason: format!("the {what:?} it rests on has changed").to_lowercase() }.into()
            }
            CommitError::BucketNotEmpty => Self::BucketNotEmpty,
            CommitError::BucketExists { .. } => Self::BucketExists,
            CommitError::NoSuchUpload | CommitError::UploadCompleted(_) => Self::NoSuchUpload,
            CommitError::InvalidPart(number) => Self::InvalidPart { number },
            CommitError::NoSuchKey => Self::NoSuchKey,
            CommitError::Locked => Self::Locked,
            CommitError::Kept { until } => Self::Kept { until },
            CommitError::Setting(error) => error.into(),
            CommitError::NotJournalled => Self::Unconfirmed,
            other => Self::Internal(format!("commit: {other}")),
        }
    }
}

/// Why a write does not go on that was decided before its subject was erased. Begun again, it is data of after.
pub(super) fn erased_meanwhile() -> Refusal {
    Refusal::Stale { reason: "the subject it rests on has changed".to_owned() }
}
