//! The head of a blob: what it is, in the clear only as far as a rebuild needs before it has a key.
//!
//! | bytes | content |
//! |---|---|
//! | 8 | `DOMICILE` |
//! | 2 | format version |
//! | 1 | kind: extent, subject key, marker |
//! | 4 | length of the whole head |
//! | 2 | country |
//! | 1 + 64 | country key's id: length, text, zeros |
//! | 1 + 65 | owner of the subject key: length, [`KeyOwner::canonical_bytes`], zeros |
//! | 8 | generation of the subject key |
//! | 60 | wrapped data key |
//! | 32 | commitment to the data key |
//! | 16, 4, 16, 4 | record, part, attempt, extent |
//! | 8 | length of the plaintext |
//! | 12 + n + 16 | nonce, manifest under a key derived from the data key, tag over all of the head |
//!
//! Numbers are big-endian. Without a manifest n is 0 and the head has [`HEAD_LEN`] bytes.

use ring::aead::{Aad, Nonce};

use super::{ExtentId, RecordKey, SealError, record_key::KeyFacts, stream::TAG_LEN};
use crate::{
    digest,
    kms::{Dek, KeyOwner, SecretKey, WrappedDek},
    types::{AttemptId, Country, Generation, KeyId, RecordId},
};

pub(super) const MAGIC: &[u8; 8] = b"DOMICILE";
pub(super) const VERSION: u16 = 1;

/// The bytes that tell a blob's kind and the length of its head.
pub const PREFIX_LEN: usize = 8 + 2 + 1 + 4;
/// The length of a head without a manifest, in bytes.
pub const HEAD_LEN: usize = PUBLIC_LEN + NONCE_LEN + TAG_LEN;
/// The longest head that is written or read: 64 MiB, for the part table of the largest object S3 allows.
pub const MAX_HEAD_LEN: usize = 64 * 1024 * 1024;

const PUBLIC_LEN: usize = PREFIX_LEN + 2 + (1 + KEY_MAX) + (1 + OWNER_MAX) + 8 + WrappedDek::LEN + 32 + 40 + 8;
const KEY_MAX: usize = 64;
const OWNER_MAX: usize = 1 + 64;
const NONCE_LEN: usize = 12;

/// What a blob holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlobKind {
    /// An extent, a manifest, or both.
    Extent,
    /// A wrapped subject key.
    SubjectKey,
    /// The marker that says whose site it is.
    Marker,
}

/// A parsed head. Nothing in it is authenticated until [`Head::authenticate`] or [`Head::open_manifest`] succeeds.
#[derive(Debug, Clone)]
pub struct Head {
    id: ExtentId,
    facts: KeyFacts,
    plain_len: u64,
    raw: Vec<u8>,
}

/// The kind of the blob that begins with `prefix`, of which [`PREFIX_LEN`] bytes are enough.
pub fn blob_kind(prefix: &[u8]) -> Result<BlobKind, SealError> {
    Ok(read_prefix(prefix)?.0)
}

/// The length of the head that begins with `prefix`, of which [`PREFIX_LEN`] bytes are enough; between that and [`MAX_HEAD_LEN`].
pub fn head_len(prefix: &[u8]) -> Result<usize, SealError> {
    Ok(read_prefix(prefix)?.1)
}

/// Parses the head of an extent or manifest blob. More bytes than the head has are ignored; with too few the error says how many
/// to ask for.
pub fn parse_head(blob: &[u8]) -> Result<Head, SealError> {
    let (kind, length) = read_prefix(blob)?;
    if kind != BlobKind::Extent {
        return Err(SealError::Mismatch("kind"));
    }
    if length < HEAD_LEN {
        return Err(SealError::Malformed("it is too short"));
    }
    let raw = blob.get(..length).ok_or(SealError::Short { need: length, have: blob.len() })?;
    let mut fields = Fields(&raw[PREFIX_LEN..]);
    let country = text(fields.take(2)?)?.parse::<Country>().map_err(|_| SealError::Malformed("its country is none"))?;
    let key = KeyId::new(text(fields.padded(KEY_MAX)?)?).map_err(|_| SealError::Malformed("its key id is none"))?;
    let owner = KeyOwner::from_canonical_bytes(fields.padded(OWNER_MAX)?).ok_or(SealError::Malformed("its owner is none"))?;
    let generation = Generation(u64::from_be_bytes(fields.array()?));
    let wrapped = WrappedDek::from_bytes(fields.array()?);
    let commitment = fields.array()?;
    let id = ExtentId {
        record: RecordId::from_bytes(fields.array()?),
        part: u32::from_be_bytes(fields.array()?),
        attempt: AttemptId::from_bytes(fields.array()?),
        extent: u32::from_be_bytes(fields.array()?),
    };
    let plain_len = u64::from_be_bytes(fields.array()?);
    Ok(Head { id, facts: KeyFacts { country, key, owner, generation, wrapped, commitment }, plain_len, raw: raw.to_vec() })
}

