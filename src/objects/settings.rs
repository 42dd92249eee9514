//! What a bucket is configured to do, read and changed.

use std::sync::Arc;

use crate::access::Action;
use crate::audit::Kind;
use crate::bucket::{Cors, Setting, SettingError};
use crate::index::{Bucket, Change, CommitError};
use crate::objects::authorize::On;
use crate::objects::{ObjectError, Objects, Request};
use crate::types::BucketName;

impl Objects {
    /// A bucket to which the caller may do `action`, such as seeing one of its settings.
    ///
    /// # Errors
    /// [`ObjectError::NoSuchBucket`] and refusals.
    pub async fn configured_bucket(
        &self,
        request: &Request<'_>,
        name: &BucketName,
        action: Action,
    ) -> Result<Arc<Bucket>, ObjectError> {
        self.authorize(request, name, action, On::Bucket).await
    }

    /// Which web pages may use a bucket; `None` where it has no rules or is not there. Nobody has to ask for permission: browsers do not
    /// sign the question.
    ///
    /// # Errors
    /// Only those of the index.
    pub fn cors(&self, name: &BucketName) -> Result<Option<Cors>, ObjectError> {
        Ok(self.index.bucket(name)?.and_then(|bucket| bucket.settings.cors.clone()))
    }

    /// Changes one setting of a bucket, which `action` stands for. The change is durable and in force when this returns.
    ///
    /// # Errors
    /// [`ObjectError::Setting`] when the other settings do not allow it.
    pub async fn configure_bucket(
        &self,
        request: &Request<'_>,
        name: &BucketName,
        action: Action,
        setting: Setting,
    ) -> Result<(), ObjectError> {
        let bucket = self.authorize(request, name, action, On::Bucket).await?;
        let change = Change::SetBucket { name: name.clone(), id: bucket.id, setting: Box::new(setting) };
        match self.index.commit(change, self.event(request, Kind::ConfigureBucket, name, None)).await {
            Ok(_) => Ok(()),
            Err(CommitError::Setting(refused @ SettingError::AccessDenied(_))) => {
                self.record_refusal(request, Kind::ConfigureBucket, name, None, refused.code()).await?;
                Err(refused.into())
            }
            Err(other) => Err(other.into()),
        }
    }
}
