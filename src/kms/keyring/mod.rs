//! Country keys in a local file: the default provider.
//!
//! The file is a JWK Set (RFC 7517) inside an age file with two recipients, the operator's identity and a recovery identity that
//! is kept off-line. `age -d -i recovery.identity keyring.age` shows it, so the keys survive this program.

mod file;
mod keys;
mod provider;
mod recipients;

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use parking_lot::RwLock;

pub use self::recipients::KeyringRecipients;

pub(super) use self::file::{read_private, write_new};

use self::{file::KeyringFile, keys::KeySet};
use super::{KeyProvider, KmsError, SecretKey, SubjectKey, WrapContext, WrappedSubjectKey, jwe};
use crate::{
    clock::Clock,
    digest,
    types::{Country, KeyId},
};

/// An open keyring. Cheap to clone; every clone sees the same keys.
#[derive(Clone)]
pub struct Keyring(Arc<Shared>);

struct Shared {
    file: KeyringFile,
    keys: RwLock<KeySet>,
    /// Held while the file is rewritten, so that two changes do not lose one.
    writing: parking_lot::Mutex<()>,
    clock: Arc<dyn Clock>,
}

/// A keyring that was just made, and what its operator must know.
#[derive(Debug)]
pub struct CreatedKeyring {
    /// The open keyring.
    pub keyring: Keyring,
    /// The identity file that opens it at every start.
    pub operator_identity: PathBuf,
    /// The identity file that must not stay on this machine.
    pub recovery_identity: PathBuf,
    /// Says so, in words to show.
    pub advice: String,
}

/// The installation's own keys, by the purpose that the file names.
const PURPOSES: [&str; 4] = [INDEX, PSEUDONYM, LEDGER, SITE];
const INDEX: &str = "index";
const PSEUDONYM: &str = "pseudonym";
const LEDGER: &str = "ledger";
const SITE: &str = "site";

impl Keyring {
    /// Makes a keyring at `path` with a fresh key for each of `countries`, and beside it `operator.identity` and
    /// `recovery.identity`. All three with mode 0600; nothing that exists is overwritten.
    pub fn create(path: &Path, countries: &[(KeyId, Country)], clock: Arc<dyn Clock>) -> Result<CreatedKeyring, KmsError> {
        let mut keys = KeySet::new(digest::random());
        for purpose in PURPOSES {
            keys.add_purpose(purpose);
        }
        for (key, country) in countries {
            keys.add_key(key, *country, clock.now());
        }
        let created = KeyringFile::create(path, &keys)?;
        let advice = format!(
            "Move `{}` off this machine now and keep it safe: together with a copy of `{}` it is the only way back to your data when \
             `{}` is lost.",
            created.recovery_identity.display(),
            path.display(),
            created.operator_identity.display(),
        );
        Ok(CreatedKeyring {
            keyring: Self::new(created.file, keys, clock),
            operator_identity: created.operator_identity,
            recovery_identity: created.recovery_identity,
            advice,
        })
    }

    /// Opens the keyring at `path` with the identity in `identity_file`, either of the two. Both files must be readable by their
    /// owner alone.
    pub fn open(path: &Path, identity_file: &Path, clock: Arc<dyn Clock>) -> Result<Self, KmsError> {
        let (file, keys) = KeyringFile::open(path, identity_file)?;
        if let Some(missing) = PURPOSES.iter().find(|purpose| keys.purpose(purpose).is_none()) {
            return Err(file.format_error(format!("it holds no `{missing}` key")));
        }
        Ok(Self::new(file, keys, clock))
    }

    /// The provider of a country's key; the keyring must hold one of that id for that country.
    pub fn provider(&self, key: &KeyId, country: Country) -> Result<Arc<dyn KeyProvider>, KmsError> {
        match self.0.keys.read().country(key) {
            Some(held) if held == country => Ok(Arc::new(provider::KeyringProvider::new(self.clone(), key.clone(), country))),
            Some(held) => Err(self.0.file.format_error(format!("it holds key `{key}` for {held}, not for {country}"))),
            None => Err(KmsError::UnknownKey(key.clone())),
        }
    }

