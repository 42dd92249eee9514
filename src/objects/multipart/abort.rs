//! AbortMultipartUpload: one row flips; the parts are swept as garbage.

use crate::access::Action;
use crate::audit::Kind;
use crate::index::{Change, UploadState};
use crate::objects::{ObjectError, Objects, Request};
use crate::types::{BucketName, ObjectKey, UploadId};

impl Objects {
    /// Ends an upload without an object.
    ///
    /// # Errors
    /// [`ObjectError::NoSuchUpload`].
    pub async fn abort_upload(
        &self,
        request: &Request<'_>,
        bucket: &BucketName,
        key: &ObjectKey,
        upload: UploadId,
    ) -> Result<(), ObjectError> {
        let (bucket, found) = self.find_upload(request, Action::AbortMultipartUpload, bucket, key, upload).await?;
        if !matches!(found.state, UploadState::Open) {
            return Err(ObjectError::NoSuchUpload);
        }
        let event = self.event(request, Kind::AbortUpload, &bucket.name, Some(key));
        self.index.commit(Change::AbortUpload { bucket: bucket.id, key: key.clone(), upload }, event).await?;
        Ok(())
    }
}
