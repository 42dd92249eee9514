//! What an import brings, refuses and leaves, over a source, an index and sites in memory.

use std::sync::Arc;

use super::{
    fixture::{MemorySource, import, map, order, principals},
    *,
};
use crate::{
    access::Action,
    bucket::{LockMode, Setting, Versioning},
    digest::{Checksum, ChecksumAlgorithm},
    index::Tally,
    jobs::Task,
    objects::tests::{PK_ONLY, World, bucket, key},
    objects::{DeleteItem, DeleteRequest},
    seal::EXTENT_SIZE,
    types::Timestamp,
};

/// Longer than an extent.
fn long() -> Vec<u8> {
    (0..EXTENT_SIZE + 70_000).map(|at| (at % 251) as u8).collect()
}

async fn world() -> (World, Arc<MemorySource>) {
    (World::new(PK_ONLY).await, Arc::default())
}

fn left(progress: &Progress) -> Vec<(&str, Why)> {
    let mut left: Vec<_> = progress.left.iter().map(|left| (left.key.as_str(), left.why)).collect();
    left.sort_unstable_by_key(|(key, _)| *key);
    left
}

fn objects(tally: Tally) -> u64 {
    tally.objects
}

impl World {
    async fn deleted(&self, at: &str) {
        let item = DeleteItem { key: key(at), version: None, condition: Default::default() };
        let delete = DeleteRequest { bucket: bucket(), item, bypass_governance: false };
        self.objects.delete(&self.asks(), delete).await.unwrap();
    }
}

#[tokio::test]
async fn objects_come_as_they_were_and_say_where_from() {
    let (world, source) = world().await;
    source.put("ali/text", b"hello", |object| {
        object.metadata = [("color".to_owned(), "=?UTF-8?B?2b7Yp9qp?=".to_owned())].into();
        object.tags = vec![("a".to_owned(), "b".to_owned())];
        object.checksum = Some(Checksum::parse(ChecksumAlgorithm::Crc32, "NhCmhg==").unwrap());
    });
    source.put("ali/empty", b"", |_| {});
    source.put("ali/پاک", &long(), |_| {});
    source.put("ali/zzz", b"last", |_| {});
    let progress = import(&world, &source, order(), SubjectMap::default()).await;
    assert_eq!((objects(progress.objects), objects(progress.imported), progress.left.len()), (4, 4, 0), "{progress:?}");
    assert_eq!(progress.imported.bytes, 9 + long().len() as u64);
    let [pk] = progress.countries.as_slice() else { panic!("{progress:?}") };
    assert_eq!((pk.countries[0].to_string().as_str(), pk.records.objects), ("PK", 4));
    assert!(world.read("ali/پاک").await.unwrap() == long());
    assert!(world.read("ali/empty").await.unwrap().is_empty());

    let record = world.record("ali/text").unwrap();
    assert_eq!((record.detail.metadata["color"].as_str(), record.detail.content["content-type"].as_str()), ("پاک", "text/plain"));
    assert_eq!((record.detail.tags.len(), record.detail.checksum.unwrap().algorithm()), (1, ChecksumAlgorithm::Crc32));
    let imported = record.detail.imported.unwrap();
    assert_eq!((imported.source.as_str(), imported.bucket.as_str(), imported.key.as_str()), ("old", "plain", "ali/text"));
    assert_eq!(imported.modified, Timestamp::from_seconds(1_700_000_001));
    assert_eq!(record.detail.placement.subject.unwrap().as_str(), "ali");
    assert!(world.record("ali/zzz").unwrap().summary.modified > imported.modified, "it is a record of now");

    let entries = world.entries("import-object");
    assert_eq!(entries.len(), 4);
    for part in [r#""actor":{"token":{"role":"operator","id":"ann"}}"#, r#""request":"an-import""#, r#""countries":["PK"]"#] {
        assert!(entries.iter().all(|entry| entry.contains(part)), "{part} in {entries:?}");
    }
    for backend in ["pk-khi", "pk-lhe", "sg-sin"] {
        let blobs = world.backend(backend).blobs();
        assert!(blobs.iter().all(|(_, blob)| !blob.windows(5).any(|window| window == b"hello")), "{backend}");
    }
}

