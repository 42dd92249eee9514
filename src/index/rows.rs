//! What the catalogue holds.
//!
//! Bodies are MessagePack with named fields, so that a field can be added with `#[serde(default)]` without rewriting what is there.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    access::Acl,
    audit::Event,
    backend::Standing,
    bucket::{BucketSettings, Lock},
    digest::{Checksum, ChecksumAlgorithm, ChecksumKind, ETag},
    kms::{KeyOwner, WrappedDek},
    policy::Role,
    residency::PlacementRecord,
    seal::CustomerSeal,
    types::{
        AccountId, AttemptId, BucketName, Country, Generation, KeyId, ObjectKey, RecordId, SiteId, SourceId, Ticket, Timestamp,
        UploadId, VersionId,
    },
};

/// A bucket's number. A bucket deleted and created again under the same name gets another one: it is the bucket's generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BucketId(pub u64);

/// A bucket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bucket {
    /// Its name.
    pub name: BucketName,
    /// Its number, never reused.
    pub id: BucketId,
    /// When it was created.
    pub created: Timestamp,
    /// Whose it is: the account of who created it.
    pub owner: AccountId,
    /// The `LocationConstraint` it was created with.
    pub region: Option<String>,
    /// What it is configured to do.
    #[serde(default)]
    pub settings: BucketSettings,
}

/// What listings show of a record; its key is in the row's key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// The record.
    pub id: RecordId,
    /// Its version id.
    pub version: VersionId,
    /// Its place among the versions of the key.
    pub ticket: Ticket,
    /// Last-Modified.
    pub modified: Timestamp,
    /// Plaintext bytes.
    pub size: u64,
    /// Its ETag.
    pub etag: ETag,
    /// The checksum it was stored with.
    pub checksum_algorithm: Option<(ChecksumAlgorithm, ChecksumKind)>,
    /// Whose it is.
    pub owner: AccountId,
    /// Whether it says that the key is deleted.
    #[serde(default)]
    pub delete_marker: bool,
}

impl Summary {
    /// A delete marker. It has no bytes, so its record id names nothing and its ETag is all zeros.
    pub(super) fn marker(version: VersionId, ticket: Ticket, modified: Timestamp, owner: AccountId) -> Self {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&ticket.0.to_be_bytes());
        Self {
            id: RecordId::from_bytes(id),
            version,
            ticket,
            modified,
            size: 0,
            etag: ETag { md5: [0; 16], parts: None },
            checksum_algorithm: None,
            owner,
            delete_marker: true,
        }
    }

    /// The event, with which record it is about.
    pub fn describe(&self, event: Event) -> Event {
        Event { record: Some(self.id), version: Some(self.version), ticket: Some(self.ticket), size: Some(self.size), ..event }
    }
}

/// A version of a key.
#[derive(Debug, Clone, PartialEq)]
pub enum Version {
    /// With bytes.
    Record(Box<Record>),
    /// One that says that the key is deleted.
    Marker(Summary),
}

impl Version {
    /// What listings show of it.
    pub const fn summary(&self) -> &Summary {
        match self {
            Self::Record(record) => &record.summary,
            Self::Marker(summary) => summary,
        }
    }

    /// The version, when it has bytes.
    pub fn into_record(self) -> Option<Record> {
        match self {
            Self::Record(record) => Some(*record),
            Self::Marker(_) => None,
        }
    }
}

/// One version of one key, with bytes.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// What listings show.
    pub summary: Summary,
    /// The rest.
    pub detail: Detail,
}

impl Record {
    /// Its ACL.
    pub fn acl(&self) -> Acl {
        self.detail.acl.clone().unwrap_or_else(|| Acl::private(self.summary.owner.clone()))
    }

    /// The same, placed by this entry of the ledger, which tells of those of its copies that no earlier one does.
    pub(super) fn placed_by(mut self, entry: u64) -> Self {
        self.detail.entry = Some(entry);
        let new = |copy: &&mut CopyRow| copy.is_stored() && copy.entry.is_none();
        self.detail.copies.iter_mut().filter(new).for_each(|copy| copy.entry = Some(entry));
        self
    }
}

/// What a record holds beyond its summary.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Detail {
    /// Content headers as given: `content-type`, `cache-control`, `content-disposition`, `content-encoding`, `content-language`,
    /// `expires`.
    pub content: BTreeMap<String, String>,
    /// User metadata; names without `x-amz-meta-`.
    pub metadata: BTreeMap<String, String>,
    /// Tags in the order given.
    pub tags: Vec<(String, String)>,
    /// The checksum of the whole.
    pub checksum: Option<Checksum>,
    /// What keeps it from being deleted.
    #[serde(default)]
    pub lock: Lock,
    /// Tells the client's key that the bytes are under, when they are. Their ETag is that of the bytes under the key then, and the
    /// checksum is masked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer: Option<CustomerSeal>,
    /// Its ACL, where one was set; without, it is the owner's alone.
    #[serde(default)]
    pub acl: Option<Acl>,
    /// Where it lives and why.
    pub placement: PlacementRecord,
    /// The copies.
    pub copies: Vec<CopyRow>,
    /// How its bytes are cut into blobs.
    pub layout: Layout,
    /// How often its copies have been moved.
    #[serde(default)]
    pub moves: u32,
    /// The object of a foreign bucket that it was imported from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub imported: Option<Imported>,
    /// The ledger entry that committed the decision; `None` where an index of before did not keep it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<u64>,
}

/// What a foreign bucket said of an object when it was imported. Only an import writes it, so that no client can make a record pass for one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Imported {
    /// The source, as the configuration names it.
    pub source: SourceId,
    /// The bucket there.
    pub bucket: String,
    /// The key there.
    pub key: String,
    /// Its entity tag, without quotes.
    pub etag: String,
    /// Its bytes.
    pub size: u64,
    /// When it was written there, to the second.
    pub modified: Timestamp,
}

