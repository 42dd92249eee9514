//! Sessions with one token, and the threads that their calls block.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use cryptoki::{
    context::Pkcs11,
    error::{Error, RvError},
    session::{Session, UserType},
    slot::Slot,
    types::AuthPin,
};
use parking_lot::Mutex;
use secrecy::ExposeSecret;
use tokio::sync::Semaphore;

use super::{Pkcs11Settings, Pkcs11Token, module::Module};
use crate::{kms::KmsError, types::KeyId};

/// Why an operation did not succeed.
#[derive(Debug)]
pub(super) enum Trouble {
    /// What the library says.
    Library(Error),
    /// The token is not there.
    NoToken(String),
    /// What has been found out already.
    Known(KmsError),
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::Library(error)
    }
}

impl From<KmsError> for Trouble {
    fn from(error: KmsError) -> Self {
        Self::Known(error)
    }
}

/// Sessions of one key's token. At most so many calls block a thread at a time; one that never returns keeps its place.
#[derive(Debug)]
pub(super) struct Pool {
    key: KeyId,
    module: Arc<Module>,
    token: Pkcs11Token,
    pin: AuthPin,
    places: Arc<Semaphore>,
    timeout: Duration,
    idle: Mutex<Vec<(u64, Session)>>,
    /// A token that is tried with a wrong PIN locks itself.
    pin_refused: AtomicBool,
}

impl Pool {
    pub(super) fn new(key: KeyId, settings: &Pkcs11Settings) -> Self {
        Self {
            key,
            module: Module::at(&settings.module),
            token: settings.token.clone(),
            pin: AuthPin::from(settings.pin.expose_secret()),
            places: Arc::new(Semaphore::new(settings.sessions)),
            timeout: settings.timeout,
            idle: Mutex::default(),
            pin_refused: AtomicBool::new(false),
        }
    }

    /// Does `work` with a session, on a thread that may block; a second time where the first session turns out to be dead. It gets the
    /// library's generation, in which handles of objects are valid.
    pub(super) async fn run<T, W>(self: &Arc<Self>, work: W) -> Result<T, KmsError>
    where
        T: Send + 'static,
        W: FnMut(&Session, u64) -> Result<T, Trouble> + Send + 'static,
    {
        let pool = Arc::clone(self);
        let done = async {
            let place = Arc::clone(&self.places).acquire_owned().await.map_err(|_| self.away("it is shut down".to_owned()))?;
            let blocking = tokio::task::spawn_blocking(move || {
                let _place = place;
                pool.attempt(work)
            });
            blocking.await.unwrap_or_else(|_| Err(self.away("the operation was interrupted".to_owned())))
        };
        let slow = |_| Err(self.away(format!("the security module does not answer within {:?}", self.timeout)));
        tokio::time::timeout(self.timeout, done).await.unwrap_or_else(slow)
    }

    #[cfg(test)]
    pub(super) fn idle_sessions(&self) -> usize {
        self.idle.lock().len()
    }

    fn attempt<T>(&self, mut work: impl FnMut(&Session, u64) -> Result<T, Trouble>) -> Result<T, KmsError> {
        let mut tried = false;
        loop {
            let running = self.module.enter().map_err(|error| self.failure(Trouble::Library(error)))?;
            let generation = running.generation();
            let outcome = running.context().map_err(Trouble::from).and_then(|context| {
                let session = self.session(context, generation)?;
                let outcome = work(&session, generation);
                match &outcome {
                    Err(Trouble::Library(error)) if is_dead(error) => self.close_all(generation, session),
                    _ => self.idle.lock().push((generation, session)),
                }
                outcome
            });
            drop(running);
            match outcome {
                Ok(value) => return Ok(value),
                Err(Trouble::Library(error)) if is_dead(&error) && !tried => tried = true,
                Err(error) => {
                    if matches!(&error, Trouble::NoToken(_)) || matches!(&error, Trouble::Library(error) if is_dead(error)) {
                        self.module.restart(generation);
                    }
                    return Err(self.failure(error));
                }
            }
        }
    }

