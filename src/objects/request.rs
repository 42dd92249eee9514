//! What the use cases are asked and what they answer.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::access;
use crate::authn::Authenticated;
use crate::bucket::Lock;
use crate::digest::{Checksum, ChecksumAlgorithm, ChecksumKind, ETag};
use crate::index::{Record, WriteCondition};
use crate::objects::{AclRequest, Length, VersionName};
use crate::seal::CustomerKey;
use crate::types::{BucketName, Country, InstrumentId, ObjectKey, RequestId, SiteId, Timestamp, UploadId, VersionId};

/// Who asks, and under which request id the answer will be logged.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// In every log line, response and ledger entry.
    pub id: &'a RequestId,
    /// The authenticated caller.
    pub auth: &'a Authenticated,
    /// When the request arrived.
    pub now: Timestamp,
    /// What the request says, for the conditions of bucket policies.
    pub facts: &'a dyn access::Context,
    /// `x-amz-expected-bucket-owner`: the account that must own the bucket.
    pub expected_owner: Option<&'a str>,
    /// The keys that the caller brings.
    pub keys: &'a CustomerKeys,
}

/// Keys of the client's own that a request brings (SSE-C). They go with the request.
#[derive(Debug, Default)]
pub struct CustomerKeys {
    /// For the object that is read or written.
    pub object: Option<CustomerKey>,
    /// For the object that a copy reads.
    pub copy_source: Option<CustomerKey>,
}

impl CustomerKeys {
    /// Those of a request that brings none.
    pub fn none() -> &'static Self {
        static NONE: CustomerKeys = CustomerKeys { object: None, copy_source: None };
        &NONE
    }
}

/// A checksum that a client wants computed and kept.
#[derive(Clone, Copy, Debug)]
pub struct ExpectedChecksum {
    /// The algorithm.
    pub algorithm: ChecksumAlgorithm,
    /// The value it must have, where the request's headers say; it may also follow in a trailer, or be left to the gateway.
    pub value: Option<Checksum>,
}

/// What a client says of an object besides its bytes.
#[derive(Clone, Debug, Default)]
pub struct Description {
    /// Content headers as given, by lower-case name: `content-type`, `cache-control`, `content-disposition`, `content-encoding`,
    /// `content-language`, `expires`.
    pub content: BTreeMap<String, String>,
    /// User metadata by lower-case name without `x-amz-meta-`.
    pub metadata: BTreeMap<String, String>,
    /// Tags in the order given.
    pub tags: Vec<(String, String)>,
    /// Retention and legal hold as asked for.
    pub lock: Lock,
}

/// A PutObject.
#[derive(Clone, Debug)]
pub struct PutRequest {
    /// The bucket to write to.
    pub bucket: BucketName,
    /// The key to write.
    pub key: ObjectKey,
    /// Headers, metadata, tags.
    pub description: Description,
    /// Bytes of the object: the decoded length.
    pub length: Length,
    /// Content-MD5, when given.
    pub content_md5: Option<[u8; 16]>,
    /// The checksum to verify and keep.
    pub checksum: Option<ExpectedChecksum>,
    /// `If-None-Match`, `If-Match`.
    pub condition: WriteCondition,
    /// Its ACL.
    pub acl: AclRequest,
}

/// Where a record lives and why, for the `x-domicile-*` headers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Residence {
    /// Countries of the stored copies, primary first.
    pub countries: Vec<Country>,
    /// Their sites, in the same order.
    pub sites: Vec<SiteId>,
    /// The instruments that placed the record.
    pub instruments: Vec<InstrumentId>,
}

/// A record that was written.
#[derive(Clone, Debug)]
pub struct Stored {
    /// Entity tag.
    pub etag: ETag,
    /// The version written.
    pub version: VersionId,
    /// The checksum kept with it.
    pub checksum: Option<Checksum>,
    /// Bytes.
    pub size: u64,
    /// When it was committed.
    pub modified: Timestamp,
    /// Whether it is under a key of the client.
    pub customer: bool,
    /// Where it lives.
    pub residence: Residence,
    /// When a lifecycle rule lets it go, as `x-amz-expiration` says it.
    pub expiration: Option<String>,
}

