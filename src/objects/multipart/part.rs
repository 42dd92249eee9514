//! UploadPart: a run of extents under an attempt id of its own, so that a part uploaded twice never shares a name or a nonce.

use crate::audit::Kind;
use crate::index::{Change, Intent, Part, PartEntry, PutPartChange};
use crate::objects::commit::Decided;
use crate::objects::customer::{checksum_of_part, layer_of_upload};
use crate::objects::ingest::Ingest;
use crate::objects::limits::{check_length, check_part_number};
use crate::objects::multipart::OpenUpload;
use crate::objects::record_keys::new_attempt_id;
use crate::objects::standing::Standing;
use crate::objects::{Body, ExpectedChecksum, Length, ObjectError, Objects, PartRequest, Request, StoredPart};
use crate::residency::{Origin, SourceFacts};

/// The bytes of a part and what the client says of them.
pub(super) struct NewPart {
    pub(super) number: u32,
    pub(super) length: u64,
    pub(super) content_md5: Option<[u8; 16]>,
    pub(super) checksum: Option<ExpectedChecksum>,
    /// The records the bytes come from, and every place that they have been.
    pub(super) sources: Vec<SourceFacts>,
    pub(super) origins: Vec<Origin>,
}

impl Objects {
    /// Stores one part; a part of the same number that was there before becomes garbage.
    ///
    /// # Errors
    /// [`ObjectError::NoSuchUpload`], and those of a write.
    pub async fn upload_part(&self, request: &Request<'_>, part: PartRequest, body: Body) -> Result<StoredPart, ObjectError> {
        check_part_number(part.number)?;
        check_length(part.length)?;
        let open = self.resume_upload(request, Kind::UploadPart, &part.bucket, &part.key, part.upload).await?;
        let new = NewPart {
            number: part.number,
            length: part.length,
            content_md5: part.content_md5,
            checksum: part.checksum,
            sources: Vec::new(),
            origins: Vec::new(),
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
        let inner = layer_of_upload(&open.upload, request.keys)?;
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
        fail::fail_point!("objects::intent-declared", |_| Err(ObjectError::Internal("failpoint".to_owned())));
        let ingest = Ingest {
            memory: &self.memory,
            targets: &open.targets,
            record: open.upload.record,
            part: new.number,
            attempt,
            length: Length::Exact(new.length),
            content_md5: new.content_md5,
            checksum,
            inner: inner.as_ref(),
        };
        let place = (self, &*open.bucket, &open.upload.key);
        let decision = (open.placement.clone(), &*new.sources);
        let mut standing = Standing::of_request(*request, Kind::UploadPart, place, decision, None);
        let (hashes, receipts) = ingest.extents(body, &mut standing, Some(&mut intent)).await?;
        let mut entry =
            PartEntry { number: new.number, attempt, size: new.length, etag: hashes.etag(), checksum: hashes.checksum };
        entry.checksum = checksum_of_part(inner.as_ref(), &entry);
        let part = Part { entry, modified: self.clock.now() };
        let event = self.event(request, Kind::UploadPart, &open.bucket.name, Some(&open.upload.key));
        let put = PutPartChange {
            bucket: open.bucket.id,
            key: open.upload.key.clone(),
            upload: open.upload.id,
            part,
            receipts,
            basis: standing.placement().basis(),
            origins: new.origins,
        };
        let decided =
            Decided { bucket: &open.bucket, key: &open.upload.key, placement: standing.placement(), sources: &new.sources };
        self.commit_decided(request, decided, event, |placement| {
            let mut put = PutPartChange { basis: placement.basis(), ..put.clone() };
            // What binds this caller binds the whole, also when another one completes it.
            let (caller, began) = (placement.record(), &open.upload.placement);
            if (&caller.principal, caller.principal_country) != (&began.principal, began.principal_country) {
                put.origins.push(caller.as_origin(&open.bucket.name, &open.upload.key));
            }
            Change::PutPart(Box::new(put))
        })
        .await?;
        drop(intent);
        Ok(StoredPart { etag: entry.etag, checksum: hashes.checksum, modified: part.modified })
    }
}
