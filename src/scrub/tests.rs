//! What is found wrong over an index and sites in memory, and what is put right.

mod removal;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use bytes::Bytes;

use super::*;
use crate::{
    audit::{Actor, Event, Kind},
    backend::{Backend, memory::MemoryBackend},
    index::{Change, Class, Intent, Stock},
    objects::{
        Depth, Erasing,
        tests::{PK_ONLY, World, bucket, key, policies},
    },
    seal::{BlobKind, BlobName, blob_kind},
    types::{AttemptId, Attributes, RecordId, SiteId, SubjectId},
};

/// More than one extent.
const LONG: usize = 8 * 1024 * 1024 + 5;
const IN_SG: &str = "[require]\ncopies = \"only\"\ncountries = [\"SG\"]\n";
const PK_FIRST: &str = "[require]\ncopies = \"first\"\ncountries = [\"PK\"]\n";

fn bytes(len: usize, seed: u8) -> Vec<u8> {
    (0..len).map(|at| (at % 251) as u8 ^ seed).collect()
}

fn deep() -> Order {
    Order { depth: Depth::Whole, ..Order::default() }
}

fn repairing() -> Order {
    Order { repair: true, ..deep() }
}

impl World {
    async fn scrubbed(&self, order: &Order) -> Progress {
        let counting = Counting::default();
        run(&self.objects, order, &counting).await.unwrap();
        counting.progress()
    }

    /// What stands, as class and site.
    async fn standing(&self) -> Vec<(Class, String)> {
        let findings = self.objects.index.findings(None, 1000).await.unwrap();
        findings.into_iter().map(|finding| (finding.class, finding.site.to_string())).collect()
    }

    /// The blobs of records at a site.
    fn blobs_at(&self, site: &str) -> Vec<BlobName> {
        let is_extent = |blob: &Bytes| blob_kind(blob).is_ok_and(|kind| kind == BlobKind::Extent);
        self.backend(site).blobs().into_iter().filter(|(_, blob)| is_extent(blob)).map(|(name, _)| name).collect()
    }

    async fn lives_in_the(&self, subject: &str, country: &str) {
        let attributes = Attributes::from([("residence".to_owned(), country.to_owned())]);
        let change =
            Change::Subject(Box::new(crate::index::SubjectChange::now(SubjectId::new(subject).unwrap(), Some(attributes))));
        self.objects.index.commit(change, Event::new(Kind::SubjectSet, Actor::System)).await.unwrap();
    }

    async fn collect(&self) {
        while self.objects.collect_round(Duration::ZERO).await.unwrap() > 0 {}
    }

    /// Records in every layout, versions of the past among the garbage, and an open upload.
    async fn stock(&self) {
        for turn in 0..3 {
            self.put("ali/short", &bytes(1000, turn)).await;
        }
        self.put("amna/long", &bytes(LONG, 1)).await;
        let upload = self.upload("ali/open").await;
        self.part("ali/open", upload, &bytes(LONG, 2)).await;
    }
}

fn blob(backend: &MemoryBackend, name: &BlobName) -> Bytes {
    backend.blobs().into_iter().find(|(other, _)| other == name).unwrap().1
}

fn classes(progress: &Progress) -> Vec<(&'static str, u64)> {
    progress.findings.iter().map(|(class, count)| (*class, *count)).collect()
}

#[tokio::test]
async fn nothing_is_found_where_nothing_is_wrong() {
    let world = World::new(PK_ONLY).await;
    world.stock().await;
    for order in [Order::default(), deep(), repairing()] {
        let progress = world.scrubbed(&order).await;
        assert_eq!((classes(&progress), progress.unchecked, progress.reasons.len()), (vec![], 0, 0), "{order:?}");
        assert_eq!(progress.records.objects, 2);
        // One, two extents and a manifest, two extents of a part, two subject keys.
        assert_eq!(progress.blobs, 1 + 3 + 2 + 2);
        world.collect().await;
    }
    assert_eq!((world.count("found"), world.count("repaired"), world.count("scrubbed")), (0, 0, 3));
}

