//! An object of a foreign bucket on its way to becoming a record, at an operator's order: the way of a PUT, with what it was there written down
//! in the record. And what comes after: whether it is here already, and whether every copy holds its bytes.

use crate::access::{Action, Context, Key, Value};
use crate::audit::Kind;
use crate::digest::ETag;
use crate::index::{Bucket, CopyState, Imported, Record, Version, WriteCondition};
use crate::objects::authorize::On;
use crate::objects::facts::{Setting, What};
use crate::objects::limits::{MAX_OBJECT, check_metadata, check_tags};
use crate::objects::put::{Import, NewObject};
use crate::objects::{AclRequest, Body, Description, ExpectedChecksum, Length, ObjectError, Objects, Request, Stored};
use crate::residency::{Signals, Stated};
use crate::types::{BucketName, Country, ObjectKey, RecordId, Timestamp};

/// An object to be brought in.
#[derive(Clone, Debug)]
pub struct ImportRequest {
    /// The bucket to write to.
    pub bucket: BucketName,
    /// The key to write.
    pub key: ObjectKey,
    /// Headers, metadata, tags, locks: as the source has them.
    pub description: Description,
    /// The MD5 that its bytes must have, where it is known.
    pub content_md5: Option<[u8; 16]>,
    /// The checksum that they must have, which is kept.
    pub checksum: Option<ExpectedChecksum>,
    /// What must be at the key.
    pub condition: WriteCondition,
    /// What the operator says of it.
    pub stated: Stated,
    /// What the source says of it.
    pub imported: Imported,
}

/// What is at a key before an object is brought there.
#[derive(Clone, Debug, PartialEq)]
pub enum Before {
    /// Nothing.
    Absent,
    /// That very object, brought by an earlier import.
    Imported(Box<Record>),
    /// An object with the same bytes that came another way.
    SameBytes,
    /// Something else.
    Other(ETag),
    /// Nothing any more: a client deleted what was there, in a bucket that remembers that.
    Deleted,
}

/// What bucket policies can ask of an import, which comes in no request: the time.
#[derive(Debug)]
struct Ordered(Timestamp);

impl Context for Ordered {
    fn now(&self) -> Timestamp {
        self.0
    }

    fn value(&self, _: &Key) -> Value<'_> {
        Value::Absent
    }
}

impl Objects {
    /// Stores an object of a foreign bucket: authorised, placed, sealed and committed as what a client puts. It may be as large as one that a
    /// client uploads in parts.
    ///
    /// The condition on what is at the key is the gateway's own, so the principal needs no right to read for it.
    ///
    /// # Errors
    /// Those of [`Objects::put`].
    pub async fn import(&self, request: &Request<'_>, import: ImportRequest, body: Body) -> Result<Stored, ObjectError> {
        let ordered = Ordered(request.now);
        let facts = Setting { request: &ordered, what: What::Tags(&import.description.tags) };
        let request = &Request { facts: &facts, ..*request };
        let bucket = self.writable_bucket(request, &import.bucket, &import.key).await?;
        let size = import.imported.size;
        check_size(size)?;
        self.check_described(request, &bucket, &import.key, &import.description).await?;
        let lock = self.lock_of_new(&bucket, import.description.lock)?;
        let belonging = self.belonging_of_new(request, &bucket, &import.key, &AclRequest::Unsaid).await?;
        let object = NewObject {
            bucket: &bucket,
            key: &import.key,
            description: Description { lock, ..import.description.clone() },
            length: Length::Exact(size),
            content_md5: import.content_md5,
            checksum: import.checksum,
            condition: import.condition,
            belonging,
            kind: Kind::ImportObject,
            import: Some(Import { stated: import.stated, imported: import.imported }),
        };
        self.store_object(request, object, &[], body).await
    }

