//! Country keys that get another version: nothing is written again, nothing fails, and the version before opens nothing in the end.

use super::*;
use crate::{
    backend::memory::MemoryBackend,
    kms::{KeyOwner, KeyState, KmsError, WrappedSubjectKey},
    seal::{BlobKind, BlobName, blob_kind, parse_subject_key_blob},
};

pub(crate) fn pk() -> KeyId {
    KeyId::new("pk").unwrap()
}

pub(crate) const AND_DESTROY: Renewal = Renewal { through: None, destroy: true };

/// The wrapped subject keys at a site.
pub(crate) fn wrappings(backend: &MemoryBackend) -> Vec<(BlobName, WrappedSubjectKey)> {
    let keys = backend.blobs().into_iter().filter(|(_, blob)| blob_kind(blob).unwrap() == BlobKind::SubjectKey);
    keys.map(|(name, blob)| (name, parse_subject_key_blob(&blob).unwrap())).collect()
}

impl World {
    pub(crate) async fn renew(&self, renewal: Renewal) -> Renewed {
        let counting = Renewing::default();
        self.objects.renew_country_key(&pk(), renewal, &counting).await.unwrap();
        counting.progress()
    }

    pub(crate) async fn states(&self, key: &KeyId) -> Vec<KeyState> {
        let versions = self.objects.hierarchy.provider(key).unwrap().describe().await.unwrap();
        versions.into_iter().map(|version| version.state).collect()
    }

    pub(crate) fn key_of(&self, subject: &str) -> WrappedSubjectKey {
        (*self.objects.index.subject_key(&pk(), &self.owner(subject)).unwrap().unwrap()).clone()
    }

    pub(crate) fn owner(&self, subject: &str) -> KeyOwner {
        KeyOwner::Subject(self.objects.pseudonyms.subject(&crate::types::SubjectId::new(subject).unwrap()))
    }
}

#[tokio::test]
async fn a_new_version_wraps_every_subject_key_again_and_no_data() {
    let world = World::new(PK_ONLY).await;
    for at in ["ali/1", "amna/1", "bilal/1"] {
        world.put(at, at.as_bytes()).await;
    }
    let data = |world: &World| {
        let blobs = world.backend("pk-khi").blobs();
        blobs.into_iter().filter(|(_, blob)| blob_kind(blob).unwrap() != BlobKind::SubjectKey).collect::<Vec<_>>()
    };
    let (data_before, keys_before) = (data(&world), wrappings(world.backend("pk-khi")));
    let renewed = world.renew(Renewal::default()).await;
    assert_eq!(renewed, Renewed { version: Some(2), new: true, rewrapped: 3, ..Renewed::default() });
    assert_eq!(data(&world), data_before);
    let keys = wrappings(world.backend("pk-khi"));
    assert_eq!(keys.len(), 6, "the wrappings before are garbage, and stay for the grace");
    for at in ["ali", "amna", "bilal"] {
        let row = world.objects.index.subject_key(&pk(), &world.owner(at)).unwrap().unwrap();
        assert_eq!(world.objects.hierarchy.version_of(&row).unwrap(), 2);
        assert!(keys.iter().any(|(name, _)| *name == BlobName::of_subject_key(&row)), "durable at its site");
    }
    assert_eq!((world.count("key-rotated"), world.count("key-rewrapped"), world.count("key-destroyed")), (1, 3, 0));
    world.clock.advance(3_600_001);
    world.objects.collect_round(Duration::from_secs(3600)).await.unwrap();
    let left: Vec<_> = wrappings(world.backend("pk-khi")).into_iter().map(|(name, _)| name).collect();
    assert!(left.len() == 3 && keys_before.iter().all(|(name, _)| !left.contains(name)));
    assert_eq!(world.states(&pk()).await, [KeyState::DecryptOnly, KeyState::Primary]);

    let world = world.restart().await;
    assert_eq!(world.read("ali/1").await.unwrap(), b"ali/1");
    world.put("ali/2", b"more").await;
}

#[tokio::test]
async fn destroyed_versions_open_nothing_and_everything_is_read() {
    let world = World::new(PK_ONLY).await;
    world.put("ali/1", b"first").await;
    let (_, old) = wrappings(world.backend("pk-khi")).remove(0);
    let renewed = world.renew(AND_DESTROY).await;
    assert_eq!((renewed.rewrapped, renewed.destroyed), (1, vec![1]));
    assert_eq!(world.states(&pk()).await, [KeyState::Destroyed, KeyState::Primary]);
    let world = world.restart().await;
    let opened = world.objects.hierarchy.open_subject_key(&old).await;
    assert!(matches!(opened, Err(KmsError::Destroyed { version: 1, .. })), "{opened:?}");
    assert_eq!(world.read("ali/1").await.unwrap(), b"first");
    world.put("ali/2", b"second").await;
    assert_eq!(world.renew(AND_DESTROY).await.destroyed, [2]);
    assert_eq!(world.read("ali/2").await.unwrap(), b"second");
}

