//! Subject keys and the data keys they wrap.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use ring::aead::{Aad, Nonce};
use serde::{Deserialize, Serialize};
use zeroize::Zeroize;

use super::{KeyOwner, KmsError, SecretKey, WrappedKey};
use crate::{
    digest,
    types::{Country, Generation, KeyId, SiteId, Timestamp},
};

/// A subject key as the index and the sites keep it: wrapped by a country's key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WrappedSubjectKey {
    /// Whose key it is.
    pub owner: KeyOwner,
    /// The country key that wraps it.
    pub key: KeyId,
    /// The country of that key.
    pub country: Country,
    /// Tells the owner's keys in this country apart.
    pub generation: Generation,
    /// The provider's wrapping.
    pub wrapped: WrappedKey,
    /// The sites where it is durable as a blob, which is the same at each of them: only the index knows this.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub sites: BTreeSet<SiteId>,
    /// Those of `sites` that are in another country than the key's, where the policy lets it seal copies.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub abroad: BTreeMap<SiteId, Country>,
    /// When it was made; unknown of keys from before that was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<Timestamp>,
    /// About how many data keys it has wrapped: see [`WrappedSubjectKey::COUNTED`]. Only the index knows this, too.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub wraps: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl WrappedSubjectKey {
    /// One wrapping in so many, drawn by lot, is counted, as this many: no write pays for a row of its own, and at a thousand million the
    /// count is right to about one in a hundred.
    pub const COUNTED: u64 = 1 << 16;

    /// The same key before any site holds it.
    #[must_use]
    pub fn nowhere(&self) -> Self {
        Self { sites: BTreeSet::new(), abroad: BTreeMap::new(), ..self.clone() }
    }

    /// Notes that a site holds it.
    pub fn kept_at(&mut self, site: &SiteId, country: Country) {
        self.sites.insert(site.clone());
        if country != self.country {
            self.abroad.insert(site.clone(), country);
        }
    }

    /// The countries of the sites that hold it; its own where no site is known.
    pub fn countries(&self) -> BTreeSet<Country> {
        let at_home = self.sites.is_empty() || self.sites.len() > self.abroad.len();
        self.abroad.values().copied().chain(at_home.then_some(self.country)).collect()
    }
}

/// An open subject key, with the facts of its wrapped form.
pub struct SubjectKey {
    owner: KeyOwner,
    key: KeyId,
    country: Country,
    generation: Generation,
    secret: SecretKey,
}

/// The key of one record's bytes in one country.
#[derive(Debug, Clone)]
pub struct Dek(SecretKey);

/// A data key wrapped by a subject key: nonce (12 bytes), ciphertext (32), tag (16), AES-256-GCM.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct WrappedDek([u8; WrappedDek::LEN]);

const NONCE_LEN: usize = 12;

impl SubjectKey {
    pub(super) fn new(facts: &WrappedSubjectKey, secret: SecretKey) -> Self {
        let WrappedSubjectKey { owner, key, country, generation, .. } = facts.clone();
        Self { owner, key, country, generation, secret }
    }

    /// Takes a key that was exported, for opening blobs without an installation.
    pub(super) const fn exported(
        owner: KeyOwner,
        key: KeyId,
        country: Country,
        generation: Generation,
        secret: SecretKey,
    ) -> Self {
        Self { owner, key, country, generation, secret }
    }

    /// The key itself, to export it.
    pub(super) const fn secret(&self) -> &SecretKey {
        &self.secret
    }

    /// A key that no country key wraps.
    #[cfg(any(test, feature = "test-util"))]
    pub fn for_test(owner: KeyOwner, key: KeyId, country: Country) -> Self {
        Self { owner, key, country, generation: Generation(1), secret: SecretKey::random() }
    }

    /// Whose key it is.
    pub const fn owner(&self) -> &KeyOwner {
        &self.owner
    }

    /// The country key that wraps it.
    pub const fn key(&self) -> &KeyId {
        &self.key
    }

