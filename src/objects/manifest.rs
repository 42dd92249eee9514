//! What a record's manifest blob says, sealed: enough to rebuild the record's row in the index from the site alone.

use serde::{Deserialize, Serialize};

use crate::index::{BucketId, Detail, PartEntry, Record, Summary};
use crate::objects::ObjectError;
use crate::types::{AttemptId, BucketName, ObjectKey};

/// The format's version; a reader refuses a higher one.
const VERSION: u16 = 1;

/// A record as its own blobs describe it. Serialised as MessagePack with named fields, so that later versions can add some.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of this format.
    pub version: u16,
    /// The bucket's name.
    pub bucket: BucketName,
    /// Which life of the bucket.
    pub bucket_id: BucketId,
    /// The key.
    pub key: ObjectKey,
    /// What listings show of the record; as [`Manifest::detail`], without its copies: each copy's keys are in its own blob's head, and no blob carries the wrapped key of another
    /// country.
    pub summary: Summary,
    /// The rest of it.
    pub detail: Detail,
    /// The part table of a record that was uploaded in parts.
    #[serde(default)]
    pub parts: Vec<PartEntry>,
    /// As [`CopyRow::moved`](crate::index::CopyRow::moved), of the copy that this manifest lies with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moved: Option<AttemptId>,
}

impl Manifest {
    /// Describes `record`.
    pub(super) fn new(bucket: &BucketName, bucket_id: BucketId, key: &ObjectKey, record: &Record, parts: &[PartEntry]) -> Self {
        let detail = Detail { copies: Vec::new(), entry: None, ..record.detail.clone() };
        Self {
            version: VERSION,
            bucket: bucket.clone(),
            bucket_id,
            key: key.clone(),
            summary: record.summary.clone(),
            detail,
            parts: parts.to_vec(),
            moved: None,
        }
    }

    /// The same, for a copy that came later.
    pub(super) fn moved(self, moved: Option<AttemptId>) -> Self {
        Self { moved, ..self }
    }

    /// The bytes to seal.
    pub(super) fn encode(&self) -> Result<Vec<u8>, ObjectError> {
        rmp_serde::to_vec_named(self).map_err(|error| ObjectError::Internal(format!("manifest: {error}")))
    }

    /// Reads what [`Manifest::encode`] wrote.
    ///
    /// # Errors
    /// Says what cannot be read, or that a newer gateway wrote it.
    pub fn decode(bytes: &[u8]) -> Result<Self, String> {
        let manifest: Self = rmp_serde::from_slice(bytes).map_err(|error| error.to_string())?;
        if manifest.version > VERSION {
            return Err(format!("version {} of the manifest format is newer than this gateway's {VERSION}", manifest.version));
        }
        Ok(manifest)
    }
}
