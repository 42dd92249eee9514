//! Copies under the key of another country than the one they lie in.

use super::*;
use crate::{
    index::FoundRecord,
    kms::{KeyOwner, KeyState, WrappedSubjectKey},
    objects::{
        Relocated,
        tests::renewing::{pk, wrappings},
    },
    seal::{BlobKind, BlobName, EXTENT_SIZE, blob_kind, parse_head},
    types::SubjectId,
};

/// In Singapore, under Pakistan's key.
const ABROAD: &str = "[require]\ncopies = \"only\"\ncountries = [\"SG\"]\nkeys = [\"PK\"]\n";
/// In Singapore, under its own.
const SG_ONLY: &str = "[require]\ncopies = \"only\"\ncountries = [\"SG\"]\n";
/// In both, under Pakistan's.
const BOTH: &str = "[require]\ncopies = \"also\"\ncountries = [\"PK\", \"SG\"]\nkeys = [\"PK\"]\n";

impl World {
    fn wrapped(&self, subject: &str) -> Option<Arc<WrappedSubjectKey>> {
        let owner = KeyOwner::Subject(self.objects.pseudonyms.subject(&SubjectId::new(subject).unwrap()));
        self.objects.index.subject_key(&pk(), &owner).unwrap()
    }

    fn heads(&self, site: &str) -> Vec<crate::seal::Head> {
        let blobs = self.backend(site).blobs().into_iter();
        blobs
            .filter(|(_, blob)| blob_kind(blob).unwrap() == BlobKind::Extent)
            .map(|(_, blob)| parse_head(&blob).unwrap())
            .collect()
    }

    async fn rekey(&self, at: &str, require: &str) -> Relocated {
        self.decide_by(policies(require)).await;
        let found = FoundRecord { bucket: bucket(), key: key(at), record: self.record(at).unwrap() };
        self.objects.relocate(&found).await.unwrap()
    }
}

fn countries(names: &[&str]) -> std::collections::BTreeSet<crate::types::Country> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

#[tokio::test]
async fn a_copy_abroad_is_sealed_under_the_key_that_the_policy_names() {
    let world = World::new(ABROAD).await;
    let pakistan = ["pk-khi", "pk-lhe"].map(|site| world.backend(site).blobs().len());
    let long: Vec<u8> = (0..EXTENT_SIZE + 99_999).map(|at| u8::try_from(at % 251).unwrap()).collect();
    let record = world.put("amna/1", &long).await;
    let copy = &record.detail.copies[0];
    assert_eq!((copy.site.as_str(), copy.country, &copy.key), ("sg-sin", "SG".parse().unwrap(), &pk()));
    assert_eq!(world.read("amna/1").await.unwrap(), long);
    for head in world.heads("sg-sin") {
        assert_eq!((head.country(), head.key()), ("SG".parse().unwrap(), &pk()), "bound to where it lies, opened by Pakistan");
    }
    let wrapped = world.wrapped("amna").unwrap();
    assert_eq!((wrapped.country, wrapped.countries()), ("PK".parse().unwrap(), countries(&["SG"])));
    let kept = wrappings(world.backend("sg-sin"));
    assert_eq!(kept.iter().map(|(name, _)| *name).collect::<Vec<_>>(), [BlobName::of_subject_key(&wrapped)]);
    assert_eq!(["pk-khi", "pk-lhe"].map(|site| world.backend(site).blobs().len()), pakistan, "nothing is in Pakistan");
    let world = world.restart().await;
    assert_eq!(world.read("amna/1").await.unwrap(), long);
}

#[tokio::test]
async fn no_record_comes_before_its_key_abroad() {
    let world = World::new(BOTH).await;
    world.decide_by(policies(PK_ONLY)).await;
    world.put("amna/1", b"at home").await;
    world.decide_by(policies(ABROAD)).await;
    world.fail_puts("sg-sin", 1);
    assert!(world.try_put("amna/2", b"abroad").await.is_err());
    assert!(world.record("amna/2").is_none());
    assert_eq!(world.wrapped("amna").unwrap().countries(), countries(&["PK"]));
    world.put("amna/2", b"abroad").await;
    assert_eq!(world.wrapped("amna").unwrap().countries(), countries(&["PK", "SG"]));
    assert_eq!(world.read("amna/2").await.unwrap(), b"abroad");
    assert!(world.entries("key-stored")[0].contains("\"sg-sin\""));
}

