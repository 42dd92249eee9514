//! The makers' libraries: each is loaded and initialised once in a process, whatever number of keys it serves.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use cryptoki::{
    context::{CInitializeArgs, CInitializeFlags, Pkcs11},
    error::{Error, RvError},
};
use parking_lot::{Mutex, RwLock, RwLockReadGuard};

/// Libraries that look for tokens only when they are initialised find one that has come back after this.
const BETWEEN_RESTARTS: Duration = Duration::from_secs(10);
/// How long a restart waits for operations under way, of any token of the library.
const RESTART_WAIT: Duration = Duration::from_secs(1);

static LOADED: Mutex<BTreeMap<PathBuf, Arc<Module>>> = Mutex::new(BTreeMap::new());

/// A library.
#[derive(Debug)]
pub(super) struct Module {
    path: PathBuf,
    running: RwLock<Running>,
}

#[derive(Debug, Default)]
pub(super) struct Running {
    context: Option<Pkcs11>,
    /// Counts initialisations: what was opened under an earlier one is void, and its handles may be somebody else's by now.
    generation: u64,
    since: Option<Instant>,
}

impl Module {
    /// The library at a path. Nothing is loaded yet.
    pub(super) fn at(path: &Path) -> Arc<Self> {
        let made = || Arc::new(Self { path: path.to_owned(), running: RwLock::default() });
        Arc::clone(LOADED.lock().entry(path.to_owned()).or_insert_with(made))
    }

    /// Held while the library is used; loads it the first time.
    pub(super) fn enter(&self) -> Result<RwLockReadGuard<'_, Running>, Error> {
        loop {
            let running = self.running.read();
            if running.context.is_some() {
                return Ok(running);
            }
            drop(running);
            self.start(&mut self.running.write())?;
        }
    }

    /// Initialises the library anew, unless that has been done lately or an operation does not come to its end.
    pub(super) fn restart(&self, generation: u64) {
        let Some(mut running) = self.running.try_write_for(RESTART_WAIT) else { return };
        let lately = running.since.is_some_and(|since| since.elapsed() < BETWEEN_RESTARTS);
        if running.generation == generation && !lately {
            self.again(&mut running);
        }
    }

    /// The same, however short a time ago it was done.
    #[cfg(test)]
    pub(super) fn restart_now(&self, generation: u64) {
        let mut running = self.running.write();
        if running.generation == generation {
            self.again(&mut running);
        }
    }

    fn again(&self, running: &mut Running) {
        if let Some(context) = running.context.take()
            && let Err(error) = context.finalize()
        {
            tracing::warn!(module = %self.path.display(), %error, "a security module's library does not end as it should");
        }
        if let Err(error) = self.start(running) {
            tracing::warn!(module = %self.path.display(), %error, "a security module's library cannot be initialised");
        }
    }

    fn start(&self, running: &mut Running) -> Result<(), Error> {
        if running.context.is_some() {
            return Ok(());
        }
        running.since = Some(Instant::now());
        let context = Pkcs11::new(&self.path)?;
        match context.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
            Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => {}
            Err(error) => return Err(error),
        }
        running.generation += 1;
        running.context = Some(context);
        Ok(())
    }
}

impl Running {
    pub(super) const fn generation(&self) -> u64 {
        self.generation
    }

    /// Present while it is held.
    pub(super) fn context(&self) -> Result<&Pkcs11, Error> {
        self.context.as_ref().ok_or(Error::Pkcs11(RvError::CryptokiNotInitialized, cryptoki::context::Function::Initialize))
    }
}