/// A range as a client writes it (RFC 9110 section 14.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByteRange {
    /// `bytes=5-`
    From(u64),
    /// `bytes=5-9`, both included.
    FromTo(u64, u64),
    /// `bytes=-5`
    Last(u64),
}

impl ByteRange {
    /// The bytes of an object of `size` bytes that this range means; `None` when it cannot be satisfied.
    pub fn resolve(self, size: u64) -> Option<Range<u64>> {
        let range = match self {
            Self::From(from) => from..size,
            Self::FromTo(from, to) if from <= to => from..to.saturating_add(1).min(size),
            Self::FromTo(..) => return None,
            Self::Last(count) => size.saturating_sub(count)..size,
        };
        (range.start < range.end).then_some(range)
    }
}

/// The conditions of a read (RFC 9110 section 13.1). Lists of entity tags; `*` is `Any`.
#[derive(Clone, Debug, Default)]
pub struct ReadCondition {
    /// `If-Match`.
    pub if_match: Option<ETagList>,
    /// `If-None-Match`.
    pub if_none_match: Option<ETagList>,
    /// `If-Modified-Since`.
    pub if_modified_since: Option<Timestamp>,
    /// `If-Unmodified-Since`.
    pub if_unmodified_since: Option<Timestamp>,
}

/// Entity tags of a condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ETagList {
    /// `*`
    Any,
    /// Texts without quotes; one that is no entity tag of ours matches nothing.
    Tags(Vec<String>),
}

/// A GetObject or HeadObject.
#[derive(Clone, Debug)]
pub struct GetRequest {
    /// The bucket to read from.
    pub bucket: BucketName,
    /// The key to read.
    pub key: ObjectKey,
    /// A version other than the current one.
    pub version: Option<VersionId>,
    /// Only these bytes.
    pub range: Option<ByteRange>,
    /// Only this part.
    pub part: Option<u32>,
    /// Conditions.
    pub condition: ReadCondition,
}

/// A record that was found.
#[derive(Clone, Debug)]
pub struct Found {
    /// Everything the index says of it.
    pub record: Record,
    /// The bytes asked for, when not all.
    pub range: Option<Range<u64>>,
    /// How many bytes the body has.
    pub length: u64,
    /// How many parts the object has, when it was uploaded in parts.
    pub parts: Option<u32>,
    /// The checksum of the bytes asked for, where one is known: that of the object, or of the part.
    pub checksum: Option<Checksum>,
    /// Where it lives.
    pub residence: Residence,
    /// When a lifecycle rule lets it go, as `x-amz-expiration` says it. Only of a current version.
    pub expiration: Option<String>,
}

/// One object of a DeleteObjects.
#[derive(Clone, Debug)]
pub struct DeleteItem {
    /// The key to delete.
    pub key: ObjectKey,
    /// The version to delete.
    pub version: Option<VersionId>,
    /// `If-Match`.
    pub condition: WriteCondition,
}

/// A DeleteObject.
#[derive(Clone, Debug)]
pub struct DeleteRequest {
    /// The bucket to delete from.
    pub bucket: BucketName,
    /// What to delete.
    pub item: DeleteItem,
    /// `x-amz-bypass-governance-retention`.
    pub bypass_governance: bool,
}

/// What a delete did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deleted {
    /// Removed the key for good, or found nothing to remove.
    Key,
    /// Removed this version, or found that it was not there.
    Version {
        /// The version.
        version: VersionId,
        /// Whether it was a delete marker.
        was_marker: bool,
    },
    /// Wrote a delete marker with this version id.
    Marked(VersionId),
}

/// The object a copy reads.
#[derive(Clone, Debug)]
pub struct CopySource {
    /// Its bucket.
    pub bucket: BucketName,
    /// Its key.
    pub key: ObjectKey,
    /// A version other than the current one.
    pub version: Option<VersionId>,
    /// Conditions on it.
    pub condition: ReadCondition,
    /// `x-amz-source-expected-bucket-owner`: the account that must own its bucket.
    pub expected_owner: Option<String>,
}

impl CopySource {
    /// The version that it is.
    pub fn name(&self) -> VersionName<'_> {
        VersionName { bucket: &self.bucket, key: &self.key, version: self.version }
    }
}