#[tokio::test]
async fn an_import_that_is_ordered_again_brings_what_is_missing_or_new_and_nothing_else() {
    let (world, source) = world().await;
    for number in 0..5 {
        source.put(&format!("ali/{number}"), b"1", |_| {});
    }
    import(&world, &source, Order { prefix: "ali/3".to_owned(), ..order() }, SubjectMap::default()).await;
    let progress = import(&world, &source, order(), SubjectMap::default()).await;
    assert_eq!((objects(progress.present), objects(progress.imported)), (1, 4));
    let before = world.record("ali/3").unwrap();
    source.faults.lock().reads = 0;
    let progress = import(&world, &source, order(), SubjectMap::default()).await;
    assert_eq!((objects(progress.present), objects(progress.imported), source.faults.lock().reads), (5, 0, 0));
    assert_eq!(world.record("ali/3").unwrap(), before);
    // The same bytes with other metadata are another object.
    source.put("ali/3", b"1", |object| object.metadata = [("new".to_owned(), "yes".to_owned())].into());
    let progress = import(&world, &source, order(), SubjectMap::default()).await;
    assert_eq!(objects(progress.present), 5, "the same bytes are there: {progress:?}");
    source.put("ali/3", b"other", |_| {});
    let progress = import(&world, &source, order(), SubjectMap::default()).await;
    assert_eq!(left(&progress), [("ali/3", Why::Conflict)]);
    let progress = import(&world, &source, Order { overwrite: true, ..order() }, SubjectMap::default()).await;
    assert_eq!((objects(progress.imported), world.read("ali/3").await.unwrap()), (1, b"other".to_vec()));
}

#[tokio::test]
async fn subjects_come_from_keys_templates_and_maps_and_have_to_agree() {
    let (world, source) = world().await;
    for key in ["ali/a", "loose", "other/x", "old-amna.jpg", "bilal/b", "nobody"] {
        source.put(key, b"x", |_| {});
    }
    let template = Some("old-{subject}.jpg".parse().unwrap());
    let rows = map(&[("loose", "ali"), ("bilal/b", "bilal"), ("other/x", "somebody-else")]);
    let progress = import(&world, &source, Order { template, ..order() }, rows).await;
    let subject = |at: &str| Some(world.record(at)?.detail.placement.subject?.as_str().to_owned());
    for (key, expected) in [("ali/a", "ali"), ("loose", "ali"), ("old-amna.jpg", "amna"), ("bilal/b", "bilal")] {
        assert_eq!(subject(key).as_deref(), Some(expected), "{key}");
    }
    assert_eq!(left(&progress), [("nobody", Why::Refused), ("other/x", Why::Refused)]);
    assert!(progress.left.iter().any(|left| left.reason.contains("`import map`")), "{progress:?}");
    let refused = world.entries("import-object").iter().filter(|entry| entry.contains("refused")).count();
    assert_eq!(refused, 2, "each refusal is in the ledger");
    assert!(world.record("nobody").is_none() && world.record("other/x").is_none());
}

#[tokio::test]
async fn a_plan_says_what_would_be_and_writes_nothing() {
    let (world, source) = world().await;
    source.put("ali/a", b"123", |_| {});
    source.put("nobody", b"4", |_| {});
    source.put("ali/held", b"5", |object| object.legal_hold = true);
    let (ledger, blobs) = (world.all_entries().len(), world.backend("pk-khi").blobs().len());
    let plan = Order { dry_run: true, delete_source: true, ..order() };
    let planned = import(&world, &source, plan, SubjectMap::default()).await;
    assert_eq!((planned.imported, objects(planned.refused)), (Tally { objects: 1, bytes: 3 }, 2), "{planned:?}");
    assert_eq!(planned.countries[0].countries[0].to_string(), "PK");
    assert_eq!((world.all_entries().len(), world.backend("pk-khi").blobs().len()), (ledger, blobs));
    assert_eq!((source.keys().len(), source.faults.lock().reads), (3, 0));
    let done = import(&world, &source, order(), SubjectMap::default()).await;
    assert_eq!((done.imported, left(&done)), (planned.imported, left(&planned)), "and so it is");
}

#[tokio::test(start_paused = true)]
async fn a_reading_that_breaks_off_goes_on_where_it_was() {
    let (world, source) = world().await;
    source.put("ali/long", &long(), |_| {});
    source.put_parts("ali/parts", &[&long()[..6000], &long()[6000..]]);
    source.faults.lock().breaks = [0, 2_000_000, 2_000_500, EXTENT_SIZE + 1, 5000, 6000].into();
    source.faults.lock().unlisted = 1;
    let progress = import(&world, &source, Order { concurrency: 1, ..order() }, SubjectMap::default()).await;
    assert_eq!((objects(progress.imported), progress.left.len()), (2, 0), "{progress:?}");
    assert!(world.read("ali/long").await.unwrap() == long());
    assert!(world.read("ali/parts").await.unwrap() == long());
}

