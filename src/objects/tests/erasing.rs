//! Subjects that are erased: what is theirs goes, whatever is under way, and nothing of anybody else.

use futures_util::StreamExt;

use super::*;
use crate::{
    index::{Erasure, ErasureStep, GarbageReason, RecordUpdate, UpdateChange},
    residency::Refusal,
    seal::EXTENT_SIZE,
    types::SubjectId,
};

impl World {
    fn subject(name: &str) -> SubjectId {
        SubjectId::new(name).unwrap()
    }

    pub(crate) async fn try_erase(&self, subject: &str) -> Erasing {
        self.objects.erase(&self.request, &Actor::System, &Self::subject(subject), true).await.unwrap()
    }

    async fn erase(&self, subject: &str) -> Erasure {
        match self.try_erase(subject).await {
            Erasing::Accepted(erasure) => erasure,
            other => panic!("{other:?}"),
        }
    }

    async fn erase_whole(&self, subject: &str) -> u64 {
        let erasure = self.erase(subject).await;
        let swept = self.objects.sweep_erased(&erasure).await.unwrap();
        assert_eq!(self.objects.sweep_erased(&erasure).await.unwrap(), 0);
        assert_eq!(self.objects.index.summary(), self.objects.index.recount().await.unwrap());
        swept
    }

    pub(crate) async fn hold(&self, at: &str, on: bool) -> Result<(), crate::index::CommitError> {
        let record = self.record(at).unwrap();
        let change = UpdateChange {
            bucket: self.objects.bucket(&bucket()).unwrap().id,
            key: key(at),
            record: record.summary.id,
            ticket: record.summary.ticket,
            update: RecordUpdate::LegalHold(on),
            basis: None,
        };
        let event = Event::new(Kind::DescribeObject, Actor::System);
        self.objects.index.commit(Change::Update(Box::new(change)), event).await.map(drop)
    }

    async fn keeps_versions(&self) {
        let versioning = crate::bucket::Setting::Versioning(crate::bucket::Versioning::Enabled);
        let action = crate::access::Action::PutBucketVersioning;
        self.objects.configure_bucket(&self.asks(), &bucket(), action, versioning).await.unwrap();
    }

    async fn delete(&self, at: &str) {
        let item = DeleteItem { key: key(at), version: None, condition: WriteCondition::None };
        let delete = DeleteRequest { bucket: bucket(), item, bypass_governance: false };
        self.objects.delete(&self.asks(), delete).await.unwrap();
    }

    /// Keys of all versions and delete markers.
    async fn listed(&self) -> Vec<String> {
        let query = crate::index::VersionsQuery {
            bucket: self.objects.bucket(&bucket()).unwrap().id,
            prefix: String::new(),
            delimiter: None,
            key_marker: None,
            version_marker: None,
            limit: 1000,
        };
        let page = self.objects.index.versions(query).await.unwrap();
        page.versions.into_iter().map(|version| version.key).collect()
    }
}