impl Head {
    /// The extent.
    pub const fn id(&self) -> &ExtentId {
        &self.id
    }

    /// The country that the blob was sealed for.
    pub const fn country(&self) -> Country {
        self.facts.country
    }

    /// The country key that wraps the subject key.
    pub const fn key(&self) -> &KeyId {
        &self.facts.key
    }

    /// Whose subject key wraps the data key.
    pub const fn owner(&self) -> &KeyOwner {
        &self.facts.owner
    }

    /// Which of the owner's subject keys.
    pub const fn generation(&self) -> Generation {
        self.facts.generation
    }

    /// The wrapped data key.
    pub const fn wrapped_dek(&self) -> &WrappedDek {
        &self.facts.wrapped
    }

    /// The length of the plaintext in the stream, in bytes.
    pub const fn plain_len(&self) -> u64 {
        self.plain_len
    }

    /// The length of this head, in bytes.
    pub const fn len(&self) -> usize {
        self.raw.len()
    }

    /// Never: a head has at least [`HEAD_LEN`] bytes.
    pub const fn is_empty(&self) -> bool {
        false
    }

    /// Whether the head carries a sealed manifest.
    pub const fn has_manifest(&self) -> bool {
        self.raw.len() > HEAD_LEN
    }

    /// The record key that an exported data key stands for, checked against the head's commitment.
    pub fn record_key(&self, dek: Dek) -> Result<RecordKey, SealError> {
        RecordKey::from_facts(self.id.record, self.facts.clone(), dek)
    }

    /// Checks that `key` sealed this head and that nobody altered it since.
    pub fn authenticate(&self, key: &RecordKey) -> Result<(), SealError> {
        self.open(key).map(drop)
    }

    /// Authenticates the head and opens its manifest; `None` when it carries none.
    pub fn open_manifest(&self, key: &RecordKey) -> Result<Option<Vec<u8>>, SealError> {
        let manifest = self.open(key)?;
        Ok(self.has_manifest().then_some(manifest))
    }

    fn open(&self, key: &RecordKey) -> Result<Vec<u8>, SealError> {
        if !digest::constant_time_eq(&self.facts.commitment, &key.facts().commitment) {
            return Err(SealError::WrongKey);
        }
        if self.id.record != key.record() || self.facts != *key.facts() {
            return Err(SealError::Tampered("head"));
        }
        let (public, sealed) = self.raw.split_at(PUBLIC_LEN);
        let (nonce, sealed) = sealed.split_at(NONCE_LEN);
        let mut buffer = sealed.to_vec();
        let nonce = Nonce::try_assume_unique_for_key(nonce)?;
        let opening = head_key(key, &self.id).aes_gcm()?;
        let length = opening.open_in_place(nonce, Aad::from(public), &mut buffer).map_err(|_| SealError::Tampered("head"))?.len();
        buffer.truncate(length);
        Ok(buffer)
    }
}

