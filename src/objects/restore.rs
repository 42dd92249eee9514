//! Puts back what a site has lost or damaged, from another copy or from the index.

use std::sync::Arc;

use crate::backend::{BackendError, Site};
use crate::index::{CopyRow, FoundRecord};
use crate::kms::{KeyOwner, WrappedSubjectKey};
use crate::objects::{ObjectError, Objects};
use crate::policy::Role;
use crate::seal::{self, BlobName, SealTarget};
use crate::types::{KeyId, SiteId};

/// What became of a copy that was to be put back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restored {
    /// The record has a sound copy in its place.
    Done,
    /// The record has been replaced, deleted or changed meanwhile.
    Gone,
    /// There is no other copy to put it back from, or the policy in force no longer wants it there.
    Not,
}

impl Objects {
    /// Writes the copy at `damaged` anew, from the record's other stored copies: under names of its own, read back, and switched to in one
    /// commit. The blobs of the damaged one become garbage. One that only follows goes at once, and is queued once more.
    ///
    /// # Errors
    /// Those of reads and writes; the record is as it was then.
    pub async fn restore_copy(&self, found: &FoundRecord, damaged: &SiteId) -> Result<Restored, ObjectError> {
        let _pin = self.index.pin(found.record.summary.id);
        let Some((bucket, found)) = self.as_it_is(found)? else { return Ok(Restored::Gone) };
        let copies = &found.record.detail.copies;
        let sound: Vec<CopyRow> = copies.iter().filter(|copy| copy.site != *damaged).cloned().collect();
        let placement = self.residency.relocate(&found.record.detail.placement, &found.bucket, &found.key)?;
        if sound.len() == copies.len() || !sound.iter().any(CopyRow::is_stored) {
            return Ok(Restored::Not);
        }
        if !placement.copies().iter().any(|planned| planned.site == *damaged) {
            return Ok(Restored::Not);
        }
        if !placement.copies().iter().any(|planned| planned.site == *damaged && planned.role != Role::Queued) {
            // Nothing is written anew now, so nothing would have been read: what the damaged copy still has must not be all there is.
            self.read_back_any(&found, &sound).await?;
        }
        let switched = self.move_to(&found, &sound, &bucket, placement).await?;
        Ok(if switched { Restored::Done } else { Restored::Gone })
    }

    /// Reads the stored ones of these copies until one proves whole.
    async fn read_back_any(&self, found: &FoundRecord, copies: &[CopyRow]) -> Result<(), ObjectError> {
        let mut failure = ObjectError::Internal("a record without a stored copy".to_owned());
        for copy in copies.iter().filter(|copy| copy.is_stored()) {
            match self.read_back(&found.record, copy).await {
                Ok(()) => return Ok(()),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    /// Stores the blob of a subject key once more, as the index has it by now; `false` when no row names it any more. Meanwhile nobody can
    /// wrap the key anew or take it away.
    ///
    /// # Errors
    /// When the site does not take it, or the index fails.
    pub async fn restore_key(&self, site: &Site, key: &WrappedSubjectKey) -> Result<bool, ObjectError> {
        let lock = self.0.subject_keys.of(&key.key, &key.owner);
        let _one_at_a_time = lock.lock().await;
        let row = self.index.subject_key_of(&key.key, &key.owner, key.generation)?;
        let Some(row) = row.filter(|row| row.sites.contains(&site.spec().id)) else {
            return Ok(false);
        };
        let Some(target) = SealTarget::of_key(site.spec(), &row) else { return Ok(false) };
        let blob = seal::subject_key_blob(&target, &row)?;
        site.store(&blob).await.map_err(|error| ObjectError::from_backend(target.country(), &error))?;
        Ok(true)
    }

    /// Removes a blob that no row names. The caller owes the proof that nothing needs it.
    ///
    /// # Errors
    /// When the site cannot be asked.
    pub async fn discard(&self, site: &Arc<Site>, name: &BlobName) -> Result<(), BackendError> {
        site.remove(name).await
    }

    /// Removes the blob of a subject key, unless a row names it by now. Meanwhile nobody can store it: unlike a record's blobs it would be
    /// stored under this very name, when its country's next record goes to the site.
    ///
    /// # Errors
    /// When the site cannot be asked, or the index fails.
    pub async fn discard_key(&self, site: &Arc<Site>, name: &BlobName, key: &WrappedSubjectKey) -> Result<bool, ObjectError> {
        let lock = self.0.subject_keys.of(&key.key, &key.owner);
        let _one_at_a_time = lock.lock().await;
        let row = self.index.subject_key_of(&key.key, &key.owner, key.generation)?;
        if row.is_some_and(|row| row.sites.contains(&site.spec().id) && BlobName::of_subject_key(&row) == *name) {
            return Ok(false);
        }
        site.remove(name).await.map_err(|error| ObjectError::from_backend(site.spec().country, &error))?;
        Ok(true)
    }

    /// Whether a subject key is being made or stored just now: its blob can be at a site before the index knows of it.
    pub fn is_keeping(&self, key: &KeyId, owner: &KeyOwner) -> bool {
        self.0.subject_keys.is_held(key, owner)
    }
}
