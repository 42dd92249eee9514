//! PutObject, and the way that every new record takes: place, seal, store, commit.

use crate::access::Action;
use crate::audit::Kind;
use crate::bucket::Versioning;
use crate::digest::{self, Checksum};
use crate::index::{Bucket, Detail, Imported, Intent, Layout, Record, Summary, WriteCondition};
use crate::objects::acl::Belonging;
use crate::objects::authorize::On;
use crate::objects::commit::NewRecord;
use crate::objects::customer::{kept_of_object, new_layer};
use crate::objects::hashing::Hashes;
use crate::objects::ingest::{Ingest, fits_one_extent, store_manifest};
use crate::objects::limits::{check_length, check_metadata, check_tags};
use crate::objects::record_keys::{Target, new_attempt_id, new_record_id};
use crate::objects::standing::Standing;
use crate::objects::{Body, Description, ExpectedChecksum, Length, Manifest, ObjectError, Objects, PutRequest, Request, Stored};
use crate::residency::{Placement, Signals, SourceFacts, Stated};
use crate::seal::{CustomerSeal, InnerKey};
use crate::types::{AttemptId, ObjectKey, RecordId, Ticket, VersionId};

/// A body on its way to becoming a record.
pub(super) struct NewObject<'a> {
    pub(super) bucket: &'a Bucket,
    pub(super) key: &'a ObjectKey,
    pub(super) description: Description,
    pub(super) length: Length,
    pub(super) content_md5: Option<[u8; 16]>,
    pub(super) checksum: Option<ExpectedChecksum>,
    pub(super) condition: WriteCondition,
    pub(super) belonging: Belonging,
    pub(super) kind: Kind,
    /// What an operator says of it who brings it.
    pub(super) import: Option<Import>,
}

/// An object of a foreign bucket, as an operator brings it.
pub(super) struct Import {
    pub(super) stated: Stated,
    pub(super) imported: Imported,
}

impl Objects {
    /// Stores an object. The answer means: every required copy is durable at its site and the index commit is fsynced.
    ///
    /// # Errors
    /// Refused before a byte of the body is read where the policy, the caller's permissions or the limits say no; an error after that
    /// leaves nothing visible.
    pub async fn put(&self, request: &Request<'_>, put: PutRequest, body: Body) -> Result<Stored, ObjectError> {
        let bucket = self.writable_bucket(request, &put.bucket, &put.key).await?;
        check_length(put.length.most())?;
        self.check_described(request, &bucket, &put.key, &put.description).await?;
        let lock = self.lock_of_new(&bucket, put.description.lock)?;
        let belonging = self.belonging_of_new(request, &bucket, &put.key, &put.acl).await?;
        self.check_may_compare(request, &bucket, &put.key, &put.condition).await?;
        let object = NewObject {
            bucket: &bucket,
            key: &put.key,
            description: Description { lock, ..put.description },
            length: put.length,
            content_md5: put.content_md5,
            checksum: put.checksum,
            condition: put.condition,
            belonging,
            kind: Kind::PutObject,
            import: None,
        };
        self.store_object(request, object, &[], body).await
    }

    /// Refuses a caller that compares entity tags of an object which it may not read: the answer would tell what it holds.
    pub(super) async fn check_may_compare(
        &self,
        request: &Request<'_>,
        bucket: &Bucket,
        key: &ObjectKey,
        condition: &WriteCondition,
    ) -> Result<(), ObjectError> {
        match condition {
            WriteCondition::None | WriteCondition::IfAbsent => Ok(()),
            WriteCondition::IfPresent | WriteCondition::IfMatch(_) | WriteCondition::IfNoneMatch(_) => {
                self.authorize_in(request, bucket, Action::GetObject, On::Object(key, None)).await
            }
        }
    }

    /// Refuses locks that the caller may not set, and tags that a policy does not let it set. AWS asks for an allowance of tags, too; a
    /// denial is enough here, as whoever may write an object may say what it is. A lock is more: nobody can take it back.
    pub(super) async fn check_described(
        &self,
        request: &Request<'_>,
        bucket: &Bucket,
        key: &ObjectKey,
        description: &Description,
    ) -> Result<(), ObjectError> {
        let on = On::New(key, &bucket.owner);
        if !description.tags.is_empty() {
            self.check_not_denied(request, bucket, Action::PutObjectTagging, on).await?;
        }
        if description.lock.retention.is_some() {
            self.authorize_in(request, bucket, Action::PutObjectRetention, on).await?;
        }
        if description.lock.legal_hold.is_some() {
            self.authorize_in(request, bucket, Action::PutObjectLegalHold, on).await?;
        }
        Ok(())
    }