/// Writes the head of an extent.
pub(super) fn write(key: &RecordKey, id: &ExtentId, plain_len: u64, manifest: &[u8]) -> Result<Vec<u8>, SealError> {
    let length = HEAD_LEN.saturating_add(manifest.len());
    if length > MAX_HEAD_LEN {
        return Err(SealError::ManifestTooLarge(manifest.len()));
    }
    let facts = key.facts();
    let mut head = Vec::with_capacity(length);
    write_prefix(&mut head, BlobKind::Extent, length)?;
    head.extend_from_slice(facts.country.as_str().as_bytes());
    write_padded(&mut head, facts.key.as_str().as_bytes(), KEY_MAX)?;
    write_padded(&mut head, &facts.owner.canonical_bytes(), OWNER_MAX)?;
    head.extend_from_slice(&facts.generation.0.to_be_bytes());
    head.extend_from_slice(facts.wrapped.as_bytes());
    head.extend_from_slice(&facts.commitment);
    head.extend_from_slice(id.record.as_bytes());
    head.extend_from_slice(&id.part.to_be_bytes());
    head.extend_from_slice(id.attempt.as_bytes());
    head.extend_from_slice(&id.extent.to_be_bytes());
    head.extend_from_slice(&plain_len.to_be_bytes());

    // Random, not derived: two sites of a country may get different manifests under the same id.
    let nonce: [u8; NONCE_LEN] = digest::random();
    head.extend_from_slice(&nonce);
    head.extend_from_slice(manifest);
    let (public, sealed) = head.split_at_mut(PUBLIC_LEN);
    let nonce = Nonce::assume_unique_for_key(nonce);
    let sealing = head_key(key, id).aes_gcm()?;
    let tag = sealing.seal_in_place_separate_tag(nonce, Aad::from(&*public), &mut sealed[NONCE_LEN..])?;
    head.extend_from_slice(tag.as_ref());
    Ok(head)
}

/// Writes the first [`PREFIX_LEN`] bytes of any blob.
pub(super) fn write_prefix(head: &mut Vec<u8>, kind: BlobKind, length: usize) -> Result<(), SealError> {
    head.extend_from_slice(MAGIC);
    head.extend_from_slice(&VERSION.to_be_bytes());
    head.push(match kind {
        BlobKind::Extent => 1,
        BlobKind::SubjectKey => 2,
        BlobKind::Marker => 3,
    });
    head.extend_from_slice(&u32::try_from(length).map_err(|_| SealError::ManifestTooLarge(length))?.to_be_bytes());
    Ok(())
}

/// Reads the first [`PREFIX_LEN`] bytes of any blob: its kind and the length of its head.
pub(super) fn read_prefix(blob: &[u8]) -> Result<(BlobKind, usize), SealError> {
    if !blob.iter().zip(MAGIC).all(|(byte, magic)| byte == magic) {
        return Err(SealError::Foreign("it does not begin with `DOMICILE`"));
    }
    let mut fields = Fields(blob);
    let short = |_| SealError::Short { need: PREFIX_LEN, have: blob.len() };
    fields.take(MAGIC.len()).map_err(short)?;
    if u16::from_be_bytes(fields.array().map_err(short)?) != VERSION {
        return Err(SealError::Foreign("this build does not know its format version"));
    }
    let kind = match fields.array().map_err(short)? {
        [1] => BlobKind::Extent,
        [2] => BlobKind::SubjectKey,
        [3] => BlobKind::Marker,
        _ => return Err(SealError::Foreign("this build does not know its kind")),
    };
    let length = u32::from_be_bytes(fields.array().map_err(short)?) as usize;
    if !(PREFIX_LEN..=MAX_HEAD_LEN).contains(&length) {
        return Err(SealError::Malformed("its length is out of bounds"));
    }
    Ok((kind, length))
}

fn head_key(key: &RecordKey, id: &ExtentId) -> SecretKey {
    let data = id.associated_data(key.country());
    key.secret().derive(id.attempt.as_bytes(), &[b"domicile head v1", &data])
}

fn write_padded(head: &mut Vec<u8>, field: &[u8], width: usize) -> Result<(), SealError> {
    let length = u8::try_from(field.len()).ok().filter(|length| usize::from(*length) <= width);
    head.push(length.ok_or(SealError::Malformed("a name is too long for it"))?);
    head.extend_from_slice(field);
    head.resize(head.len() + width - field.len(), 0);
    Ok(())
}

fn text(bytes: &[u8]) -> Result<&str, SealError> {
    std::str::from_utf8(bytes).map_err(|_| SealError::Malformed("a name is not text"))
}

/// Reads fields off the front.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], SealError> {
        let (field, rest) = self.0.split_at_checked(length).ok_or(SealError::Malformed("it ends early"))?;
        self.0 = rest;
        Ok(field)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], SealError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    fn padded(&mut self, width: usize) -> Result<&'a [u8], SealError> {
        let [length] = self.array()?;
        let field = self.take(width)?;
        let (name, padding) = field.split_at_checked(usize::from(length)).ok_or(SealError::Malformed("a name is too long"))?;
        if padding.iter().any(|byte| *byte != 0) {
            return Err(SealError::Malformed("a name is not padded with zeros"));
        }
        Ok(name)
    }
}