    /// The country of that key.
    pub const fn country(&self) -> Country {
        self.country
    }

    /// Tells the owner's keys in this country apart.
    pub const fn generation(&self) -> Generation {
        self.generation
    }

    /// Makes a fresh data key and wraps it, bound to `aad`. The nonce is random: good for 2³² records a subject key.
    pub fn wrap_dek(&self, aad: &[u8]) -> Result<(Dek, WrappedDek), KmsError> {
        let dek = Dek(SecretKey::random());
        let mut wrapped = [0; WrappedDek::LEN];
        let (nonce, sealed) = wrapped.split_at_mut(NONCE_LEN);
        let (text, tag) = sealed.split_at_mut(32);
        nonce.copy_from_slice(&digest::random::<NONCE_LEN>());
        text.copy_from_slice(dek.secret().expose());
        let nonce = Nonce::try_assume_unique_for_key(nonce)?;
        tag.copy_from_slice(self.secret.aes_gcm()?.seal_in_place_separate_tag(nonce, Aad::from(aad), text)?.as_ref());
        Ok((dek, WrappedDek(wrapped)))
    }

    /// Opens a data key wrapped under the same `aad`.
    pub fn unwrap_dek(&self, aad: &[u8], wrapped: &WrappedDek) -> Result<Dek, KmsError> {
        let (nonce, sealed) = wrapped.0.split_at(NONCE_LEN);
        let nonce = Nonce::try_assume_unique_for_key(nonce)?;
        let mut buffer = [0; WrappedDek::LEN - NONCE_LEN];
        buffer.copy_from_slice(sealed);
        let opened = self.secret.aes_gcm()?.open_in_place(nonce, Aad::from(aad), &mut buffer);
        let dek = opened.ok().and_then(|text| SecretKey::from_slice(text)).map(Dek);
        buffer.zeroize();
        dek.ok_or(KmsError::Corrupt)
    }
}

impl fmt::Debug for SubjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SubjectKey({:?}, {})", self.owner, self.country)
    }
}

impl Dek {
    /// The key itself.
    pub const fn secret(&self) -> &SecretKey {
        &self.0
    }

    /// Takes a key that was exported, for opening blobs without an installation.
    pub const fn from_secret(secret: SecretKey) -> Self {
        Self(secret)
    }
}

impl WrappedDek {
    /// The length in bytes.
    pub const LEN: usize = NONCE_LEN + 32 + 16;

    /// Takes the bytes as they are.
    pub const fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }
}

impl fmt::Debug for WrappedDek {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WrappedDek")
    }
}

