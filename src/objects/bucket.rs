//! Buckets: one namespace across all countries. A bucket has no country of its own; its records do.

use std::sync::Arc;

use crate::access::{Action, Denial};
use crate::audit::Kind;
use crate::authn::Scope;
use crate::bucket::BucketSettings;
use crate::index::{Bucket, Change, CommitError};
use crate::objects::authorize::On;
use crate::objects::{AclRequest, ObjectError, Objects, Request};
use crate::types::{BucketName, ObjectKey};

/// What CreateBucket did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Created {
    /// The bucket is new.
    New,
    /// The caller had it already; nothing changed.
    AlreadyOwned,
}

impl Objects {
    /// Creates a bucket, configured as `settings` and `acl` say; its owner is the caller's account.
    ///
    /// # Errors
    /// [`ObjectError::BucketExists`] when another account owns it, or the caller's with another ACL; [`ObjectError::Setting`] when the ACL does not go with the
    /// settings.
    pub async fn create_bucket(
        &self,
        request: &Request<'_>,
        name: &BucketName,
        region: Option<String>,
        mut settings: BucketSettings,
        acl: AclRequest,
    ) -> Result<Created, ObjectError> {
        self.check_boundary(request, Kind::CreateBucket, (name, None), Action::CreateBucket, Scope::Bucket).await?;
        if acl != AclRequest::Unsaid {
            self.check_boundary(request, Kind::CreateBucket, (name, None), Action::PutBucketAcl, Scope::Bucket).await?;
        }
        let Some(owner) = request.account().cloned() else {
            self.record_refusal(request, Kind::CreateBucket, name, None, "AccessDenied").await?;
            return Err(Denial::NotGranted.into());
        };
        settings.apply_acl(acl.for_bucket(&owner)?)?;
        let acl = settings.acl.clone();
        let change = Change::CreateBucket { name: name.clone(), owner: owner.clone(), region, settings: Box::new(settings) };
        match self.index.commit(change, self.event(request, Kind::CreateBucket, name, None)).await {
            Ok(_) => Ok(Created::New),
            Err(CommitError::BucketExists { owner: existing }) if existing == owner => {
                // Whoever asks for another ACL than the bucket has must not think that it has it now.
                let bucket = self.bucket(name)?;
                if bucket.settings.acl == acl { Ok(Created::AlreadyOwned) } else { Err(ObjectError::BucketExists) }
            }
            Err(other) => Err(other.into()),
        }
    }

    /// A bucket that the caller may look at.
    ///
    /// # Errors
    /// [`ObjectError::NoSuchBucket`], [`ObjectError::Forbidden`].
    pub async fn head_bucket(&self, request: &Request<'_>, name: &BucketName) -> Result<Arc<Bucket>, ObjectError> {
        self.authorize(request, name, Action::ListBucket, On::Bucket).await
    }

    /// Deletes an empty bucket.
    ///
    /// # Errors
    /// [`ObjectError::BucketNotEmpty`] while it holds records or open uploads.
    pub async fn delete_bucket(&self, request: &Request<'_>, name: &BucketName) -> Result<(), ObjectError> {
        let bucket = self.authorize(request, name, Action::DeleteBucket, On::Bucket).await?;
        let change = Change::DeleteBucket { name: name.clone(), id: bucket.id };
        self.index.commit(change, self.event(request, Kind::DeleteBucket, name, None)).await?;
        Ok(())
    }

    /// The buckets of the caller's account that it may list, by name.
    ///
    /// # Errors
    /// [`ObjectError::NotAllowed`] to nobody in particular.
    pub async fn list_buckets(&self, request: &Request<'_>) -> Result<Vec<Arc<Bucket>>, ObjectError> {
        let Some(account) = request.account() else {
            self.record_refused(request.id, "AccessDenied", None).await?;
            return Err(ObjectError::NotAllowed);
        };
        let class = Action::ListAllMyBuckets.class();
        let mut buckets = self.index.buckets()?;
        buckets.retain(|bucket| bucket.owner == *account && request.auth.permits(class, &bucket.name, Scope::Bucket).is_ok());
        Ok(buckets)
    }

    /// The bucket of that name.
    pub(super) fn bucket(&self, name: &BucketName) -> Result<Arc<Bucket>, ObjectError> {
        self.index.bucket(name)?.ok_or(ObjectError::NoSuchBucket)
    }

    /// Refuses a caller that may not write an object to `key`.
    ///
    /// # Errors
    /// [`ObjectError::NoSuchBucket`] and refusals.
    pub async fn check_writable(&self, request: &Request<'_>, name: &BucketName, key: &ObjectKey) -> Result<(), ObjectError> {
        self.writable_bucket(request, name, key).await.map(drop)
    }

    /// The bucket, if the caller may write an object to `key` there.
    pub(super) async fn writable_bucket(
        &self,
        request: &Request<'_>,
        name: &BucketName,
        key: &ObjectKey,
    ) -> Result<Arc<Bucket>, ObjectError> {
        let owner = &request.auth.principal().account;
        self.authorize(request, name, Action::PutObject, On::New(key, owner)).await
    }
}
