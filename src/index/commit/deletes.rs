//! Deletes: of a key, which in a bucket with versions leaves a marker, and of one version.

use std::collections::BTreeSet;

use super::{
    group::{Body, Group},
    plan::{Draft, Planned},
};
use crate::{
    bucket::Versioning,
    index::{
        BucketId, CommitError, DeleteChange, GarbageReason, IndexError, Summary, Version, WriteCondition,
        codec::{encode_marker, encode_record, marker_countries},
        journal::of_copies,
        keys,
    },
    types::{Country, ObjectKey, Ticket, VersionId},
};

impl Group<'_> {
    pub(super) fn delete_record(&self, delete: &DeleteChange) -> Planned {
        self.check_bucket(delete.bucket)?;
        for seen in &delete.seen {
            if self.version_of(delete.bucket, &delete.key, seen.version)? != seen.found {
                return Err(CommitError::Conflict);
            }
        }
        let draft = match delete.version {
            Some(version) => self.delete_version(delete, version, GarbageReason::Deleted)?,
            None => self.delete_key(delete)?,
        };
        self.with_whose(draft, delete.bucket, &delete.key)
    }

    fn delete_key(&self, delete: &DeleteChange) -> Planned {
        let (bucket, key) = (delete.bucket, &delete.key);
        let versions = self.versions(bucket, key)?;
        delete.condition.check(versions.current.as_ref().map(|current| &current.summary))?;
        let mut draft = Draft::default();
        if let Some(only) = delete.record
            && versions.current.as_ref().is_none_or(|current| current.summary.id != only)
        {
            return Ok(draft);
        }
        let overtaken = versions.current.as_ref().is_some_and(|current| current.summary.ticket > delete.ticket);
        if overtaken && delete.condition != WriteCondition::None {
            return Err(CommitError::Conflict);
        }
        let versioning = self.versioning(bucket);
        if versioning == Versioning::Off {
            draft.committed.superseded = overtaken;
            if let Some(current) = versions.current.filter(|_| !overtaken) {
                draft.delete(keys::record(bucket, key.as_str()));
                self.remove_version(&mut draft, bucket, key, Version::Record(Box::new(current)), GarbageReason::Deleted, false)?;
            }
            return Ok(draft);
        }
        let version = if versioning == Versioning::Suspended { VersionId::Null } else { delete.marker };
        // The marker belongs where what it hides lives.
        let countries = match &versions.current {
            Some(record) => of_copies(&record.detail.copies),
            None => self.newest_belongs(bucket, key)?,
        };
        let mut current = versions.current;
        if version == VersionId::Null {
            let null_current = current.take_if(|current| current.summary.version == VersionId::Null);
            if let Some(null) = null_current {
                if null.summary.ticket > delete.ticket {
                    draft.committed.superseded = true;
                    return Ok(draft);
                }
                draft.delete(keys::record(bucket, key.as_str()));
                self.remove_version(&mut draft, bucket, key, Version::Record(Box::new(null)), GarbageReason::Deleted, false)?;
            } else if let Some(null) = versions.null {
                if null.summary().ticket > delete.ticket {
                    draft.committed.superseded = true;
                    return Ok(draft);
                }
                draft.delete(keys::history(bucket, key.as_str(), null.summary().ticket));
                self.remove_version(&mut draft, bucket, key, null, GarbageReason::Deleted, false)?;
            }
        }
        if let Some(current) = current.filter(|current| current.summary.ticket < delete.ticket) {
            draft.delete(keys::record(bucket, key.as_str()));
            let body = Body::Sealed(encode_record(&current)?);
            self.shelve(&mut draft, bucket, key, &current.summary, body)?;
        }
        let marker = Summary::marker(version, delete.ticket, self.now, delete.owner.clone());
        self.mark(&mut draft, bucket, key, marker, countries)?;
        Ok(draft)
    }

    /// The countries of a key's newest version but the current one; none when there is none that says so.
    fn newest_belongs(&self, bucket: BucketId, key: &ObjectKey) -> Result<BTreeSet<Country>, IndexError> {
        let prefix = keys::versions(bucket, key.as_str());
        Ok(match self.first_version(&prefix, &prefix)? {
            Some((_, Version::Record(record))) => of_copies(&record.detail.copies),
            Some((row, Version::Marker(_))) => self.body(&row, marker_countries)?.flatten().unwrap_or_default(),
            None => BTreeSet::new(),
        })
    }

    /// Writes a delete marker, told of in the countries of what it hides.
    pub(super) fn mark(
        &self,
        draft: &mut Draft,
        bucket: BucketId,
        key: &ObjectKey,
        marker: Summary,
        countries: BTreeSet<Country>,
    ) -> Result<(), IndexError> {
        let body = Body::Sealed(encode_marker(&marker, &countries)?);
        self.shelve(draft, bucket, key, &marker, body)?;
        draft.committed.marker = Some(marker);
        Ok(())
    }

    pub(super) fn delete_version(&self, delete: &DeleteChange, version: VersionId, why: GarbageReason) -> Planned {
        let (bucket, key) = (delete.bucket, &delete.key);
        let mut draft = Draft::default();
        let current_row = keys::record(bucket, key.as_str());
        let current = self.record(&current_row)?;
        let is_current = current.as_ref().is_some_and(|current| current.summary.version == version);
        let (row, found) = match current.filter(|_| is_current) {
            Some(record) => (current_row.clone(), Some(Version::Record(Box::new(record)))),
            None => match self.history_ticket(bucket, key, version)? {
                Some(ticket) => {
                    let row = keys::history(bucket, key.as_str(), ticket);
                    let found = self.version(&row)?.filter(|found| found.summary().version == version);
                    (row, found)
                }
                None => (Vec::new(), None),
            },
        };
        let found = found.filter(|found| delete.record.is_none_or(|only| found.summary().id == only));
        delete.condition.check(found.as_ref().map(Version::summary))?;
        let Some(found) = found else { return Ok(draft) };
        let ticket = found.summary().ticket;
        draft.delete(row.clone());
        if found.summary().version == VersionId::Null && !is_current {
            draft.delete(keys::null_version(bucket, key.as_str()));
        }
        self.remove_version(&mut draft, bucket, key, found, why, delete.bypass_governance)?;
        // What comes next in age becomes current, unless it is a marker or something newer is current.
        if is_current || self.record(&current_row)?.is_none() {
            let prefix = keys::versions(bucket, key.as_str());
            let newest = self.first_version(&prefix, &prefix)?;
            let was_newest = is_current || newest.as_ref().is_some_and(|(first, _)| *first == row);
            let after = keys::history(bucket, key.as_str(), Ticket(ticket.0.saturating_sub(1)));
            let next = if is_current { newest } else { self.first_version(&prefix, &after)? };
            if was_newest && let Some((next_row, Version::Record(next))) = next {
                draft.delete(next_row);
                if next.summary.version == VersionId::Null {
                    draft.delete(keys::null_version(bucket, key.as_str()));
                }
                draft.put(current_row, Body::Sealed(encode_record(&next)?));
            }
        }
        Ok(draft)
    }
}