#[tokio::test(start_paused = true)]
async fn what_changes_while_it_is_read_is_read_again() {
    let (world, source) = world().await;
    source.put("ali/a", b"old", |_| {});
    let writer = Arc::clone(&source);
    source.faults.lock().meanwhile.push_back(Box::pin(async move { writer.put("ali/a", b"newer", |_| {}) }));
    let progress = import(&world, &source, order(), SubjectMap::default()).await;
    assert_eq!((objects(progress.imported), progress.left.len()), (1, 0), "{progress:?}");
    assert!(world.read("ali/a").await.unwrap() == b"newer");

    // It breaks off, and when it is asked for the rest, is another.
    source.put("ali/b", &long(), |_| {});
    source.faults.lock().breaks = [5000].into();
    let writer = Arc::clone(&source);
    let change = async move { writer.put("ali/b", b"short now", |_| {}) };
    source.faults.lock().meanwhile.extend([Box::pin(async {}) as _, Box::pin(change) as _]);
    let progress = import(&world, &source, order(), SubjectMap::default()).await;
    assert_eq!((objects(progress.imported), progress.left.len()), (1, 0), "{progress:?}");
    assert!(world.read("ali/b").await.unwrap() == b"short now");
}

#[tokio::test(start_paused = true)]
async fn bytes_that_are_not_what_the_source_says_are_not_taken() {
    let (world, source) = world().await;
    let wrong = "900150983cd24fb0d6963f7d28e17f72";
    source.put("ali/md5", b"hello", |object| object.entry.etag = wrong.to_owned());
    source.put_parts("ali/parts", &[b"one", b"two"]);
    source.change("ali/parts", |object| object.entry.etag = format!("{wrong}-2"));
    source.put("ali/checksum", b"hello", |object| {
        object.opaque_etag = true;
        object.checksum = Some(Checksum::parse(ChecksumAlgorithm::Crc32, "AAAAAA==").unwrap());
    });
    let progress = import(&world, &source, order(), SubjectMap::default()).await;
    let failed = ["ali/checksum", "ali/md5", "ali/parts"].map(|key| (key, Why::Failed));
    assert_eq!(left(&progress), failed, "{progress:?}");
    assert!(failed.iter().all(|(key, _)| world.record(key).is_none()));
    assert_eq!(world.count("import-object"), 0);

    // What says nothing of its bytes is read twice.
    let (world, source) = self::world().await;
    source.put("ali/opaque", b"hello", |object| object.opaque_etag = true);
    source.put_parts("ali/parts", &[b"one", b"two"]);
    source.faults.lock().hides_parts = true;
    let progress = import(&world, &source, order(), SubjectMap::default()).await;
    assert_eq!((objects(progress.imported), source.faults.lock().reads), (2, 4));
    source.put("ali/new", b"hello", |object| object.opaque_etag = true);
    source.faults.lock().fickle = true;
    let progress = import(&world, &source, order(), SubjectMap::default()).await;
    assert_eq!(left(&progress), [("ali/new", Why::Failed)]);
}

#[tokio::test]
async fn what_clients_write_and_delete_stays_so() {
    let (world, source) = world().await;
    let versioning = Setting::Versioning(Versioning::Enabled);
    world.objects.configure_bucket(&world.asks(), &bucket(), Action::PutBucketVersioning, versioning).await.unwrap();
    for key in ["ali/deleted", "ali/other", "ali/same"] {
        source.put(key, b"old", |_| {});
    }
    world.put("ali/deleted", b"x").await;
    world.deleted("ali/deleted").await;
    let other = world.put("ali/other", b"the client's").await;
    let same = world.put("ali/same", b"old").await;
    let progress = import(&world, &source, Order { delete_source: true, ..order() }, SubjectMap::default()).await;
    let expected = [("ali/deleted", Why::Conflict), ("ali/other", Why::Conflict), ("ali/same", Why::Kept)];
    assert_eq!((left(&progress), objects(progress.present)), (expected.to_vec(), 1));
    assert_eq!((world.record("ali/other").unwrap(), world.record("ali/same").unwrap()), (other, same));
    assert!(world.record("ali/deleted").is_none());
    assert_eq!(source.keys().len(), 3);

    let progress = import(&world, &source, Order { overwrite: true, ..order() }, SubjectMap::default()).await;
    assert_eq!(objects(progress.imported), 2);
    assert_eq!(world.read("ali/other").await.unwrap(), b"old");
}

