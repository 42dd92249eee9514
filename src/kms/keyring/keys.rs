//! The keys in a keyring, and their JWK Set form.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{
    kms::{KeyState, KeyVersion, KmsError, SecretKey, jwe::kid, jwk::Jwk},
    types::{Country, KeyId, Timestamp},
};

const FORMAT: u32 = 1;

/// Every key of a keyring.
#[derive(Clone)]
pub(super) struct KeySet {
    installation: [u8; 16],
    purposes: BTreeMap<String, SecretKey>,
    countries: BTreeMap<KeyId, CountryKeys>,
}

#[derive(Clone)]
struct CountryKeys {
    country: Country,
    versions: Vec<Version>,
}

#[derive(Clone)]
struct Version {
    facts: KeyVersion,
    /// `None` once destroyed.
    secret: Option<SecretKey>,
}

impl KeySet {
    pub(super) const fn new(installation: [u8; 16]) -> Self {
        Self { installation, purposes: BTreeMap::new(), countries: BTreeMap::new() }
    }

    pub(super) const fn installation(&self) -> [u8; 16] {
        self.installation
    }

    pub(super) fn add_purpose(&mut self, purpose: &str) {
        self.purposes.insert(purpose.to_owned(), SecretKey::random());
    }

    pub(super) fn purpose(&self, purpose: &str) -> Option<&SecretKey> {
        self.purposes.get(purpose)
    }

    pub(super) fn countries(&self) -> Vec<(KeyId, Country)> {
        self.countries.iter().map(|(key, held)| (key.clone(), held.country)).collect()
    }

    pub(super) fn country(&self, key: &KeyId) -> Option<Country> {
        self.countries.get(key).map(|held| held.country)
    }

    /// Adds a key with a first version; keeps one that is there.
    pub(super) fn add_key(&mut self, key: &KeyId, country: Country, now: Timestamp) {
        let first = || CountryKeys { country, versions: vec![Version::primary(1, now)] };
        self.countries.entry(key.clone()).or_insert_with(first);
    }

    pub(super) fn versions(&self, key: &KeyId) -> Result<Vec<KeyVersion>, KmsError> {
        Ok(self.held(key)?.versions.iter().map(|version| version.facts.clone()).collect())
    }

    /// The primary version's number and key.
    pub(super) fn primary(&self, key: &KeyId) -> Result<(u32, SecretKey), KmsError> {
        let primary = self.held(key)?.versions.iter().find(|version| version.facts.state == KeyState::Primary);
        let usable = primary.and_then(|version| Some((version.facts.version, version.secret.clone()?)));
        usable.ok_or_else(|| KmsError::Refused { key: key.clone(), reason: "it has no primary version".into() })
    }

    /// The key of a version that is not destroyed.
    pub(super) fn version(&self, key: &KeyId, number: u32) -> Result<SecretKey, KmsError> {
        let found = self.held(key)?.versions.iter().find(|version| version.facts.version == number);
        let found = found.ok_or_else(|| KmsError::UnknownVersion { key: key.clone(), version: number })?;
        found.secret.clone().ok_or_else(|| KmsError::Destroyed { key: key.clone(), version: number })
    }

    /// Whether a version is there and not destroyed.
    pub(super) fn opens(&self, key: &KeyId, number: u32) -> bool {
        let held = self.countries.get(key);
        held.is_some_and(|held| held.versions.iter().any(|one| one.facts.version == number && one.secret.is_some()))
    }

    pub(super) fn rotate(&mut self, key: &KeyId, now: Timestamp) -> Result<KeyVersion, KmsError> {
        let held = self.held_mut(key)?;
        let next = held.versions.iter().map(|version| version.facts.version).max().unwrap_or(0).saturating_add(1);
        for version in &mut held.versions {
            if version.facts.state == KeyState::Primary {
                version.facts.state = KeyState::DecryptOnly;
            }
        }
        let version = Version::primary(next, now);
        let facts = version.facts.clone();
        held.versions.push(version);
        Ok(facts)
    }

    pub(super) fn destroy(&mut self, key: &KeyId, number: u32) -> Result<(), KmsError> {
        let unknown = KmsError::UnknownVersion { key: key.clone(), version: number };
        let found = self.held_mut(key)?.versions.iter_mut().find(|version| version.facts.version == number);
        let version = found.ok_or(unknown)?;
        if version.facts.state == KeyState::Primary {
            return Err(KmsError::PrimaryVersion { key: key.clone(), version: number });
        }
        version.facts.state = KeyState::Destroyed;
        version.secret = None;
        Ok(())
    }

