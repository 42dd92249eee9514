//! ListObjects, from the index alone.

use std::sync::Arc;

use crate::access::Action;
use crate::index::{Bucket, ListAfter, ListPage, ListQuery};
use crate::objects::authorize::On;
use crate::objects::{ObjectError, Objects, Request};
use crate::types::BucketName;

/// One page of a listing.
#[derive(Debug, Clone, Default)]
pub struct ListRequest {
    /// Only keys that begin with this.
    pub prefix: String,
    /// Rolls keys up into common prefixes at the first delimiter behind the prefix.
    pub delimiter: Option<String>,
    /// Where the page begins.
    pub after: Option<ListAfter>,
    /// At most this many keys and common prefixes together.
    pub limit: usize,
}

impl Objects {
    /// One page of current versions in the byte order of their keys.
    ///
    /// # Errors
    /// [`ObjectError::NoSuchBucket`], [`ObjectError::Forbidden`].
    pub async fn list(
        &self,
        request: &Request<'_>,
        bucket: &BucketName,
        list: ListRequest,
    ) -> Result<(Arc<Bucket>, ListPage), ObjectError> {
        let bucket = self.authorize(request, bucket, Action::ListBucket, On::Listing(&list.prefix)).await?;
        let query = ListQuery {
            bucket: bucket.id,
            prefix: list.prefix,
            delimiter: list.delimiter.filter(|delimiter| !delimiter.is_empty()),
            after: list.after,
            limit: list.limit,
        };
        let page = self.index.list(query).await?;
        Ok((bucket, page))
    }
}
