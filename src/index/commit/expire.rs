//! What goes by itself: nothing that its bucket's rules, or the policy, do not let go of at this moment.

use super::{
    erase::MARKERS,
    group::Group,
    plan::{Draft, Planned},
};
use crate::{
    index::{
        Beside, BucketId, CommitError, DeleteChange, ExpireChange, Expires, GarbageReason, IndexError, Summary, Version,
        journal::of_copies, keys,
    },
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

    /// Takes a version away that is older than the policy lets it be. Whether it is, is asked here: the policy or what it says of the version may
    /// have changed since it was found.
    pub(super) fn outlived(&self, delete: &DeleteChange) -> Planned {
        let (bucket, key) = (delete.bucket, &delete.key);
        self.check_bucket(bucket)?;
        let (Some(version), Some(id)) = (delete.version, delete.record) else { return Err(CommitError::Conflict) };
        let found = self.version_of(bucket, key, Some(version))?.and_then(Version::into_record);
        let record = found.filter(|record| record.summary.id == id).ok_or(CommitError::NoSuchKey)?;
        if !self.term(bucket, key, &record)?.is_over(self.now) {
            return Err(CommitError::Conflict);
        }
        let current_row = keys::record(bucket, key.as_str());
        let prefix = keys::versions(bucket, key.as_str());
        if self.record(&current_row)?.is_some_and(|current| current.summary.id == id)
            && let Some((_, Version::Record(older))) = self.first_version(&prefix, &prefix)?
        {
            let mut draft = Draft::default();
            draft.delete(current_row);
            self.remove_version(&mut draft, bucket, key, Version::Record(Box::new(record)), GarbageReason::Deleted, false)?;
            let marker = Summary::marker(delete.marker, delete.ticket, self.now, delete.owner.clone());
            self.mark(&mut draft, bucket, key, marker, of_copies(&older.detail.copies))?;
            return Ok(draft);
        }
        let markers = self.lone_markers(bucket, key, record.summary.ticket)?;
        let mut draft = self.delete_version(delete, version, GarbageReason::Deleted)?;
        for (row, is_null) in markers.into_iter().take(MARKERS) {
            draft.delete(row);
            if is_null {
                draft.delete(keys::null_version(bucket, key.as_str()));
            }
        }
        Ok(draft)
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
