//! The data of a gateway that is not running.

use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{StartError, open};
use crate::clock::SystemClock;
use crate::config;
use crate::index::{Index, SledEngine, StoredLedger};
use crate::kms::{Keyring, KmsError, Pseudonyms, SecretKey};

/// The index in a data folder. While it is open no gateway starts there.
pub struct StoppedIndex {
    engine: SledEngine,
    _lock: File,
}

/// The catalogue of a gateway that is not running. While it is open none starts there.
pub struct StoppedCatalogue {
    /// The catalogue.
    pub index: Index,
    _lock: File,
}

/// Why the data cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum StoppedError {
    /// Not a data folder, or one that no gateway has used.
    #[error("there is no index at `{}`", .0.display())]
    NoIndex(PathBuf),
    /// It does not open.
    #[error(transparent)]
    Open(#[from] StartError),
    /// The keyring does not open.
    #[error(transparent)]
    Keyring(#[from] KmsError),
}

impl StoppedIndex {
    /// Opens the index as the start of a gateway does, which completes what a crash interrupted, but changes no row.
    ///
    /// # Errors
    /// [`StartError::Locked`] while a gateway runs there.
    pub fn open(data_dir: &Path) -> Result<Self, StoppedError> {
        let folder = open::index_folder(data_dir);
        if !folder.join("db").is_file() {
            return Err(StoppedError::NoIndex(folder));
        }
        let lock = open::lock(data_dir)?;
        let engine = SledEngine::open(&folder, SledEngine::DEFAULT_CACHE_BYTES).map_err(StartError::from)?;
        Ok(Self { engine, _lock: lock })
    }

    /// All of it, which needs the keyring: the one given, or the one that an installation without a configuration keeps in its data folder. It
    /// is opened as by a gateway that starts, and serves nobody.
    ///
    /// # Errors
    /// When the keyring or the index does not open.
    pub fn catalogue(self, data_dir: &Path, keyring: Option<(&Path, &Path)>) -> Result<StoppedCatalogue, StoppedError> {
        let own = config::Keyring::in_folder(data_dir);
        let (path, identity) = keyring.unwrap_or((&own.path, &own.identity_file));
        let keyring = Keyring::open(path, identity, Arc::new(SystemClock))?;
        let pseudonyms = Arc::new(Pseudonyms::new(keyring.pseudonym_key()));
        let keys = open::index_keys(&keyring, open::log(None, &keyring)?, &pseudonyms);
        let Self { engine, _lock } = self;
        let index = Index::open(Arc::new(engine), keys, Arc::new(SystemClock)).map_err(StartError::from)?;
        Ok(StoppedCatalogue { index, _lock })
    }

    /// The ledger.
    ///
    /// # Errors
    /// When its head cannot be read.
    pub fn ledger(&self) -> Result<StoredLedger<'_>, StoppedError> {
        Ok(StoredLedger::open(&self.engine).map_err(StartError::from)?)
    }
}

/// The key that authenticates the ledger's head, from the keyring given or the one that an installation without a configuration keeps in
/// its data folder. `None` when that one is not there.
///
/// # Errors
/// When the keyring does not open.
pub fn ledger_key(data_dir: &Path, keyring: Option<(&Path, &Path)>) -> Result<Option<SecretKey>, StoppedError> {
    let own = config::Keyring::in_folder(data_dir);
    let (path, identity) = keyring.unwrap_or((&own.path, &own.identity_file));
    if keyring.is_none() && !(path.exists() && identity.exists()) {
        return Ok(None);
    }
    Ok(Some(Keyring::open(path, identity, Arc::new(SystemClock))?.ledger_key()))
}
