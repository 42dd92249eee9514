//! Uploads: parts come and go in rows of their own; completing or aborting flips one row.

use std::collections::BTreeSet;

use super::{
    group::{Group, sealed},
    plan::{Draft, Planned},
};
use crate::{
    index::{
        BucketId, CommitError, CompletedUpload, CopyRow, GarbageReason, IndexError, Part, PartEntry, PutChange, PutPartChange,
        Stale, Upload, UploadState, Waste, garbage::run, journal::of_copies, keys, names::of_copies as of_subject,
    },
    policy::Role,
    residency::Basis,
    types::{ObjectKey, UploadId},
};

impl Group<'_> {
    pub(super) fn create_upload(&mut self, upload: &Upload, basis: Basis) -> Planned {
        self.check_bucket(upload.bucket)?;
        self.check_basis(basis, upload.placement.subject.as_ref())?;
        self.check_keys(&upload.copies)?;
        let mut draft = Draft { whose: of_subject(&upload.copies), ..Draft::default() };
        draft.put(keys::upload(upload.bucket, upload.key.as_str(), &upload.id), sealed(upload)?);
        self.count_wraps(&mut draft, &upload.copies)?;
        Ok(draft)
    }

    fn open_upload(&self, bucket: BucketId, key: &ObjectKey, id: &UploadId) -> Result<Upload, CommitError> {
        if let Some(upload) = self.row::<Upload>(&keys::upload(bucket, key.as_str(), id))? {
            return Ok(upload);
        }
        match self.row::<Upload>(&keys::closed_upload(id))?.map(|upload| upload.state) {
            Some(UploadState::Completed(done)) => Err(CommitError::UploadCompleted(Box::new(done))),
            _ => Err(CommitError::NoSuchUpload),
        }
    }

    pub(super) fn put_part(&mut self, put: &PutPartChange) -> Planned {
        self.check_bucket(put.bucket)?;
        let mut upload = self.open_upload(put.bucket, &put.key, &put.upload)?;
        self.check_basis(put.basis, upload.placement.subject.as_ref())?;
        self.check_keys(&upload.copies)?;
        let part = put.part.entry;
        for copy in upload.copies.iter().filter(|copy| copy.role != Role::Queued) {
            let stored: BTreeSet<_> =
                put.receipts.iter().filter(|receipt| receipt.site() == &copy.site).map(|receipt| *receipt.name()).collect();
            let mut extents = run(copy.stored_at(), upload.record, part.number, part.attempt, part.size);
            if !extents.all(|blob| stored.contains(&blob.name)) {
                return Err(CommitError::NotStored { site: copy.site.clone() });
            }
        }
        let row = keys::part(&put.upload, part.number);
        let mut draft = Draft::default();
        if let Some(old) = self.row::<Part>(&row)?.filter(|old| old.entry.attempt != part.attempt) {
            let at = upload.copies.iter().map(CopyRow::stored_at).collect();
            let what = Waste::Part { record: upload.record, at, part: old.entry };
            self.queue(&mut draft, what, GarbageReason::Replaced)?;
        }
        draft.put_for(row, sealed(&put.part)?, of_copies(&upload.copies));
        if upload.placement.add_origins(&put.origins) {
            draft.put(keys::upload(put.bucket, put.key.as_str(), &put.upload), sealed(&upload)?);
        }
        draft.resolved.push((upload.record, part.attempt));
        draft.whose = of_subject(&upload.copies);
        Ok(draft)
    }

    pub(super) fn complete(&mut self, put: &PutChange, id: UploadId, parts: &[PartEntry], parts_digest: [u8; 32]) -> Planned {
        let mut upload = self.open_upload(put.bucket, &put.key, &id)?;
        for entry in parts {
            let part = self.row::<Part>(&keys::part(&id, entry.number))?;
            if part.is_none_or(|part| part.entry != *entry) {
                return Err(CommitError::InvalidPart(entry.number));
            }
        }
        // A part that came after the decision may have brought bytes that are bound otherwise.
        let decided = &put.record.detail.placement;
        if upload.placement.origins.iter().any(|origin| !decided.counts(origin)) {
            return Err(CommitError::Stale(Stale::Upload));
        }
        let mut draft = self.put_record(put)?;
        let summary = &put.record.summary;
        upload.state = UploadState::Completed(CompletedUpload {
            record: summary.id,
            version: summary.version,
            etag: summary.etag,
            parts_digest,
        });
        draft.put_for(keys::part_table(&id), sealed(&parts)?, of_copies(&upload.copies));
        self.close(&mut draft, &upload, GarbageReason::Replaced)?;
        Ok(draft)
    }

    pub(super) fn abort(&self, bucket: BucketId, key: &ObjectKey, id: UploadId) -> Planned {
        let mut upload = self.open_upload(bucket, key, &id)?;
        upload.state = UploadState::Aborted;
        let mut draft = Draft { whose: of_subject(&upload.copies), ..Draft::default() };
        self.close(&mut draft, &upload, GarbageReason::Aborted)?;
        Ok(draft)
    }

    /// Flips one row; the sweep of the garbage row follows.
    fn close(&self, draft: &mut Draft, upload: &Upload, why: GarbageReason) -> Result<(), IndexError> {
        draft.delete(keys::upload(upload.bucket, upload.key.as_str(), &upload.id));
        draft.put(keys::closed_upload(&upload.id), sealed(upload)?);
        let at = upload.copies.iter().map(CopyRow::stored_at).collect();
        self.queue(draft, Waste::Upload { record: upload.record, at, upload: upload.id }, why)
    }
}
