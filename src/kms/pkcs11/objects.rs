//! What is on the token: of each version a secret key, and a note that stays when the key is destroyed.
//!
//! Both have the label `<label>-v<version>`. The note is a data object of the application `domicile`; a version exists since its note does,
//! and is destroyed when there is a note and no key.

use cryptoki::{
    error::Error,
    mechanism::Mechanism,
    object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle},
    session::Session,
};
use serde::{Deserialize, Serialize};

use super::pool::Trouble;
use crate::{
    kms::{KeyIdentity, KmsError},
    types::{Country, KeyId, Timestamp},
};

const APPLICATION: &[u8] = b"domicile";

/// What a note says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Note {
    pub(super) version: u32,
    pub(super) key: KeyId,
    pub(super) country: Country,
    #[serde(with = "crate::digest::as_hex")]
    pub(super) installation: [u8; 16],
    /// When the version was made, or an operator's first one taken into use.
    pub(super) created: Timestamp,
}

/// One country's key among a token's objects.
#[derive(Debug, Clone)]
pub(super) struct Objects {
    pub(super) identity: KeyIdentity,
    pub(super) label: String,
}

impl Objects {
    pub(super) fn label_of(&self, version: u32) -> String {
        format!("{}-v{version}", self.label)
    }

    /// The versions, oldest first. An operator's first one is taken into use.
    pub(super) fn versions(&self, session: &Session, now: Timestamp) -> Result<Vec<Note>, Trouble> {
        let notes = self.notes(session)?;
        if !notes.is_empty() {
            return Ok(notes);
        }
        let first = self.label_of(1);
        if self.key(session, 1)?.is_none() {
            let reason = format!("the token holds no key `{first}`: make an AES key of 256 bits with this label");
            return Err(self.refused(reason).into());
        }
        if self.key(session, 2)?.is_some() {
            let reason = format!("the token holds the key `{}` and no notes on it: they were removed", self.label_of(2));
            return Err(self.refused(reason).into());
        }
        let note = self.add_note(session, 1, now)?;
        Ok(vec![note])
    }

    fn notes(&self, session: &Session) -> Result<Vec<Note>, Trouble> {
        let ours = [Attribute::Class(ObjectClass::DATA), Attribute::Token(true), Attribute::Application(APPLICATION.to_vec())];
        let mut notes: Vec<Note> = Vec::new();
        for object in session.find_objects(&ours)? {
            let (mut label, mut value) = (Vec::new(), Vec::new());
            for attribute in session.get_attributes(object, &[AttributeType::Label, AttributeType::Value])? {
                match attribute {
                    Attribute::Label(bytes) => label = bytes,
                    Attribute::Value(bytes) => value = bytes,
                    _ => {}
                }
            }
            let label = String::from_utf8_lossy(&label);
            let version = label.strip_prefix(&format!("{}-v", self.label)).and_then(|text| text.parse::<u32>().ok());
            let Some(version) = version else { continue };
            let note = serde_json::from_slice::<Note>(&value).ok().filter(|note| note.version == version);
            let Some(note) = note else {
                return Err(self.unsuitable(format!("the token's note `{label}` is not readable")).into());
            };
            let KeyIdentity { id, country, installation } = &self.identity;
            if (&note.key, &note.country, &note.installation) != (id, country, installation) {
                let reason = format!(
                    "`{label}` is version {version} of key `{}` of {} of installation {}",
                    note.key,
                    note.country,
                    hex::encode(note.installation)
                );
                return Err(self.unsuitable(reason).into());
            }
            notes.push(note);
        }
        notes.sort_by_key(|note| note.version);
        notes.dedup_by_key(|note| note.version);
        Ok(notes)
    }

    pub(super) fn add_note(&self, session: &Session, version: u32, now: Timestamp) -> Result<Note, Trouble> {
        let KeyIdentity { id, country, installation } = self.identity.clone();
        let note = Note { version, key: id, country, installation, created: now };
        let value = serde_json::to_vec(&note).map_err(|_| KmsError::Crypto)?;
        session.create_object(&[
            Attribute::Class(ObjectClass::DATA),
            Attribute::Token(true),
            Attribute::Private(true),
            Attribute::Application(APPLICATION.to_vec()),
            Attribute::Label(self.label_of(version).into_bytes()),
            Attribute::Value(value),
        ])?;
        Ok(note)
    }