#[tokio::test]
async fn each_fault_is_found_and_called_by_its_name() {
    let world = World::new(PK_ONLY).await;
    world.stock().await;
    world.collect().await;
    let backend = world.backend("pk-khi");
    let names = world.blobs_at("pk-khi");
    assert_eq!(names.len(), 6);
    let site = "pk-khi".to_owned();
    for name in &names {
        let original = blob(backend, name);
        let put_back = || async { backend.put(name, std::slice::from_ref(&original)).await.unwrap() };
        let other = names.iter().find(|other| *other != name).unwrap();
        let another = blob(backend, other);
        let found = |order: Order| {
            let (world, site) = (&world, site.clone());
            async move {
                let progress = world.scrubbed(&order).await;
                assert_eq!(world.standing().await.len() as u64, progress.findings.values().sum::<u64>());
                assert!(world.standing().await.iter().all(|(_, at)| *at == site));
                assert_eq!(progress.unchecked, 0);
                classes(&progress)
            }
        };
        backend.delete(name).await.unwrap();
        assert_eq!(found(Order::default()).await, [("missing", 1)]);
        put_back().await;
        assert!(backend.truncate(name, original.len() - 1));
        assert_eq!(found(Order::default()).await, [("wrong-length", 1)]);
        put_back().await;
        assert!(backend.corrupt(name, 100));
        assert_eq!(found(Order::default()).await, [("unreadable", 1)]);
        put_back().await;
        if original.len() > 2000 {
            assert!(backend.corrupt(name, original.len() - 20));
            assert_eq!(found(Order::default()).await, [], "the head alone does not show it");
            assert_eq!(found(deep()).await, [("tampered", 1)]);
            put_back().await;
        }
        backend.put(name, std::slice::from_ref(&another)).await.unwrap();
        assert_eq!(found(deep()).await, [("unreadable", 1)], "another blob in its place");
        put_back().await;
        assert_eq!(found(deep()).await, []);
    }
    assert_eq!(world.count("found"), world.count("cleared"));
}

#[tokio::test]
async fn what_nobody_needs_is_told_apart_and_only_that_is_removed() {
    let world = World::new(PK_ONLY).await;
    let old = world.put("ali/k", b"old").await;
    let old = BlobName::of("PK".parse().unwrap(), &old.detail.copies[0].manifest(old.summary.id, old.detail.layout));
    let backend = world.backend("pk-khi");
    let kept = blob(backend, &old);
    world.put("ali/k", b"new").await;
    world.collect().await;
    // An old blob put back, a stranger, a blob of another country's, and what a crash left of a write.
    backend.put(&old, std::slice::from_ref(&kept)).await.unwrap();
    let stranger = crate::backend::conformance::name(1);
    backend.put(&stranger, &[Bytes::from_static(b"somebody else's")]).await.unwrap();
    world.backend("sg-sin").put(&old, std::slice::from_ref(&kept)).await.unwrap();
    let progress = world.scrubbed(&deep()).await;
    assert_eq!(classes(&progress), [("foreign", 1), ("misplaced", 1), ("superseded", 1)]);
    let found: BTreeSet<_> = world.standing().await.into_iter().map(|(class, site)| (class.as_str(), site)).collect();
    let expected = [("foreign", "pk-khi"), ("misplaced", "sg-sin"), ("superseded", "pk-khi")];
    assert_eq!(found, expected.map(|(class, site)| (class, site.to_owned())).into());
    let about = &progress.listed.iter().find(|finding| finding.class == Class::Superseded).unwrap();
    assert_eq!((about.bucket.as_ref(), about.key.as_ref()), (Some(&bucket()), Some(&key("ali/k"))));
    let again = world.scrubbed(&deep()).await;
    assert_eq!(classes(&again), classes(&progress));
    assert_eq!(world.count("found"), 3, "what stands is recorded once");

    let progress = world.scrubbed(&repairing()).await;
    assert_eq!((classes(&progress), progress.repaired), (vec![("foreign", 1)], 2));
    assert!(backend.blobs().iter().any(|(name, _)| *name == stranger), "what is not ours stays");
    assert_eq!((world.blobs_at("pk-khi").len(), world.blobs_at("sg-sin").len()), (1, 0));
    assert_eq!(world.read("ali/k").await.unwrap(), b"new");
    backend.delete(&stranger).await.unwrap();
    assert_eq!(classes(&world.scrubbed(&deep()).await), []);
    assert_eq!((world.count("repaired"), world.count("cleared")), (2, 1));
}