    /// Opens a subject key without a hierarchy around it: for tools that work off-line, on a keyring that nobody serves from.
    ///
    /// # Errors
    /// As [`KeyProvider::unwrap`].
    pub fn open_subject_key(&self, facts: &WrappedSubjectKey) -> Result<SubjectKey, KmsError> {
        let keys = self.0.keys.read();
        if keys.country(&facts.key) != Some(facts.country) {
            return Err(KmsError::UnknownKey(facts.key.clone()));
        }
        let version = jwe::version_in(&jwe::key_id(&facts.wrapped)?, &facts.key).ok_or(KmsError::Corrupt)?;
        let context = WrapContext {
            installation: keys.installation(),
            country: facts.country,
            owner: facts.owner.clone(),
            generation: facts.generation,
        };
        let secret = jwe::open(&keys.version(&facts.key, version)?, &context, &facts.wrapped)?;
        Ok(SubjectKey::new(facts, secret))
    }

    /// The keys held and their countries.
    pub fn countries(&self) -> Vec<(KeyId, Country)> {
        self.0.keys.read().countries()
    }

    /// Adds a key for a country that the configuration has named since; nothing when there is one.
    pub fn ensure(&self, key: &KeyId, country: Country) -> Result<(), KmsError> {
        if self.0.keys.read().country(key).is_some() {
            return self.provider(key, country).map(drop);
        }
        self.change(|keys| {
            keys.add_key(key, country, self.0.clock.now());
            Ok(())
        })
    }

    /// Names the installation; random, made with the keyring.
    pub fn installation_id(&self) -> [u8; 16] {
        self.0.keys.read().installation()
    }

    /// Seals the index's values.
    pub fn index_key(&self) -> SecretKey {
        self.purpose(INDEX)
    }

    /// Makes pseudonyms.
    pub fn pseudonym_key(&self) -> SecretKey {
        self.purpose(PSEUDONYM)
    }

    /// Authenticates the ledger.
    pub fn ledger_key(&self) -> SecretKey {
        self.purpose(LEDGER)
    }

    /// The seed of the Ed25519 key that signs the ledger's checkpoints. Derived, so that every keyring has it.
    pub fn ledger_signing_key(&self) -> SecretKey {
        self.purpose(LEDGER).derive(b"", &[b"domicile ledger signing v1"])
    }

    /// Seals the markers of the installation's sites.
    pub fn site_key(&self) -> SecretKey {
        self.purpose(SITE)
    }

    /// Seals the tokens of sessions. Derived, so that keyrings made before there were sessions have it too.
    pub fn session_key(&self) -> SecretKey {
        self.purpose(INDEX).derive(b"", &[b"domicile session key v1"])
    }

    fn new(file: KeyringFile, keys: KeySet, clock: Arc<dyn Clock>) -> Self {
        Self(Arc::new(Shared { file, keys: RwLock::new(keys), writing: parking_lot::Mutex::new(()), clock }))
    }

    /// Present since `create` or `open`; a fresh key, which opens nothing, is the closed way to fail.
    fn purpose(&self, purpose: &str) -> SecretKey {
        self.0.keys.read().purpose(purpose).cloned().unwrap_or_else(SecretKey::random)
    }

    /// Changes a copy of the keys, writes it, and only then uses it. Blocks on the disk.
    fn change<T>(&self, change: impl FnOnce(&mut KeySet) -> Result<T, KmsError>) -> Result<T, KmsError> {
        let _writing = self.0.writing.lock();
        let mut keys = self.0.keys.read().clone();
        let result = change(&mut keys)?;
        self.0.file.write(&keys)?;
        *self.0.keys.write() = keys;
        Ok(result)
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyring").field("file", &self.0.file).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
