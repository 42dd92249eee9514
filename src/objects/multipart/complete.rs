//! CompleteMultipartUpload: a part table, a manifest, and one commit that makes the parts an object.

use crate::access::{Acl, Action};
use crate::audit::Kind;
use crate::digest::{self, Checksum, ChecksumKind, ETag};
use crate::index::{
    Change, CommitError, Detail, Intent, Layout, Part, PartEntry, PutChange, Record, Stale, Summary, Upload, UploadState,
    Version, WriteCondition,
};
use crate::objects::commit::{ATTEMPTS, Decided, NewRecord, NotCommitted, residence, stored};
use crate::objects::customer::{CustomerKeyError, checksum_of_part, kept_of_object, layer_if_given};
use crate::objects::ingest::store_manifest;
use crate::objects::limits::{MAX_OBJECT, MIN_PART};
use crate::objects::multipart::OpenUpload;
use crate::objects::put::new_version;
use crate::objects::record_keys::new_attempt_id;
use crate::objects::{CompletePart, CompleteRequest, Manifest, ObjectError, Objects, Request, Stored};
use crate::residency::Refusal;
use crate::seal::InnerKey;

impl Objects {
    /// Makes an object of the parts. Completing again with the same parts, as a client does that missed the answer, gives the same
    /// answer.
    ///
    /// # Errors
    /// [`ObjectError::InvalidPart`], [`ObjectError::InvalidPartOrder`], [`ObjectError::EntityTooSmall`], [`ObjectError::BadDigest`],
    /// and those of a write.
    pub async fn complete_upload(&self, request: &Request<'_>, complete: CompleteRequest) -> Result<Stored, ObjectError> {
        for _ in 0..ATTEMPTS {
            if let Some(again) = self.completed_before(request, &complete).await? {
                return Ok(again);
            }
            match self.complete_open(request, &complete).await {
                Ok(stored) => return Ok(stored),
                // A part came in between from somewhere the decision did not count: decide with it.
                Err(NotCommitted::Commit(CommitError::Stale(Stale::Upload))) => {}
                // The same request at the same time was first.
                Err(NotCommitted::Commit(CommitError::UploadCompleted(_))) => {
                    return self.completed_before(request, &complete).await?.ok_or(ObjectError::NoSuchUpload);
                }
                Err(other) => return Err(other.into()),
            }
        }
        let refusal = Refusal::Stale { reason: "its parts change too fast".to_owned() };
        self.record_refusal(request, Kind::CompleteUpload, &complete.bucket, Some(&complete.key), refusal.code()).await?;
        Err(refusal.into())
    }

    /// Decides for the upload as it is now, stores the manifest and commits.
    async fn complete_open(&self, request: &Request<'_>, complete: &CompleteRequest) -> Result<Stored, NotCommitted> {
        let kind = Kind::CompleteUpload;
        let open = self.resume_upload(request, kind, &complete.bucket, &complete.key, complete.upload).await?;
        let _reservation = match complete.condition {
            WriteCondition::None => None,
            _ => Some(self.index.reserve(open.bucket.id, &complete.key).map_err(|_| ObjectError::ConditionalConflict)?),
        };
        self.check_may_compare(request, &open.bucket, &complete.key, &complete.condition).await?;
        self.check_condition(&open.bucket, &complete.key, &complete.condition)?;
        if let Some(acl) = acl_that_counts(&open) {
            open.bucket.settings.check_acl(acl).map_err(ObjectError::from)?;
        }

        let inner = layer_if_given(&open.upload, request.keys).map_err(ObjectError::from)?;
        let parts = self.chosen_parts(&open.upload, inner.as_ref(), &complete.parts).await?;
        let (row, checksum) = self.completed_row(&open, inner.as_ref(), complete, &parts)?;
        let manifest = Manifest::new(&open.bucket.name, open.bucket.id, &complete.key, &row, &parts).encode()?;
        let attempt = new_attempt_id();
        let mut intent = self.index.intent(Intent {
            record: open.upload.record,
            attempt,
            sites: open.targets.iter().map(|target| target.seal.site().clone()).collect(),
            started: self.clock.now(),
        });
        let receipts = store_manifest(&open.targets, open.upload.record, attempt, &manifest, Some(&mut intent)).await?;
        let new = NewRecord::new(row, &open.targets, attempt, receipts);
        let answer = Stored { checksum, ..stored(&open.bucket, &complete.key, &new.row) };
        let event = new.row.summary.describe(self.event(request, kind, &open.bucket.name, Some(&complete.key)));
        let put = PutChange {
            bucket: open.bucket.id,
            key: complete.key.clone(),
            record: new.row,
            receipts: new.receipts,
            basis: open.placement.basis(),
            condition: complete.condition.clone(),
        };
        let decided = Decided { bucket: &open.bucket, key: &complete.key, placement: &open.placement, sources: &[] };
        self.commit_decided(request, decided, event, |placement| Change::CompleteUpload {
            put: Box::new(put.decided(placement)),
            upload: open.upload.id,
            parts: parts.clone(),
            parts_digest: asked_parts(&complete.parts),
        })
        .await?;
        drop(intent);
        Ok(answer)
    }