#[tokio::test]
async fn a_write_that_comes_while_an_object_is_read_is_not_overwritten() {
    for overwrite in [false, true] {
        let (world, source) = world().await;
        let world = Arc::new(world);
        if overwrite {
            world.put("ali/a", b"before").await;
        }
        source.put("ali/a", b"old", |_| {});
        // The key is reserved for the conditional write, which an unconditional one does not ask for.
        let client = Arc::clone(&world);
        source.faults.lock().behind.push_back(Box::pin(async move {
            client.put("ali/a", b"the client's").await;
        }));
        let order = Order { overwrite, delete_source: true, ..order() };
        let progress = import(&world, &source, order, SubjectMap::default()).await;
        assert_eq!(left(&progress), [("ali/a", Why::Conflict)], "{progress:?}");
        assert_eq!(world.read("ali/a").await.unwrap(), b"the client's");
        assert_eq!(source.keys(), ["ali/a"]);
    }
}

#[tokio::test(start_paused = true)]
async fn only_what_reads_back_is_removed_at_the_source() {
    let (world, source) = world().await;
    source.put("ali/good", &long(), |_| {});
    source.put_parts("ali/parts", &[b"one", b"two"]);
    let deleting = || Order { delete_source: true, concurrency: 1, ..order() };
    let progress = import(&world, &source, deleting(), SubjectMap::default()).await;
    assert_eq!((objects(progress.imported), progress.deleted, objects(progress.kept)), (2, progress.imported, 0), "{progress:?}");
    assert!(source.keys().is_empty());
    assert_eq!(world.entries("source-deleted").len(), 2);
    assert!(world.entries("source-deleted").iter().all(|entry| entry.contains(r#""outcome":"ok""#)));

    // Brought first, removed by a later order; but not once a site has lost it, a client replaced it, or the source has another.
    for key in ["ali/1", "ali/2", "ali/3", "ali/4"] {
        source.put(key, key.as_bytes(), |_| {});
    }
    import(&world, &source, order(), SubjectMap::default()).await;
    let record = world.record("ali/1").unwrap();
    let site = record.detail.copies[0].site.to_string();
    let backend = world.backend(&site);
    let blobs: Vec<_> = record.blobs(&[]).collect();
    assert!(backend.corrupt(&blobs[0].name, 400), "a byte of the blob");
    world.put("ali/2", b"the client's").await;
    source.put("ali/3", b"another now", |_| {});
    let progress = import(&world, &source, deleting(), SubjectMap::default()).await;
    let expected = [("ali/1", Why::Kept), ("ali/2", Why::Conflict), ("ali/3", Why::Conflict)];
    assert_eq!((left(&progress), objects(progress.deleted)), (expected.to_vec(), 1), "{progress:?}");
    assert_eq!(source.keys(), ["ali/1", "ali/2", "ali/3"]);
}

#[tokio::test(start_paused = true)]
async fn what_is_tagged_anew_between_import_and_removal_is_kept() {
    let (world, source) = world().await;
    source.put("ali/a", b"x", |_| {});
    let writer = Arc::clone(&source);
    let retag = async move { writer.change("ali/a", |object| object.tags = vec![("subject".to_owned(), "amna".to_owned())]) };
    source.faults.lock().behind.push_back(Box::pin(retag));
    let progress = import(&world, &source, Order { delete_source: true, ..order() }, SubjectMap::default()).await;
    assert_eq!((left(&progress), source.keys().len()), (vec![("ali/a", Why::Kept)], 1), "{progress:?}");
}

#[tokio::test]
async fn a_removal_that_fails_is_in_the_ledger_as_that() {
    let (world, source) = world().await;
    source.put("ali/a", b"x", |_| {});
    source.faults.lock().sticky = true;
    let progress = import(&world, &source, Order { delete_source: true, ..order() }, SubjectMap::default()).await;
    assert_eq!((objects(progress.imported), left(&progress)), (1, vec![("ali/a", Why::Kept)]), "{progress:?}");
    let [told, taken_back] = <[String; 2]>::try_from(world.entries("source-deleted")).unwrap();
    assert!(told.contains(r#""outcome":"ok""#) && taken_back.contains("SourceUnavailable"), "{told} {taken_back}");
    source.faults.lock().sticky = false;
    let progress = import(&world, &source, Order { delete_source: true, ..order() }, SubjectMap::default()).await;
    assert_eq!((objects(progress.present), objects(progress.deleted), source.keys().len()), (1, 1, 0));
}

#[tokio::test]
async fn the_principal_bounds_what_is_written_and_its_removal_ends_it() {
    let (world, source) = world().await;
    source.put("ali/a", b"x", |_| {});
    let progress = import(&world, &source, Order { to: "other".parse().unwrap(), ..order() }, SubjectMap::default()).await;
    assert_eq!(left(&progress), [("ali/a", Why::Refused)], "{progress:?}");
    let principals = principals();
    principals.store(Arc::default());
    let counting = Counting::default();
    let import = Import::new(order(), Arc::clone(&source) as _, principals, SubjectMap::default());
    import.work(&world.objects, &counting).await.unwrap();
    assert_eq!(left(&counting.progress()), [("ali/a", Why::Refused)]);
    assert!(world.record("ali/a").is_none());
}

#[tokio::test]
async fn locks_come_along_or_the_object_does_not_come() {
    let (world, source) = world().await;
    let later = Timestamp::from_seconds(2_000_000_000);
    source.put("ali/kept", b"x", |object| object.retention = Some((true, later)));
    source.put("ali/over", b"x", |object| object.retention = Some((true, Timestamp::from_seconds(1))));
    source.put("ali/held", b"x", |object| object.legal_hold = true);
    let progress = import(&world, &source, order(), SubjectMap::default()).await;
    assert_eq!(left(&progress), [("ali/held", Why::Refused), ("ali/kept", Why::Refused)]);
    assert!(progress.left[0].reason.contains("object lock"), "{progress:?}");

    for setting in [Setting::Versioning(Versioning::Enabled), Setting::ObjectLock(Default::default())] {
        let action = match setting {
            Setting::Versioning(_) => Action::PutBucketVersioning,
            _ => Action::PutBucketObjectLockConfiguration,
        };
        world.objects.configure_bucket(&world.asks(), &bucket(), action, setting).await.unwrap();
    }
    let progress = import(&world, &source, order(), SubjectMap::default()).await;
    assert_eq!((objects(progress.imported), objects(progress.present)), (2, 1), "{progress:?}");
    let lock = |at: &str| world.record(at).unwrap().detail.lock;
    assert_eq!(
        lock("ali/kept").retention.map(|retention| (retention.mode, retention.until)),
        Some((LockMode::Compliance, later))
    );
    assert_eq!((lock("ali/held").legal_hold, lock("ali/over").retention), (Some(true), None));
}

#[tokio::test(start_paused = true)]
async fn a_site_and_a_source_that_cannot_be_listed_end_the_import_with_the_reason() {
    let (world, source) = world().await;
    source.put("domicile-site", b"sealed", |_| {});
    source.put("ali/a", b"x", |_| {});
    let run = async || {
        let counting = Counting::default();
        let import = Import::new(order(), Arc::clone(&source) as _, principals(), SubjectMap::default());
        assert!(import.work(&world.objects, &counting).await.is_err());
        counting.progress()
    };
    let progress = run().await;
    assert!(progress.stopped.unwrap().contains("is a site") && progress.objects.objects == 0);
    source.held_remove("domicile-site");
    source.faults.lock().unlisted = 10;
    assert!(run().await.stopped.unwrap().contains("unavailable"));
    assert!(world.record("ali/a").is_none());
}

#[test]
fn keys_stay_as_they_are_unless_a_prefix_takes_the_place_of_another() {
    let target = |prefix: &str, to: Option<&str>, key: &str| {
        let order = Order { prefix: prefix.to_owned(), to_prefix: to.map(str::to_owned), ..order() };
        order.target(key).ok().map(|key| key.as_str().to_owned())
    };
    assert_eq!(target("users/", None, "users/ali/1").as_deref(), Some("users/ali/1"));
    assert_eq!(target("users/", Some("people/"), "users/ali/1").as_deref(), Some("people/ali/1"));
    assert_eq!(target("users/", Some(""), "users/ali/1").as_deref(), Some("ali/1"));
    assert_eq!(target("", Some("old/"), "ali/1").as_deref(), Some("old/ali/1"));
    assert_eq!(target("users/", Some(""), "users/"), None, "nothing is left of it");
}

#[test]
fn a_map_is_let_go_of_when_the_job_ends() {
    let source: Arc<MemorySource> = Arc::default();
    let import = Import::new(order(), source as _, principals(), map(&[("a", "ali")]));
    assert_eq!(import.known(), 1);
    import.clone().release();
    assert_eq!(import.known(), 0);
}
