//! ListObjectVersions, from the index alone.

use std::sync::Arc;

use crate::access::Action;
use crate::index::{Bucket, VersionsPage, VersionsQuery};
use crate::objects::authorize::On;
use crate::objects::{ObjectError, Objects, Request};
use crate::types::{BucketName, VersionId};

/// One page of versions.
#[derive(Debug, Clone, Default)]
pub struct VersionsRequest {
    /// Only keys that begin with this.
    pub prefix: String,
    /// Rolls keys up into common prefixes at the first delimiter behind the prefix.
    pub delimiter: Option<String>,
    /// After all versions of this key; with `version_marker`, after that version of it.
    pub key_marker: Option<String>,
    /// See `key_marker`.
    pub version_marker: Option<VersionId>,
    /// At most this many versions, delete markers and common prefixes together.
    pub limit: usize,
}

impl Objects {
    /// One page of versions and delete markers: by key, then the newest first.
    ///
    /// # Errors
    /// [`ObjectError::NoSuchBucket`], [`ObjectError::Forbidden`].
    pub async fn list_versions(
        &self,
        request: &Request<'_>,
        bucket: &BucketName,
        list: VersionsRequest,
    ) -> Result<(Arc<Bucket>, VersionsPage), ObjectError> {
        let bucket = self.authorize(request, bucket, Action::ListBucketVersions, On::Listing(&list.prefix)).await?;
        let query = VersionsQuery {
            bucket: bucket.id,
            prefix: list.prefix,
            delimiter: list.delimiter.filter(|delimiter| !delimiter.is_empty()),
            key_marker: list.key_marker,
            version_marker: list.version_marker,
            limit: list.limit,
        };
        let page = self.index.versions(query).await?;
        Ok((bucket, page))
    }
}