#[tokio::test]
async fn what_a_crash_left_of_a_write_is_a_leftover() {
    let world = World::new(PK_ONLY).await;
    world.put("ali/k", b"there").await;
    // The second blob of two fails, and the process ends before anybody could give the first up.
    let (record, attempt) = (RecordId::from_bytes([7; 16]), AttemptId::from_bytes([8; 16]));
    let guard = world.objects.index.intent(Intent { record, attempt, sites: vec![], started: world.objects.clock.now() });
    world.clock.advance(1000);
    let long = world.put("ali/long", &bytes(LONG, 3)).await;
    while world.objects.index.leftover_intents().unwrap().is_empty() && !world.objects.index.is_written(record) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    tokio::time::sleep(Duration::from_millis(600)).await;
    std::mem::forget(guard);
    let world = world.restart().await;
    assert_eq!(world.objects.index.leftover_intents().unwrap().len(), 1);
    assert_eq!(classes(&world.scrubbed(&repairing()).await), []);
    assert_eq!(world.objects.index.leftover_intents().unwrap().len(), 0, "nothing of it lies anywhere");
    assert_eq!(world.read("ali/long").await.unwrap().len() as u64, long.summary.size);
}

#[tokio::test]
async fn a_damaged_copy_is_put_back_from_another_and_a_key_from_the_index() {
    let world = World::new(PK_FIRST).await;
    world.put("ali/short", &bytes(1000, 1)).await;
    world.put("ali/long", &bytes(LONG, 2)).await;
    world.objects.replicate_round().await.unwrap();
    for site in ["pk-khi", "sg-sin"] {
        let names = world.blobs_at(site);
        assert_eq!(names.len(), 4);
        for name in &names {
            world.backend(site).delete(name).await.unwrap();
        }
        let progress = world.scrubbed(&repairing()).await;
        assert_eq!((classes(&progress), progress.repaired), (vec![], 4), "{site}");
        // A copy that only follows is queued once more.
        world.objects.replicate_round().await.unwrap();
        world.collect().await;
        assert_eq!(world.blobs_at(site).len(), 4, "the same under other names");
        assert_eq!(classes(&world.scrubbed(&deep()).await), []);
    }
    let is_key = |blob: &Bytes| blob_kind(blob).is_ok_and(|kind| kind == BlobKind::SubjectKey);
    let keys: Vec<_> = world.backend("sg-sin").blobs().into_iter().filter(|(_, blob)| is_key(blob)).collect();
    assert_eq!(keys.len(), 1);
    world.backend("sg-sin").truncate(&keys[0].0, 30);
    let progress = world.scrubbed(&repairing()).await;
    assert_eq!((classes(&progress), progress.repaired), (vec![], 1));
    assert_eq!(blob(world.backend("sg-sin"), &keys[0].0), keys[0].1);
    for (at, expected) in [("ali/short", bytes(1000, 1)), ("ali/long", bytes(LONG, 2))] {
        assert_eq!(world.read(at).await.unwrap(), expected);
    }
}

#[tokio::test]
async fn the_only_copy_is_never_touched() {
    let world = World::new(PK_ONLY).await;
    world.put("ali/k", &bytes(1000, 1)).await;
    let name = world.blobs_at("pk-khi")[0];
    let before = blob(world.backend("pk-khi"), &name);
    world.backend("pk-khi").corrupt(&name, before.len() - 20);
    let before = blob(world.backend("pk-khi"), &name);
    let progress = world.scrubbed(&repairing()).await;
    assert_eq!((classes(&progress), progress.repaired), (vec![("tampered", 1)], 0));
    assert_eq!(blob(world.backend("pk-khi"), &name), before, "somebody may still want to look at it");
}

#[tokio::test]
async fn what_is_cleared_after_an_erasure_does_not_name_the_key_again() {
    for comes_back in [false, true] {
        let world = World::new(PK_ONLY).await;
        world.put("ali/k", &bytes(1000, 1)).await;
        let name = world.blobs_at("pk-khi")[0];
        world.backend("pk-khi").delete(&name).await.unwrap();
        assert_eq!(classes(&world.scrubbed(&Order::default()).await), [("missing", 1)]);
        let of = async |kind: &str| {
            let entries = world.objects.index.ledger_entries(0, usize::MAX).await.unwrap();
            let entries = entries.iter().map(|leaf| serde_json::from_slice::<serde_json::Value>(leaf).unwrap());
            entries.into_iter().rfind(|entry| entry["kind"] == kind).unwrap()
        };
        let (put, found) = (of("put-object").await, of("found").await);
        assert!(found["key"] == put["key"] && found["record"] == put["record"], "{found}");
        let Erasing::Accepted(erasure) = world.try_erase("ali").await else { panic!() };
        world.objects.sweep_erased(&erasure).await.unwrap();
        if comes_back {
            // The key is a name again, and not of the record that was erased.
            world.put("ali/k", &bytes(1000, 2)).await;
        }
        assert!(world.scrubbed(&Order::default()).await.findings.is_empty());
        let cleared = of("cleared").await;
        assert!(cleared["key"].is_null() && cleared["record"] == put["record"], "{cleared}");
    }
}