#[tokio::test]
async fn each_of_two_copies_under_one_key_opens_without_the_other() {
    let world = World::new(BOTH).await;
    let record = world.put("amna/1", b"both").await;
    let copies = &record.detail.copies;
    assert_eq!(
        copies.iter().map(|copy| (copy.site.as_str(), &copy.key)).collect::<Vec<_>>(),
        [("pk-khi", &pk()), ("sg-sin", &pk())]
    );
    assert_ne!(copies[0].dek.as_bytes(), copies[1].dek.as_bytes());
    for away in ["pk-khi", "sg-sin"] {
        world.set_up(away, false).await;
        assert_eq!(world.read("amna/1").await.unwrap(), b"both", "without {away}");
        world.set_up(away, true).await;
    }
}

#[tokio::test]
async fn another_key_country_in_the_policy_moves_a_record_where_it_lies() {
    let world = World::new(SG_ONLY).await;
    let long: Vec<u8> = (0..EXTENT_SIZE + 4567).map(|at| u8::try_from(at % 249).unwrap()).collect();
    for (at, bytes) in [("amna/short", &long[..1000]), ("amna/long", &long[..])] {
        world.put(at, bytes).await;
        for (require, key) in [(ABROAD, "pk"), (SG_ONLY, "sg"), (ABROAD, "pk")] {
            assert!(matches!(world.rekey(at, require).await, Relocated::Moved(_)), "{at} to {key}");
            assert_eq!(world.record(at).unwrap().detail.copies[0].key.as_str(), key);
            assert_eq!(world.read(at).await.unwrap(), bytes);
            assert_eq!(world.rekey(at, require).await, Relocated::Stays);
        }
        world.clock.advance(3_600_001);
        world.objects.collect_round(Duration::from_secs(3600)).await.unwrap();
        assert_eq!(world.read(at).await.unwrap(), bytes, "what was left under the same site is gone and was not this");
        world.rekey(at, SG_ONLY).await;
    }
    assert_eq!(world.objects.index.summary(), world.objects.index.recount().await.unwrap());
}

#[tokio::test]
async fn a_renewal_reaches_the_wrappings_abroad_before_it_destroys() {
    let world = World::new(BOTH).await;
    world.put("amna/1", b"both").await;
    world.decide_by(policies(ABROAD)).await;
    world.put("bilal/1", b"abroad").await;
    world.set_up("sg-sin", false).await;
    let counting = Renewing::default();
    let (key, renewal) = (pk(), Renewal { through: None, destroy: true });
    let renewing = world.objects.renew_country_key(&key, renewal, &counting);
    let renewed = tokio::time::timeout(Duration::from_millis(50), renewing).await;
    assert!(renewed.is_err(), "it goes on trying");
    assert_eq!(
        world.states(&pk()).await,
        [KeyState::DecryptOnly, KeyState::Primary],
        "a site abroad still needs the old version"
    );
    world.set_up("sg-sin", true).await;
    let counting = Renewing::default();
    world.objects.renew_country_key(&key, renewal, &counting).await.unwrap();
    assert_eq!(world.states(&pk()).await, [KeyState::Destroyed, KeyState::Primary]);
    for (subject, held) in [("amna", &["PK", "SG"][..]), ("bilal", &["SG"])] {
        let wrapped = world.wrapped(subject).unwrap();
        assert_eq!(wrapped.countries(), countries(held));
        assert!(wrappings(world.backend("sg-sin")).iter().any(|(name, _)| *name == BlobName::of_subject_key(&wrapped)));
    }
    let world = world.restart().await;
    assert_eq!(
        (world.read("amna/1").await.unwrap(), world.read("bilal/1").await.unwrap()),
        (b"both".to_vec(), b"abroad".to_vec())
    );
}

