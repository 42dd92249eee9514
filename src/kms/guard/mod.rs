//! What stands between the gateway and each key provider: it fails at once while the provider is known to be down, bounds the calls under
//! way, cuts short those that wait for a provider that has gone, and tells the observer of every call.
//!
//! Whether a provider is up is found out beside the data path, by [`Guard::health`]: each second, and sooner when a call fails or is not
//! answered (`hurry`). So a provider that stops answering is known to within a second, and nobody waits for it after that.

mod pending;
#[cfg(test)]
mod tests;

use std::{
    pin::pin,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::{
    sync::{Notify, Semaphore, watch},
    time::{sleep, timeout},
};

use self::pending::Pending;
use super::{
    KeyObserver, KeyOperation, KeyOutcome, KeyOwner, KeyProvider, KeyUse, KeyVersion, KmsError, SecretKey, WrapContext,
    WrappedKey,
};
use crate::telemetry::metric;
use crate::types::{Country, KeyId};

/// Calls to one provider under way at a time; more wait for their turn.
const TOGETHER: usize = 64;
/// How long a provider may take to say how it is, and how long one that is down already: it may have to be connected to and logged in at.
const PATIENCE: Duration = Duration::from_millis(700);
const PATIENCE_DOWN: Duration = Duration::from_secs(3);
/// A call that is not answered by then has the provider looked after.
const SLOW: Duration = Duration::from_millis(200);
/// Between two looks, however much hurry there is.
const BREATH: Duration = Duration::from_millis(50);

/// What is known of a country key.
#[derive(Debug, Clone)]
pub enum KeyStanding {
    /// It can be used, or nothing else is known yet.
    Up,
    /// It cannot.
    Down(KmsError),
}

impl KeyStanding {
    /// Whether the key can be used.
    pub const fn is_up(&self) -> bool {
        matches!(self, Self::Up)
    }

    fn admit(&self) -> Result<(), KmsError> {
        match self {
            Self::Up => Ok(()),
            Self::Down(error) => Err(error.clone()),
        }
    }

    /// A reason may differ from second to second without anything having changed.
    fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Up, Self::Up) => true,
            (Self::Down(one), Self::Down(other)) => one.code() == other.code(),
            _ => false,
        }
    }
}

/// A provider, guarded.
pub(super) struct Guard {
    key: KeyId,
    country: Country,
    provider: Arc<dyn KeyProvider>,
    standing: watch::Sender<KeyStanding>,
    turns: Semaphore,
    hurry: Notify,
    looked: AtomicBool,
    observer: Arc<OnceLock<Arc<dyn KeyObserver>>>,
    /// Something that the key wrapped in an earlier run, and that it must open before it is used in this one.
    anchor: Mutex<Option<(WrapContext, WrappedKey)>>,
}

impl Guard {
    pub(super) fn new(
        key: KeyId,
        country: Country,
        provider: Arc<dyn KeyProvider>,
        observer: Arc<OnceLock<Arc<dyn KeyObserver>>>,
    ) -> Self {
        register(&key);
        let standing = watch::Sender::new(KeyStanding::Up);
        let (turns, hurry, anchor) = (Semaphore::new(TOGETHER), Notify::new(), Mutex::new(None));
        Self { key, country, provider, standing, turns, hurry, looked: AtomicBool::new(false), observer, anchor }
    }

    pub(super) fn standing(&self) -> KeyStanding {
        self.standing.borrow().clone()
    }

    /// Has the key open this once before it counts as usable: a configuration that names another key, or another country's, is so found out
    /// before anything new is wrapped by it.
    pub(super) fn hold_to(&self, context: WrapContext, wrapped: WrappedKey) {
        *self.anchor.lock() = Some((context, wrapped));
    }

