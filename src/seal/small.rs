//! The small blobs that a site also holds: wrapped subject keys and the site's marker.

use ring::aead::{Aad, Nonce};
use serde::{Deserialize, Serialize};

use super::{
    BlobKind, BlobName, PREFIX_LEN, SealError, SealTarget, SealedBlob,
    head::{read_prefix, write_prefix},
    stream::TAG_LEN,
};
use crate::{
    digest,
    kms::{KeyOwner, SecretKey, WrappedSubjectKey},
    types::{Country, SiteId},
};

const NONCE_LEN: usize = 12;
const MAX_LEN: usize = 64 * 1024;

/// What a site's marker says: whose site it is, and which gateway process last took it over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MarkerContent {
    /// The installation that the site belongs to.
    #[serde(with = "crate::digest::as_hex")]
    pub installation: [u8; 16],
    /// The site.
    pub site: SiteId,
    /// Its country.
    pub country: Country,
    /// Counts the takeovers: a gateway that reads a higher epoch than its own is not the site's writer any more.
    pub epoch: u64,
}

/// Seals a marker under an installation's site key.
pub fn seal_marker(target: &SealTarget, site_key: &SecretKey, content: &MarkerContent) -> Result<SealedBlob, SealError> {
    let mut text = serde_json::to_vec(content).map_err(|_| SealError::Crypto)?;
    let length = PREFIX_LEN + NONCE_LEN + text.len() + TAG_LEN;
    let mut blob = Vec::with_capacity(length);
    write_prefix(&mut blob, BlobKind::Marker, length)?;
    let nonce: [u8; NONCE_LEN] = digest::random();
    let sealing = marker_key(site_key).aes_gcm()?;
    let tag = sealing.seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(&blob), &mut text)?;
    blob.extend_from_slice(&nonce);
    blob.extend_from_slice(&text);
    blob.extend_from_slice(tag.as_ref());
    Ok(SealedBlob::new(target.clone(), BlobName::marker(), None, blob, Vec::new(), 0))
}

/// Opens a marker. [`SealError::WrongKey`] means that the site belongs to another installation, or that the marker was altered.
pub fn open_marker(site_key: &SecretKey, blob: &[u8]) -> Result<MarkerContent, SealError> {
    let body = body(blob, BlobKind::Marker)?;
    let (nonce, sealed) = body.split_at_checked(NONCE_LEN).ok_or(SealError::Malformed("it ends early"))?;
    let nonce = Nonce::try_assume_unique_for_key(nonce)?;
    let mut buffer = sealed.to_vec();
    let opening = marker_key(site_key).aes_gcm()?;
    let text = opening.open_in_place(nonce, Aad::from(&blob[..PREFIX_LEN]), &mut buffer).map_err(|_| SealError::WrongKey)?;
    serde_json::from_slice(text).map_err(|_| SealError::Malformed("its content is no marker"))
}

/// A wrapped subject key as a blob: JSON, so that it can be used without this program. Its name tells the wrapping too; a key
/// that is wrapped again gets another blob, and two keys made at once for one owner do not overwrite each other.
pub fn subject_key_blob(target: &SealTarget, key: &WrappedSubjectKey) -> Result<SealedBlob, SealError> {
    if key.key != *target.key() {
        return Err(SealError::Mismatch("key"));
    }
    // The same blob for every site.
    let key = &WrappedSubjectKey { wraps: 0, ..key.nowhere() };
    let text = serde_json::to_vec(key).map_err(|_| SealError::Crypto)?;
    let length = PREFIX_LEN + text.len();
    let mut blob = Vec::with_capacity(length);
    write_prefix(&mut blob, BlobKind::SubjectKey, length)?;
    blob.extend_from_slice(&text);
    Ok(SealedBlob::new(target.clone(), BlobName::of_subject_key(key), None, blob, Vec::new(), 0))
}

/// Reads what [`subject_key_blob`] wrote. Nothing in it is to be trusted before the key unwraps, which authenticates all of it.
pub fn parse_subject_key_blob(blob: &[u8]) -> Result<WrappedSubjectKey, SealError> {
    serde_json::from_slice(body(blob, BlobKind::SubjectKey)?).map_err(|_| SealError::Malformed("its content is no subject key"))
}

impl BlobName {
    /// The name of a wrapped subject key's blob. The key of a site itself lies at the front of the site's journal, which it opens.
    pub fn of_subject_key(key: &WrappedSubjectKey) -> Self {
        let mut content = key.country.as_str().as_bytes().to_vec();
        content.extend_from_slice(&key.generation.0.to_be_bytes());
        content.extend_from_slice(&digest::sha256(key.wrapped.as_str().as_bytes()));
        content.extend_from_slice(&key.owner.canonical_bytes());
        if matches!(key.owner, KeyOwner::Site(_)) {
            let hash = digest::sha256(&content);
            return Self::journal(0, std::array::from_fn(|at| hash[at]));
        }
        Self::hash(b"domicile subject key name v1", &content)
    }
}

fn marker_key(site_key: &SecretKey) -> SecretKey {
    site_key.derive(b"", &[b"domicile site marker v1"])
}

/// What follows the prefix of a small blob, all of which is its head.
fn body(blob: &[u8], expected: BlobKind) -> Result<&[u8], SealError> {
    let (kind, length) = read_prefix(blob)?;
    if kind != expected {
        return Err(SealError::Mismatch("kind"));
    }
    if length > MAX_LEN {
        return Err(SealError::Malformed("its length is out of bounds"));
    }
    if length != blob.len() {
        return Err(SealError::WrongLength { expected: length as u64, got: blob.len() as u64 });
    }
    Ok(&blob[PREFIX_LEN..])
}
