//! UploadPartCopy: refused unless the upload's placement satisfies what the source's own data requires.

use crate::audit::Kind;
use crate::objects::copy::{Source, body_of};
use crate::objects::limits::{check_length, check_part_number};
use crate::objects::multipart::part::NewPart;
use crate::objects::{ByteRange, ObjectError, Objects, PartCopyRequest, Request, StoredPart};

impl Objects {
    /// Stores a part from the bytes of a record.
    ///
    /// # Errors
    /// Those of a read of the source and of [`Objects::upload_part`]; a residency refusal where the upload's sites do not satisfy
    /// the source.
    pub async fn upload_part_copy(&self, request: &Request<'_>, copy: PartCopyRequest) -> Result<StoredPart, ObjectError> {
        check_part_number(copy.number)?;
        let open = self.resume_upload(request, Kind::UploadPart, &copy.bucket, &copy.key, copy.upload).await?;
        let Source { record, facts, pin: _pin, unlocked } = self.copy_source(request, &copy.source).await?;
        let sources = vec![facts];
        let origins = match self.residency.satisfies(open.placement.record(), &sources) {
            Ok(origins) => origins,
            Err(refusal) => {
                let kind = Kind::UploadPart;
                let (place, subject) = ((&open.bucket.name, Some(&copy.key)), open.placement.subject());
                self.record_refusal_of(request, kind, place, subject, refusal.code()).await?;
                return Err(refusal.into());
            }
        };
        let size = record.summary.size;
        let range = match copy.range {
            None => 0..size,
            Some((first, last)) if last < size => {
                ByteRange::FromTo(first, last).resolve(size).ok_or(ObjectError::InvalidRange { size })?
            }
            Some(_) => return Err(ObjectError::InvalidRange { size }),
        };
        let length = range.end - range.start;
        check_length(length)?;
        self.record_read(self.entry_of_read(request, (&copy.source.bucket, &copy.source.key), &record, length)).await?;
        let body = body_of(self.open_record(&record, range, &unlocked).await?);
        let new = NewPart { number: copy.number, length, content_md5: None, checksum: None, sources, origins };
        self.store_part(request, &open, new, body).await
    }
}
