//! What goes by itself: nothing that its bucket's rules do not let go of at this moment.

use super::{group::Group, plan::Planned};
use crate::{
    index::{Beside, BucketId, CommitError, DeleteChange, ExpireChange, Expires, IndexError, Version, keys},
    types::{ObjectKey, Ticket},
};

impl Group<'_> {
    pub(super) fn expire(&self, ExpireChange { rules, what }: ExpireChange) -> Planned {
        let (bucket, _) = what.place();
        if self.settings(bucket).is_none_or(|settings| settings.lifecycle.as_ref() != Some(&*rules)) {
            return Err(CommitError::Conflict);
        }
        match what {
            Expires::Upload { bucket, key, upload } => self.abort(bucket, &key, upload),
            Expires::Version { delete, beside } => {
                if !self.stands(&delete, &beside)? {
                    return Err(CommitError::Conflict);
                }
                let draft = self.delete_record(&delete)?;
                // Nothing went: the ledger must not say that something did.
                if draft.committed.replaced.is_none() && draft.committed.marker.is_none() {
                    return Err(CommitError::Conflict);
                }
                Ok(draft)
            }
        }
    }

    fn stands(&self, delete: &DeleteChange, beside: &Beside) -> Result<bool, IndexError> {
        let (bucket, key) = (delete.bucket, &delete.key);
        match beside {
            Beside::Anything => Ok(true),
            Beside::Behind { newer, kept } => {
                for kept in kept {
                    if !matches!(self.noncurrent(bucket, key, *kept)?, Some(Version::Record(_))) {
                        return Ok(false);
                    }
                }
                if self.noncurrent(bucket, key, *newer)?.is_some() {
                    return Ok(true);
                }
                let current = self.record(&keys::record(bucket, key.as_str()))?;
                Ok(current.is_some_and(|current| current.summary.ticket == *newer))
            }
            Beside::Nothing => {
                if self.record(&keys::record(bucket, key.as_str()))?.is_some() {
                    return Ok(false);
                }
                let prefix = keys::versions(bucket, key.as_str());
                let Some((_, newest)) = self.first_version(&prefix, &prefix)? else { return Ok(false) };
                let summary = newest.summary();
                let behind = keys::history(bucket, key.as_str(), Ticket(summary.ticket.0.saturating_sub(1)));
                Ok(Some(summary.id) == delete.record && self.first_version(&prefix, &behind)?.is_none())
            }
        }
    }

    fn noncurrent(&self, bucket: BucketId, key: &ObjectKey, ticket: Ticket) -> Result<Option<Version>, IndexError> {
        self.version(&keys::history(bucket, key.as_str(), ticket))
    }
}
