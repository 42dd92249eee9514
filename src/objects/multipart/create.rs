//! CreateMultipartUpload: decides where the object will live and makes its keys.

use crate::audit::Kind;
use crate::digest;
use crate::index::{Change, Upload, UploadState};
use crate::objects::commit::Decided;
use crate::objects::customer::new_layer;
use crate::objects::limits::{check_metadata, check_tags};
use crate::objects::record_keys::{Target, new_record_id};
use crate::objects::{CreateUpload, Description, ObjectError, Objects, Request, Residence};
use crate::policy::Role;
use crate::residency::Signals;
use crate::types::UploadId;

impl Objects {
    /// Begins an upload in parts.
    ///
    /// # Errors
    /// The refusals of a write: an upload that could not be completed is not begun.
    pub async fn create_upload(&self, request: &Request<'_>, create: CreateUpload) -> Result<(UploadId, Residence), ObjectError> {
        let bucket = self.writable_bucket(request, &create.bucket, &create.key).await?;
        check_metadata(&create.description.metadata)?;
        check_tags(&create.description.tags)?;
        self.check_described(request, &bucket, &create.key, &create.description).await?;
        let lock = self.lock_of_new(&bucket, create.description.lock)?;
        let belonging = self.belonging_of_new(request, &bucket, &create.key, &create.acl).await?;
        let Description { metadata, tags, .. } = &create.description;
        let signals = Signals { bucket: &bucket.name, key: &create.key, metadata, tags, sources: &[], stated: None };
        let placement = self.place(request, Kind::CreateUpload, &signals).await?;
        let record = new_record_id();
        let targets = self.new_targets(Some(request.id), &placement, &bucket.name, record).await?;
        let id = UploadId::from_bytes(digest::random());
        let upload = Upload {
            id,
            bucket: bucket.id,
            key: create.key.clone(),
            initiated: self.clock.now(),
            owner: belonging.owner,
            initiator: request.account().unwrap_or(&bucket.owner).clone(),
            acl: belonging.acl,
            record,
            content: create.description.content,
            metadata: create.description.metadata,
            tags: create.description.tags,
            checksum: create.checksum,
            lock,
            customer: new_layer(request.keys, record).map(|(seal, _)| seal),
            placement: placement.record().clone(),
            copies: targets.iter().map(Target::pending_row).collect(),
            state: UploadState::Open,
        };
        let event = self.event(request, Kind::CreateUpload, &bucket.name, Some(&create.key));
        let decided = Decided { bucket: &bucket, key: &create.key, placement: &placement, sources: &[] };
        self.commit_decided(request, decided, event, |placement| Change::CreateUpload {
            upload: Box::new(Upload { placement: placement.record().clone(), ..upload.clone() }),
            basis: placement.basis(),
        })
        .await?;
        let stored = placement.copies().iter().filter(|copy| copy.role != Role::Queued);
        let residence = Residence {
            countries: stored.clone().map(|copy| copy.country).collect(),
            sites: stored.map(|copy| copy.site.clone()).collect(),
            instruments: placement.record().instruments.clone(),
        };
        Ok((id, residence))
    }
}