    /// Places, stores and commits `object`, whose bytes came from `sources` where it is a copy.
    pub(super) async fn store_object(
        &self,
        request: &Request<'_>,
        object: NewObject<'_>,
        sources: &[SourceFacts],
        body: Body,
    ) -> Result<Stored, ObjectError> {
        check_metadata(&object.description.metadata)?;
        check_tags(&object.description.tags)?;
        let (bucket, key) = (object.bucket, object.key);
        let kind = object.kind;
        let seen = self.index.directory_changes();
        let Description { metadata, tags, .. } = &object.description;
        let stated = object.import.as_ref().map(|import| &import.stated);
        let signals = Signals { bucket: &bucket.name, key, metadata, tags, sources, stated };
        let placement = self.place(request, kind, &signals).await?;
        let subject = placement.subject().cloned();
        let standing = Standing::of_request(*request, kind, (self, bucket, key), (placement, sources), Some(seen));
        let stored = self.store_placed(request, object, standing, body).await;
        if let Some(code) = stored.as_ref().err().and_then(ObjectError::outage_code) {
            self.record_refusal_of(request, kind, (&bucket.name, Some(key)), subject.as_ref(), code).await?;
        }
        stored
    }

    /// Seals, stores and commits what has been placed.
    async fn store_placed(
        &self,
        request: &Request<'_>,
        object: NewObject<'_>,
        mut standing: Standing<'_>,
        body: Body,
    ) -> Result<Stored, ObjectError> {
        let (bucket, key) = (object.bucket, object.key);
        let reservation = match object.condition {
            WriteCondition::None => None,
            _ => Some(self.index.reserve(bucket.id, key).map_err(|_| ObjectError::ConditionalConflict)?),
        };
        self.check_condition(bucket, key, &object.condition)?;
        self.check_overwrite(request, object.kind, bucket, key).await?;

        let record = new_record_id();
        let attempt = new_attempt_id();
        let layer = new_layer(request.keys, record);
        let inner = layer.as_ref().map(|(_, inner)| inner);
        let targets = self.new_targets(Some(request.id), standing.placement(), &bucket.name, record).await?;
        let mut intent = self.index.intent(Intent {
            record,
            attempt,
            sites: targets.iter().map(|target| target.seal.site().clone()).collect(),
            started: self.clock.now(),
        });
        fail::fail_point!("objects::intent-declared", |_| Err(ObjectError::Internal("failpoint".to_owned())));
        let ingest = Ingest {
            memory: &self.memory,
            targets: &targets,
            record,
            part: 0,
            attempt,
            length: object.length,
            content_md5: object.content_md5,
            checksum: object.checksum,
            inner,
        };
        let (new, checksum) = if fits_one_extent(object.length.most()) {
            let whole = ingest.whole(body).await?;
            standing.check().await?;
            let (hashes, layout) = (whole.hashes, Layout::Whole { attempt });
            let row = self.new_row(&object, standing.placement(), (record, layer.as_ref()), hashes, layout)?;
            let manifest = Manifest::new(&bucket.name, bucket.id, key, &row, &[]).encode()?;
            let stored = whole.store(&targets, &manifest, Some(&mut intent)).await?;
            (NewRecord::new(row, &targets, attempt, stored), hashes.checksum)
        } else {
            let (hashes, receipts) = ingest.extents(body, &mut standing, Some(&mut intent)).await?;
            standing.check().await?;
            let layout = Layout::Extents { attempt };
            let row = self.new_row(&object, standing.placement(), (record, layer.as_ref()), hashes, layout)?;
            let manifest = Manifest::new(&bucket.name, bucket.id, key, &row, &[]).encode()?;
            fail::fail_point!("objects::before-manifest", |_| Err(ObjectError::Internal("failpoint".to_owned())));
            let stored = store_manifest(&targets, record, attempt, &manifest, Some(&mut intent)).await?;
            (NewRecord::new(row, &targets, attempt, stored).with(receipts), hashes.checksum)
        };
        let event = self.event(request, object.kind, &bucket.name, Some(key));
        let stored = self.commit_record(request, bucket, key, standing.placement(), new, object.condition, event).await?;
        drop(intent);
        drop(reservation);
        Ok(Stored { checksum, ..stored })
    }

