//! DeleteObject and DeleteObjects. The blobs become garbage in the commit that deletes the row; the collector removes them later.

use std::sync::Arc;

use futures_util::stream::{self, StreamExt};

use crate::access::Action;
use crate::audit::Kind;
use crate::authn::{self, Scope};
use crate::bucket::Versioning;
use crate::digest;
use crate::index::{Bucket, Change, CommitError, DeleteChange};
use crate::objects::authorize::On;
use crate::objects::{DeleteItem, DeleteRequest, Deleted, ObjectError, Objects, Request};
use crate::types::{BucketName, VersionId};

/// Deletes of one request that wait for the committer together, so that they share its group commits.
const TOGETHER: usize = 64;

impl Objects {
    /// Deletes a key or a version. Deleting what does not exist succeeds, as S3 does it.
    ///
    /// # Errors
    /// [`ObjectError::PreconditionFailed`], [`ObjectError::Locked`] and what every use case may answer.
    pub async fn delete(&self, request: &Request<'_>, delete: DeleteRequest) -> Result<Deleted, ObjectError> {
        let bucket = self.deletable_bucket(request, &delete.bucket, std::slice::from_ref(&delete.item)).await?;
        self.delete_in(request, &bucket, delete.item, delete.bypass_governance).await
    }

    /// Deletes many keys; the answers are in the order of the items.
    ///
    /// # Errors
    /// One for the request as a whole; each item has its own result.
    pub async fn delete_many(
        &self,
        request: &Request<'_>,
        bucket: &BucketName,
        items: Vec<DeleteItem>,
        bypass_governance: bool,
    ) -> Result<Vec<Result<Deleted, ObjectError>>, ObjectError> {
        let bucket = self.deletable_bucket(request, bucket, &items).await?;
        let bucket = bucket.as_ref();
        let deletes = items.into_iter().map(|item| self.delete_in(request, bucket, item, bypass_governance));
        Ok(stream::iter(deletes).buffered(TOGETHER).collect().await)
    }

    /// The bucket, if the configuration lets the caller delete anything there. Each item is authorized by itself.
    async fn deletable_bucket(
        &self,
        request: &Request<'_>,
        name: &BucketName,
        items: &[DeleteItem],
    ) -> Result<Arc<Bucket>, ObjectError> {
        let first = items.first().map_or("", |item| item.key.as_str());
        let named = items.iter().map(|item| item.key.as_str());
        let permitted = |key: &&str| request.auth.permits(authn::Action::Delete, name, Scope::Keys(key)).is_ok();
        let scope = Scope::Keys(named.clone().find(permitted).unwrap_or(first));
        self.check_boundary(request, Kind::DeleteObject, (name, None), Action::DeleteObject, scope).await?;
        self.bucket(name)
    }

    async fn delete_in(
        &self,
        request: &Request<'_>,
        bucket: &Bucket,
        item: DeleteItem,
        bypass_governance: bool,
    ) -> Result<Deleted, ObjectError> {
        let DeleteItem { key, version, condition } = item;
        let on = On::Object(&key, version);
        let action = if version.is_some() { Action::DeleteObjectVersion } else { Action::DeleteObject };
        self.authorize_in(request, bucket, action, on).await?;
        self.check_expected_owner(request, bucket).await?;
        self.check_may_compare(request, bucket, &key, &condition).await?;
        // Without versioning in force, the `null` version goes too, which may be somebody else's.
        let null = VersionId::Null;
        let suspended = version.is_none() && bucket.settings.versioning == Versioning::Suspended;
        if suspended && self.index.version(bucket, &key, null)?.is_some() {
            self.authorize_in(request, bucket, action, On::Object(&key, Some(null))).await?;
        }
        if bypass_governance {
            self.authorize_in(request, bucket, Action::BypassGovernanceRetention, on).await?;
        }
        // Reading the row first finds it hot for the committer. A key that is not there goes to the committer, too: what this read
        // does not see may be a delete that is not synced yet, and the answer promises that the key stays gone.
        self.index.current(bucket, &key)?;
        let ticket = self.index.ticket()?;
        let event = self.event(request, Kind::DeleteObject, &bucket.name, Some(&key));
        let change = DeleteChange {
            bucket: bucket.id,
            key,
            version,
            record: None,
            owner: request.account().unwrap_or(&bucket.owner).clone(),
            ticket,
            marker: VersionId::new(ticket, digest::random()),
            condition,
            bypass_governance,
        };
        let committed = match self.index.commit(Change::Delete(Box::new(change)), event).await {
            Ok(committed) => committed,
            Err(CommitError::NoSuchKey) => Default::default(),
            Err(other) => return Err(other.into()),
        };
        Ok(match (version, committed.marker) {
            (Some(version), _) => {
                let was_marker = committed.replaced.is_some_and(|removed| removed.delete_marker);
                Deleted::Version { version, was_marker }
            }
            (None, Some(marker)) => Deleted::Marked(marker.version),
            (None, None) => Deleted::Key,
        })
    }
}