/// A CopyObject.
#[derive(Clone, Debug)]
pub struct CopyRequest {
    /// What to read.
    pub source: CopySource,
    /// The bucket to write to.
    pub bucket: BucketName,
    /// The key to write.
    pub key: ObjectKey,
    /// New content headers and metadata; `None` keeps the source's.
    pub replace: Option<(BTreeMap<String, String>, BTreeMap<String, String>)>,
    /// New tags; `None` keeps the source's.
    pub tags: Option<Vec<(String, String)>>,
    /// Retention and legal hold of the copy; the source's are not copied.
    pub lock: Lock,
    /// Conditions on the target.
    pub condition: WriteCondition,
    /// Another checksum than the source has.
    pub checksum: Option<ChecksumAlgorithm>,
    /// The copy's ACL; the source's is not copied.
    pub acl: AclRequest,
}

/// A CreateMultipartUpload.
#[derive(Clone, Debug)]
pub struct CreateUpload {
    /// The bucket to write to.
    pub bucket: BucketName,
    /// The key to write.
    pub key: ObjectKey,
    /// Headers, metadata, tags.
    pub description: Description,
    /// The checksum each part will carry, and how the object's is made of them.
    pub checksum: Option<(ChecksumAlgorithm, ChecksumKind)>,
    /// The object's ACL.
    pub acl: AclRequest,
}

/// An UploadPart.
#[derive(Clone, Debug)]
pub struct PartRequest {
    /// The upload's bucket.
    pub bucket: BucketName,
    /// The upload's key.
    pub key: ObjectKey,
    /// The upload.
    pub upload: UploadId,
    /// 1 to 10,000.
    pub number: u32,
    /// Bytes of the part.
    pub length: u64,
    /// Content-MD5, when given.
    pub content_md5: Option<[u8; 16]>,
    /// The checksum to verify and keep.
    pub checksum: Option<ExpectedChecksum>,
}

/// An UploadPartCopy.
#[derive(Clone, Debug)]
pub struct PartCopyRequest {
    /// The upload's bucket.
    pub bucket: BucketName,
    /// The upload's key.
    pub key: ObjectKey,
    /// The upload.
    pub upload: UploadId,
    /// 1 to 10,000.
    pub number: u32,
    /// What to read.
    pub source: CopySource,
    /// Only these bytes of it, first and last included.
    pub range: Option<(u64, u64)>,
}

/// A part that was stored.
#[derive(Clone, Debug)]
pub struct StoredPart {
    /// Entity tag.
    pub etag: ETag,
    /// Its checksum, when one was asked for.
    pub checksum: Option<Checksum>,
    /// When it was committed.
    pub modified: Timestamp,
}

/// One part that a CompleteMultipartUpload names.
#[derive(Clone, Debug)]
pub struct CompletePart {
    /// Its number.
    pub number: u32,
    /// Its entity tag as text without quotes.
    pub etag: String,
    /// Its checksum, when given.
    pub checksum: Option<Checksum>,
}

/// A CompleteMultipartUpload.
#[derive(Clone, Debug)]
pub struct CompleteRequest {
    /// The upload's bucket.
    pub bucket: BucketName,
    /// The upload's key.
    pub key: ObjectKey,
    /// The upload.
    pub upload: UploadId,
    /// The parts that make the object, in ascending order.
    pub parts: Vec<CompletePart>,
    /// `If-None-Match`, `If-Match`.
    pub condition: WriteCondition,
    /// The checksum that the whole object must have.
    pub checksum: Option<Checksum>,
    /// `x-amz-mp-object-size`.
    pub size: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_resolve_as_rfc_9110_says() {
        assert_eq!(ByteRange::FromTo(0, 0).resolve(10), Some(0..1));
        assert_eq!(ByteRange::FromTo(5, 99).resolve(10), Some(5..10));
        assert_eq!(ByteRange::From(9).resolve(10), Some(9..10));
        assert_eq!(ByteRange::Last(3).resolve(10), Some(7..10));
        assert_eq!(ByteRange::Last(30).resolve(10), Some(0..10));
        for wrong in [ByteRange::From(10), ByteRange::FromTo(5, 4), ByteRange::Last(0), ByteRange::FromTo(10, 12)] {
            assert_eq!(wrong.resolve(10), None);
        }
        assert_eq!(ByteRange::Last(5).resolve(0), None);
    }
}