/// One copy of a record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CopyRow {
    /// Where.
    pub site: SiteId,
    /// The country of that site.
    pub country: Country,
    /// The key that seals it.
    pub key: KeyId,
    /// Whose subject key wraps the data key.
    pub owner: KeyOwner,
    /// Which subject key.
    pub sk_generation: Generation,
    /// The wrapped data key.
    #[serde(with = "dek_bytes")]
    pub dek: WrappedDek,
    /// What the copy is to the record.
    pub role: Role,
    /// Whether it is durable.
    pub state: CopyState,
    /// The length of the manifest blob's head; of the only blob's head for [`Layout::Whole`].
    pub manifest_head_len: u32,
    /// The attempt that names the manifest blob.
    pub manifest_attempt: AttemptId,
    /// Sets the blobs of a copy that came after the record apart from those of earlier copies at the same site: see
    /// [`CopyRow::attempt`]. `None` for the copies that the record was written with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moved: Option<AttemptId>,
    /// The ledger entry that committed it as durable; as [`Detail::entry`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<u64>,
}

/// Whether a copy is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CopyState {
    /// Durable since.
    Stored {
        /// When the index learned of it.
        at: Timestamp,
    },
    /// Still to be written.
    Pending,
}

/// How a record's bytes are cut into blobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layout {
    /// One blob with manifest and data, at most one extent.
    Whole {
        /// The attempt that names it.
        attempt: AttemptId,
    },
    /// One body of several extents (part 0), and a manifest blob.
    Extents {
        /// The attempt that names the extents.
        attempt: AttemptId,
    },
    /// A completed multipart upload: its part table is a row of its own.
    Parts {
        /// The upload that the table belongs to.
        table: UploadId,
        /// The number of parts.
        count: u32,
    },
}

/// One part of a completed upload.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PartEntry {
    /// 1 to 10,000.
    pub number: u32,
    /// The attempt that names its extents.
    pub attempt: AttemptId,
    /// Plaintext bytes.
    pub size: u64,
    /// Its ETag.
    pub etag: ETag,
    /// Its checksum.
    pub checksum: Option<Checksum>,
}

/// A multipart upload.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Upload {
    /// Its id.
    pub id: UploadId,
    /// The bucket.
    pub bucket: BucketId,
    /// The key.
    pub key: ObjectKey,
    /// When it was created.
    pub initiated: Timestamp,
    /// Whose the object will be.
    pub owner: AccountId,
    /// Who began it.
    pub initiator: AccountId,
    /// As [`Detail::acl`].
    #[serde(default)]
    pub acl: Option<Acl>,
    /// The record that it becomes.
    pub record: RecordId,
    /// As [`Detail::content`].
    pub content: BTreeMap<String, String>,
    /// As [`Detail::metadata`].
    pub metadata: BTreeMap<String, String>,
    /// As [`Detail::tags`].
    pub tags: Vec<(String, String)>,
    /// The checksum asked for.
    pub checksum: Option<(ChecksumAlgorithm, ChecksumKind)>,
    /// As [`Detail::lock`].
    #[serde(default)]
    pub lock: Lock,
    /// As [`Detail::customer`], for its parts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer: Option<CustomerSeal>,
    /// Where it lives and why.
    pub placement: PlacementRecord,
    /// The copies, with the keys that seal every part.
    pub copies: Vec<CopyRow>,
    /// Where it stands.
    pub state: UploadState,
}

/// Where an upload stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UploadState {
    /// Takes parts.
    Open,
    /// Became a record; kept for a while so that a repeated Complete gets the same answer.
    Completed(CompletedUpload),
    /// Gone.
    Aborted,
}

/// What an upload became.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompletedUpload {
    /// The record.
    pub record: RecordId,
    /// Its version id.
    pub version: VersionId,
    /// Its ETag.
    pub etag: ETag,
    /// SHA-256 of the part list that the client completed with.
    pub parts_digest: [u8; 32],
}

/// An uploaded part.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// Number, attempt, size, ETag, checksum.
    pub entry: PartEntry,
    /// When it was stored.
    pub modified: Timestamp,
}

/// A site as the index last saw it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SiteRow {
    /// The site.
    pub site: SiteId,
    /// Its country; a site that comes back with another is refused.
    pub country: Country,
    /// When it was first seen.
    pub first_seen: Timestamp,
    /// The single-writer epoch of its marker; 0 of a site that was never in service.
    pub epoch: u64,
    /// What was found at it and stands.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub standing: Vec<Standing>,
}

/// An attempt in progress: its blobs are nobody's garbage yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// The record.
    pub record: RecordId,
    /// The attempt.
    pub attempt: AttemptId,
    /// Where it writes.
    pub sites: Vec<SiteId>,
    /// When it began.
    pub started: Timestamp,
}

/// Objects and bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Tally {
    /// Records.
    pub objects: u64,
    /// Plaintext bytes.
    pub bytes: u64,
}

mod dek_bytes {
    //! A wrapped key as one byte string.

    use serde::{Deserializer, Serializer, de::Error};
    use serde_bytes::ByteArray;

    use super::{Deserialize, WrappedDek};

    pub(super) fn serialize<S: Serializer>(dek: &WrappedDek, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(dek.as_bytes())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<WrappedDek, D::Error> {
        let bytes = ByteArray::<{ WrappedDek::LEN }>::deserialize(from).map_err(D::Error::custom)?;
        Ok(WrappedDek::from_bytes(bytes.into_array()))
    }
}
