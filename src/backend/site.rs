//! A backend in a country, once its identity has been checked, and the receipt that only it can give.

use std::{ops::Range, sync::Arc, time::Duration};

use futures_util::{StreamExt, TryStreamExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{
    Backend, BackendError, BlobRead, Finding, Listing, SiteChecks, SiteState,
    findings::Findings,
    health::Health,
    identity::OwnMarker,
    measure::{self, Measured, Operation},
};
use crate::{
    residency::SiteSpec,
    seal::{BlobName, SealedBlob},
    types::{Country, SiteId, Timestamp},
};

/// How much one site is asked to do at a time.
#[derive(Debug, Clone, Copy)]
pub struct SiteLimits {
    /// Operations in flight, reads counted until their last byte. More wait.
    pub concurrency: usize,
    /// How long an operation waits for its turn before it is refused as [`BackendError::Busy`].
    pub queue_wait: Duration,
}

impl Default for SiteLimits {
    /// 256 operations, ten seconds.
    fn default() -> Self {
        Self { concurrency: 256, queue_wait: Duration::from_secs(10) }
    }
}

/// The proof that a sealed blob is durable at the site that it was sealed for. Only [`Site::store`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    site: SiteId,
    country: Country,
    name: BlobName,
    len: u64,
}

impl Receipt {
    /// A receipt that no site gave.
    #[cfg(any(test, feature = "test-util"))]
    pub fn for_test(site: SiteId, country: Country, name: BlobName, len: u64) -> Self {
        Self { site, country, name, len }
    }

    /// Where the blob is.
    pub fn site(&self) -> &SiteId {
        &self.site
    }

    /// The country of that site.
    pub fn country(&self) -> Country {
        self.country
    }

    /// The blob's name there.
    pub fn name(&self) -> &BlobName {
        &self.name
    }

    /// The blob's length in bytes.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether the blob has no bytes. No sealed blob is empty.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

/// One storage location in service.
///
/// Data moves only once the site's identity has been verified ([`super::identity`]): before, and after another gateway has taken it
/// over, every operation fails without touching the backend. A site that is merely down is still tried by operations that are
/// bound to it; one that succeeds marks it up. While an alarm stands ([`super::findings`]) it takes nothing new, and is read as before.
pub struct Site {
    spec: SiteSpec,
    backend: Arc<dyn Backend>,
    health: Arc<Health>,
    marker: OwnMarker,
    found: Findings,
    turns: Arc<Semaphore>,
    limits: SiteLimits,
}

impl Site {
    /// Takes a backend as the one of `spec`. The site is [`SiteState::Unverified`].
    pub fn new(spec: SiteSpec, backend: Arc<dyn Backend>, limits: SiteLimits) -> Self {
        measure::register(&spec.id);
        let health = Arc::new(Health::new(spec.id.clone(), spec.country));
        let turns = Arc::new(Semaphore::new(limits.concurrency.max(1)));
        let found = Findings::new(spec.id.clone(), backend.checks(), SiteChecks::default());
        Self { spec, backend, health, marker: OwnMarker::default(), found, turns, limits }
    }

    /// The same, with what its operator says of its checks.
    #[must_use]
    pub fn with_checks(self, settings: SiteChecks) -> Self {
        let found = Findings::new(self.spec.id.clone(), self.backend.checks(), settings);
        Self { found, ..self }
    }

    /// What the configuration says about the site.
    pub fn spec(&self) -> &SiteSpec {
        &self.spec
    }

    /// Whether the site is in service.
    pub fn state(&self) -> SiteState {
        self.health.state()
    }

    /// Whether the site takes new records: it is in service, and no alarm stands that keeps it from that.
    pub fn takes_records(&self) -> bool {
        self.health.is_up() && !self.found.is_closed()
    }

    /// What every check says of the site at present.
    pub fn findings(&self) -> Vec<Finding> {
        self.found.all(&self.state())
    }

    /// When its place was last looked at.
    pub fn inspected(&self) -> Option<Timestamp> {
        self.found.at()
    }