#[tokio::test]
async fn all_versions_markers_and_uploads_go_and_nothing_of_anybody_else() {
    let world = World::new(PK_ONLY).await;
    world.keeps_versions().await;
    for (at, bytes) in [("ali/a", "1"), ("ali/a", "22"), ("ali/b", "333"), ("amna/a", "4444")] {
        world.put(at, bytes.as_bytes()).await;
    }
    world.delete("ali/b").await;
    world.delete("amna/gone").await;
    world.put("ali/c", &vec![7; 2 * EXTENT_SIZE]).await;
    let open = world.upload("ali/open").await;
    let etag = world.part("ali/open", open, b"a part").await.etag;
    let done = world.upload("ali/done").await;
    world.part("ali/done", done, b"a part").await;
    world.objects.abort_upload(&world.asks(), &bucket(), &key("ali/done"), done).await.unwrap();
    let others = world.upload("amna/open").await;
    assert_eq!(world.erase_whole("ali").await, 6);
    assert_eq!(world.listed().await, ["amna/a", "amna/gone"]);
    assert!(world.record("ali/a").is_none() && world.record("ali/c").is_none());
    assert_eq!(world.read("amna/a").await.unwrap(), b"4444");
    let id = world.objects.bucket(&bucket()).unwrap().id;
    for upload in [open, done] {
        assert!(world.objects.index.upload(id, &key("ali/open"), &upload).unwrap().is_none());
        assert!(world.objects.index.upload(id, &key("ali/done"), &upload).unwrap().is_none());
    }
    assert!(world.objects.index.upload(id, &key("amna/open"), &others).unwrap().is_some());
    assert!(!etag.to_string().is_empty());

    // Without a grace nothing of it is left at the sites but what is others', and what was garbage before: that waits as ever.
    world.objects.collect_erased().await.unwrap();
    world.objects.collect_erased().await.unwrap();
    assert_eq!(world.backend("pk-khi").blobs().len(), 4);
    world.clock.advance(1);
    world.objects.collect_round(Duration::ZERO).await.unwrap();
    world.objects.collect_round(Duration::ZERO).await.unwrap();
    assert_eq!(world.backend("pk-khi").blobs().len(), 3, "the marker, and her key and record");
    let names: Vec<u8> = {
        let mut rows = Vec::new();
        let each = &mut |row: &[u8], _: &[u8]| {
            rows.extend_from_slice(row);
            ControlFlow::Continue(())
        };
        world.kept.engine.scan(Bound::Unbounded, Bound::Unbounded, each).unwrap();
        rows
    };
    assert!(!names.windows(4).any(|part| part == b"ali/"), "no row's key tells of it");
}

#[tokio::test]
async fn what_somebody_else_deleted_stays_deleted() {
    let world = World::new(PK_ONLY).await;
    world.keeps_versions().await;
    world.put("ali/a", b"1").await;
    world.put("amna/a", b"2").await;
    world.delete("amna/a").await;
    world.erase_whole("ali").await;
    assert_eq!(world.listed().await, ["amna/a", "amna/a"]);
    assert!(world.record("amna/a").is_none(), "deleted is deleted");
}

#[tokio::test]
async fn what_is_held_is_not_erased_and_nothing_else_is() {
    let world = World::new(PK_ONLY).await;
    world.put("ali/a", b"1").await;
    world.put("ali/b", b"2").await;
    world.hold("ali/b", true).await.unwrap();
    assert_eq!(world.try_erase("ali").await, Erasing::Held);
    assert_eq!(world.read("ali/a").await.unwrap(), b"1");
    assert_eq!(world.count("erasure-accepted"), 1, "the refusal");
    world.hold("ali/b", false).await.unwrap();
    assert_eq!(world.erase_whole("ali").await, 2);
    assert_eq!(world.try_erase("nobody").await, Erasing::Unknown);
}

#[tokio::test]
async fn a_hold_that_comes_while_it_is_looked_for_one_is_not_overlooked() {
    let world = World::new(PK_ONLY).await;
    world.put("ali/a", b"1").await;
    let watch = world.objects.index.watch_holds(&World::subject("ali"));
    world.hold("ali/a", true).await.unwrap();
    let change = Change::Erase(Box::new(crate::index::EraseChange { subject: World::subject("ali"), at_once: false, watch }));
    let refused = world.objects.index.commit(change, Event::new(Kind::ErasureAccepted, Actor::System)).await;
    assert!(matches!(refused, Err(crate::index::CommitError::Conflict)), "{refused:?}");
    assert_eq!(world.try_erase("ali").await, Erasing::Held);
}

