//! Records that move: nothing is lost on the way, and nothing stays where it may not be.

use super::*;
use crate::index::{CopyState, FoundRecord, SubjectRow};
use crate::objects::Relocated;
use crate::seal::EXTENT_SIZE;

const LONG: usize = 2 * EXTENT_SIZE + 12_345;

fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|at| u8::try_from(at % 251).unwrap()).collect()
}

impl World {
    /// Enters where a subject resides into the directory.
    async fn resides(&self, subject: &str, country: &str) -> SubjectRow {
        let id = crate::types::SubjectId::new(subject).unwrap();
        let attributes = Attributes::from([("residence".to_owned(), country.to_owned())]);
        let change = Change::Subject(Box::new(crate::index::SubjectChange::now(id.clone(), Some(attributes))));
        self.objects.index.commit(change, Event::new(Kind::SubjectSet, Actor::System)).await.unwrap();
        self.objects.index.subject(&id).unwrap().unwrap()
    }

    fn found(&self, at: &str) -> FoundRecord {
        FoundRecord { bucket: bucket(), key: key(at), record: self.record(at).unwrap() }
    }

    async fn move_it(&self, at: &str) -> Relocated {
        self.objects.relocate(&self.found(at)).await.unwrap()
    }

    fn sites_of(&self, at: &str) -> Vec<String> {
        self.record(at).unwrap().detail.copies.iter().map(|copy| copy.site.to_string()).collect()
    }

    /// Blobs at a site that are not wrapped keys or its marker.
    async fn extents(&self, name: &str) -> usize {
        let site = self.objects.sites.get(&site(name)).unwrap().clone();
        let mut extents = 0;
        for blob in site.list(None, 10_000).await.unwrap().blobs {
            let read = site.read(&blob.name, Some(0..15)).await.unwrap();
            let prefix: Vec<u8> = read.body.try_collect::<Vec<_>>().await.unwrap().concat();
            extents += usize::from(crate::seal::blob_kind(&prefix).unwrap() == crate::seal::BlobKind::Extent);
        }
        extents
    }

    async fn check_counters(&self) {
        assert_eq!(self.objects.index.summary(), self.objects.index.recount().await.unwrap());
    }
}

fn moved(outcome: &Relocated) -> (String, String, u64) {
    let Relocated::Moved(moved) = outcome else { panic!("{outcome:?}") };
    let names = |countries: &std::collections::BTreeSet<crate::types::Country>| {
        countries.iter().map(ToString::to_string).collect::<Vec<_>>().join("+")
    };
    (names(&moved.from), names(&moved.to), moved.bytes)
}

#[tokio::test]
async fn a_record_goes_where_its_subject_goes_and_comes_back() {
    let world = World::new(PK_ONLY).await;
    for (subject, at, len) in [("amna", "amna/short", 1000), ("bilal", "bilal/long", LONG)] {
        let written = world.put(at, &bytes(len)).await;
        world.resides(subject, "PK").await;
        assert_eq!(world.move_it(at).await, Relocated::Stays);
        for (country, away, home) in [("SG", "pk-khi", "sg-sin"), ("PK", "sg-sin", "pk-khi"), ("SG", "pk-khi", "sg-sin")] {
            world.resides(subject, country).await;
            let before = world.extents(away).await;
            let outcome = world.move_it(at).await;
            assert_eq!(moved(&outcome), (away[..2].to_uppercase(), country.to_owned(), len as u64));
            assert_eq!(world.sites_of(at), [home]);
            assert_eq!(world.read(at).await.unwrap(), bytes(len));
            assert_eq!(world.extents(away).await, before, "what a reader may still need is kept for a while");
            let now = world.record(at).unwrap();
            assert_eq!(now.summary, written.summary);
            assert!(now.detail.copies.iter().all(|copy| matches!(copy.state, CopyState::Stored { .. })));
            assert_eq!(world.move_it(at).await, Relocated::Stays);
            // Collected only now: the old blobs of a record that came back must not be taken for the new ones.
            world.check_counters().await;
        }
        while world.objects.collect_round(Duration::ZERO).await.unwrap() > 0 {}
        assert_eq!(world.extents("pk-khi").await, 0);
        assert_eq!(world.read(at).await.unwrap(), bytes(len));
        let delete = DeleteRequest {
            bucket: bucket(),
            item: DeleteItem { key: key(at), version: None, condition: WriteCondition::None },
            bypass_governance: false,
        };
        world.objects.delete(&world.asks(), delete).await.unwrap();
        while world.objects.collect_round(Duration::ZERO).await.unwrap() > 0 {}
        assert_eq!((world.extents("pk-khi").await, world.extents("sg-sin").await), (0, 0));
        world.check_counters().await;
    }
    assert_eq!(world.count("relocated"), 6);
}