    /// Stores a blob that was sealed for this site.
    ///
    /// # Errors
    /// [`BackendError::WrongSite`], before a byte is sent, when it was sealed for another; [`BackendError::Unavailable`], likewise, while
    /// an alarm stands; else as [`Backend::put`].
    pub async fn store(&self, blob: &SealedBlob) -> Result<Receipt, BackendError> {
        if *blob.site() != self.spec.id || blob.country() != self.spec.country {
            return Err(BackendError::WrongSite {
                site: self.spec.id.clone(),
                sealed_for: blob.site().clone(),
                country: blob.country(),
            });
        }
        self.found.admit()?;
        let len = blob.pieces().iter().map(|piece| piece.len() as u64).sum();
        let measured = self.begin(Operation::Store)?;
        let outcome = match self.turn().await {
            Ok(_turn) => self.backend.put(blob.name(), blob.pieces()).await,
            Err(error) => Err(error),
        };
        self.conclude(measured, outcome, len)?;
        Ok(Receipt { site: self.spec.id.clone(), country: self.spec.country, name: *blob.name(), len })
    }

    /// Opens a blob, or a range of it, for reading. The turn is held until the stream is dropped.
    pub async fn read(&self, name: &BlobName, range: Option<Range<u64>>) -> Result<BlobRead, BackendError> {
        let measured = self.begin(Operation::Read)?;
        let outcome = match self.turn().await {
            Ok(turn) => self.backend.get(name, range).await.map(|read| (read, turn)),
            Err(error) => Err(error),
        };
        let bytes = outcome.as_ref().map_or(0, |(read, _)| read.range.end - read.range.start);
        let (read, turn) = self.conclude(measured, outcome, bytes)?;
        let health = Arc::clone(&self.health);
        let body = read.body.inspect_err(move |error| {
            let _turn = &turn;
            health.observe_failure(error);
        });
        Ok(BlobRead { body: body.boxed(), ..read })
    }

    /// Removes a blob. One that isn't there is a success.
    pub async fn remove(&self, name: &BlobName) -> Result<(), BackendError> {
        let measured = self.begin(Operation::Remove)?;
        let outcome = match self.turn().await {
            Ok(_turn) => self.backend.delete(name).await,
            Err(error) => Err(error),
        };
        fail::fail_point!("backend::removed");
        self.conclude(measured, outcome, 0)
    }

    /// Lists blobs as [`Backend::list`] does, for a scrub or a rebuild.
    pub async fn list(&self, after: Option<&BlobName>, limit: usize) -> Result<Listing, BackendError> {
        let measured = self.begin(Operation::List)?;
        let outcome = match self.turn().await {
            Ok(_turn) => self.backend.list(after, limit).await,
            Err(error) => Err(error),
        };
        self.conclude(measured, outcome, 0)
    }

    /// The backend itself, for the identity check, which comes before everything else.
    pub(super) fn backend(&self) -> &dyn Backend {
        &*self.backend
    }

    pub(super) fn health(&self) -> &Health {
        &self.health
    }

    pub(super) fn found(&self) -> &Findings {
        &self.found
    }

    pub(super) fn marker(&self) -> &OwnMarker {
        &self.marker
    }

    /// Refuses what may not reach the backend yet or any more.
    fn begin(&self, operation: Operation) -> Result<Measured, BackendError> {
        self.health.admit()?;
        Ok(Measured::begin(operation, &self.spec.id))
    }

    async fn turn(&self) -> Result<OwnedSemaphorePermit, BackendError> {
        match tokio::time::timeout(self.limits.queue_wait, Arc::clone(&self.turns).acquire_owned()).await {
            Ok(Ok(turn)) => Ok(turn),
            Ok(Err(_)) | Err(_) => Err(BackendError::Busy {
                site: self.spec.id.clone(),
                reason: format!("{} operations are already in flight", self.limits.concurrency),
                cause: None,
            }),
        }
    }

    fn conclude<T>(&self, measured: Measured, outcome: Result<T, BackendError>, bytes: u64) -> Result<T, BackendError> {
        measured.end(&outcome, bytes);
        match &outcome {
            Ok(_) | Err(BackendError::NotFound { .. }) => self.health.observe_success(),
            Err(error) => self.health.observe_failure(error),
        }
        outcome
    }
}

impl std::fmt::Debug for Site {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Site").field("id", &self.spec.id).field("state", &self.state()).finish_non_exhaustive()
    }
}
