//! ListParts and ListMultipartUploads.

use std::sync::Arc;

use crate::access::Action;
use crate::index::{Bucket, Part, Upload, UploadsPage, UploadsQuery};
use crate::objects::authorize::On;
use crate::objects::customer::{checksum_of_part, layer_if_given};
use crate::objects::{ObjectError, Objects, Request};
use crate::types::{BucketName, ObjectKey, UploadId};

/// A ListParts.
#[derive(Debug, Clone)]
pub struct PartsRequest {
    /// The upload's bucket.
    pub bucket: BucketName,
    /// The upload's key.
    pub key: ObjectKey,
    /// The upload.
    pub upload: UploadId,
    /// Only parts with higher numbers.
    pub after: u32,
    /// At most this many.
    pub limit: usize,
}

/// One page of an upload's parts.
#[derive(Debug, Clone)]
pub struct PartsPage {
    /// The upload.
    pub upload: Upload,
    /// Its parts, by number.
    pub parts: Vec<Part>,
    /// Whether more follow.
    pub truncated: bool,
}

impl Objects {
    /// The parts stored so far.
    ///
    /// # Errors
    /// [`ObjectError::NoSuchUpload`].
    pub async fn list_parts(&self, request: &Request<'_>, list: PartsRequest) -> Result<PartsPage, ObjectError> {
        let (_, upload) =
            self.find_upload(request, Action::ListMultipartUploadParts, &list.bucket, &list.key, list.upload).await?;
        if !matches!(upload.state, crate::index::UploadState::Open) {
            return Err(ObjectError::NoSuchUpload);
        }
        let inner = layer_if_given(&upload, request.keys)?;
        let (mut parts, truncated) = self.index.upload_parts(list.upload, list.after, list.limit).await?;
        for part in &mut parts {
            part.entry.checksum =
                checksum_of_part(inner.as_ref(), &part.entry).filter(|_| upload.customer.is_some() == inner.is_some());
        }
        Ok(PartsPage { upload, parts, truncated })
    }

    /// The uploads that are open in a bucket, by key and then by age.
    ///
    /// # Errors
    /// [`ObjectError::NoSuchBucket`], [`ObjectError::Forbidden`].
    pub async fn list_uploads(
        &self,
        request: &Request<'_>,
        bucket: &BucketName,
        mut query: UploadsQuery,
    ) -> Result<(Arc<Bucket>, UploadsPage), ObjectError> {
        let bucket = self.authorize(request, bucket, Action::ListBucketMultipartUploads, On::Listing(&query.prefix)).await?;
        query.bucket = bucket.id;
        let page = self.index.uploads(query).await?;
        Ok((bucket, page))
    }
}