#[tokio::test]
async fn a_record_where_the_policy_does_not_want_it_is_misplaced() {
    let world = World::new(PK_ONLY).await;
    world.put("ali/k", b"ali's").await;
    world.put("amna/k", b"amna's").await;
    world.lives_in_the("ali", "SG").await;
    let progress = world.scrubbed(&Order::default()).await;
    assert_eq!(classes(&progress), [("incomplete", 1), ("misplaced", 1)]);
    assert_eq!(world.standing().await, [(Class::Misplaced, "pk-khi".to_owned()), (Class::Incomplete, "sg-sin".to_owned())]);
    world.decide_by(policies("[require]\nnot-countries = [\"SG\", \"PK\"]\n")).await;
    assert_eq!(
        classes(&world.scrubbed(&Order::default()).await),
        [("undecided", 1), ("incomplete", 1), ("misplaced", 1)]
            .into_iter()
            .collect::<std::collections::BTreeMap<_, _>>()
            .into_iter()
            .collect::<Vec<_>>()
    );
    world.decide_by(policies(PK_ONLY)).await;
    world.lives_in_the("ali", "PK").await;
    assert_eq!(classes(&world.scrubbed(&Order::default()).await), []);
    assert_eq!(world.standing().await, []);
}

#[tokio::test]
async fn what_cannot_be_asked_is_neither_wrong_nor_right() {
    let world = World::new(PK_ONLY).await;
    world.put("ali/k", b"bytes").await;
    let name = world.blobs_at("pk-khi")[0];
    world.backend("pk-khi").delete(&name).await.unwrap();
    assert_eq!(classes(&world.scrubbed(&Order::default()).await), [("missing", 1)]);
    world.set_up("pk-khi", false).await;
    let progress = world.scrubbed(&repairing()).await;
    assert_eq!(classes(&progress), []);
    assert!(progress.unchecked > 0 && !progress.reasons.is_empty());
    assert_eq!(world.standing().await, [(Class::Missing, "pk-khi".to_owned())], "it stands until it has been looked at");
}

#[tokio::test]
async fn a_part_of_the_records_can_be_looked_at() {
    let world = World::new(PK_ONLY).await;
    for number in 0..40 {
        world.put(&format!("ali/{number}"), b"x").await;
    }
    world.put("amna/k", b"x").await;
    let of = |stock: Stock| Order { stock, ..Order::default() };
    let in_bucket = Stock { bucket: Some(bucket()), prefix: Some("ali/1".to_owned()), ..Stock::default() };
    assert_eq!(world.scrubbed(&of(in_bucket)).await.records.objects, 11);
    let of_amna = Stock { subject: Some(SubjectId::new("amna").unwrap()), ..Stock::default() };
    assert_eq!(world.scrubbed(&of(of_amna)).await.records.objects, 1);
    let sample = Order { sample: Some(Sample { seed: 3, one_in: 4 }), ..Order::default() };
    let drawn = world.scrubbed(&sample).await;
    assert!((3..25).contains(&drawn.records.objects), "{}", drawn.records.objects);
    assert_eq!(world.scrubbed(&sample).await.records, drawn.records);
}

