//! Against a provider that hangs, refuses and comes back.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use futures_util::future::join_all;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::*;
use crate::kms::{Hierarchy, KeyOutcome};
use crate::types::Pseudonym;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mood {
    Fine,
    /// Answers nothing, ever.
    Hangs,
    Refuses,
}

/// Wraps by keeping; counts what it is asked, and how much of it at a time.
struct Moody {
    mood: Mutex<Mood>,
    kept: Mutex<Vec<(WrapContext, SecretKey)>>,
    asked: AtomicU64,
    together: AtomicUsize,
    most: AtomicUsize,
    floor: AtomicU64,
}

impl Moody {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            mood: Mutex::new(Mood::Fine),
            kept: Mutex::default(),
            asked: AtomicU64::default(),
            together: AtomicUsize::default(),
            most: AtomicUsize::default(),
            floor: AtomicU64::new(1),
        })
    }

    async fn answer(&self) -> Result<(), KmsError> {
        let mood = *self.mood.lock();
        match mood {
            Mood::Fine => Ok(()),
            Mood::Hangs => std::future::pending().await,
            Mood::Refuses => Err(KmsError::Refused { key: key("pk"), reason: "sealed".to_owned() }),
        }
    }

    async fn work(&self) -> Result<(), KmsError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let now = self.together.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        sleep(Duration::from_millis(10)).await;
        let answer = self.answer().await;
        self.together.fetch_sub(1, Ordering::SeqCst);
        answer
    }
}

#[async_trait]
impl KeyProvider for Moody {
    fn kind(&self) -> &'static str {
        "test"
    }

    async fn wrap(&self, context: &WrapContext, key: &SecretKey) -> Result<WrappedKey, KmsError> {
        self.work().await?;
        let mut kept = self.kept.lock();
        kept.push((context.clone(), key.clone()));
        Ok(WrappedKey::new((kept.len() - 1).to_string()))
    }

    async fn unwrap(&self, _: &WrapContext, wrapped: &WrappedKey) -> Result<SecretKey, KmsError> {
        self.work().await?;
        let index: usize = wrapped.as_str().parse().unwrap();
        Ok(self.kept.lock()[index].1.clone())
    }

    async fn rewrap(&self, context: &WrapContext, wrapped: &WrappedKey) -> Result<WrappedKey, KmsError> {
        self.wrap(context, &self.unwrap(context, wrapped).await?).await
    }

    fn version_of(&self, _: &WrappedKey) -> Result<u32, KmsError> {
        Ok(1)
    }

    fn opens(&self, version: u32) -> bool {
        u64::from(version) >= self.floor.load(Ordering::SeqCst)
    }

    async fn describe(&self) -> Result<Vec<KeyVersion>, KmsError> {
        self.work().await.map(|()| Vec::new())
    }

    async fn rotate(&self) -> Result<KeyVersion, KmsError> {
        Err(KmsError::Crypto)
    }

    async fn destroy_version(&self, _: u32) -> Result<(), KmsError> {
        Err(KmsError::Crypto)
    }

    async fn health(&self) -> Result<(), KmsError> {
        self.answer().await
    }
}

#[derive(Default)]
struct Notes(Mutex<Vec<(KeyId, KeyOperation, KeyOutcome)>>);

impl KeyObserver for Notes {
    fn used(&self, used: KeyUse) {
        self.0.lock().push((used.key, used.operation, used.outcome));
    }
}

impl Notes {
    fn of(&self, operation: KeyOperation) -> Vec<KeyOutcome> {
        self.0.lock().iter().filter(|note| note.1 == operation).map(|note| note.2).collect()
    }
}

fn key(id: &str) -> KeyId {
    id.parse().unwrap()
}

fn owner(number: u8) -> KeyOwner {
    KeyOwner::Subject(Pseudonym::from_bytes([number; 16]))
}

