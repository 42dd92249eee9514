//! Keys that were taken out of an installation, to open blobs without it.
//!
//! What may leave is bounded by what it opens: the subject keys of one owner, or the data key of one record. A country's key is never
//! exported: whoever is to open a whole country takes the keyring.

use std::path::Path;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{
    Dek, KeyOwner, KmsError, SubjectKey,
    jwk::Jwk,
    keyring::{read_private, write_new},
};
use crate::types::{Country, Generation, KeyId, RecordId, Timestamp};

const FORMAT: u32 = 1;

/// Exported keys: a JWK Set (RFC 7517) whose entries say what they open.
#[derive(Debug, Default)]
pub struct ExportedKeys {
    /// Each opens all records of an owner in one country that were written under its generation.
    pub subject_keys: Vec<SubjectKey>,
    /// Each opens the blobs of one record in one country.
    pub data_keys: Vec<DataKey>,
}

/// The key of one record in one country.
#[derive(Debug)]
pub struct DataKey {
    /// The record.
    pub record: RecordId,
    /// The country whose copies it opens.
    pub country: Country,
    /// The key.
    pub dek: Dek,
}

impl ExportedKeys {
    /// How many keys there are.
    pub const fn len(&self) -> usize {
        self.subject_keys.len() + self.data_keys.len()
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Writes them to a file that must not exist yet, mode 0600.
    ///
    /// # Errors
    /// [`KmsError::Exists`], [`KmsError::Io`].
    pub fn write(&self, path: &Path, now: Timestamp) -> Result<(), KmsError> {
        let subjects = self.subject_keys.iter().map(|key| {
            let about = SubjectUse {
                country: key.country(),
                key: key.key().clone(),
                owner: key.owner().clone(),
                generation: key.generation(),
            };
            let kid = format!("{}/{}/{}", key.country(), hex::encode(key.owner().canonical_bytes()), key.generation().0);
            Jwk::new(kid, key.secret(), Use::SubjectKey(about))
        });
        let data = self.data_keys.iter().map(|key| {
            let about = RecordUse { country: key.country, record: key.record };
            Jwk::new(format!("{}/{}", key.country, key.record), key.dek.secret(), Use::DataKey(about))
        });
        let keys: Vec<_> = subjects.chain(data).collect();
        // Never grows, so that no unwiped copy of it stays behind.
        let mut json = Zeroizing::new(Vec::with_capacity(1024 * (keys.len() + 1)));
        let set = JwkSet { keys, domicile: About { version: FORMAT, exported: now.to_rfc3339() } };
        serde_json::to_writer_pretty(&mut *json, &set).map_err(|_| KmsError::Crypto)?;
        json.push(b'\n');
        write_new(path, &json)
    }

    /// Reads what [`ExportedKeys::write`] wrote; the file must be readable by its owner alone.
    ///
    /// # Errors
    /// [`KmsError::Permissions`], [`KmsError::Io`], [`KmsError::Format`].
    pub fn read(path: &Path) -> Result<Self, KmsError> {
        let format = |reason: String| KmsError::Format { path: path.to_owned(), reason };
        let json = read_private(path)?;
        let set: JwkSet = serde_json::from_slice(&json)
            .map_err(|error| format(format!("it holds no exported keys (line {}, column {})", error.line(), error.column())))?;
        if set.domicile.version != FORMAT {
            return Err(format(format!("its format version is {}, this build knows {FORMAT}", set.domicile.version)));
        }
        let mut keys = Self::default();
        for jwk in &set.keys {
            let secret = jwk.secret().ok_or_else(|| format(format!("key `{}` has no 32 bytes", jwk.kid)))?;
            match jwk.domicile.clone() {
                Use::SubjectKey(SubjectUse { country, key, owner, generation }) => {
                    keys.subject_keys.push(SubjectKey::exported(owner, key, country, generation, secret));
                }
                Use::DataKey(RecordUse { country, record }) => {
                    keys.data_keys.push(DataKey { record, country, dek: Dek::from_secret(secret) });
                }
            }
        }
        Ok(keys)
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
    exported: String,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Use {
    SubjectKey(SubjectUse),
    DataKey(RecordUse),
}

#[derive(Clone, Serialize, Deserialize)]
struct SubjectUse {
    country: Country,
    key: KeyId,
    owner: KeyOwner,
    generation: Generation,
}

#[derive(Clone, Serialize, Deserialize)]
struct RecordUse {
    country: Country,
    record: RecordId,
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;
    use crate::kms::SecretKey;
    use crate::types::Pseudonym;

    fn keys() -> ExportedKeys {
        let owner = KeyOwner::Subject(Pseudonym::from_bytes([7; 16]));
        let subject_key = SubjectKey::for_test(owner, "pk".parse().unwrap(), "PK".parse().unwrap());
        let data_key = DataKey {
            record: RecordId::from_bytes([3; 16]),
            country: "PK".parse().unwrap(),
            dek: Dek::from_secret(SecretKey::random()),
        };
        ExportedKeys { subject_keys: vec![subject_key], data_keys: vec![data_key] }
    }

    #[test]
    fn what_is_written_reads_back_is_private_and_overwrites_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.json");
        let keys = keys();
        keys.write(&path, Timestamp::from_seconds(0)).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(matches!(keys.write(&path, Timestamp::from_seconds(0)), Err(KmsError::Exists(_))));

        let read = ExportedKeys::read(&path).unwrap();
        let (before, after) = (&keys.subject_keys[0], &read.subject_keys[0]);
        assert_eq!(before.secret().expose(), after.secret().expose());
        assert_eq!(
            (before.owner(), before.key(), before.country(), before.generation()),
            (after.owner(), after.key(), after.country(), after.generation())
        );
        assert_eq!(read.data_keys[0].record, keys.data_keys[0].record);
        assert_eq!(read.data_keys[0].dek.secret().expose(), keys.data_keys[0].dek.secret().expose());

        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(ExportedKeys::read(&path), Err(KmsError::Permissions { .. })));
    }

    #[test]
    fn what_is_no_export_is_refused_and_shown_by_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.json");
        keys().write(&path, Timestamp::from_seconds(0)).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let secret = text.split("\"k\": \"").nth(1).unwrap().split('"').next().unwrap();
        for damaged in ["{}", "", &text.replace("oct", "RSA"), &text.replace("\"version\": 1", "\"version\": 2"), &text[..40]] {
            fs::write(&path, damaged).unwrap();
            let error = ExportedKeys::read(&path).unwrap_err();
            assert!(matches!(error, KmsError::Format { .. }), "{error}");
            assert!(!error.to_string().contains(secret));
        }
        assert!(!format!("{:?}", keys()).contains(secret));
    }
}
