//! The data key of one record's copies in one country.

use std::{fmt, sync::Arc};

use super::SealError;
use crate::{
    digest,
    kms::{Dek, KeyOwner, SecretKey, SubjectKey, WrappedDek},
    types::{Country, Generation, KeyId, RecordId},
};

/// A record's data key for its copies in one country, with what a blob's head says about it. That country is where the copies lie; the subject
/// key that wraps it is another country's where the policy asks for that. Cheap to clone; wiped when the last clone goes.
#[derive(Clone)]
pub struct RecordKey(Arc<Inner>);

struct Inner {
    record: RecordId,
    facts: KeyFacts,
    dek: Dek,
}

/// The public facts of a record key, as they stand in every head. `country` is where the copies lie, whosever key it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KeyFacts {
    pub(super) country: Country,
    pub(super) key: KeyId,
    pub(super) owner: KeyOwner,
    pub(super) generation: Generation,
    pub(super) wrapped: WrappedDek,
    pub(super) commitment: [u8; 32],
}

impl RecordKey {
    /// A fresh key for the copies of `record` in `country`, wrapped by `subject_key`.
    pub fn create(subject_key: &SubjectKey, record: RecordId, country: Country) -> Result<Self, SealError> {
        let (dek, wrapped) = subject_key.wrap_dek(&wrap_data(subject_key, record))?;
        Ok(Self::new(subject_key, record, country, dek, wrapped))
    }

    /// Opens the key that [`RecordKey::create`] wrapped for the same record under the same subject key.
    pub fn open(subject_key: &SubjectKey, record: RecordId, country: Country, wrapped: &WrappedDek) -> Result<Self, SealError> {
        let dek = subject_key.unwrap_dek(&wrap_data(subject_key, record), wrapped)?;
        Ok(Self::new(subject_key, record, country, dek, *wrapped))
    }

    /// The wrapped form, for the index.
    pub fn wrapped(&self) -> &WrappedDek {
        &self.0.facts.wrapped
    }

    /// The record whose key this is.
    pub fn record(&self) -> RecordId {
        self.0.record
    }

    /// The country whose copies it seals.
    pub fn country(&self) -> Country {
        self.0.facts.country
    }

    /// The open data key, to export one record; opens each of its blobs with Tink.
    pub fn dek(&self) -> &Dek {
        &self.0.dek
    }

    pub(super) fn from_facts(record: RecordId, facts: KeyFacts, dek: Dek) -> Result<Self, SealError> {
        if !digest::constant_time_eq(&commitment(&dek, record), &facts.commitment) {
            return Err(SealError::WrongKey);
        }
        Ok(Self(Arc::new(Inner { record, facts, dek })))
    }

    pub(super) fn facts(&self) -> &KeyFacts {
        &self.0.facts
    }

    pub(super) fn secret(&self) -> &SecretKey {
        self.0.dek.secret()
    }

    fn new(subject_key: &SubjectKey, record: RecordId, country: Country, dek: Dek, wrapped: WrappedDek) -> Self {
        let facts = KeyFacts {
            country,
            key: subject_key.key().clone(),
            owner: subject_key.owner().clone(),
            generation: subject_key.generation(),
            wrapped,
            commitment: commitment(&dek, record),
        };
        Self(Arc::new(Inner { record, facts, dek }))
    }
}

impl fmt::Debug for RecordKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RecordKey({}, {})", self.record(), self.country())
    }
}

/// AES-GCM does not commit to its key: one ciphertext can be made to open under two. The commitment does.
fn commitment(dek: &Dek, record: RecordId) -> [u8; 32] {
    let mut out = [0; 32];
    digest::hkdf_sha256(dek.secret().expose(), b"domicile key commitment v1", &[record.as_bytes()], &mut out);
    out
}

/// What the wrapped data key is bound to.
fn wrap_data(subject_key: &SubjectKey, record: RecordId) -> Vec<u8> {
    let mut data = b"domicile data key v1".to_vec();
    data.extend_from_slice(subject_key.country().as_str().as_bytes());
    data.extend_from_slice(&subject_key.generation().0.to_be_bytes());
    data.extend_from_slice(record.as_bytes());
    data.extend_from_slice(&subject_key.owner().canonical_bytes());
    data
}
