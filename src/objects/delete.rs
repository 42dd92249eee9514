//! DeleteObject and DeleteObjects. The blobs become garbage in the commit that deletes the row; the collector removes them later.

use futures_util::stream::{self, StreamExt};

use crate::audit::Kind;
use crate::authn::Action;
use crate::index::{Bucket, Change, CommitError, WriteCondition};
use crate::objects::{DeleteItem, Deleted, ObjectError, Objects, Request};
use crate::types::{BucketName, ObjectKey, VersionId};

/// Deletes of one request that wait for the committer together, so that they share its group commits.
const TOGETHER: usize = 64;

impl Objects {
    /// Deletes a key. Deleting what does not exist succeeds, as S3 does it.
    ///
    /// # Errors
    /// [`ObjectError::PreconditionFailed`] and what every use case may answer.
    pub async fn delete(
        &self,
        request: &Request<'_>,
        bucket: &BucketName,
        key: &ObjectKey,
        version: Option<VersionId>,
        condition: WriteCondition,
    ) -> Result<Deleted, ObjectError> {
        let bucket = self.permitted_bucket(request, bucket, Action::Delete).await?;
        self.delete_in(request, &bucket, key, version, condition).await
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
    ) -> Result<Vec<Result<Deleted, ObjectError>>, ObjectError> {
        let bucket = self.permitted_bucket(request, bucket, Action::Delete).await?;
        let bucket = bucket.as_ref();
        let deletes = items
            .into_iter()
            .map(|item| async move { self.delete_in(request, bucket, &item.key, item.version, item.condition).await });
        Ok(stream::iter(deletes).buffered(TOGETHER).collect().await)
    }

    async fn delete_in(
        &self,
        request: &Request<'_>,
        bucket: &Bucket,
        key: &ObjectKey,
        version: Option<VersionId>,
        condition: WriteCondition,
    ) -> Result<Deleted, ObjectError> {
        // A bucket without versioning holds only the null version; any other was never there.
        if matches!(version, Some(VersionId::Id(_))) {
            return Ok(Deleted { version, delete_marker: false });
        }
        // Reading the row first finds it hot for the committer. A key that is not there goes to the committer, too: what this read
        // does not see may be a delete that is not synced yet, and the answer promises that the key stays gone.
        self.index.current(bucket, key)?;
        let change = Change::Delete { bucket: bucket.id, key: key.clone(), ticket: self.index.ticket()?, condition };
        let event = self.event(request, Kind::DeleteObject, &bucket.name, Some(key));
        match self.index.commit(change, event).await {
            Ok(_) | Err(CommitError::NoSuchKey) => Ok(Deleted { version, delete_marker: false }),
            Err(other) => Err(other.into()),
        }
    }
}