    async fn look(&self) -> Result<(), KmsError> {
        self.provider.health().await?;
        let anchor = self.anchor.lock().clone();
        let Some((context, wrapped)) = anchor else { return Ok(()) };
        match self.provider.unwrap(&context, &wrapped).await {
            Ok(_) => {
                *self.anchor.lock() = None;
                Ok(())
            }
            // The gateway destroys no version that the newest wrapping is of. Another key can have had more versions destroyed than this one ever
            // had; nothing tells it from this one with its versions destroyed by others.
            Err(KmsError::Destroyed { version, .. }) => {
                let reason = format!(
                    "version {version}, which the newest of what it wrapped is of, is destroyed: it is another key, or others have \
                     destroyed its versions"
                );
                Err(KmsError::Refused { key: self.key.clone(), reason })
            }
            Err(KmsError::Corrupt | KmsError::WrongContext | KmsError::UnknownVersion { .. }) => {
                let (key, country) = (self.key.clone(), self.country);
                let reason =
                    format!("it does not open what the key of {country} wrapped before: it is another key, or another country's");
                Err(KmsError::Unsuitable { key, reason })
            }
            Err(error) => Err(error),
        }
    }

    /// Waits until it is time to look at the provider again.
    pub(super) async fn due(&self, every: Duration) {
        sleep(BREATH).await;
        let _ = timeout(every.saturating_sub(BREATH), self.hurry.notified()).await;
    }

    /// Refuses what cannot succeed, waits for a turn, and gives up when the provider is found to be down meanwhile. Only for calls that
    /// may be broken off: what came of them is of no use to anybody then.
    async fn call<T>(
        &self,
        mut pending: Pending<'_>,
        made: impl Fn(&T) -> Option<u32>,
        work: impl Future<Output = Result<T, KmsError>>,
    ) -> Result<T, KmsError> {
        let mut standing = self.standing.subscribe();
        standing.borrow_and_update().admit()?;
        let result = {
            let begun = &mut pending;
            let work = pin!(async move {
                // Never closed.
                let _turn = self.turns.acquire().await;
                begun.begins();
                work.await
            });
            tokio::select! {
                biased;
                result = work => result,
                error = down(&mut standing) => Err(error),
                never = self.worry() => never,
            }
        };
        self.heard(&result);
        pending.ended(&result, result.as_ref().ok().and_then(made));
        result
    }

    /// Has the provider looked after while a call is not answered.
    async fn worry<T>(&self) -> T {
        sleep(SLOW).await;
        self.hurry.notify_one();
        std::future::pending().await
    }

    /// A call that changes something at the provider: seen to its end, whatever is heard of its health meanwhile.
    async fn order<T>(
        &self,
        mut pending: Pending<'_>,
        made: impl Fn(&T) -> Option<u32>,
        work: impl Future<Output = Result<T, KmsError>>,
    ) -> Result<T, KmsError> {
        self.standing().admit()?;
        pending.begins();
        let result = work.await;
        self.heard(&result);
        pending.ended(&result, result.as_ref().ok().and_then(made));
        result
    }

    fn heard<T>(&self, result: &Result<T, KmsError>) {
        if result.as_ref().is_err_and(is_of_provider) {
            self.hurry.notify_one();
        }
    }