/// Two countries; the second one's provider stays in a good mood.
fn world() -> (Arc<Moody>, Arc<Hierarchy>, Arc<Notes>) {
    let (moody, other, notes) = (Moody::new(), Moody::new(), Arc::new(Notes::default()));
    let keys: Vec<(KeyId, Country, Arc<dyn KeyProvider>)> =
        vec![(key("pk"), "PK".parse().unwrap(), moody.clone()), (key("sg"), "SG".parse().unwrap(), other)];
    let hierarchy = Arc::new(Hierarchy::new(keys, [1; 16]));
    hierarchy.observe(Arc::clone(&notes) as _);
    (moody, hierarchy, notes)
}

/// Looked at once, as at a start, and watched from then on.
async fn watched(hierarchy: &Arc<Hierarchy>) -> tokio::task::JoinHandle<()> {
    hierarchy.health_of_all().await;
    let hierarchy = Arc::clone(hierarchy);
    tokio::spawn(async move { hierarchy.watch(Duration::from_secs(1)).await })
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_hangs_is_given_up_within_a_second_and_asked_nothing_until_it_is_back() {
    let (moody, hierarchy, notes) = world();
    let watch = watched(&hierarchy).await;
    let (_, wrapped) = hierarchy.create_subject_key(&key("pk"), owner(1)).await.unwrap();
    hierarchy.evict(&owner(1));
    *moody.mood.lock() = Mood::Hangs;
    let began = Instant::now();
    let failed = hierarchy.open_subject_key(&wrapped).await;
    assert!(matches!(failed, Err(KmsError::Unavailable { .. })), "{failed:?}");
    assert!(began.elapsed() <= Duration::from_secs(1), "{:?}", began.elapsed());

    let asked = moody.asked.load(Ordering::SeqCst);
    let began = Instant::now();
    for _ in 0..100 {
        assert!(matches!(hierarchy.open_subject_key(&wrapped).await, Err(KmsError::Unavailable { .. })));
        assert!(hierarchy.create_subject_key(&key("pk"), owner(2)).await.is_err());
    }
    assert_eq!((began.elapsed(), moody.asked.load(Ordering::SeqCst)), (Duration::ZERO, asked), "failed at once, unasked");
    assert!(!hierarchy.standing(&key("pk")).unwrap().is_up() && hierarchy.standing(&key("sg")).unwrap().is_up());
    hierarchy.create_subject_key(&key("sg"), owner(1)).await.unwrap();

    *moody.mood.lock() = Mood::Fine;
    sleep(PATIENCE_DOWN + Duration::from_secs(1)).await;
    hierarchy.open_subject_key(&wrapped).await.unwrap();
    assert_eq!(notes.of(KeyOperation::Health), [KeyOutcome::Failed("KeyUnavailable"), KeyOutcome::Done], "told on change alone");
    watch.abort();
}

#[tokio::test(start_paused = true)]
async fn refused_keys_are_evicted_and_wiped_within_a_second_and_unreachable_ones_stay() {
    let (moody, hierarchy, _) = world();
    let watch = watched(&hierarchy).await;
    let (opened, wrapped) = hierarchy.create_subject_key(&key("pk"), owner(1)).await.unwrap();
    let (kept, of_sg) = hierarchy.create_subject_key(&key("sg"), owner(1)).await.unwrap();
    let (gone, stays) = (Arc::downgrade(&opened), Arc::downgrade(&kept));
    drop((opened, kept));
    *moody.mood.lock() = Mood::Hangs;
    sleep(Duration::from_secs(2)).await;
    hierarchy.open_subject_key(&wrapped).await.unwrap();

    *moody.mood.lock() = Mood::Fine;
    sleep(PATIENCE_DOWN + Duration::from_secs(1)).await;
    assert!(hierarchy.standing(&key("pk")).unwrap().is_up());
    *moody.mood.lock() = Mood::Refuses;
    sleep(Duration::from_secs(1)).await;
    assert!(matches!(hierarchy.open_subject_key(&wrapped).await, Err(KmsError::Refused { .. })));
    assert!(gone.upgrade().is_none(), "its bytes are wiped");
    assert!(stays.upgrade().is_some());
    hierarchy.open_subject_key(&of_sg).await.unwrap();
    watch.abort();
}

#[tokio::test(start_paused = true)]
async fn those_who_want_one_key_wait_for_one_call_and_calls_are_bounded() {
    let (moody, hierarchy, notes) = world();
    let mut wrapped = Vec::new();
    for number in 0..200 {
        wrapped.push(hierarchy.create_subject_key(&key("pk"), owner(number)).await.unwrap().1);
        hierarchy.evict(&owner(number));
    }
    let asked = moody.asked.load(Ordering::SeqCst);
    let results = join_all((0..50).map(|_| hierarchy.open_subject_key(&wrapped[0]))).await;
    assert!(results.iter().all(Result::is_ok));
    assert_eq!(moody.asked.load(Ordering::SeqCst), asked + 1);
    assert_eq!(notes.of(KeyOperation::Unwrap), [KeyOutcome::Done]);

    assert!(join_all(wrapped.iter().map(|one| hierarchy.open_subject_key(one))).await.iter().all(Result::is_ok));
    assert_eq!(moody.most.load(Ordering::SeqCst), TOGETHER);
}

#[tokio::test(start_paused = true)]
async fn who_goes_away_does_not_take_the_answer_along_and_a_call_that_nobody_waits_for_is_told() {
    let (moody, hierarchy, notes) = world();
    let (_, wrapped) = hierarchy.create_subject_key(&key("pk"), owner(1)).await.unwrap();
    hierarchy.evict(&owner(1));
    let first = hierarchy.open_subject_key(&wrapped);
    let second = hierarchy.open_subject_key(&wrapped);
    let mut second = pin!(second);
    {
        let mut first = pin!(first);
        assert!(timeout(Duration::from_millis(1), &mut first).await.is_err());
        assert!(timeout(Duration::from_millis(1), &mut second).await.is_err());
    }
    second.await.unwrap();
    assert_eq!(notes.of(KeyOperation::Unwrap), [KeyOutcome::Done]);

    hierarchy.evict(&owner(1));
    *moody.mood.lock() = Mood::Hangs;
    assert!(timeout(Duration::from_millis(50), hierarchy.open_subject_key(&wrapped)).await.is_err());
    assert_eq!(notes.of(KeyOperation::Unwrap), [KeyOutcome::Done, KeyOutcome::Abandoned]);
}

#[tokio::test(start_paused = true)]
async fn nobody_who_asks_after_an_eviction_gets_what_was_begun_before() {
    let (moody, hierarchy, _) = world();
    let (_, wrapped) = hierarchy.create_subject_key(&key("pk"), owner(1)).await.unwrap();
    hierarchy.evict(&owner(1));
    let asked = moody.asked.load(Ordering::SeqCst);
    let mut before = pin!(hierarchy.open_subject_key(&wrapped));
    assert!(timeout(Duration::from_millis(1), &mut before).await.is_err());
    hierarchy.evict(&owner(1));
    hierarchy.open_subject_key(&wrapped).await.unwrap();
    before.await.unwrap();
    assert_eq!(moody.asked.load(Ordering::SeqCst), asked + 2);
}

#[tokio::test]
async fn what_a_destroyed_version_wrapped_does_not_come_from_the_cache() {
    let (moody, hierarchy, _) = world();
    let (_, wrapped) = hierarchy.create_subject_key(&key("pk"), owner(1)).await.unwrap();
    let asked = moody.asked.load(Ordering::SeqCst);
    hierarchy.open_subject_key(&wrapped).await.unwrap();
    assert_eq!(moody.asked.load(Ordering::SeqCst), asked);
    moody.floor.store(2, Ordering::SeqCst);
    hierarchy.open_subject_key(&wrapped).await.unwrap();
    assert_eq!(moody.asked.load(Ordering::SeqCst), asked + 1, "the provider is asked what it says to that");
}
