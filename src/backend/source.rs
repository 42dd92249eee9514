//! Foreign buckets that objects are brought from: plain objects of somebody else's making, read and, once that is proven safe, removed.
//!
//! A [`Source`] is no [`super::Site`]: nothing is ever written to it, and what it holds and says is taken for what a client says.

use std::{collections::BTreeMap, error::Error, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;

use crate::{digest::Checksum, types::Timestamp};

/// The bytes of an object as they arrive, in order: exactly as many as were told, or an error.
pub type SourceStream = BoxStream<'static, Result<Bytes, SourceError>>;

/// A bucket that objects are read from.
#[async_trait]
pub trait Source: Send + Sync + 'static {
    /// The next objects whose keys begin with `prefix` and come after `after`, in byte order of their keys. None means that there are no more.
    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Vec<SourceEntry>, SourceError>;

    /// All that the source says of an object, its tags included.
    async fn look(&self, key: &str) -> Result<SourceObject, SourceError>;

    /// The bytes of part `number` of an object that was uploaded in parts; `None` where the source does not tell.
    async fn part(&self, object: &SourceObject, number: u32) -> Result<Option<SourcePart>, SourceError>;

    /// The object's bytes from `from` on, if it still is what `object` says: [`SourceError::Changed`] otherwise. `from` is less than its size,
    /// or 0.
    async fn read(&self, object: &SourceObject, from: u64) -> Result<SourceStream, SourceError>;

    /// Removes the object, if it still is what `object` says where the source can hold a removal against that.
    async fn remove(&self, object: &SourceObject) -> Result<(), SourceError>;
}

/// A line of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceEntry {
    /// The key.
    pub key: String,
    /// Its entity tag, without quotes.
    pub etag: String,
    /// Its bytes.
    pub size: u64,
    /// When it was written, to the second.
    pub modified: Timestamp,
}

/// What a source says of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceObject {
    /// What a listing says of it, too.
    pub entry: SourceEntry,
    /// Content headers by lower-case name.
    pub content: BTreeMap<String, String>,
    /// User metadata by lower-case name, values as they came.
    pub metadata: BTreeMap<String, String>,
    /// Tags, by name.
    pub tags: Vec<(String, String)>,
    /// A checksum of all its bytes, where it has one.
    pub checksum: Option<Checksum>,
    /// Whether its entity tag is none of its bytes': that of a service that does not use MD5, or that encrypts by keys of its own.
    pub opaque_etag: bool,
    /// Until when it may not be removed, and whether nobody can change that.
    pub retention: Option<(bool, Timestamp)>,
    /// Whether it is held until further notice.
    pub legal_hold: bool,
}

/// One part of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourcePart {
    /// Its bytes.
    pub size: u64,
    /// How many parts the object has.
    pub count: u32,
}

/// Why a source did not do what it was asked. Shared, so that it can be told twice.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SourceError {
    /// There is no such object.
    #[error("the object is not at the source any more")]
    Gone,
    /// The object is not what it was when it was looked at.
    #[error("the object changes at the source while it is read")]
    Changed,
    /// The source does not let the gateway do it.
    #[error("the source refused the request: {0}")]
    Refused(String),
    /// The source could not be reached, broke off or has no time.
    #[error("the source is unavailable: {reason}")]
    Unavailable {
        /// What happened, in words for an operator.
        reason: String,
        /// The underlying error, where there is one.
        #[source]
        cause: Option<Arc<dyn Error + Send + Sync>>,
    },
}

impl SourceError {
    /// Whether it may go better later without anyone changing anything.
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::Changed | Self::Unavailable { .. } => true,
            Self::Gone | Self::Refused(_) => false,
        }
    }

    pub(super) fn unavailable(reason: impl Into<String>) -> Self {
        Self::Unavailable { reason: reason.into(), cause: None }
    }
}