    /// The decision for a new record, taken before its body is read. A refusal is recorded.
    pub(super) async fn place(&self, request: &Request<'_>, kind: Kind, signals: &Signals<'_>) -> Result<Placement, ObjectError> {
        match self.residency.place(request.auth, signals) {
            Ok(placement) => Ok(placement),
            Err(refusal) => {
                let subject = self.residency.named_subject(self.residency.facts_of(request.auth.principal()), signals);
                let place = (signals.bucket, Some(signals.key));
                self.record_refusal_of(request, kind, place, subject.as_ref(), refusal.code()).await?;
                Err(refusal.into())
            }
        }
    }

    fn new_row(
        &self,
        object: &NewObject<'_>,
        placement: &Placement,
        (id, layer): (RecordId, Option<&(CustomerSeal, InnerKey)>),
        hashes: Hashes,
        layout: Layout,
    ) -> Result<Record, ObjectError> {
        let checksum: Option<Checksum> = hashes.checksum;
        let ticket = self.index.ticket()?;
        let summary = Summary {
            id,
            version: new_version(object.bucket, ticket),
            ticket,
            modified: self.clock.now(),
            size: hashes.size,
            etag: hashes.etag(),
            checksum_algorithm: checksum.map(|checksum| (checksum.algorithm(), checksum.kind())),
            owner: object.belonging.owner.clone(),
            delete_marker: false,
        };
        let detail = Detail {
            content: object.description.content.clone(),
            metadata: object.description.metadata.clone(),
            tags: object.description.tags.clone(),
            checksum: kept_of_object(layer.map(|(_, inner)| inner), &summary, checksum),
            lock: object.description.lock,
            customer: layer.map(|(seal, _)| *seal),
            acl: object.belonging.acl.clone(),
            placement: placement.record().clone(),
            copies: Vec::new(),
            layout,
            moves: 0,
            imported: object.import.as_ref().map(|import| import.imported.clone()),
            entry: None,
        };
        Ok(Record { summary, detail })
    }

    /// Refuses early what the committer would refuse, before bytes are moved. The committer decides again.
    pub(super) fn check_condition(
        &self,
        bucket: &Bucket,
        key: &ObjectKey,
        condition: &WriteCondition,
    ) -> Result<(), ObjectError> {
        if matches!(condition, WriteCondition::None) {
            return Ok(());
        }
        let current = self.index.current(bucket, key)?;
        let holds = match (condition, &current) {
            (WriteCondition::None, _)
            | (WriteCondition::IfAbsent | WriteCondition::IfNoneMatch(_), None)
            | (WriteCondition::IfPresent, Some(_)) => true,
            (WriteCondition::IfNoneMatch(etags), Some(record)) => !etags.contains(&record.summary.etag),
            (WriteCondition::IfMatch(etags), Some(record)) => etags.contains(&record.summary.etag),
            // S3 answers If-Match on a key that is not there with 404, not 412.
            (WriteCondition::IfMatch(_) | WriteCondition::IfPresent, None) => return Err(ObjectError::NoSuchKey),
            (WriteCondition::IfAbsent, Some(_)) => false,
        };
        if holds { Ok(()) } else { Err(ObjectError::PreconditionFailed { condition: "If-Match or If-None-Match" }) }
    }
}

/// The id of a new version: a bucket whose versioning is not on has only the `null` version to give.
pub(super) fn new_version(bucket: &Bucket, ticket: Ticket) -> VersionId {
    match bucket.settings.versioning {
        Versioning::Enabled => VersionId::new(ticket, digest::random()),
        Versioning::Off | Versioning::Suspended => VersionId::Null,
    }
}

/// Names that `put` and the multipart use cases share.
pub(super) fn manifest_receipts(
    targets: &[Target],
    attempt: AttemptId,
    stored: Vec<(crate::backend::Receipt, u32)>,
    at: crate::types::Timestamp,
) -> (Vec<crate::index::CopyRow>, Vec<crate::backend::Receipt>) {
    targets.iter().zip(stored).map(|(target, (receipt, head_len))| (target.stored_row(attempt, head_len, at), receipt)).unzip()
}
