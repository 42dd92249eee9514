//! Whose identities open a keyring, and changing that: off-line, on the file.

use std::path::{Path, PathBuf};

use super::{
    KmsError,
    file::{self, KeyringFile},
    keys::KeySet,
};

/// A keyring opened to look at its recipients or change them. Each change is written at once: the file is sealed for the new recipients,
/// held against what was to be written, and renamed into place.
pub struct KeyringRecipients {
    file: KeyringFile,
    keys: KeySet,
    /// The recipient of the identity that opened it.
    own: String,
    path: PathBuf,
    identity: PathBuf,
}

impl KeyringRecipients {
    /// Opens the keyring at `path` with the identity in `identity_file`.
    ///
    /// # Errors
    /// As [`Keyring::open`](super::Keyring::open).
    pub fn open(path: &Path, identity_file: &Path) -> Result<Self, KmsError> {
        let (file, keys) = KeyringFile::open(path, identity_file)?;
        let own = file::recipient_of(identity_file)?;
        Ok(Self { file, keys, own, path: path.to_owned(), identity: identity_file.to_owned() })
    }

    /// The recipients, each with whether it is that of the identity in use.
    pub fn list(&self) -> Vec<(String, bool)> {
        let texts = self.file.recipients().into_iter();
        texts
            .map(|text| {
                let own = text == self.own;
                (text, own)
            })
            .collect()
    }

    /// Adds a recipient; one that is there stays.
    ///
    /// # Errors
    /// When it is no age recipient, or the file cannot be written.
    pub fn add(&mut self, recipient: &str) -> Result<(), KmsError> {
        let mut recipients = self.file.recipients();
        let recipient = file::parse_recipient(recipient).map_err(|reason| self.file.format_error(reason))?;
        if !recipients.contains(&recipient) {
            recipients.push(recipient);
            self.rewrite(&recipients)?;
        }
        Ok(())
    }

    /// Makes an identity in a file that must not exist, and adds its recipient. The file is durable before the keyring changes.
    ///
    /// # Errors
    /// As [`KeyringRecipients::add`]; [`KmsError::Exists`].
    pub fn add_generated(&mut self, identity_file: &Path) -> Result<(), KmsError> {
        let recipient = file::generate_identity(identity_file)?;
        self.add(&recipient)
    }

    /// Takes a recipient away. Two must be left, so that one lost identity loses nothing, and that of the identity in use must be: what is
    /// left is then known to open the file.
    ///
    /// # Errors
    /// When it is not there or may not go, or the file cannot be written.
    pub fn remove(&mut self, recipient: &str) -> Result<(), KmsError> {
        let mut recipients = self.file.recipients();
        let refused = |reason: &str| Err(self.file.format_error(reason.to_owned()));
        let before = recipients.len();
        recipients.retain(|known| known != recipient.trim());
        if recipients.len() == before {
            return refused("it has no such recipient");
        }
        if recipient.trim() == self.own {
            return refused(
                "the recipient is that of the identity in use: remove it with another identity, which is known to open it then",
            );
        }
        if recipients.len() < 2 {
            return refused("two recipients must be left: add another one first");
        }
        self.rewrite(&recipients)
    }

    fn rewrite(&mut self, recipients: &[String]) -> Result<(), KmsError> {
        self.file.write_for(&self.keys, recipients, &self.identity)?;
        let (file, keys) = KeyringFile::open(&self.path, &self.identity)?;
        (self.file, self.keys) = (file, keys);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt, sync::Arc};

    use super::*;
    use crate::{clock::SystemClock, kms::Keyring};

    fn keyring(folder: &Path) -> (PathBuf, PathBuf, PathBuf) {
        let path = folder.join("keyring.age");
        let pk = ("pk".parse().unwrap(), "PK".parse().unwrap());
        let created = Keyring::create(&path, &[pk], Arc::new(SystemClock)).unwrap();
        (path, created.operator_identity, created.recovery_identity)
    }

    fn opens(path: &Path, identity: &Path) -> bool {
        Keyring::open(path, identity, Arc::new(SystemClock)).is_ok()
    }

    #[test]
    fn an_identity_is_replaced_and_the_old_one_opens_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (path, operator, recovery) = keyring(folder.path());
        let installation = Keyring::open(&path, &operator, Arc::new(SystemClock)).unwrap().installation_id();
        let new = folder.path().join("new.identity");
        let mut recipients = KeyringRecipients::open(&path, &operator).unwrap();
        let old = recipients.list().into_iter().find(|(_, own)| *own).unwrap().0;
        recipients.add_generated(&new).unwrap();
        assert_eq!(recipients.list().len(), 3);
        assert!(opens(&path, &new) && opens(&path, &operator));
        // Not with itself: whoever removes it shows that another one opens.
        assert!(recipients.remove(&old).unwrap_err().to_string().contains("another identity"));
        let mut recipients = KeyringRecipients::open(&path, &new).unwrap();
        recipients.remove(&old).unwrap();
        assert!(opens(&path, &new) && opens(&path, &recovery) && !opens(&path, &operator));
        let left = recipients.list().into_iter().find(|(_, own)| !own).unwrap().0;
        assert!(recipients.remove(&left).unwrap_err().to_string().contains("two recipients"));
        assert!(recipients.remove("age1nobody").is_err() && recipients.add("nobody").is_err());
        assert_eq!(Keyring::open(&path, &new, Arc::new(SystemClock)).unwrap().installation_id(), installation);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(&new).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 4, "no temporary file is left");
    }

    /// Neither a running gateway nor the tool writes over what the other wrote: a version of a key that wraps something would be lost.
    #[tokio::test]
    async fn two_writers_do_not_undo_each_other() {
        let folder = tempfile::tempdir().unwrap();
        let (path, operator, recovery) = keyring(folder.path());
        let (pk, country) = ("pk".parse().unwrap(), "PK".parse().unwrap());
        let serving = Keyring::open(&path, &operator, Arc::new(SystemClock)).unwrap().provider(&pk, country).unwrap();
        let mut tool = KeyringRecipients::open(&path, &recovery).unwrap();
        serving.rotate().await.unwrap();
        let error = tool.add_generated(&folder.path().join("one.identity")).unwrap_err();
        assert!(error.to_string().contains("changed"), "{error}");

        KeyringRecipients::open(&path, &recovery).unwrap().add_generated(&folder.path().join("two.identity")).unwrap();
        assert!(serving.rotate().await.unwrap_err().to_string().contains("changed"));
        assert_eq!(serving.describe().await.unwrap().len(), 2, "a version that is not in the file wraps nothing");
        let again = Keyring::open(&path, &operator, Arc::new(SystemClock)).unwrap().provider(&pk, country).unwrap();
        assert_eq!(again.describe().await.unwrap().len(), 2);
        again.rotate().await.unwrap();
    }
}
