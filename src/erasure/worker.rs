//! Brings erasures to their end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::audit::Actor;
use crate::index::{Erasure, ErasureStep};
use crate::objects::{Destruction, Erasing, ObjectError, Objects, Renewal, Renewing};
use crate::telemetry::metric;
use crate::types::{Country, KeyId, RequestId, SubjectId};

/// The longest pause between two looks at what is pending; after a failure it begins short and doubles.
const PAUSE: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(500);
/// How long the journal may take to be told everything again.
const JOURNAL: Duration = Duration::from_secs(30 * 60);
/// Between two looks of somebody who waits.
const LOOK: Duration = Duration::from_millis(20);

/// The erasures of a gateway.
pub struct Erasures {
    objects: Objects,
    within: Duration,
    ordered: Notify,
    /// Whether what is pending is not to wait for other erasures.
    hurry: AtomicBool,
    /// Held while somebody works at them.
    working: tokio::sync::Mutex<()>,
}

/// Makes the metric appear before anybody is erased.
pub fn register() {
    metrics::gauge!(metric::ERASURES_PENDING).set(0.0);
}

impl Erasures {
    /// Those of `objects`; each is to be complete `within` this time of its acceptance.
    pub fn new(objects: Objects, within: Duration) -> Self {
        Self { objects, within, ordered: Notify::new(), hurry: AtomicBool::new(false), working: Default::default() }
    }

    /// Accepts an erasure, or says why not.
    ///
    /// # Errors
    /// As [`Objects::erase`].
    pub async fn erase(
        &self,
        request: &RequestId,
        actor: &Actor,
        subject: &SubjectId,
        at_once: bool,
    ) -> Result<Erasing, ObjectError> {
        let outcome = self.objects.erase(request, actor, subject, at_once).await;
        if at_once && matches!(outcome, Ok(Erasing::Accepted(_))) {
            self.hurry.store(true, Ordering::Release);
        }
        // Also after an error: it may stand.
        self.ordered.notify_one();
        outcome
    }

    /// Waits until the rows of an erased subject are gone from the index, at most for `patience`; how it stands then.
    ///
    /// # Errors
    /// Those of the index.
    pub async fn swept(&self, erasure: Erasure, patience: Duration) -> Result<Erasure, ObjectError> {
        let deadline = Instant::now() + patience;
        let mut now = erasure;
        while now.step == ErasureStep::Sweep && Instant::now() < deadline {
            tokio::time::sleep(LOOK).await;
            now = self.objects.index.erasure(now.id)?.unwrap_or(now);
        }
        Ok(now)
    }

    /// Works at erasures until the task is dropped. Meant to be spawned once.
    pub async fn serve(&self) {
        let mut pause = SHORT;
        loop {
            let due = match self.round().await {
                Ok(()) => {
                    pause = SHORT;
                    PAUSE
                }
                Err(error) => {
                    pause = pause.saturating_mul(2).min(PAUSE);
                    tracing::warn!(%error, "an erasure is not complete yet");
                    pause
                }
            };
            drop(tokio::time::timeout(due, self.ordered.notified()).await);
        }
    }

    /// Does what can be done now.
    ///
    /// # Errors
    /// The first thing that could not be done; the rest was tried.
    pub async fn round(&self) -> Result<(), ObjectError> {
        let _alone = self.working.lock().await;
        let index = &self.objects.index;
        let pending = index.pending_erasures();
        metrics::gauge!(metric::ERASURES_PENDING).set(pending.len() as f64);
        let mut outcome = Ok(());
        for erasure in pending.iter().filter(|erasure| erasure.step == ErasureStep::Sweep) {
            let swept = self.sweep(erasure).await;
            outcome = outcome.and(swept);
        }
        fail::fail_point!("erasure::swept", |_| Err(ObjectError::Internal("failpoint".to_owned())));
        let hurried = self.hurry.swap(false, Ordering::AcqRel);
        let (mut due, mut open) = (hurried, Vec::new());
        for erasure in index.pending_erasures().into_iter().filter(|erasure| matches!(erasure.step, ErasureStep::Keys { .. })) {
            match self.destruction(&erasure).await {
                Ok(Destruction::Done) => outcome = outcome.and(self.complete(&erasure).await),
                // Some key's holder waits before it destroys: nothing is to be done meanwhile, least of all to other erasures.
                Ok(Destruction::Ordered) => {}
                Ok(Destruction::Open) => {
                    due |= self.is_due(&erasure);
                    open.push(erasure);
                }
                Err(error) => outcome = outcome.and(Err(error)),
            }
        }
        if due && !open.is_empty() {
            let renewed = self.renew(open).await;
            if hurried && renewed.is_err() {
                self.hurry.store(true, Ordering::Release);
            }
            outcome = outcome.and(renewed);
        }
        metrics::gauge!(metric::ERASURES_PENDING).set(index.pending_erasures().len() as f64);
        outcome
    }

    /// Whether the keys of an erasure wait for no other any more. The other half of the time is for what has to be done, and for outages.
    fn is_due(&self, erasure: &Erasure) -> bool {
        let half = i64::try_from(self.within.as_millis() / 2).unwrap_or(i64::MAX);
        erasure.at_once || erasure.accepted.plus_millis(half) <= self.objects.clock.now()
    }

