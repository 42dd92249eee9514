//! The keys that open a record: those of a keyring, with the wrapped subject keys that lie among the blobs, or exported ones.

use std::{collections::HashMap, path::Path, sync::Arc};

use super::UnsealError;
use crate::{
    clock::SystemClock,
    kms::{DataKey, ExportNotes, ExportedKeys, KeyOwner, Keyring, KmsError, Pseudonyms, SubjectKey, WrappedSubjectKey},
    seal::{Head, RecordKey},
    types::{BucketName, Generation, KeyId, SubjectId},
};

/// What opens records.
pub struct Keys {
    from: Source,
    /// Several wrappings of one key when it was wrapped again: those of destroyed versions do not open.
    wrapped: HashMap<(KeyId, KeyOwner, Generation), Vec<WrappedSubjectKey>>,
}

enum Source {
    Keyring(Keyring),
    Exported(ExportedKeys),
}

impl Keys {
    /// Those of a keyring. Opened off-line: the file is only read.
    ///
    /// # Errors
    /// [`UnsealError::KeyFile`].
    pub fn of_keyring(keyring: &Path, identity: &Path) -> Result<Self, UnsealError> {
        let keyring = Keyring::open(keyring, identity, Arc::new(SystemClock)).map_err(UnsealError::KeyFile)?;
        Ok(Self { from: Source::Keyring(keyring), wrapped: HashMap::new() })
    }

    /// Those of a file that `keys export` wrote.
    ///
    /// # Errors
    /// [`UnsealError::KeyFile`].
    pub fn exported(file: &Path) -> Result<Self, UnsealError> {
        let exported = ExportedKeys::read(file).map_err(UnsealError::KeyFile)?;
        Ok(Self { from: Source::Exported(exported), wrapped: HashMap::new() })
    }

    /// Where exports of these keys are noted; `None` for those that were exported already.
    pub fn notes(&self) -> Option<ExportNotes> {
        match &self.from {
            Source::Keyring(keyring) => Some(keyring.export_notes()),
            Source::Exported(_) => None,
        }
    }

    /// Takes a wrapped key from among the blobs. Whether it is what it claims shows when it opens.
    pub fn learn(&mut self, wrapped: WrappedSubjectKey) {
        // Of no use with exported keys, and all of a country's would be much.
        if matches!(self.from, Source::Exported(_)) {
            return;
        }
        let known = self.wrapped.entry((wrapped.key.clone(), wrapped.owner.clone(), wrapped.generation)).or_default();
        if known.iter().all(|known| known.wrapped != wrapped.wrapped) {
            known.push(wrapped);
        }
    }

    /// Whose keys a subject's are; `None` without a keyring, which alone makes pseudonyms.
    pub fn subject(&self, subject: &SubjectId) -> Option<KeyOwner> {
        Some(KeyOwner::Subject(self.pseudonyms()?.subject(subject)))
    }

    /// Whose keys those of a bucket's records without a subject are.
    pub fn bucket(&self, bucket: &BucketName) -> Option<KeyOwner> {
        Some(KeyOwner::Bucket(self.pseudonyms()?.bucket(bucket)))
    }

    /// Every key of an owner that opens, in every country; and why others do not.
    pub fn of_owner(&self, owner: &KeyOwner) -> (Vec<SubjectKey>, Vec<UnsealError>) {
        let (mut opened, mut failed) = (Vec::new(), Vec::new());
        let mut ids: Vec<_> = self.wrapped.keys().filter(|(_, of, _)| of == owner).collect();
        ids.sort_by_key(|(key, _, generation)| (key, generation));
        for (key, owner, generation) in ids {
            match self.unwrap(key, owner, *generation) {
                Ok(Some(key)) => opened.push(key),
                Ok(None) => {}
                Err(error) => failed.push(error),
            }
        }
        (opened, failed)
    }

    /// The key of the record whose blob has this head.
    ///
    /// # Errors
    /// When there is none, or it does not open.
    pub fn record_key(&self, head: &Head, blobs: &Path) -> Result<RecordKey, UnsealError> {
        let (key, owner, country, generation) = (head.key(), head.owner(), head.country(), head.generation());
        let missing = |place: String| UnsealError::NoKey { owner: owner.clone(), key: key.clone(), country, generation, place };
        let altered = |error: &dyn std::fmt::Display| UnsealError::Manifest { path: blobs.to_owned(), reason: error.to_string() };
        let record = head.id().record;
        let open = |subject_key: &SubjectKey| {
            RecordKey::open(subject_key, record, country, head.wrapped_dek()).map_err(|error| altered(&error))
        };
        match &self.from {
            Source::Exported(keys) => {
                let of_record = |one: &&DataKey| one.record == record && one.country == country;
                if let Some(data_key) = keys.data_keys.iter().find(of_record) {
                    return head.record_key(data_key.dek.clone()).map_err(|error| altered(&error));
                }
                let fits = |one: &&SubjectKey| {
                    // Of the key's country, which need not be the copy's.
                    one.owner() == owner && one.key() == key && one.generation() == generation
                };
                let found = keys.subject_keys.iter().find(fits);
                open(found.ok_or_else(|| missing("among the exported keys".to_owned()))?)
            }
            Source::Keyring(_) => {
                let place = || format!("among the blobs in `{}`: it was erased, or not copied", blobs.display());
                open(&self.unwrap(key, owner, generation)?.ok_or_else(|| missing(place()))?)
            }
        }
    }

    /// Opens one key by any of its wrappings; `None` when there is no wrapping of it.
    fn unwrap(&self, key: &KeyId, owner: &KeyOwner, generation: Generation) -> Result<Option<SubjectKey>, UnsealError> {
        let Source::Keyring(keyring) = &self.from else { return Ok(None) };
        let mut failure: Option<UnsealError> = None;
        for wrapped in self.wrapped.get(&(key.clone(), owner.clone(), generation)).into_iter().flatten() {
            match keyring.open_subject_key(wrapped) {
                Ok(opened) => return Ok(Some(opened)),
                Err(source) => {
                    let country = wrapped.country;
                    let now = UnsealError::Key { owner: owner.clone(), key: key.clone(), country, source };
                    // That a version is destroyed says least: wrappings of before it was are expected to lie around.
                    if failure.as_ref().is_none_or(is_destroyed) {
                        failure = Some(now);
                    }
                }
            }
        }
        failure.map_or(Ok(None), Err)
    }

    fn pseudonyms(&self) -> Option<Pseudonyms> {
        match &self.from {
            Source::Keyring(keyring) => Some(Pseudonyms::new(keyring.pseudonym_key())),
            Source::Exported(_) => None,
        }
    }
}

const fn is_destroyed(error: &UnsealError) -> bool {
    matches!(error, UnsealError::Key { source: KmsError::Destroyed { .. }, .. })
}
