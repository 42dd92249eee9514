//! Erasures from order to end, over an index and sites in memory.

use std::time::Duration;

use super::*;
use crate::{
    audit::{Actor, Event, Kind},
    index::{Change, Class, Erasure, ErasureStep, Finding},
    kms::{KeyState, KmsError},
    objects::{
        Erasing,
        tests::{
            PK_ONLY, World, bucket, key,
            renewing::{pk, wrappings},
        },
    },
    types::{RequestId, SubjectId},
};

const DAY: Duration = Duration::from_secs(24 * 3600);

async fn erase(world: &World, erasures: &Erasures, subject: &str, now: bool) -> Erasing {
    let (request, subject) = (RequestId::new("0123456789abcdef").unwrap(), SubjectId::new(subject).unwrap());
    assert!(world.objects.index.is_healthy());
    erasures.erase(&request, &Actor::System, &subject, now).await.unwrap()
}

fn stands(world: &World, of: &Erasing) -> Erasure {
    let Erasing::Accepted(erasure) = of else { panic!("{of:?}") };
    world.objects.index.erasure(erasure.id).unwrap().unwrap()
}

#[tokio::test]
async fn an_old_copy_of_a_site_stays_shut_once_it_is_complete() {
    let world = World::new(PK_ONLY).await;
    for (at, bytes) in [("ali/1", b"his".as_slice()), ("amna/1", b"hers")] {
        world.put(at, bytes).await;
    }
    let copy = wrappings(world.backend("pk-khi"));
    assert_eq!(copy.len(), 2);
    let erasures = Erasures::new(world.objects.clone(), DAY);
    let ordered = erase(&world, &erasures, "ali", true).await;
    assert_eq!(stands(&world, &ordered).step, ErasureStep::Sweep);
    for (_, key) in &copy {
        assert!(world.objects.hierarchy.open_subject_key(key).await.is_ok(), "the copy opens until then");
    }
    erasures.round().await.unwrap();
    let done = stands(&world, &ordered);
    assert!(done.is_complete() && done.subject.is_none(), "{done:?}");
    assert!(world.objects.index.pending_erasures().is_empty());
    for (_, key) in &copy {
        world.objects.hierarchy.evict(&key.owner);
        let opened = world.objects.hierarchy.open_subject_key(key).await;
        assert!(matches!(opened, Err(KmsError::Destroyed { version: 1, .. })), "{opened:?}");
    }
    assert_eq!(world.read("amna/1").await.unwrap(), b"hers");
    assert!(world.record("ali/1").is_none());
    assert_eq!((world.count("erasure-accepted"), world.count("erasure-complete"), world.count("key-destroyed")), (1, 1, 1));
}

#[tokio::test]
async fn those_that_wait_share_one_new_version_and_none_waits_too_long() {
    let world = World::new(PK_ONLY).await;
    for person in ["ali", "amna", "bilal", "rest"] {
        world.put(&format!("{person}/1"), b"bytes").await;
    }
    let erasures = Erasures::new(world.objects.clone(), DAY);
    let first = erase(&world, &erasures, "ali", false).await;
    erasures.round().await.unwrap();
    assert!(matches!(stands(&world, &first).step, ErasureStep::Keys { .. }));
    assert!(world.record("ali/1").is_none(), "gone from the index at once");
    world.clock.advance(11 * 3_600_000);
    let second = erase(&world, &erasures, "amna", false).await;
    erasures.round().await.unwrap();
    assert_eq!(world.states(&pk()).await, [KeyState::Primary], "half of the time is not over");
    world.clock.advance(3_600_001);
    erasures.round().await.unwrap();
    assert!(stands(&world, &first).is_complete() && stands(&world, &second).is_complete());
    assert_eq!(world.states(&pk()).await, [KeyState::Destroyed, KeyState::Primary]);
    assert_eq!(world.count("key-rotated"), 1);
    // One more that is in a hurry, ordered twice.
    let third = erase(&world, &erasures, "bilal", false).await;
    erasures.round().await.unwrap();
    assert!(!stands(&world, &third).is_complete());
    assert_eq!(stands(&world, &erase(&world, &erasures, "bilal", true).await).id, stands(&world, &third).id);
    erasures.round().await.unwrap();
    assert!(stands(&world, &third).is_complete());
    assert_eq!(world.read("rest/1").await.unwrap(), b"bytes");
}

