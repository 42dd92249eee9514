//! DeleteObject and DeleteObjects. The blobs become garbage in the commit that deletes the row; the collector removes them later.

use std::sync::Arc;

use futures_util::stream::{self, StreamExt};

use crate::access::Action;
use crate::audit::Kind;
use crate::authn::{self, Scope};
use crate::bucket::Versioning;
use crate::digest;
use crate::index::{Bucket, Change, CommitError, Committed, DeleteChange, Seen, Stale};
use crate::objects::authorize::On;
use crate::objects::commit::{WAIT, WAITS};
use crate::objects::{DeleteItem, DeleteRequest, Deleted, ObjectError, Objects, Request};
use crate::types::{BucketName, VersionId};

/// Deletes of one request that wait for the committer together, so that they share its group commits.
const TOGETHER: usize = 64;
/// How often a delete is judged anew because what it was judged by has changed.
const JUDGEMENTS: usize = 5;

impl Objects {
    /// Deletes a key or a version. Deleting what does not exist succeeds, as S3 does it.
    ///
    /// # Errors
    /// [`ObjectError::PreconditionFailed`], [`ObjectError::Locked`], [`ObjectError::Kept`] and what every use case may answer.
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
        let (mut judged, mut waited) = (1, 0);
        let committed = loop {
            let seen = self.judge_delete(request, bucket, &item, bypass_governance).await?;
            let again = !seen.is_empty() && judged < JUDGEMENTS;
            match self.commit_delete(request, bucket, &item, seen, bypass_governance).await {
                Ok(committed) => break committed,
                Err(CommitError::NoSuchKey) => break Committed::default(),
                Err(CommitError::Conflict) if again => judged += 1,
                // The index learns of a policy set a moment before the gateway decides by it.
                Err(CommitError::Stale(Stale::Policy)) if waited < WAITS => {
                    waited += 1;
                    tokio::time::sleep(WAIT).await;
                }
                Err(error @ CommitError::Kept { .. }) => {
                    let (kind, key) = (Kind::DeleteObject, Some(&item.key));
                    self.record_refusal(request, kind, &bucket.name, key, "AccessDenied").await?;
                    return Err(error.into());
                }
                Err(other) => return Err(other.into()),
            }
        };
        let version = item.version;
        Ok(match (version, committed.marker) {
            (Some(version), _) => {
                let was_marker = committed.replaced.is_some_and(|removed| removed.delete_marker);
                Deleted::Version { version, was_marker }
            }
            (None, Some(marker)) => Deleted::Marked(marker.version),
            (None, None) => Deleted::Key,
        })
    }

    /// Lets the caller delete the item or refuses it. Answers with what it was judged by, where the bucket asks more than whose it is: that
    /// has to stand still at the commit.
    async fn judge_delete(
        &self,
        request: &Request<'_>,
        bucket: &Bucket,
        item: &DeleteItem,
        bypass_governance: bool,
    ) -> Result<Vec<Seen>, ObjectError> {
        let DeleteItem { key, version, condition } = item;
        let look_up = |version: Option<VersionId>| -> Result<Seen, ObjectError> {
            let found = match version {
                Some(version) => self.index.version(bucket, key, version)?,
                None => self.newest(bucket, key)?,
            };
            Ok(Seen { version, found })
        };
        let mut seen = vec![look_up(*version)?];
        // Without versioning in force, the `null` version goes too, which may be somebody else's.
        if version.is_none() && bucket.settings.versioning == Versioning::Suspended {
            let null = look_up(Some(VersionId::Null))?;
            seen.extend(null.found.is_some().then_some(null));
        }
        let action = if version.is_some() { Action::DeleteObjectVersion } else { Action::DeleteObject };
        for seen in &seen {
            self.authorize_in(request, bucket, action, On::Found(key, seen.version, seen.found.as_ref())).await?;
        }
        self.check_expected_owner(request, bucket).await?;
        self.check_may_compare(request, bucket, key, condition).await?;
        if bypass_governance {
            let bypass = Action::BypassGovernanceRetention;
            for seen in &seen {
                self.authorize_in(request, bucket, bypass, On::Found(key, seen.version, seen.found.as_ref())).await?;
            }
        }
        if !self.asks_object(request, bucket) {
            seen.clear();
        }
        Ok(seen)
    }

    async fn commit_delete(
        &self,
        request: &Request<'_>,
        bucket: &Bucket,
        item: &DeleteItem,
        seen: Vec<Seen>,
        bypass_governance: bool,
    ) -> Result<Committed, CommitError> {
        let ticket = self.index.ticket()?;
        let event = self.event(request, Kind::DeleteObject, &bucket.name, Some(&item.key));
        let change = DeleteChange {
            bucket: bucket.id,
            key: item.key.clone(),
            version: item.version,
            record: None,
            owner: request.account().unwrap_or(&bucket.owner).clone(),
            ticket,
            marker: VersionId::new(ticket, digest::random()),
            condition: item.condition.clone(),
            seen,
            bypass_governance,
        };
        // A key that is not there goes to the committer, too: what was seen of it may lack a delete that is not synced yet, and the answer
        // promises that the key stays gone.
        self.index.commit(Change::Delete(Box::new(change)), event).await
    }
}
