//! Subject keys that get another generation: what is new is under the new one, what is stored stays under its own, and an erasure destroys all.

use super::{
    renewing::{AND_DESTROY, pk, wrappings},
    *,
};
use crate::{
    kms::KmsError,
    seal::{BlobName, RecordKey},
    types::{Generation, SubjectId},
};

impl World {
    /// Gives a subject's keys a new generation; the one in Pakistan.
    async fn rotate_key_of(&self, subject: &str) -> Generation {
        let made = self.objects.rotate_subject_keys(&SubjectId::new(subject).unwrap()).await.unwrap();
        let [(key, generation)] = made.as_slice() else { panic!("{made:?}") };
        assert_eq!(*key, pk());
        *generation
    }

    fn generation_at(&self, at: &str) -> Generation {
        self.record(at).unwrap().detail.copies[0].sk_generation
    }
}

#[tokio::test]
async fn new_records_are_under_the_new_key_and_old_ones_open_under_theirs() {
    let world = World::new(PK_ONLY).await;
    world.put("ali/1", b"first").await;
    let first = world.generation_at("ali/1");
    let second = world.rotate_key_of("ali").await;
    world.put("ali/2", b"second").await;
    let third = world.rotate_key_of("ali").await;
    world.put("ali/3", b"third").await;
    assert_eq!(
        [world.generation_at("ali/1"), world.generation_at("ali/2"), world.generation_at("ali/3")],
        [first, second, third]
    );

    let world = world.restart().await;
    for (at, bytes) in [("ali/1", b"first".as_slice()), ("ali/2", b"second"), ("ali/3", b"third")] {
        assert_eq!(world.read(at).await.unwrap(), bytes);
    }
    let listed = world.objects.index.subject_keys_of(pk(), None, 1).await.unwrap();
    assert_eq!(listed.len(), 3, "one owner's are never torn apart");
    assert_eq!(listed[0].generation, third, "the one in use comes first");
    assert!(world.objects.index.subject_keys_of(pk(), Some(world.owner("ali")), 1).await.unwrap().is_empty());
    // The key of one generation does not open what is under another.
    let key = world.objects.hierarchy.open_subject_key(&listed[0]).await.unwrap();
    let record = world.record("ali/1").unwrap();
    assert!(RecordKey::open(&key, record.summary.id, record.detail.copies[0].country, &record.detail.copies[0].dek).is_err());
    let nobody = world.objects.rotate_subject_keys(&SubjectId::new("nobody").unwrap()).await.unwrap();
    assert!(nobody.is_empty() && world.count("key-created") == 3);
}

#[tokio::test]
async fn every_generation_is_wrapped_again_and_counted() {
    let world = World::new(PK_ONLY).await;
    world.put("ali/1", b"first").await;
    world.rotate_key_of("ali").await;
    world.put("ali/2", b"second").await;
    let before = wrappings(world.backend("pk-khi"));
    let renewed = world.renew(AND_DESTROY).await;
    assert_eq!((renewed.rewrapped, renewed.destroyed), (2, vec![1]));
    // A gateway that has nothing open from before.
    let world = world.restart().await;
    for (_, old) in before {
        let opened = world.objects.hierarchy.open_subject_key(&old).await;
        assert!(matches!(opened, Err(KmsError::Destroyed { .. })), "{opened:?}");
    }
    let counts = world.objects.subject_keys_by_version().await.unwrap();
    assert_eq!(counts.into_iter().collect::<Vec<_>>(), [((pk(), 2), 2)]);
    assert_eq!(world.read("ali/1").await.unwrap(), b"first");
    assert_eq!(world.read("ali/2").await.unwrap(), b"second");
}

#[tokio::test]
async fn an_erasure_destroys_every_generation() {
    let world = World::new(PK_ONLY).await;
    world.put("ali/1", b"first").await;
    world.rotate_key_of("ali").await;
    world.put("ali/2", b"second").await;
    world.put("amna/1", b"hers").await;
    let Erasing::Accepted(erasure) = world.try_erase("ali").await else { panic!("held") };
    assert_eq!(erasure.keys.len(), 2);
    assert!(
        world.objects.index.subject_keys_of(pk(), None, 100).await.unwrap().iter().all(|key| key.owner != world.owner("ali"))
    );
    assert_eq!(world.objects.sweep_erased(&erasure).await.unwrap(), 2);
    world.objects.collect_round(Duration::from_secs(3600)).await.unwrap();
    let left = wrappings(world.backend("pk-khi"));
    assert!(left.iter().all(|(_, key)| key.owner != world.owner("ali")), "{left:?}");
    assert_eq!(world.read("amna/1").await.unwrap(), b"hers");
    // Whoever comes back gets a key of his own again, and there is nothing to give a new generation to before.
    assert!(world.objects.rotate_subject_keys(&SubjectId::new("ali").unwrap()).await.unwrap().is_empty());
    world.put("ali/3", b"back").await;
    assert!(erasure.keys.iter().all(|key| key.generation != world.generation_at("ali/3")));
}

