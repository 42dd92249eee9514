//! Buckets: one namespace across all countries. A bucket has no country of its own; its records do.

use std::sync::Arc;

use crate::audit::Kind;
use crate::authn::Action;
use crate::bucket::BucketSettings;
use crate::index::{Bucket, Change, CommitError};
use crate::objects::{ObjectError, Objects, Request};
use crate::types::BucketName;

/// What CreateBucket did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Created {
    /// The bucket is new.
    New,
    /// The caller had it already; nothing changed.
    AlreadyOwned,
}

impl Objects {
    /// Creates a bucket, configured as `settings` say; its owner is the caller.
    ///
    /// # Errors
    /// [`ObjectError::BucketExists`] when somebody else owns it.
    pub async fn create_bucket(
        &self,
        request: &Request<'_>,
        name: &BucketName,
        region: Option<String>,
        settings: BucketSettings,
    ) -> Result<Created, ObjectError> {
        self.permit(request, Kind::CreateBucket, name, Action::Write).await?;
        let owner = request.auth.principal().id.clone();
        let change = Change::CreateBucket { name: name.clone(), owner: owner.clone(), region, settings: Box::new(settings) };
        match self.index.commit(change, self.event(request, Kind::CreateBucket, name, None)).await {
            Ok(_) => Ok(Created::New),
            Err(CommitError::BucketExists { owner: existing }) if existing == owner => Ok(Created::AlreadyOwned),
            Err(other) => Err(other.into()),
        }
    }

    /// A bucket that the caller may look at.
    ///
    /// # Errors
    /// [`ObjectError::NoSuchBucket`], [`ObjectError::Forbidden`].
    pub async fn head_bucket(&self, request: &Request<'_>, name: &BucketName) -> Result<Arc<Bucket>, ObjectError> {
        self.permitted_bucket(request, name, Action::List).await
    }

    /// Deletes an empty bucket.
    ///
    /// # Errors
    /// [`ObjectError::BucketNotEmpty`] while it holds records or open uploads.
    pub async fn delete_bucket(&self, request: &Request<'_>, name: &BucketName) -> Result<(), ObjectError> {
        self.permit(request, Kind::DeleteBucket, name, Action::Delete).await?;
        let bucket = self.bucket(name)?;
        let change = Change::DeleteBucket { name: name.clone(), id: bucket.id };
        self.index.commit(change, self.event(request, Kind::DeleteBucket, name, None)).await?;
        Ok(())
    }

    /// The buckets that the caller may do anything with, by name.
    ///
    /// # Errors
    /// Only those of the index.
    pub async fn list_buckets(&self, request: &Request<'_>) -> Result<Vec<Arc<Bucket>>, ObjectError> {
        let mut buckets = self.index.buckets()?;
        let actions = [Action::Read, Action::Write, Action::List, Action::Delete];
        buckets.retain(|bucket| actions.iter().any(|action| request.auth.permits(*action, &bucket.name).is_ok()));
        Ok(buckets)
    }

    /// The bucket of that name.
    pub(super) fn bucket(&self, name: &BucketName) -> Result<Arc<Bucket>, ObjectError> {
        self.index.bucket(name)?.ok_or(ObjectError::NoSuchBucket)
    }

    /// The bucket, if the caller may write to it.
    pub(super) async fn writable_bucket(&self, request: &Request<'_>, name: &BucketName) -> Result<Arc<Bucket>, ObjectError> {
        self.permitted_bucket(request, name, Action::Write).await
    }

    /// The bucket, if the caller may do `action` in it. Permission is asked first: a caller without it cannot tell whether the
    /// bucket exists.
    pub(super) async fn permitted_bucket(
        &self,
        request: &Request<'_>,
        name: &BucketName,
        action: Action,
    ) -> Result<Arc<Bucket>, ObjectError> {
        self.permit(request, Kind::Refused, name, action).await?;
        self.bucket(name)
    }

    /// Refuses, and records the refusal of, what the caller may not do.
    async fn permit(&self, request: &Request<'_>, kind: Kind, name: &BucketName, action: Action) -> Result<(), ObjectError> {
        if request.auth.permits(action, name).is_ok() {
            return Ok(());
        }
        self.record_refusal(request, kind, name, None, "AccessDenied").await?;
        let action = match action {
            Action::Read => "read",
            Action::Write => "write",
            Action::List => "list",
            Action::Delete => "delete",
        };
        Err(ObjectError::Forbidden { action })
    }
}