#[tokio::test]
async fn what_is_written_meanwhile_wins() {
    let world = World::new(PK_ONLY).await;
    world.put("amna/k", b"old").await;
    let stale = world.found("amna/k");
    world.put("amna/k", b"new").await;
    world.resides("amna", "SG").await;
    assert_eq!(world.objects.relocate(&stale).await.unwrap(), Relocated::Gone);
    assert_eq!(world.read("amna/k").await.unwrap(), b"new");
    while world.objects.collect_round(Duration::ZERO).await.unwrap() > 0 {}
    assert_eq!((world.extents("pk-khi").await, world.extents("sg-sin").await), (1, 0));
}

#[tokio::test]
async fn a_move_waits_for_the_country_it_goes_to() {
    let world = World::new(PK_ONLY).await;
    world.put("amna/k", b"bytes").await;
    world.resides("amna", "SG").await;
    world.set_up("sg-sin", false).await;
    assert!(matches!(world.objects.relocate(&world.found("amna/k")).await, Err(ObjectError::Residency(_))));
    assert_eq!((world.sites_of("amna/k"), world.read("amna/k").await.unwrap()), (vec!["pk-khi".to_owned()], b"bytes".to_vec()));
    world.set_up("sg-sin", true).await;
    world.move_it("amna/k").await;
    assert_eq!(world.sites_of("amna/k"), ["sg-sin"]);
}

#[tokio::test]
async fn a_copy_that_does_not_read_back_is_not_switched_to() {
    let world = World::new(PK_ONLY).await;
    world.put("amna/k", b"bytes").await;
    world.resides("amna", "SG").await;
    world.backend("sg-sin").faults().cut_streams(9);
    assert!(world.objects.relocate(&world.found("amna/k")).await.is_err());
    world.backend("sg-sin").faults().cut_streams(0);
    world.set_up("sg-sin", true).await;
    assert_eq!((world.sites_of("amna/k"), world.read("amna/k").await.unwrap()), (vec!["pk-khi".to_owned()], b"bytes".to_vec()));
    while world.objects.collect_round(Duration::ZERO).await.unwrap() == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(world.extents("sg-sin").await, 0, "what was written for the move is garbage");
}

#[tokio::test]
async fn a_reader_that_began_before_the_move_reads_on() {
    let world = World::new(PK_ONLY).await;
    world.put("amna/long", &bytes(LONG)).await;
    let get = GetRequest {
        bucket: bucket(),
        key: key("amna/long"),
        version: None,
        range: None,
        part: None,
        condition: ReadCondition::default(),
    };
    let (_, mut reading) = world.objects.get(&world.asks(), get).await.unwrap();
    let first = reading.try_next().await.unwrap().unwrap();
    world.resides("amna", "SG").await;
    world.move_it("amna/long").await;
    while world.objects.collect_round(Duration::ZERO).await.unwrap() > 0 {}
    let rest = reading.try_collect::<Vec<_>>().await.unwrap().concat();
    assert_eq!([first.as_ref(), &rest].concat(), bytes(LONG));
    while world.objects.collect_round(Duration::ZERO).await.unwrap() > 0 {}
    assert_eq!(world.extents("pk-khi").await, 0);
}

#[tokio::test]
async fn a_move_that_the_process_does_not_survive_begins_again() {
    let mut world = World::new(PK_ONLY).await;
    world.put("amna/long", &bytes(LONG)).await;
    world.resides("amna", "SG").await;
    // Each blob that gets there, and the one after the last, is where a process ends.
    for stored in 0..4 {
        let found = world.found("amna/long");
        let before = world.extents("sg-sin").await;
        world.backend("sg-sin").faults().set_delay(Duration::from_millis(20));
        let objects = world.objects.clone();
        let moving = tokio::spawn(async move { objects.relocate(&found).await });
        while !moving.is_finished() && world.backend("sg-sin").blobs().len() < before + stored {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        moving.abort();
        let _ = moving.await;
        world.backend("sg-sin").faults().set_delay(Duration::ZERO);
        world = world.restart().await;
        world.activate(world.policies.load_full()).await;
        assert_eq!(world.read("amna/long").await.unwrap(), bytes(LONG));
        world.check_counters().await;
    }
    world.move_it("amna/long").await;
    assert_eq!((world.sites_of("amna/long"), world.read("amna/long").await.unwrap()), (vec!["sg-sin".to_owned()], bytes(LONG)));
    while world.objects.collect_round(Duration::ZERO).await.unwrap() > 0 {}
    assert_eq!(world.extents("pk-khi").await, 0);
    assert_eq!(world.read("amna/long").await.unwrap(), bytes(LONG));
}