#[tokio::test]
async fn an_erasure_reaches_what_lies_abroad() {
    let world = World::new(ABROAD).await;
    world.put("amna/1", b"hers").await;
    world.put("bilal/1", b"his").await;
    let Erasing::Accepted(erasure) = world.try_erase("amna").await else { panic!() };
    assert_eq!(erasure.countries, countries(&["SG"]), "who was told of her");
    assert_eq!(erasure.keys.iter().map(|erased| &erased.key).collect::<Vec<_>>(), [&pk()], "whose versions have to go");
    assert!(world.wrapped("amna").is_none());
    world.objects.sweep_erased(&erasure).await.unwrap();
    world.objects.collect_erased().await.unwrap();
    let left = wrappings(world.backend("sg-sin"));
    assert_eq!(
        left.iter().map(|(name, _)| *name).collect::<Vec<_>>(),
        [BlobName::of_subject_key(&world.wrapped("bilal").unwrap())]
    );
    assert!(matches!(world.read("amna/1").await, Err(ObjectError::NoSuchKey)));
    assert_eq!(world.read("bilal/1").await.unwrap(), b"his");
}

async fn generations(world: &World, subject: &str) -> Vec<WrappedSubjectKey> {
    let all = world.objects.index.subject_keys_of(pk(), None, 100).await.unwrap();
    all.into_iter().filter(|key| key.owner == world.owner(subject)).collect()
}

/// Rotations of what lies abroad: the new key is where the old one is needed, each opens its own, a renewal of the country's key and an erasure
/// reach all of them, wherever they lie.
#[tokio::test]
async fn a_key_that_lies_abroad_gets_a_new_generation_there() {
    let world = World::new(ABROAD).await;
    world.put("amna/1", b"first").await;
    world.put("bilal/1", b"his").await;
    let subject = SubjectId::new("amna").unwrap();
    let made = world.objects.rotate_subject_keys(&subject).await.unwrap();
    assert_eq!(made.len(), 1);
    world.put("amna/2", b"second").await;
    let [now, before] = &generations(&world, "amna").await[..] else { panic!() };
    assert_eq!((now.generation, now.countries(), before.countries()), (made[0].1, countries(&["SG"]), countries(&["SG"])));
    let kept = |world: &World| wrappings(world.backend("sg-sin")).into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    for key in [now, before] {
        assert!(kept(&world).contains(&BlobName::of_subject_key(key)));
    }
    assert_eq!(
        [&world.record("amna/1").unwrap(), &world.record("amna/2").unwrap()].map(|record| record.detail.copies[0].sk_generation),
        [before.generation, now.generation]
    );

    let renewed = world.renew(Renewal { through: None, destroy: true }).await;
    assert_eq!((renewed.rewrapped, renewed.failed, renewed.destroyed), (3, 0, vec![1]));
    let world = world.restart().await;
    for (at, bytes) in [("amna/1", b"first".as_slice()), ("amna/2", b"second"), ("bilal/1", b"his")] {
        assert_eq!(world.read(at).await.unwrap(), bytes);
    }
    for key in generations(&world, "amna").await {
        assert!(kept(&world).contains(&BlobName::of_subject_key(&key)) && key.countries() == countries(&["SG"]));
    }

    let Erasing::Accepted(erasure) = world.try_erase("amna").await else { panic!() };
    assert_eq!((erasure.keys.len(), erasure.countries.clone()), (2, countries(&["SG"])));
    assert_eq!(world.objects.sweep_erased(&erasure).await.unwrap(), 2);
    world.objects.collect_erased().await.unwrap();
    // The wrappings of before the renewal, which nothing opens, wait for the grace as ever.
    world.clock.advance(3_600_001);
    world.objects.collect_round(Duration::from_secs(3600)).await.unwrap();
    let left: Vec<_> =
        wrappings(world.backend("sg-sin")).into_iter().filter(|(_, key)| key.owner == world.owner("amna")).collect();
    assert!(left.is_empty(), "{left:?}");
    assert_eq!(world.read("bilal/1").await.unwrap(), b"his");
}

/// A policy of before has put the old key abroad; the new one does not go there for that.
#[tokio::test]
async fn a_new_generation_does_not_go_abroad_because_the_old_one_is_there() {
    let world = World::new(BOTH).await;
    world.put("amna/1", b"both").await;
    world.decide_by(policies(PK_ONLY)).await;
    let subject = SubjectId::new("amna").unwrap();
    world.set_up("pk-khi", false).await;
    assert!(world.objects.rotate_subject_keys(&subject).await.is_err(), "later, rather than abroad");
    world.set_up("pk-khi", true).await;
    world.objects.rotate_subject_keys(&subject).await.unwrap();
    assert_eq!(world.wrapped("amna").unwrap().sites, ["pk-khi".parse().unwrap()].into());
    assert_eq!(wrappings(world.backend("sg-sin")).len(), 1, "the old one");
}
