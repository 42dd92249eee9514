//! A sealed blob, ready to be stored.

use bytes::Bytes;

use super::{BlobName, ExtentId, SealError, SealTarget};
use crate::types::{Country, SiteId};

/// Bytes that a site may hold, and the one site they were sealed for. Only this module makes one.
#[derive(Debug, Clone)]
pub struct SealedBlob {
    target: SealTarget,
    name: BlobName,
    id: Option<ExtentId>,
    pieces: [Bytes; 2],
    plain_len: u64,
}

impl SealedBlob {
    pub(super) fn new(
        target: SealTarget,
        name: BlobName,
        id: Option<ExtentId>,
        head: impl Into<Bytes>,
        stream: impl Into<Bytes>,
        plain_len: u64,
    ) -> Self {
        Self { target, name, id, pieces: [head.into(), stream.into()], plain_len }
    }

    /// The same blob for another site of the same country and key: the bytes are shared.
    pub fn also_for(&self, target: &SealTarget) -> Result<Self, SealError> {
        if target.country() != self.target.country() {
            return Err(SealError::Mismatch("country"));
        }
        if target.key() != self.target.key() {
            return Err(SealError::Mismatch("key"));
        }
        Ok(Self { target: target.clone(), ..self.clone() })
    }

    /// The site it may be stored at.
    pub const fn site(&self) -> &SiteId {
        self.target.site()
    }

    /// The country of that site.
    pub const fn country(&self) -> Country {
        self.target.country()
    }

    /// What it is called there.
    pub const fn name(&self) -> &BlobName {
        &self.name
    }

    /// The extent it holds; `None` for a subject key or a marker.
    pub const fn id(&self) -> Option<&ExtentId> {
        self.id.as_ref()
    }

    /// Head and stream, to be stored one after the other.
    pub const fn pieces(&self) -> &[Bytes; 2] {
        &self.pieces
    }

    /// The length of the head, which reading needs to know: [`super::HEAD_LEN`] unless it carries a manifest.
    pub fn head_len(&self) -> u32 {
        u32::try_from(self.pieces[0].len()).unwrap_or(u32::MAX)
    }

    /// The length of the plaintext, in bytes.
    pub const fn plain_len(&self) -> u64 {
        self.plain_len
    }

    /// The length of the blob, in bytes.
    #[expect(clippy::len_without_is_empty, reason = "no blob is empty")]
    pub fn len(&self) -> u64 {
        self.pieces.iter().map(|piece| piece.len() as u64).sum()
    }
}