impl Serialize for WrappedDek {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serde_bytes::Bytes::new(&self.0).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for WrappedDek {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = serde_bytes::ByteBuf::deserialize(deserializer)?;
        let exact = bytes.as_slice().try_into();
        exact.map(Self).map_err(|_| serde::de::Error::invalid_length(bytes.len(), &"60 bytes"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Pseudonym;

    fn subject_key() -> SubjectKey {
        let facts = WrappedSubjectKey {
            owner: KeyOwner::Subject(Pseudonym::from_bytes([1; 16])),
            key: "pk".parse().unwrap(),
            country: "PK".parse().unwrap(),
            generation: Generation(1),
            wrapped: WrappedKey::new(""),
            sites: BTreeSet::new(),
            abroad: BTreeMap::new(),
            created: None,
            wraps: 0,
        };
        SubjectKey::new(&facts, SecretKey::random())
    }

    #[test]
    fn a_data_key_opens_only_under_its_key_and_context() {
        let key = subject_key();
        let (dek, wrapped) = key.wrap_dek(b"record 1").unwrap();
        assert_eq!(key.unwrap_dek(b"record 1", &wrapped).unwrap().secret().expose(), dek.secret().expose());
        assert!(matches!(key.unwrap_dek(b"record 2", &wrapped), Err(KmsError::Corrupt)));
        assert!(matches!(subject_key().unwrap_dek(b"record 1", &wrapped), Err(KmsError::Corrupt)));
        for index in 0..WrappedDek::LEN {
            let mut bytes = *wrapped.as_bytes();
            bytes[index] ^= 1;
            assert!(key.unwrap_dek(b"record 1", &WrappedDek::from_bytes(bytes)).is_err(), "byte {index}");
        }
    }

    #[test]
    fn a_subject_key_kept_before_its_sites_were_still_reads() {
        let facts = WrappedSubjectKey {
            owner: KeyOwner::Subject(Pseudonym::from_bytes([1; 16])),
            key: "pk".parse().unwrap(),
            country: "PK".parse().unwrap(),
            generation: Generation(7),
            wrapped: WrappedKey::new("a.b.c.d.e"),
            sites: ["pk-khi".parse().unwrap(), "pk-lhe".parse().unwrap()].into(),
            abroad: BTreeMap::new(),
            created: Some(Timestamp::from_seconds(1)),
            wraps: WrappedSubjectKey::COUNTED,
        };
        let row = rmp_serde::to_vec_named(&facts).unwrap();
        assert_eq!(rmp_serde::from_slice::<WrappedSubjectKey>(&row).unwrap(), facts);

        #[derive(Serialize)]
        struct Before {
            owner: KeyOwner,
            key: KeyId,
            country: Country,
            generation: Generation,
            wrapped: WrappedKey,
        }
        let facts = WrappedSubjectKey { sites: BTreeSet::new(), created: None, wraps: 0, ..facts };
        let WrappedSubjectKey { owner, key, country, generation, wrapped, .. } = facts.clone();
        let before = rmp_serde::to_vec_named(&Before { owner, key, country, generation, wrapped }).unwrap();
        assert_eq!(rmp_serde::from_slice::<WrappedSubjectKey>(&before).unwrap(), facts);
        assert_eq!(rmp_serde::to_vec_named(&facts).unwrap(), before, "written as before while no site is known");
    }

    #[test]
    fn a_subject_key_belongs_to_the_countries_that_hold_it() {
        let country = |country: &str| country.parse::<Country>().unwrap();
        let mut facts = WrappedSubjectKey {
            owner: KeyOwner::Subject(Pseudonym::from_bytes([1; 16])),
            key: "pk".parse().unwrap(),
            country: country("PK"),
            generation: Generation(7),
            wrapped: WrappedKey::new("a.b.c.d.e"),
            sites: BTreeSet::new(),
            abroad: BTreeMap::new(),
            created: None,
            wraps: 0,
        };
        assert_eq!(facts.countries(), [country("PK")].into(), "of before sites were kept");
        facts.kept_at(&"sg-sin".parse().unwrap(), country("SG"));
        assert_eq!(facts.countries(), [country("SG")].into(), "no site of its own country has it");
        facts.kept_at(&"pk-khi".parse().unwrap(), country("PK"));
        assert_eq!(facts.countries(), [country("PK"), country("SG")].into());
        let row = rmp_serde::to_vec_named(&facts).unwrap();
        assert_eq!(rmp_serde::from_slice::<WrappedSubjectKey>(&row).unwrap(), facts);
        assert_eq!(facts.nowhere().countries(), [country("PK")].into());
    }

    #[test]
    fn a_wrapped_data_key_round_trips_through_serde() {
        let (_, wrapped) = subject_key().wrap_dek(b"").unwrap();
        let packed = rmp_serde::to_vec(&wrapped).unwrap();
        assert_eq!(rmp_serde::from_slice::<WrappedDek>(&packed).unwrap(), wrapped);
        let json = serde_json::to_string(&wrapped).unwrap();
        assert_eq!(serde_json::from_str::<WrappedDek>(&json).unwrap(), wrapped);
        assert!(serde_json::from_str::<WrappedDek>("[1,2]").is_err());
    }
}