    /// The answer given before, when this upload was completed with the same parts and its version is still there.
    async fn completed_before(&self, request: &Request<'_>, complete: &CompleteRequest) -> Result<Option<Stored>, ObjectError> {
        let (bucket, upload) =
            self.find_upload(request, Action::PutObject, &complete.bucket, &complete.key, complete.upload).await?;
        let UploadState::Completed(completed) = &upload.state else { return Ok(None) };
        let inner = layer_if_given(&upload, request.keys)?;
        let found = self.index.version(&bucket, &complete.key, completed.version)?;
        match found.and_then(Version::into_record) {
            Some(record) if record.summary.id == upload.record && completed.parts_digest == asked_parts(&complete.parts) => {
                // What was read may not be synced yet; an entry of its own is not answered before it is.
                let event = self.event(request, Kind::CompleteUpload, &bucket.name, Some(&complete.key));
                self.index.commit(Change::Note, record.summary.describe(event)).await?;
                if record.detail.customer.is_some() && record.detail.checksum.is_some() && inner.is_none() {
                    return Err(CustomerKeyError::UploadNeedsKey.into());
                }
                let checksum = kept_of_object(inner.as_ref(), &record.summary, record.detail.checksum);
                Ok(Some(Stored { residence: residence(&record), checksum, ..stored(&bucket, &complete.key, &record) }))
            }
            _ => Err(ObjectError::NoSuchUpload),
        }
    }

    /// The stored parts that the request names, after every check on them.
    async fn chosen_parts(
        &self,
        upload: &Upload,
        inner: Option<&InnerKey>,
        asked: &[CompletePart],
    ) -> Result<Vec<PartEntry>, ObjectError> {
        if asked.is_empty() {
            return Err(ObjectError::InvalidArgument {
                name: "CompleteMultipartUpload",
                message: "name at least one part".to_owned(),
            });
        }
        if asked.windows(2).any(|pair| pair[0].number >= pair[1].number) {
            return Err(ObjectError::InvalidPartOrder);
        }
        let have: Vec<Part> = self.index.all_parts(upload.id).await?;
        let mut chosen = Vec::with_capacity(asked.len());
        for (position, asked_part) in asked.iter().enumerate() {
            let number = asked_part.number;
            let part = have
                .binary_search_by_key(&number, |part| part.entry.number)
                .ok()
                .map(|at| have[at].entry)
                .filter(|part| part.etag.to_string() == asked_part.etag)
                .ok_or(ObjectError::InvalidPart { number })?;
            if upload.customer.is_some() && inner.is_none() && part.checksum.is_some() {
                return Err(CustomerKeyError::UploadNeedsKey.into());
            }
            if let Some(given) = &asked_part.checksum
                && checksum_of_part(inner, &part).is_none_or(|stored| stored.as_bytes() != given.as_bytes())
            {
                return Err(ObjectError::InvalidPart { number });
            }
            if part.size < MIN_PART && position + 1 < asked.len() {
                return Err(ObjectError::EntityTooSmall { number, size: part.size });
            }
            chosen.push(part);
        }
        Ok(chosen)
    }