    fn pending(&self, operation: KeyOperation) -> Pending<'_> {
        Pending::new(self, operation)
    }

    fn of(&self, operation: KeyOperation, context: &WrapContext) -> Pending<'_> {
        self.pending(operation).of_owner(&context.owner)
    }

    fn told(&self, used: KeyUse) {
        let labels = [
            ("key", used.key.to_string()),
            ("operation", used.operation.as_str().to_owned()),
            ("outcome", used.outcome.as_str().to_owned()),
        ];
        if used.operation != KeyOperation::Health {
            metrics::counter!(metric::KEY_CALLS, &labels).increment(1);
            metrics::histogram!(metric::KEY_SECONDS, &labels[..2]).record(used.took.as_secs_f64());
        }
        if let Some(observer) = self.observer.get() {
            observer.used(used);
        }
    }

    fn changed(&self, to: &KeyStanding, result: &Result<(), KmsError>) {
        match to {
            KeyStanding::Up => tracing::info!(key = %self.key, country = %self.country, "key is usable"),
            KeyStanding::Down(error) => tracing::error!(key = %self.key, country = %self.country, %error, "key is not usable"),
        }
        let mut pending = self.pending(KeyOperation::Health);
        pending.begins();
        pending.ended(result, None);
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl KeyProvider for Guard {
    fn kind(&self) -> &'static str {
        self.provider.kind()
    }

    async fn wrap(&self, context: &WrapContext, key: &SecretKey) -> Result<WrappedKey, KmsError> {
        let made = |wrapped: &WrappedKey| self.version_of(wrapped).ok();
        self.call(self.of(KeyOperation::Wrap, context), made, self.provider.wrap(context, key)).await
    }

    async fn unwrap(&self, context: &WrapContext, wrapped: &WrappedKey) -> Result<SecretKey, KmsError> {
        let pending = self.of(KeyOperation::Unwrap, context).of_version(self.version_of(wrapped).ok());
        self.call(pending, |_| None, self.provider.unwrap(context, wrapped)).await
    }

    async fn rewrap(&self, context: &WrapContext, wrapped: &WrappedKey) -> Result<WrappedKey, KmsError> {
        let pending = self.of(KeyOperation::Rewrap, context).of_version(self.version_of(wrapped).ok());
        let made = |wrapped: &WrappedKey| self.version_of(wrapped).ok();
        self.call(pending, made, self.provider.rewrap(context, wrapped)).await
    }

    fn version_of(&self, wrapped: &WrappedKey) -> Result<u32, KmsError> {
        self.provider.version_of(wrapped)
    }

    fn opens(&self, version: u32) -> bool {
        self.provider.opens(version)
    }

    async fn describe(&self) -> Result<Vec<KeyVersion>, KmsError> {
        self.call(self.pending(KeyOperation::Describe), |_| None, self.provider.describe()).await
    }

    async fn rotate(&self) -> Result<KeyVersion, KmsError> {
        self.order(self.pending(KeyOperation::Rotate), |made: &KeyVersion| Some(made.version), self.provider.rotate()).await
    }

    async fn destroy_version(&self, version: u32) -> Result<(), KmsError> {
        let pending = self.pending(KeyOperation::Destroy).of_version(Some(version));
        self.order(pending, |()| None, self.provider.destroy_version(version)).await
    }

    /// Looks at the provider and remembers what it found; not subject to what was known before.
    async fn health(&self) -> Result<(), KmsError> {
        // The first look of all is at one that nobody has connected to.
        let known = self.looked.swap(true, Ordering::Relaxed) && self.standing.borrow().is_up();
        let patience = if known { PATIENCE } else { PATIENCE_DOWN };
        let result = timeout(patience, self.look()).await.unwrap_or_else(|_| {
            let reason = format!("its provider did not answer within {} ms", patience.as_millis());
            Err(KmsError::Unavailable { key: self.key.clone(), reason })
        });
        let found = result.as_ref().err().map_or(KeyStanding::Up, |error| KeyStanding::Down(error.clone()));
        let labels = [("key", self.key.to_string()), ("country", self.country.to_string())];
        metrics::gauge!(metric::KEY_UP, &labels).set(f64::from(u8::from(found.is_up())));
        let changed = self.standing.send_if_modified(|known| {
            let changed = !known.is_like(&found);
            *known = found.clone();
            changed
        });
        if changed {
            self.changed(&found, &result);
        }
        result
    }
}

/// Makes a key's metrics appear before it is used.
fn register(key: &KeyId) {
    for operation in KeyOperation::CALLS.map(KeyOperation::as_str) {
        let labels =
            [("key", key.to_string()), ("operation", operation.to_owned()), ("outcome", KeyOutcome::Done.as_str().to_owned())];
        metrics::counter!(metric::KEY_CALLS, &labels).increment(0);
        let _ = metrics::histogram!(metric::KEY_SECONDS, &labels[..2]);
    }
}

/// Waits until the key cannot be used, and says why.
async fn down(standing: &mut watch::Receiver<KeyStanding>) -> KmsError {
    match standing.wait_for(|known| !known.is_up()).await.map(|known| known.clone()) {
        Ok(KeyStanding::Down(error)) => error,
        // The guard outlives its calls.
        _ => std::future::pending().await,
    }
}

/// Whether a failure says something of the provider, rather than of what was asked.
const fn is_of_provider(error: &KmsError) -> bool {
    matches!(error, KmsError::Unavailable { .. } | KmsError::Refused { .. } | KmsError::Unsuitable { .. })
}
