//! The multipart family. An upload is placed once, when it is created; every part and the completion check that the placement still
//! stands. Parts are runs of extents stored where the record will live: there is no staging area in another country.

mod abort;
mod complete;
mod create;
mod list;
mod part;
mod part_copy;

use crate::access::Action;
use crate::audit::Kind;
use crate::authn::Scope;
use crate::index::{Bucket, Upload, UploadState};
use crate::objects::authorize::On;
use crate::objects::record_keys::Target;
use crate::objects::{ObjectError, Objects, Request};
use crate::residency::Placement;
use crate::types::{BucketName, ObjectKey, UploadId};
use std::sync::Arc;

pub use list::{PartsPage, PartsRequest};

/// An upload that is open, with its placement checked again and the keys that seal its parts.
struct OpenUpload {
    bucket: Arc<Bucket>,
    upload: Upload,
    placement: Placement,
    targets: Vec<Target>,
}

impl Objects {
    /// Finds an upload to which the caller may do `action`.
    async fn find_upload(
        &self,
        request: &Request<'_>,
        action: Action,
        bucket: &BucketName,
        key: &ObjectKey,
        id: UploadId,
    ) -> Result<(Arc<Bucket>, Upload), ObjectError> {
        // Whether there is such an upload is told to those alone who may write here or whose it is.
        let scope = Scope::Keys(key.as_str());
        self.check_boundary(request, Kind::Refused, (bucket, Some(key)), action, scope).await?;
        let bucket = self.bucket(bucket)?;
        match self.index.upload(bucket.id, key, &id)? {
            Some(upload) => {
                self.authorize_in(request, &bucket, action, On::Upload(&upload)).await?;
                self.check_expected_owner(request, &bucket).await?;
                Ok((bucket, upload))
            }
            None => {
                self.authorize_in(request, &bucket, Action::PutObject, On::New(key, &bucket.owner)).await?;
                Err(ObjectError::NoSuchUpload)
            }
        }
    }

    /// Finds an open upload and decides again whether its placement stands. A refusal is recorded as one of `kind`.
    async fn resume_upload(
        &self,
        request: &Request<'_>,
        kind: Kind,
        bucket: &BucketName,
        key: &ObjectKey,
        id: UploadId,
    ) -> Result<OpenUpload, ObjectError> {
        let (bucket, upload) = self.find_upload(request, Action::PutObject, bucket, key, id).await?;
        if !matches!(upload.state, UploadState::Open) {
            return Err(ObjectError::NoSuchUpload);
        }
        let placement = match self.residency.resume(request.auth, &upload.placement, &bucket.name, key) {
            Ok(placement) => placement,
            Err(refusal) => {
                let (place, subject) = ((&bucket.name, Some(key)), upload.placement.subject.as_ref());
                self.record_refusal_of(request, kind, place, subject, refusal.code()).await?;
                return Err(refusal.into());
            }
        };
        let targets = self.open_targets(&placement, &upload.copies, upload.record).await?;
        Ok(OpenUpload { bucket, upload, placement, targets })
    }
}