#[tokio::test]
async fn between_acceptance_and_sweep_nothing_is_read_held_or_moved() {
    let world = World::new(PK_ONLY).await;
    world.put("ali/a", b"1").await;
    let found = crate::index::FoundRecord { bucket: bucket(), key: key("ali/a"), record: world.record("ali/a").unwrap() };
    let keys = |world: &World| renewing::wrappings(world.backend("sg-sin")).len();
    let erasure = world.erase("ali").await;
    assert!(matches!(world.read("ali/a").await, Err(ObjectError::NoSuchKey)));
    assert!(matches!(world.hold("ali/a", true).await, Err(crate::index::CommitError::NoSuchKey)));
    world.decide_by(policies("[require]\ncopies = \"only\"\ncountries = [\"SG\"]\n")).await;
    assert_eq!(world.objects.relocate(&found).await.unwrap(), Relocated::Gone);
    assert_eq!(keys(&world), 0, "no new key is made for what is erased");
    assert_eq!(world.erase("ali").await, erasure, "asked again, it is the same");
    assert_eq!(world.objects.sweep_erased(&erasure).await.unwrap(), 1);
}

#[tokio::test]
async fn what_was_decided_before_does_not_commit_after() {
    let world = Arc::new(World::new(PK_ONLY).await);
    world.put("ali/a", b"1").await;
    let erasing = Arc::clone(&world);
    let body: Body = Box::pin(stream::once(async move {
        erasing.erase("ali").await;
        Ok(Piece::Data(Bytes::from_static(b"bytes")))
    }));
    let refused = world.try_put_body("ali/b", 5, body).await;
    assert!(matches!(refused, Err(ObjectError::Residency(Refusal::Stale { .. }))), "{refused:?}");
    assert!(world.record("ali/b").is_none());
    // Begun again it is data of after, under a key of its own that the erasure does not reach.
    world.put("ali/b", b"again").await;
    let [erasure] = &world.objects.index.pending_erasures()[..] else { panic!() };
    assert_eq!(world.objects.sweep_erased(erasure).await.unwrap(), 1);
    assert!(world.record("ali/a").is_none());
    assert_eq!(world.read("ali/b").await.unwrap(), b"again");
    let other = world.erase("ali").await;
    assert_ne!(other.id, erasure.id);
    assert_eq!(world.objects.sweep_erased(&other).await.unwrap(), 1);
}

#[tokio::test]
async fn a_part_and_a_completion_that_are_under_way_come_to_nothing() {
    let world = Arc::new(World::new(PK_ONLY).await);
    let upload = world.upload("ali/a").await;
    let etag = world.part("ali/a", upload, b"first").await.etag.to_string();
    let erasing = Arc::clone(&world);
    let body: Body = Box::pin(stream::once(async move {
        erasing.erase("ali").await;
        Ok(Piece::Data(Bytes::from_static(b"bytes")))
    }));
    let (content_md5, checksum) = (None, None);
    let part = PartRequest { bucket: bucket(), key: key("ali/a"), upload, number: 2, length: 5, content_md5, checksum };
    let refused = world.objects.upload_part(&world.asks(), part, body).await;
    assert!(matches!(refused, Err(ObjectError::Residency(Refusal::Stale { .. }))), "{refused:?}");
    let complete = world.complete("ali/a", upload, &etag).await;
    assert!(complete.is_err());
    let [erasure] = &world.objects.index.pending_erasures()[..] else { panic!() };
    assert_eq!(world.objects.sweep_erased(erasure).await.unwrap(), 1);
    let gone = world.complete("ali/a", upload, &etag).await;
    assert!(matches!(gone, Err(ObjectError::NoSuchUpload)), "{gone:?}");
    assert!(world.record("ali/a").is_none());
}