#[tokio::test]
async fn all_keys_of_a_country_get_a_new_generation_once() {
    let world = World::new(PK_ONLY).await;
    for at in ["ali/1", "amna/1", "bilal/1"] {
        world.put(at, b"x").await;
    }
    let counting = Renewing::default();
    world.objects.rotate_all_subject_keys(&pk(), &counting).await.unwrap();
    assert_eq!((counting.progress().subject_keys, counting.progress().failed), (Some(3), 0));
    assert_eq!(world.objects.index.subject_keys_of(pk(), None, 100).await.unwrap().len(), 6);
    world.put("ali/2", b"y").await;
    assert_ne!(world.generation_at("ali/1"), world.generation_at("ali/2"));
}

#[tokio::test]
async fn a_key_that_is_due_is_renewed_by_the_next_write_and_a_site_that_is_away_stops_no_write() {
    let world = World::new(PK_ONLY).await;
    world.put("ali/1", b"first").await;
    let day = Duration::from_secs(86_400);
    world.objects.set_subject_key_life(SubjectKeyLife { max_age: Some(day), ..SubjectKeyLife::default() });
    world.put("ali/2", b"young").await;
    assert_eq!(world.generation_at("ali/1"), world.generation_at("ali/2"));
    world.clock.advance(86_400_000);
    world.fail_puts("pk-khi", 1);
    world.put("ali/3", b"the old one goes on").await;
    assert_eq!(world.generation_at("ali/3"), world.generation_at("ali/1"));
    world.put("ali/4", b"new").await;
    assert_ne!(world.generation_at("ali/4"), world.generation_at("ali/1"));
    world.put("ali/5", b"and young").await;
    assert_eq!(world.generation_at("ali/5"), world.generation_at("ali/4"));

    // By how much it wrapped: of a key that has wrapped too much, as the row tells.
    world.objects.set_subject_key_life(SubjectKeyLife::default());
    let worn = crate::kms::WrappedSubjectKey { wraps: 1 << 30, ..world.key_of("ali") };
    let change = Change::SubjectKey { key: Box::new(worn), replaces: None };
    world.objects.index.commit(change, Event::new(Kind::KeyStored, Actor::System)).await.unwrap();
    world.put("ali/6", b"after much").await;
    assert_ne!(world.generation_at("ali/6"), world.generation_at("ali/5"));
    assert_eq!(world.key_of("ali").wraps, 0);
    assert_eq!(world.read("ali/1").await.unwrap(), b"first");
}

/// The blob says neither how much the key wrapped nor where it lies: it is the same everywhere.
#[tokio::test]
async fn a_new_generation_is_at_a_site_before_its_first_record_is() {
    let world = World::new(PK_ONLY).await;
    world.put("ali/1", b"first").await;
    world.rotate_key_of("ali").await;
    world.set_up("pk-khi", false).await;
    world.put("ali/2", b"second").await;
    world.set_up("pk-khi", true).await;
    let row = world.key_of("ali");
    assert_eq!(row.sites, [site("pk-khi"), site("pk-lhe")].into());
    for at in ["pk-khi", "pk-lhe"] {
        let names: Vec<BlobName> = wrappings(world.backend(at)).into_iter().map(|(name, _)| name).collect();
        assert!(names.contains(&BlobName::of_subject_key(&row)), "{at}");
    }
}

/// An upload that began before goes on under the key it began with.
#[tokio::test]
async fn a_write_that_is_under_way_commits_under_the_key_before() {
    let world = World::new(PK_ONLY).await;
    world.put("ali/1", b"first").await;
    let row = world.key_of("ali");
    let second = world.rotate_key_of("ali").await;
    assert_ne!(row.generation, second);
    let found = world.objects.index.subject_key_of(&pk(), &row.owner, row.generation).unwrap().unwrap();
    assert_eq!(*found, row, "as it was");
    // Not in the place of another, and not when there is none.
    let stale = Change::RotateSubjectKey(Box::new(row.clone()), row.generation);
    let event = || Event::new(Kind::KeyCreated, Actor::System);
    assert!(world.objects.index.commit(stale, event()).await.is_err());
    let retired = Change::RetiredSubjectKey(Box::new(row));
    assert!(world.objects.index.commit(retired, event()).await.is_err(), "it is there already");
}