/// Scrubs that repair run all the time while everything that moves blobs goes on. Whatever they take away is missed at the end.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_repair_takes_nothing_from_what_goes_on_beside_it() {
    let world = Arc::new(World::new(PK_ONLY).await);
    let rounds = 60_u8;
    let writer = |name: &'static str| {
        let world = Arc::clone(&world);
        tokio::spawn(async move {
            for round in 0..rounds {
                for at in 0..3 {
                    let len = if at == 2 && round % 8 == 0 { LONG } else { 500 + usize::from(round) };
                    // A policy that changes meanwhile refuses some; asked again, it takes them.
                    while world.try_put(&format!("{name}/{at}"), &bytes(len, round)).await.is_err() {}
                }
                if name == "ali" && round % 5 == 0 {
                    world.decide_by(policies(if round % 2 == 0 { IN_SG } else { PK_ONLY })).await;
                }
            }
        })
    };
    let work = [writer("ali"), writer("amna")];
    let collector = {
        let world = Arc::clone(&world);
        tokio::spawn(async move {
            loop {
                world.objects.collect_round(Duration::ZERO).await.unwrap();
                tokio::time::sleep(Duration::from_millis(3)).await;
            }
        })
    };
    let mover = {
        let world = Arc::clone(&world);
        tokio::spawn(async move {
            loop {
                for found in world.objects.index.stock(Stock::default(), None, 100).await.unwrap().records {
                    let _ = world.objects.relocate(&found).await;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
    };
    let scrubber = {
        let world = Arc::clone(&world);
        tokio::spawn(async move {
            loop {
                let progress = world.scrubbed(&Order { repair: true, ..Order::default() }).await;
                let strays: Vec<_> = progress
                    .listed
                    .iter()
                    .filter(|finding| !matches!(finding.class, Class::Misplaced | Class::Incomplete))
                    .collect();
                assert!(strays.is_empty() && progress.repaired == 0, "{strays:?}");
            }
        })
    };
    for work in work {
        work.await.unwrap();
    }
    for task in [collector, mover] {
        task.abort();
    }
    assert!(!scrubber.is_finished(), "it found something that was only on its way");
    scrubber.abort();
    for name in ["ali", "amna"] {
        for at in 0..3 {
            let read = world.read(&format!("{name}/{at}")).await.unwrap();
            assert_eq!(read[..500], bytes(500, rounds - 1)[..], "{name}/{at}");
        }
    }
}

#[tokio::test]
async fn the_background_goes_on_where_it_was() {
    let world = World::new(PK_ONLY).await;
    world.put("ali/k", b"bytes").await;
    let name = world.blobs_at("pk-khi")[0];
    world.backend("pk-khi").delete(&name).await.unwrap();
    let continuous = Continuous { pause: Duration::from_secs(3600), ..Continuous::default() };
    let turn = || background::turn(&world.objects, continuous);
    assert_eq!(turn().await.unwrap(), continuous.pause, "the first cycle begins a pause after the first start");
    world.clock.advance(1_800_000);
    assert_eq!(turn().await.unwrap(), Duration::from_secs(1800));
    assert_eq!(world.standing().await, []);
    world.clock.advance(1_800_000);
    assert_eq!(turn().await.unwrap(), continuous.pause);
    assert_eq!(world.standing().await, [(Class::Missing, "pk-khi".to_owned())]);
    assert_eq!(world.count("scrubbed"), 1);
    assert_eq!(turn().await.unwrap(), continuous.pause, "and rests again");
    world.clock.advance(-30_000_000_000);
    assert_eq!(turn().await.unwrap(), continuous.pause, "a clock that was put back counts from there");
    world.clock.advance(3_600_000);
    assert_eq!(turn().await.unwrap(), continuous.pause);
    assert_eq!(world.count("scrubbed"), 2);
    let site = SiteId::new("pk-khi").unwrap();
    assert!(world.objects.sites.get(&site).is_some());
}

/// Wrapped keys that lie in another country than their own belong there: they are looked at, and put back.
#[tokio::test]
async fn the_keys_of_copies_abroad_are_looked_after_where_they_lie() {
    let world = World::new("[require]\ncopies = \"only\"\ncountries = [\"SG\"]\nkeys = [\"PK\"]\n").await;
    world.stock().await;
    world.collect().await;
    let progress = world.scrubbed(&repairing()).await;
    assert_eq!((classes(&progress), progress.blobs), (vec![], 1 + 3 + 2 + 2), "none of them is a stray");
    let abroad = world.backend("sg-sin");
    let is_key = |blob: &Bytes| blob_kind(blob).is_ok_and(|kind| kind == BlobKind::SubjectKey);
    let keys: Vec<_> = abroad.blobs().into_iter().filter(|(_, blob)| is_key(blob)).collect();
    assert_eq!(keys.len(), 2);
    for (name, _) in &keys {
        abroad.delete(name).await.unwrap();
    }
    let found = world.scrubbed(&Order::default()).await;
    assert_eq!(classes(&found), [("missing", 2)]);
    let repaired = world.scrubbed(&repairing()).await;
    assert_eq!((classes(&repaired), repaired.repaired), (vec![], 2));
    assert!(keys.iter().all(|(name, bytes)| blob(abroad, name) == bytes), "the same blobs are there again");
    assert!(world.blobs_at("pk-khi").is_empty() && world.blobs_at("pk-lhe").is_empty());
}