    /// The key of a version, when it is one that may be used.
    pub(super) fn key(&self, session: &Session, version: u32) -> Result<Option<ObjectHandle>, Trouble> {
        let label = self.label_of(version);
        let ours =
            [Attribute::Class(ObjectClass::SECRET_KEY), Attribute::Token(true), Attribute::Label(label.clone().into_bytes())];
        match session.find_objects(&ours)?.as_slice() {
            [] => Ok(None),
            [key] => self.check(session, *key, &label).map(|()| Some(*key)),
            _ => Err(self.unsuitable(format!("the token holds more than one key `{label}`")).into()),
        }
    }

    /// Refuses a key that has been, or could be, outside the token, or that cannot do what is needed.
    fn check(&self, session: &Session, key: ObjectHandle, label: &str) -> Result<(), Trouble> {
        use AttributeType as Of;
        let asked = [
            Of::KeyType,
            Of::ValueLen,
            Of::Sensitive,
            Of::Extractable,
            Of::AlwaysSensitive,
            Of::NeverExtractable,
            Of::Encrypt,
            Of::Decrypt,
        ];
        let told = session.get_attributes(key, &asked)?;
        let wanted = [
            (Attribute::KeyType(KeyType::AES), "is no AES key"),
            (Attribute::ValueLen(32.into()), "has not 256 bits"),
            (Attribute::Sensitive(true), "is not sensitive: it can be read"),
            (Attribute::Extractable(false), "is extractable: it can leave the token"),
            (Attribute::AlwaysSensitive(true), "was not always sensitive: somebody may have read it"),
            (Attribute::NeverExtractable(true), "was extractable or imported: there may be copies of it"),
            (Attribute::Encrypt(true), "cannot encrypt"),
            (Attribute::Decrypt(true), "cannot decrypt"),
        ];
        match wanted.iter().find(|(attribute, _)| !told.contains(attribute)) {
            None => Ok(()),
            Some((_, what)) => Err(self.unsuitable(format!("`{label}` {what}; have the token generate a key")).into()),
        }
    }

    /// Has the token make the key of a version; one that is there from a rotation that broke off is taken.
    pub(super) fn generate(&self, session: &Session, version: u32) -> Result<ObjectHandle, Trouble> {
        if let Some(there) = self.key(session, version)? {
            return Ok(there);
        }
        session.generate_key(
            &Mechanism::AesKeyGen,
            &[
                Attribute::Class(ObjectClass::SECRET_KEY),
                Attribute::KeyType(KeyType::AES),
                Attribute::ValueLen(32.into()),
                Attribute::Token(true),
                Attribute::Private(true),
                Attribute::Sensitive(true),
                Attribute::Extractable(false),
                Attribute::Modifiable(false),
                Attribute::Encrypt(true),
                Attribute::Decrypt(true),
                Attribute::Label(self.label_of(version).into_bytes()),
            ],
        )?;
        // Looked up rather than taken from the answer, so that its attributes are seen.
        self.key(session, version)?.ok_or_else(|| self.refused("the key that was made is not there".to_owned()).into())
    }

    fn refused(&self, reason: String) -> KmsError {
        KmsError::Refused { key: self.identity.id.clone(), reason }
    }

    fn unsuitable(&self, reason: String) -> KmsError {
        KmsError::Unsuitable { key: self.identity.id.clone(), reason }
    }
}

/// Whether a failed decryption is to be blamed on what was decrypted: modules have many words for a wrong tag.
pub(super) fn is_wrong_text(error: &Error) -> bool {
    use cryptoki::error::RvError as Rv;
    let Error::Pkcs11(said, _) = error else { return false };
    matches!(
        said,
        Rv::EncryptedDataInvalid
            | Rv::EncryptedDataLenRange
            | Rv::DataInvalid
            | Rv::DataLenRange
            | Rv::SignatureInvalid
            | Rv::GeneralError
            | Rv::FunctionFailed
    )
}