    /// Where [`Objects::import`] would store the object, or why it would not. Writes nothing, not even that it refuses.
    ///
    /// # Errors
    /// Those of [`Objects::import`] that do not need the object's bytes.
    pub fn plan_import(&self, request: &Request<'_>, import: &ImportRequest) -> Result<Vec<Country>, ObjectError> {
        let Description { metadata, tags, lock, .. } = &import.description;
        let ordered = Ordered(request.now);
        let facts = Setting { request: &ordered, what: What::Tags(tags) };
        let request = &Request { facts: &facts, ..*request };
        let account = &request.auth.principal().account;
        request.auth.permits(Action::PutObject.class(), &import.bucket, crate::authn::Scope::Keys(import.key.as_str()))?;
        let bucket = self.bucket(&import.bucket)?;
        let on = On::New(&import.key, account);
        self.may(request, &bucket, Action::PutObject, on)?;
        let locks =
            [(Action::PutObjectRetention, lock.retention.is_some()), (Action::PutObjectLegalHold, lock.legal_hold.is_some())];
        for (action, _) in locks.into_iter().filter(|(_, asked)| *asked) {
            self.may(request, &bucket, action, On::New(&import.key, &bucket.owner))?;
        }
        self.lock_of_new(&bucket, *lock)?;
        check_size(import.imported.size)?;
        check_metadata(metadata)?;
        check_tags(tags)?;
        let stated = Some(&import.stated);
        let signals = Signals { bucket: &import.bucket, key: &import.key, metadata, tags, sources: &[], stated };
        let placement = self.residency.place(request.auth, &signals)?;
        Ok(placement.copies().iter().map(|copy| copy.country).collect())
    }

    /// What is at the key that `object` is to be brought to.
    ///
    /// # Errors
    /// [`ObjectError::NoSuchBucket`] and those of the index.
    pub fn before_import(&self, bucket: &BucketName, key: &ObjectKey, object: &Imported) -> Result<Before, ObjectError> {
        let bucket = self.bucket(bucket)?;
        let Some(version) = self.newest(&bucket, key)? else { return Ok(Before::Absent) };
        let Version::Record(record) = version else { return Ok(Before::Deleted) };
        if record.detail.imported.as_ref() == Some(object) {
            return Ok(Before::Imported(record));
        }
        let etag = record.summary.etag;
        // Under a client's key the entity tag is of other bytes than the client's.
        let plain = record.detail.customer.is_none() && etag.parts.is_none();
        let same = plain && record.summary.size == object.size && object.etag.parse() == Ok(etag);
        Ok(if same { Before::SameBytes } else { Before::Other(etag) })
    }

    /// Whether the record is still the current one at its key, and every stored copy of it reads back with the bytes of its entity tag.
    ///
    /// # Errors
    /// What keeps a copy from being read.
    pub async fn prove(&self, bucket: &BucketName, key: &ObjectKey, record: RecordId) -> Result<bool, ObjectError> {
        let bucket = self.bucket(bucket)?;
        let _pin = self.index.pin(record);
        let Some(found) = self.current_if(&bucket, key, record)? else { return Ok(false) };
        let mut read = 0;
        for copy in found.detail.copies.iter().filter(|copy| matches!(copy.state, CopyState::Stored { .. })) {
            match self.read_back(&found, copy).await {
                Ok(()) => read += 1,
                Err(ObjectError::BadDigest(_)) => return Ok(false),
                Err(other) => return Err(other),
            }
        }
        Ok(read > 0 && self.current_if(&bucket, key, record)?.is_some())
    }

    fn current_if(&self, bucket: &Bucket, key: &ObjectKey, record: RecordId) -> Result<Option<Record>, ObjectError> {
        Ok(self.index.current(bucket, key)?.filter(|current| current.summary.id == record))
    }

    /// Records that the object which `record` was imported from is removed at its source, or was not after all.
    ///
    /// # Errors
    /// Only those of the index.
    pub async fn record_source_deletion(
        &self,
        request: &Request<'_>,
        (bucket, key): (&BucketName, &ObjectKey),
        record: &Record,
        refused: Option<&'static str>,
    ) -> Result<(), ObjectError> {
        let event = self.event(request, Kind::SourceDeleted, bucket, Some(key));
        let event = record.summary.describe(self.with_placement(event, &record.detail.placement));
        self.record(match refused {
            Some(code) => event.refused(code),
            None => event,
        })
        .await
    }
}

impl Before {
    /// The condition under which an object may be brought to a key where this was: what a client writes meanwhile is never overwritten.
    pub fn condition(&self) -> WriteCondition {
        match self {
            Self::Absent | Self::Deleted => WriteCondition::IfAbsent,
            Self::Imported(record) => WriteCondition::IfMatch(vec![record.summary.etag]),
            Self::Other(etag) => WriteCondition::IfMatch(vec![*etag]),
            // Nothing is brought there.
            Self::SameBytes => WriteCondition::IfAbsent,
        }
    }
}

const fn check_size(size: u64) -> Result<(), ObjectError> {
    if size > MAX_OBJECT { Err(ObjectError::EntityTooLarge { size, max: MAX_OBJECT }) } else { Ok(()) }
}