    /// The object's row, and its checksum as it is answered.
    fn completed_row(
        &self,
        open: &OpenUpload,
        inner: Option<&InnerKey>,
        complete: &CompleteRequest,
        parts: &[PartEntry],
    ) -> Result<(Record, Option<Checksum>), ObjectError> {
        let size = parts.iter().map(|part| part.size).sum();
        if size > MAX_OBJECT {
            return Err(ObjectError::EntityTooLarge { size, max: MAX_OBJECT });
        }
        if complete.size.is_some_and(|declared| declared != size) {
            return Err(ObjectError::InvalidArgument {
                name: "x-amz-mp-object-size",
                message: format!("the parts have {size} bytes together"),
            });
        }
        let checksum = object_checksum(&open.upload, inner, parts)?;
        if let (Some(given), Some(computed)) = (&complete.checksum, &checksum)
            && given.as_bytes() != computed.as_bytes()
        {
            return Err(ObjectError::BadDigest("checksum"));
        }
        let ticket = self.index.ticket()?;
        let etags: Vec<ETag> = parts.iter().map(|part| part.etag).collect();
        let summary = Summary {
            id: open.upload.record,
            version: new_version(&open.bucket, ticket),
            ticket,
            modified: self.clock.now(),
            size,
            etag: ETag::multipart(&etags),
            checksum_algorithm: checksum.map(|checksum| (checksum.algorithm(), checksum.kind())),
            owner: open.upload.owner.clone(),
            delete_marker: false,
        };
        let detail = Detail {
            content: open.upload.content.clone(),
            metadata: open.upload.metadata.clone(),
            tags: open.upload.tags.clone(),
            checksum: kept_of_object(inner, &summary, checksum),
            lock: open.upload.lock,
            customer: open.upload.customer,
            acl: acl_that_counts(open).cloned(),
            placement: open.placement.record().clone(),
            copies: Vec::new(),
            layout: Layout::Parts { table: open.upload.id, count: u32::try_from(parts.len()).unwrap_or(u32::MAX) },
            moves: 0,
            imported: None,
            entry: None,
        };
        Ok((Record { summary, detail }, checksum))
    }
}

/// The object's checksum as S3 makes it of its parts': a checksum of checksums, or the one that the whole would have.
fn object_checksum(upload: &Upload, inner: Option<&InnerKey>, parts: &[PartEntry]) -> Result<Option<Checksum>, ObjectError> {
    let Some((algorithm, kind)) = upload.checksum else { return Ok(None) };
    let checksums: Option<Vec<(Checksum, u64)>> =
        parts.iter().map(|part| checksum_of_part(inner, part).map(|checksum| (checksum, part.size))).collect();
    let Some(checksums) = checksums else { return Ok(None) };
    match kind {
        ChecksumKind::Composite => {
            let parts: Vec<Checksum> = checksums.into_iter().map(|(checksum, _)| checksum).collect();
            Ok(Some(digest::composite(algorithm, &parts)))
        }
        ChecksumKind::FullObject => Ok(digest::combine_crc(algorithm, &checksums)),
    }
}

/// Names the parts of a complete request, to recognise the same request when it comes again.
fn asked_parts(asked: &[CompletePart]) -> [u8; 32] {
    let mut hash = digest::Sha256::new();
    for part in asked {
        hash.update(&part.number.to_be_bytes());
        hash.update(part.etag.as_bytes());
        hash.update(b"\0");
    }
    hash.finish()
}

/// The ACL that the upload was begun with, if ACLs still count in its bucket.
fn acl_that_counts(open: &OpenUpload) -> Option<&Acl> {
    open.upload.acl.as_ref().filter(|_| open.bucket.settings.ownership().acls_enabled())
}