#[tokio::test]
async fn a_copy_of_what_is_erased_meanwhile_does_not_bring_it_back() {
    let world = Arc::new(World::new(PK_ONLY).await);
    let bytes = vec![5; 3 * EXTENT_SIZE];
    let source = world.put("ali/a", &bytes).await;
    let pin = world.objects.index.pin(source.summary.id);
    let unlocked = customer::Unlocked::as_stored();
    let read = world.objects.open_record(&source, 0..source.summary.size, &unlocked).await.unwrap();
    let erasing = Arc::clone(&world);
    // The source was opened before it was erased; the copy goes on reading after.
    let body: Body = Box::pin(
        copy::body_of(read)
            .chain(stream::once(async move {
                erasing.erase_whole("ali").await;
                erasing.objects.collect_erased().await.unwrap();
                Ok(Piece::Data(Bytes::new()))
            }))
            .filter(|piece| std::future::ready(!matches!(piece, Ok(Piece::Data(data)) if data.is_empty()))),
    );
    let refused = world.try_put_body("ali/copy", bytes.len() as u64, body).await;
    assert!(matches!(refused, Err(ObjectError::Residency(Refusal::Stale { .. }))), "{refused:?}");
    assert!(world.record("ali/copy").is_none());
    drop(pin);
}

/// The key is looked up, then stored at one more site, then entered for it: an erasure in between must not be undone by that.
#[tokio::test]
async fn a_key_that_is_being_stored_at_another_site_does_not_come_back() {
    let world = Arc::new(World::new(PK_ONLY).await);
    world.put("ali/1", b"before").await;
    let before = world.key_of("ali");
    world.set_up("pk-khi", false).await;
    world.backend("pk-lhe").faults().set_delay(Duration::from_millis(300));
    let writing = Arc::clone(&world);
    let write = tokio::spawn(async move { writing.try_put("ali/2", b"under way").await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    let erasure = world.erase("ali").await;
    let refused = write.await.unwrap();
    assert!(matches!(refused, Err(ObjectError::Residency(Refusal::Stale { .. }))), "{refused:?}");
    world.backend("pk-lhe").faults().set_delay(Duration::ZERO);
    assert!(world.objects.index.subject_key(&renewing::pk(), &before.owner).unwrap().is_none(), "erased is erased");
    assert!(renewing::wrappings(world.backend("pk-lhe")).is_empty(), "nor does its blob stay");
    // What is written afterwards is under a key of its own, and stays.
    world.put("ali/3", b"after").await;
    assert_ne!(world.key_of("ali").generation, before.generation);
    world.objects.sweep_erased(&erasure).await.unwrap();
    assert_eq!(world.read("ali/3").await.unwrap(), b"after");
}

#[tokio::test]
async fn a_read_that_has_begun_ends_as_it_would_have() {
    let world = World::new(PK_ONLY).await;
    let bytes: Vec<u8> = (0..3 * EXTENT_SIZE).map(|at| (at % 251) as u8).collect();
    world.put("ali/a", &bytes).await;
    let condition = ReadCondition::default();
    let get = GetRequest { bucket: bucket(), key: key("ali/a"), version: None, range: None, part: None, condition };
    let (_, body) = world.objects.get(&world.asks(), get).await.unwrap();
    world.erase_whole("ali").await;
    world.objects.collect_erased().await.unwrap();
    assert!(body.try_collect::<Vec<_>>().await.unwrap().concat() == bytes);
    world.objects.collect_erased().await.unwrap();
    assert_eq!(world.backend("pk-khi").blobs().len(), 1, "then it is gone, too");
}

#[tokio::test]
async fn garbage_of_an_erasure_says_so_and_is_due_at_once() {
    let world = World::new(PK_ONLY).await;
    world.put("ali/a", b"1").await;
    world.erase_whole("ali").await;
    let garbage = world.objects.index.garbage(Timestamp::default(), None, 10).await.unwrap();
    assert_eq!(garbage.len(), 2, "the key's blob and the record's");
    assert!(garbage.iter().all(|(_, garbage)| garbage.why == GarbageReason::Erased));
}

#[tokio::test]
async fn what_a_crash_leaves_goes_on_after_the_restart() {
    let world = World::new(PK_ONLY).await;
    world.put("ali/a", b"1").await;
    world.objects.set_subject(&world.request, &Actor::System, &World::subject("ali"), Some(Attributes::new())).await.unwrap();
    let erasure = world.erase("ali").await;
    let world = world.restart().await;
    assert_eq!(world.objects.index.pending_erasures(), std::slice::from_ref(&erasure));
    assert!(matches!(world.read("ali/a").await, Err(ObjectError::NoSuchKey)));
    assert!(world.objects.index.subject(&World::subject("ali")).unwrap().is_none());
    assert_eq!(world.objects.sweep_erased(&erasure).await.unwrap(), 1);
    let at = Timestamp::from_seconds(9);
    let done = world.objects.step_erasure(erasure.id, ErasureStep::Complete { at }).await.unwrap();
    assert_eq!((done.subject, done.keys.len(), done.countries.len()), (None, 0, 0), "it names nobody");
    assert!(world.objects.step_erasure(erasure.id, ErasureStep::Complete { at }).await.is_err());
    // The subject can come back; the number of its entry goes on.
    world.put("ali/a", b"new").await;
    let row = world.objects.set_subject(&world.request, &Actor::System, &World::subject("ali"), Some(Attributes::new())).await;
    assert_eq!(row.unwrap().0, 3);
}

#[tokio::test]
async fn the_ledger_cannot_be_asked_any_more_for_what_was_about_the_erased() {
    let world = Arc::new(World::new(PK_ONLY).await);
    world.objects.set_recorded_reads(RecordedReads::All);
    world.put("ali/a", b"1").await;
    world.put("amna/a", b"2").await;
    world.read("ali/a").await.unwrap();
    let upload = world.upload("ali/up").await;
    world.part("ali/up", upload, b"a part").await;
    world.delete("ali/gone").await;
    let index = &world.objects.index;
    let told = async |keys: &[&str], subject: &str| {
        let subject = World::subject(subject);
        let mut names: Vec<String> = index.ledger_names_of_subject(&subject).unwrap().iter().map(ToString::to_string).collect();
        for at in keys {
            let of_key = index.ledger_names_of_key(&bucket(), &key(at), Some(&subject)).unwrap();
            names.extend(of_key.iter().map(ToString::to_string));
        }
        let leaves = index.ledger_entries(0, usize::MAX).await.unwrap();
        let text = |leaf: &Vec<u8>| String::from_utf8(leaf.clone()).unwrap();
        leaves.iter().map(text).filter(|leaf| names.iter().any(|name| leaf.contains(name.as_str()))).collect::<Vec<_>>()
    };
    let keys = ["ali/a", "ali/up"];
    let before = told(&keys, "ali").await;
    for kind in ["put-object", "get-object", "create-upload", "upload-part"] {
        assert_eq!(before.iter().filter(|leaf| leaf.contains(&format!("\"{kind}\""))).count(), 1, "{kind}: {before:?}");
    }
    let others = told(&["amna/a"], "amna").await;

    // A write, a part and a refusal are under way when it is accepted.
    let erasing = Arc::clone(&world);
    let body: Body = Box::pin(stream::once(async move {
        erasing.erase("ali").await;
        Ok(Piece::Data(Bytes::from_static(b"bytes")))
    }));
    assert!(world.try_put_body("ali/late", 5, body).await.is_err());
    assert!(world.complete("ali/up", upload, "\"x\"").await.is_err());
    let [erasure] = &index.pending_erasures()[..] else { panic!() };
    world.objects.sweep_erased(erasure).await.unwrap();
    world.objects.step_erasure(erasure.id, ErasureStep::Complete { at: Timestamp::from_seconds(9) }).await.unwrap();
    let refused = world.count("put-object");
    assert_eq!(refused, 3, "the refusal is there");
    assert_eq!(told(&["ali/a", "ali/up", "ali/late"], "ali").await, Vec::<String>::new());
    assert_eq!(told(&["amna/a"], "amna").await, others);
    // Of what was nobody's, and of nothing, only the key is known: and that it keeps.
    assert_eq!(told(&["ali/gone"], "ali").await.len(), 1);
    assert_eq!(world.try_erase("ali").await, Erasing::Unknown);
    assert_eq!(told(&keys, "ali").await, Vec::<String>::new());
}