    /// A session that nobody uses, or another that is logged in.
    fn session(&self, context: &Pkcs11, generation: u64) -> Result<Session, Trouble> {
        {
            let mut idle = self.idle.lock();
            // Handles of an earlier generation are not closed: they may be others' now.
            idle.retain(|(of, _)| *of == generation);
            if let Some((_, session)) = idle.pop() {
                return Ok(session);
            }
        }
        let session = context.open_rw_session_no_drop(self.slot(context)?)?;
        if self.pin_refused.load(Ordering::Acquire) {
            drop(session.close());
            return Err(Trouble::Known(
                self.refused("its PIN was refused before; it is not tried again before a restart".to_owned()),
            ));
        }
        match session.login(UserType::User, Some(&self.pin)) {
            // A login is the process's, whichever session it was made in.
            Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => Ok(session),
            Err(error) => {
                if matches!(error, Error::Pkcs11(RvError::PinIncorrect | RvError::PinInvalid | RvError::PinLenRange, _)) {
                    self.pin_refused.store(true, Ordering::Release);
                }
                drop(session.close());
                Err(error.into())
            }
        }
    }

    fn slot(&self, context: &Pkcs11) -> Result<Slot, Trouble> {
        let mut found = Vec::new();
        for slot in context.get_slots_with_token()? {
            let fits = match &self.token {
                Pkcs11Token::Slot(number) => slot.id() == *number,
                // A token that is being removed has no label any more.
                Pkcs11Token::Label(label) => context.get_token_info(slot).is_ok_and(|token| token.label() == label),
            };
            found.extend(fits.then_some(slot));
        }
        match found.as_slice() {
            [slot] => Ok(*slot),
            [] => Err(Trouble::NoToken(match &self.token {
                Pkcs11Token::Slot(number) => format!("there is no token in slot {number}"),
                Pkcs11Token::Label(label) => format!("there is no token with the label `{label}`"),
            })),
            _ => Err(Trouble::Known(self.refused("more than one token has its label: name the slot".to_owned()))),
        }
    }

    fn close_all(&self, generation: u64, session: Session) {
        let idle = std::mem::take(&mut *self.idle.lock());
        for (_, session) in idle.into_iter().filter(|(of, _)| *of == generation).chain([(generation, session)]) {
            drop(session.close());
        }
    }

    fn away(&self, reason: String) -> KmsError {
        KmsError::Unavailable { key: self.key.clone(), reason }
    }

    fn refused(&self, reason: String) -> KmsError {
        KmsError::Refused { key: self.key.clone(), reason }
    }

    fn failure(&self, trouble: Trouble) -> KmsError {
        match trouble {
            Trouble::Known(error) => error,
            Trouble::NoToken(reason) => self.away(reason),
            Trouble::Library(error) if is_refusal(&error) => self.refused(error.to_string()),
            Trouble::Library(error) => self.away(error.to_string()),
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        // What is in use ends with the library; what is idle is closed unless the library has been initialised since.
        if let Ok(running) = self.module.enter() {
            let idle = std::mem::take(&mut *self.idle.lock());
            for (_, session) in idle.into_iter().filter(|(of, _)| *of == running.generation()) {
                drop(session.close());
            }
        }
    }
}

/// Whether a session, or a handle, is good for nothing any more; another may be.
fn is_dead(error: &Error) -> bool {
    use RvError as Rv;
    let Error::Pkcs11(said, _) = error else { return false };
    matches!(
        said,
        Rv::SessionHandleInvalid
            | Rv::SessionClosed
            | Rv::UserNotLoggedIn
            | Rv::DeviceRemoved
            | Rv::DeviceError
            | Rv::TokenNotPresent
            | Rv::TokenNotRecognized
            | Rv::SlotIdInvalid
            | Rv::CryptokiNotInitialized
            | Rv::KeyHandleInvalid
            | Rv::ObjectHandleInvalid
            | Rv::OperationActive
            | Rv::GeneralError
            | Rv::FunctionFailed
    )
}

/// Whether trying again is of no use.
fn is_refusal(error: &Error) -> bool {
    use RvError as Rv;
    let Error::Pkcs11(said, _) = error else { return !matches!(error, Error::LibraryLoading(_)) };
    matches!(
        said,
        Rv::PinIncorrect
            | Rv::PinInvalid
            | Rv::PinLenRange
            | Rv::PinExpired
            | Rv::PinLocked
            | Rv::UserPinNotInitialized
            | Rv::UserAnotherAlreadyLoggedIn
            | Rv::KeyFunctionNotPermitted
            | Rv::KeyTypeInconsistent
            | Rv::MechanismInvalid
            | Rv::MechanismParamInvalid
            | Rv::ActionProhibited
            | Rv::TokenWriteProtected
            | Rv::SessionReadOnly
            | Rv::FunctionNotSupported
    )
}
