//! What a bucket is configured to do, read and changed.

use std::sync::Arc;

use crate::audit::Kind;
use crate::authn::Action;
use crate::bucket::Setting;
use crate::index::{Bucket, Change};
use crate::objects::{ObjectError, Objects, Request};
use crate::types::BucketName;

impl Objects {
    /// A bucket whose settings the caller may see.
    ///
    /// # Errors
    /// [`ObjectError::NoSuchBucket`], [`ObjectError::Forbidden`].
    pub async fn configured_bucket(&self, request: &Request<'_>, name: &BucketName) -> Result<Arc<Bucket>, ObjectError> {
        self.permitted_bucket(request, name, Action::Read).await
    }

    /// Changes one setting of a bucket. The change is durable and in force when this returns.
    ///
    /// # Errors
    /// [`ObjectError::Setting`] when the other settings do not allow it.
    pub async fn configure_bucket(&self, request: &Request<'_>, name: &BucketName, setting: Setting) -> Result<(), ObjectError> {
        let bucket = self.permitted_bucket(request, name, Action::Write).await?;
        let change = Change::SetBucket { name: name.clone(), id: bucket.id, setting: Box::new(setting) };
        self.index.commit(change, self.event(request, Kind::ConfigureBucket, name, None)).await?;
        Ok(())
    }
}