    async fn sweep(&self, erasure: &Erasure) -> Result<(), ObjectError> {
        // Again until nothing is found: a version can come back to another place while it is walked.
        while self.objects.sweep_erased(erasure).await? > 0 {}
        self.objects.unname_findings().await?;
        let through = self.latest(erasure).await?;
        self.objects.step_erasure(erasure.id, ErasureStep::Keys { through, journal: false }).await?;
        // What cannot be removed now is when its site can be reached; nothing opens it.
        self.objects.collect_erased().await.map(drop)
    }

    /// The versions of today of the country keys of an erasure.
    async fn latest(&self, erasure: &Erasure) -> Result<BTreeMap<KeyId, u32>, ObjectError> {
        let mut latest = BTreeMap::new();
        for key in self.keys_of(erasure) {
            let version = self.objects.latest_version(&key).await?;
            latest.insert(key, version);
        }
        Ok(latest)
    }

    /// The country keys that wrapped what is known of the subject: its own keys, and those of the sites that were told of it.
    fn keys_of(&self, erasure: &Erasure) -> BTreeSet<KeyId> {
        let told = self.objects.sites.iter().filter(|site| erasure.countries.contains(&site.spec().country));
        told.map(|site| site.spec().key.clone()).chain(erasure.keys.iter().map(|erased| erased.key.clone())).collect()
    }

    /// Destroys what opens old copies, for all of `waiting` together.
    async fn renew(&self, mut waiting: Vec<Erasure>) -> Result<(), ObjectError> {
        // One that was told again before keeps its versions: it would never end while others come, where destroying takes its time.
        let untold = || waiting.iter().filter(|erasure| !is_told_again(erasure));
        if untold().next().is_some() {
            let countries: BTreeSet<Country> = untold().flat_map(|erasure| erasure.countries.iter().copied()).collect();
            let renewed = tokio::time::timeout(JOURNAL, self.objects.renew_journal(&countries)).await;
            renewed.unwrap_or_else(|_| Err(ObjectError::Internal("the journal takes too long to be told again".to_owned())))?;
            for erasure in waiting.iter_mut().filter(|erasure| !is_told_again(erasure)) {
                // Until now the sites' keys before may have been wrapped by versions that have come since.
                let through = self.latest(erasure).await?;
                *erasure = self.objects.step_erasure(erasure.id, ErasureStep::Keys { through, journal: true }).await?;
            }
        }
        let mut keys: BTreeMap<&KeyId, u32> = BTreeMap::new();
        for (key, through) in waiting.iter().flat_map(through) {
            let most = keys.entry(key).or_default();
            *most = (*most).max(through);
        }
        let mut outcome = Ok(());
        for (key, through) in keys {
            let destroyed = self.destroy(key, through).await;
            outcome = outcome.and(destroyed);
        }
        for erasure in &waiting {
            if matches!(self.destruction(erasure).await, Ok(Destruction::Done)) {
                let completed = self.complete(erasure).await;
                outcome = outcome.and(completed);
            }
        }
        outcome
    }

    /// Destroys the versions of a country's key up to `through`, or orders it.
    async fn destroy(&self, key: &KeyId, through: u32) -> Result<(), ObjectError> {
        if self.objects.destruction(key, through).await? > Destruction::Open {
            return Ok(());
        }
        let counting = Renewing::default();
        let renewal = Renewal { through: Some(through), destroy: true };
        self.objects.renew_country_key(key, renewal, &counting).await?;
        match counting.progress().failed {
            0 => Ok(()),
            failed => Err(ObjectError::Internal(format!("{failed} subject keys under `{key}` cannot be wrapped again"))),
        }
    }

    async fn complete(&self, erasure: &Erasure) -> Result<(), ObjectError> {
        fail::fail_point!("erasure::before-complete", |_| Err(ObjectError::Internal("failpoint".to_owned())));
        let at = self.objects.clock.now();
        self.objects.step_erasure(erasure.id, ErasureStep::Complete { at }).await.map(drop)
    }

    /// How far the destruction of everything that opens something of an erased subject has come. What is known to be open is said
    /// whatever another country's key has to say.
    async fn destruction(&self, erasure: &Erasure) -> Result<Destruction, ObjectError> {
        if !is_told_again(erasure) {
            return Ok(Destruction::Open);
        }
        let (mut least, mut outcome) = (Destruction::Done, Ok(()));
        for (key, through) in through(erasure) {
            match self.objects.destruction(key, through).await {
                Ok(destruction) => least = least.min(destruction),
                Err(error) => outcome = Err(error),
            }
        }
        if least > Destruction::Open { outcome.map(|()| least) } else { Ok(least) }
    }
}

const fn is_told_again(erasure: &Erasure) -> bool {
    matches!(erasure.step, ErasureStep::Keys { journal: true, .. })
}

/// The country keys of an erasure, each with the last version that has to be destroyed.
fn through(erasure: &Erasure) -> impl Iterator<Item = (&KeyId, u32)> {
    let through = match &erasure.step {
        ErasureStep::Keys { through, .. } => Some(through),
        ErasureStep::Sweep | ErasureStep::Complete { .. } => None,
    };
    through.into_iter().flatten().map(|(key, version)| (key, *version))
}