#[tokio::test(start_paused = true)]
async fn a_site_that_is_away_keeps_the_old_version_and_another_order_goes_on() {
    let world = World::new(PK_ONLY).await;
    world.put("ali/1", b"first").await;
    world.set_up("pk-khi", false).await;
    world.put("amna/1", b"second").await;
    let blobs = world.backend("pk-lhe").blobs().len();
    let renewed = world.renew(AND_DESTROY).await;
    assert_eq!((renewed.version, renewed.new, renewed.rewrapped, renewed.failed), (Some(2), true, 1, 1));
    assert!(renewed.destroyed.is_empty());
    assert_eq!(world.states(&pk()).await, [KeyState::DecryptOnly, KeyState::Primary]);
    assert_eq!(world.backend("pk-lhe").blobs().len(), blobs + 1);

    world.set_up("pk-khi", true).await;
    let world = world.restart().await;
    let renewed = world.renew(AND_DESTROY).await;
    assert_eq!((renewed.version, renewed.new, renewed.rewrapped, renewed.failed), (Some(2), false, 1, 0));
    assert_eq!(renewed.destroyed, [1]);
    for (at, bytes) in [("ali/1", b"first".as_slice()), ("amna/1", b"second")] {
        assert_eq!(world.read(at).await.unwrap(), bytes);
    }
}

#[tokio::test]
async fn a_wrapping_that_is_not_committed_does_not_stay() {
    let world = World::new(PK_ONLY).await;
    world.put("ali/1", b"first").await;
    world.set_up("pk-khi", false).await;
    world.put("ali/2", b"second").await;
    world.set_up("pk-khi", true).await;
    let before = wrappings(world.backend("pk-khi"));
    world.objects.hierarchy.provider(&pk()).unwrap().rotate().await.unwrap();
    world.fail_puts("pk-lhe", 1);
    assert!(world.objects.rewrap(&world.key_of("ali"), 2).await.is_err());
    assert_eq!(wrappings(world.backend("pk-khi")), before);
    assert!(world.objects.rewrap(&world.key_of("ali"), 2).await.unwrap());
    assert!(!world.objects.rewrap(&world.key_of("ali"), 2).await.unwrap(), "once");
    let row = world.objects.index.subject_key(&pk(), &world.owner("ali")).unwrap().unwrap();
    assert_eq!(row.sites, [site("pk-khi"), site("pk-lhe")].into(), "at every site that held the one before");
}

/// A key made under the version before must not be committed after that version is destroyed.
#[tokio::test]
async fn a_key_that_is_being_made_is_waited_for() {
    let world = Arc::new(World::new(PK_ONLY).await);
    let lock = world.objects.0.subject_keys.of(&pk(), &world.owner("ali"));
    let held = lock.lock().await;
    let renewing = Arc::clone(&world);
    let renewal = tokio::spawn(async move { renewing.renew(AND_DESTROY).await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!renewal.is_finished());
    assert_eq!(world.states(&pk()).await, [KeyState::DecryptOnly, KeyState::Primary], "not destroyed meanwhile");
    drop(held);
    assert_eq!(renewal.await.unwrap().destroyed, [1]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn reads_and_writes_go_on_while_keys_are_renewed_and_destroyed() {
    let world = Arc::new(World::new(PK_ONLY).await);
    for person in 0..8 {
        world.put(&format!("p{person}/1"), b"bytes").await;
    }
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let busy: Vec<_> = (0..4)
        .map(|worker| {
            let (world, stop) = (Arc::clone(&world), Arc::clone(&stop));
            tokio::spawn(async move {
                let mut turn = 0;
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    // Nothing is taken from the cache: every read needs the wrapping as it is now.
                    world.objects.hierarchy.evict(&world.owner(&format!("p{worker}")));
                    assert_eq!(world.read(&format!("p{worker}/1")).await.unwrap(), b"bytes");
                    world.put(&format!("new{worker}-{turn}/1"), b"bytes").await;
                    turn += 1;
                }
                turn
            })
        })
        .collect();
    for _ in 0..6 {
        world.renew(AND_DESTROY).await;
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    for (worker, turns) in busy.into_iter().enumerate() {
        for turn in 0..turns.await.unwrap() {
            let owner = format!("new{worker}-{turn}");
            world.objects.hierarchy.evict(&world.owner(&owner));
            assert_eq!(world.read(&format!("{owner}/1")).await.unwrap(), b"bytes");
        }
    }
}

/// Some services destroy a key only days after they are told to, and can be told otherwise until then.
#[tokio::test]
async fn what_a_service_waits_to_destroy_opens_nothing_and_is_not_said_to_be_gone() {
    let world = World::new(PK_ONLY).await;
    world.put("ali/1", b"first").await;
    let (_, old) = wrappings(world.backend("pk-khi")).remove(0);
    world.destroying_waits(true);
    let renewed = world.renew(AND_DESTROY).await;
    assert_eq!((renewed.destroyed, renewed.destroying), (vec![], vec![1]));
    assert_eq!(world.states(&pk()).await, [KeyState::Destroying, KeyState::Primary]);
    world.objects.hierarchy.evict(&old.owner);
    assert!(matches!(world.objects.hierarchy.open_subject_key(&old).await, Err(KmsError::Destroyed { version: 1, .. })));
    assert_eq!(world.objects.destruction(&pk(), 1).await.unwrap(), Destruction::Ordered);
    assert_eq!(world.objects.destruction(&pk(), 2).await.unwrap(), Destruction::Open);

    let renewed = world.renew(AND_DESTROY).await;
    assert_eq!((renewed.destroyed, renewed.destroying), (vec![], vec![2]), "what is ordered is not ordered again");
    assert_eq!(world.count("key-destroyed"), 2);
    world.take_back(pk(), 1);
    assert_eq!(world.objects.destruction(&pk(), 2).await.unwrap(), Destruction::Open);
    assert_eq!(world.renew(Renewal { through: Some(2), destroy: true }).await.destroying, [1], "but when it was taken back");

    world.destroying_waits(false);
    assert_eq!(world.objects.destruction(&pk(), 2).await.unwrap(), Destruction::Done);
    assert_eq!(world.read("ali/1").await.unwrap(), b"first");
}