/// Erasures that come every day end each in its turn, and none is the reason for more than one new version.
#[tokio::test]
async fn it_is_pending_while_a_service_waits_to_destroy_and_later_ones_neither_delay_nor_hurry_it() {
    let world = World::new(PK_ONLY).await;
    for person in ["ali", "amna", "bilal", "rest"] {
        world.put(&format!("{person}/1"), b"bytes").await;
    }
    world.destroying_waits(true);
    let copy = wrappings(world.backend("pk-khi"));
    let erasures = Erasures::new(world.objects.clone(), DAY);
    let first = erase(&world, &erasures, "ali", true).await;
    erasures.round().await.unwrap();
    assert!(
        matches!(stands(&world, &first).step, ErasureStep::Keys { journal: true, .. }),
        "not complete before the key is gone"
    );
    for (_, key) in &copy {
        world.objects.hierarchy.evict(&key.owner);
        assert!(world.objects.hierarchy.open_subject_key(key).await.is_err(), "but nothing opens");
    }
    world.clock.advance(2 * 86_400_000);
    let second = erase(&world, &erasures, "amna", false).await;
    for _ in 0..3 {
        erasures.round().await.unwrap();
    }
    assert_eq!(world.count("key-rotated"), 1, "the second waits for half of its own time");
    world.clock.advance(86_400_000);
    for _ in 0..3 {
        erasures.round().await.unwrap();
    }
    assert_eq!(world.states(&pk()).await, [KeyState::Destroying, KeyState::Destroying, KeyState::Primary]);
    let through = |of: &Erasing| match stands(&world, of).step {
        ErasureStep::Keys { through, .. } => through[&pk()],
        other => panic!("{other:?}"),
    };
    assert_eq!((through(&first), through(&second)), (1, 2));

    let world = world.restart().await;
    let erasures = Erasures::new(world.objects.clone(), DAY);
    erasures.round().await.unwrap();
    assert!(!stands(&world, &first).is_complete() && !stands(&world, &second).is_complete());
    world.destroying_waits(false);
    erasures.round().await.unwrap();
    assert!(stands(&world, &first).is_complete() && stands(&world, &second).is_complete());
    assert_eq!((world.count("key-rotated"), world.count("key-destroyed")), (2, 2));
    assert_eq!(world.read("rest/1").await.unwrap(), b"bytes");
}

#[tokio::test(start_paused = true)]
async fn it_is_pending_while_a_site_that_holds_keys_is_away() {
    let world = World::new(PK_ONLY).await;
    world.put("ali/1", b"his").await;
    world.put("amna/1", b"hers").await;
    let erasures = Erasures::new(world.objects.clone(), DAY);
    world.set_up("pk-khi", false).await;
    let ordered = erase(&world, &erasures, "ali", true).await;
    assert!(erasures.round().await.is_err());
    assert!(matches!(stands(&world, &ordered).step, ErasureStep::Keys { .. }));
    assert!(world.record("ali/1").is_none());
    world.set_up("pk-khi", true).await;
    let world = world.restart().await;
    let erasures = Erasures::new(world.objects.clone(), DAY);
    erasures.round().await.unwrap();
    assert!(stands(&world, &ordered).is_complete());
    assert_eq!(world.states(&pk()).await, [KeyState::Destroyed, KeyState::Primary], "no second new version");
    assert_eq!(world.read("amna/1").await.unwrap(), b"hers");
}

#[tokio::test]
async fn nothing_but_an_entry_of_the_directory_is_erased_as_well() {
    let world = World::new(PK_ONLY).await;
    let subject = SubjectId::new("ali").unwrap();
    let request = RequestId::new("0123456789abcdef").unwrap();
    let lives = crate::types::Attributes::from([("residence".to_owned(), "PK".to_owned())]);
    world.objects.set_subject(&request, &Actor::System, &subject, Some(lives)).await.unwrap();
    let erasures = Erasures::new(world.objects.clone(), DAY);
    let ordered = erase(&world, &erasures, "ali", true).await;
    assert_eq!(stands(&world, &ordered).countries, ["PK".parse().unwrap()].into(), "its journal was told");
    erasures.round().await.unwrap();
    assert!(stands(&world, &ordered).is_complete());
    assert!(world.objects.index.subject(&subject).unwrap().is_none());
    assert_eq!(erase(&world, &erasures, "ali", true).await, Erasing::Unknown);
}

#[tokio::test]
async fn findings_do_not_go_on_naming_keys_of_the_erased() {
    let world = World::new(PK_ONLY).await;
    for (at, name) in [("ali/1", "his"), ("amna/1", "hers")] {
        world.put(at, b"bytes").await;
        let found = world.record(at).unwrap().summary;
        let finding = Finding {
            class: Class::Missing,
            site: "pk-khi".parse().unwrap(),
            country: "PK".parse().unwrap(),
            name: name.to_owned(),
            record: Some(found.id),
            bucket: Some(bucket()),
            key: Some(key(at)),
            version: Some(found.version),
            detail: String::new(),
            since: Default::default(),
        };
        let event = Event::new(Kind::Found, Actor::System);
        world.objects.index.commit(Change::Found(Box::new(finding)), event).await.unwrap();
    }
    let erasures = Erasures::new(world.objects.clone(), DAY);
    erase(&world, &erasures, "ali", false).await;
    erasures.round().await.unwrap();
    let mut findings = world.objects.index.findings(None, 10).await.unwrap();
    findings.sort_by(|one, other| one.name.cmp(&other.name));
    let [hers, his] = findings.as_slice() else { panic!("{findings:?}") };
    assert_eq!((&his.bucket, &his.key, &his.version), (&None, &None, &None));
    assert!(his.record.is_some() && hers.key == Some(key("amna/1")) && hers.version.is_some());
}