    /// Writes the JWK Set. `recipients` are kept in it so that it can be written again without the recovery identity.
    pub(super) fn to_json(&self, recipients: &[String]) -> Result<Zeroizing<Vec<u8>>, serde_json::Error> {
        let mut keys = Vec::new();
        let mut destroyed = Vec::new();
        for (purpose, secret) in &self.purposes {
            keys.push(Jwk::new(format!("installation/{purpose}"), secret, Use::Installation { purpose: purpose.clone() }));
        }
        for (key, held) in &self.countries {
            for Version { facts, secret } in &held.versions {
                let about = CountryUse { key: key.clone(), country: held.country, facts: facts.clone() };
                match secret {
                    Some(secret) => keys.push(Jwk::new(kid(key, facts.version), secret, Use::Country(about))),
                    None => destroyed.push(about),
                }
            }
        }
        // Never grows, so that no unwiped copy of it stays behind.
        let mut json = Zeroizing::new(Vec::with_capacity(4096 + 1024 * (keys.len() + destroyed.len())));
        let about = About { version: FORMAT, installation: self.installation, recipients: recipients.to_vec(), destroyed };
        serde_json::to_writer(&mut *json, &JwkSet { keys, domicile: about })?;
        Ok(json)
    }

    /// Reads the JWK Set and the recipients; the error says what is wrong, without any of the content.
    pub(super) fn from_json(json: &[u8]) -> Result<(Self, Vec<String>), String> {
        let set: JwkSet = serde_json::from_slice(json)
            .map_err(|error| format!("it holds no keyring (line {}, column {})", error.line(), error.column()))?;
        if set.domicile.version != FORMAT {
            return Err(format!("its format version is {}, this build knows {FORMAT}", set.domicile.version));
        }
        let mut keys = Self::new(set.domicile.installation);
        for jwk in &set.keys {
            let secret = jwk.secret().ok_or_else(|| format!("key `{}` has no 32 bytes", jwk.kid))?;
            match &jwk.domicile {
                Use::Installation { purpose } => drop(keys.purposes.insert(purpose.clone(), secret)),
                Use::Country(about) => keys.restore(about, Some(secret))?,
            }
        }
        for about in &set.domicile.destroyed {
            keys.restore(about, None)?;
        }
        for (key, held) in &mut keys.countries {
            held.versions.sort_by_key(|version| version.facts.version);
            if held.versions.iter().filter(|version| version.facts.state == KeyState::Primary).count() != 1 {
                return Err(format!("key `{key}` has not exactly one primary version"));
            }
        }
        Ok((keys, set.domicile.recipients))
    }

    fn restore(&mut self, about: &CountryUse, secret: Option<SecretKey>) -> Result<(), String> {
        let CountryUse { key, country, facts } = about;
        let held = self.countries.entry(key.clone()).or_insert_with(|| CountryKeys { country: *country, versions: Vec::new() });
        if held.country != *country || held.versions.iter().any(|version| version.facts.version == facts.version) {
            return Err(format!("key `{key}` contradicts itself"));
        }
        if secret.is_none() != (facts.state == KeyState::Destroyed) {
            return Err(format!("version {} of key `{key}` is not in the state it claims", facts.version));
        }
        held.versions.push(Version { facts: facts.clone(), secret });
        Ok(())
    }

    fn held(&self, key: &KeyId) -> Result<&CountryKeys, KmsError> {
        self.countries.get(key).ok_or_else(|| KmsError::UnknownKey(key.clone()))
    }

    fn held_mut(&mut self, key: &KeyId) -> Result<&mut CountryKeys, KmsError> {
        self.countries.get_mut(key).ok_or_else(|| KmsError::UnknownKey(key.clone()))
    }
}

impl Version {
    fn primary(version: u32, created: Timestamp) -> Self {
        let facts = KeyVersion { version, state: KeyState::Primary, created: Some(created) };
        Self { facts, secret: Some(SecretKey::random()) }
    }
}

#[derive(Serialize, Deserialize)]
struct JwkSet {
    keys: Vec<Jwk<Use>>,
    domicile: About,
}

#[derive(Serialize, Deserialize)]
struct About {
    version: u32,
    #[serde(with = "crate::digest::as_hex")]
    installation: [u8; 16],
    recipients: Vec<String>,
    destroyed: Vec<CountryUse>,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Use {
    Installation { purpose: String },
    Country(CountryUse),
}

#[derive(Clone, Serialize, Deserialize)]
struct CountryUse {
    key: KeyId,
    country: Country,
    #[serde(flatten)]
    facts: KeyVersion,
}
