//! UploadPart: a run of extents under an attempt id of its own, so that a part uploaded twice never shares a name or a nonce.

use crate::audit::Kind;
use crate::index::{Change, Intent, Part, PartEntry, PutPartChange};
use crate::objects::ingest::Ingest;
use crate::objects::limits::{check_length, check_part_number};
use crate::objects::multipart::OpenUpload;
use crate::objects::record_keys::new_attempt_id;
use crate::objects::{Body, ExpectedChecksum, ObjectError, Objects, PartRequest, Request, StoredPart};

/// The bytes of a part and what the client says of them.
pub(super) struct NewPart {
    pub(super) number: u32,
    pub(super) length: u64,
    pub(super) content_md5: Option<[u8; 16]>,
    pub(super) checksum: Option<ExpectedChecksum>,
    pub(super) kind: Kind,
}

impl Objects {
    /// Stores one part; a part of the same number that was there before becomes garbage.
    ///
    /// # Errors
    /// [`ObjectError::NoSuchUpload`], and those of a write.
    pub async fn upload_part(&self, request: &Request<'_>, part: PartRequest, body: Body) -> Result<StoredPart, ObjectError> {
        check_part_number(part.number)?;
        check_length(part.length)?;
        let open = self.resume_upload(request, &part.bucket, &part.key, part.upload).await?;
        let new = NewPart {
            number: part.number,
            length: part.length,
            content_md5: part.content_md5,
            checksum: part.checksum,
            kind: Kind::UploadPart,
        };
        self.store_part(request, &open, new, body).await
    }

    /// Stores the bytes of a part and enters it into the upload.
    pub(super) async fn store_part(
        &self,
        request: &Request<'_>,
        open: &OpenUpload,
        new: NewPart,
        body: Body,
    ) -> Result<StoredPart, ObjectError> {
        let algorithm = open.upload.checksum.map(|(algorithm, _)| algorithm);
        let checksum = new.checksum.or(algorithm.map(|algorithm| ExpectedChecksum { algorithm, value: None }));
        if let (Some(wanted), Some(given)) = (algorithm, checksum)
            && wanted != given.algorithm
        {
            return Err(ObjectError::InvalidArgument {
                name: "x-amz-checksum-algorithm",
                message: format!("the upload was created for {wanted} checksums"),
            });
        }
        let attempt = new_attempt_id();
        let mut intent = self.index.intent(Intent {
            record: open.upload.record,
            attempt,
            sites: open.targets.iter().map(|target| target.seal.site().clone()).collect(),
            started: self.clock.now(),
        });
        let ingest = Ingest {
            memory: &self.memory,
            targets: &open.targets,
            record: open.upload.record,
            part: new.number,
            attempt,
            length: new.length,
            content_md5: new.content_md5,
            checksum,
        };
        let (hashes, receipts) = ingest.extents(body, &mut intent).await?;
        let entry = PartEntry { number: new.number, attempt, size: new.length, etag: hashes.etag(), checksum: hashes.checksum };
        let part = Part { entry, modified: self.clock.now() };
        let event = self.event(request, new.kind, &open.bucket.name, Some(&open.upload.key));
        self.commit_decided(request, &open.bucket, &open.upload.key, &open.placement, event, |basis| {
            Change::PutPart(Box::new(PutPartChange {
                bucket: open.bucket.id,
                key: open.upload.key.clone(),
                upload: open.upload.id,
                part,
                receipts: receipts.clone(),
                basis,
            }))
        })
        .await?;
        drop(intent);
        Ok(StoredPart { etag: entry.etag, checksum: entry.checksum, modified: part.modified })
    }
}
