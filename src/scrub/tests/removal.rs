//! What a repair must not remove, however much it looks as if nobody needed it.

use super::*;
use crate::index::journal::Checked;

/// Somebody moved a blob, within its country or out of it: where it lies now it is not named, and it is all that there is.
#[tokio::test]
async fn a_blob_that_was_moved_to_another_site_is_not_removed_there() {
    let world = World::new(PK_ONLY).await;
    world.put("ali/k", &bytes(1000, 1)).await;
    let name = world.blobs_at("pk-khi")[0];
    let kept = blob(world.backend("pk-khi"), &name);
    for other in ["pk-lhe", "sg-sin"] {
        world.backend(other).put(&name, std::slice::from_ref(&kept)).await.unwrap();
        world.backend("pk-khi").delete(&name).await.unwrap();
        let progress = world.scrubbed(&repairing()).await;
        assert_eq!((classes(&progress), progress.repaired), (vec![("misplaced", 1), ("missing", 1)], 0), "{other}");
        // A part of it back is not all of it.
        world.backend("pk-khi").put(&name, &[kept.slice(..kept.len() - 1)]).await.unwrap();
        assert_eq!(world.scrubbed(&repairing()).await.repaired, 0, "{other}");
        assert_eq!(world.blobs_at(other), [name]);
        world.backend("pk-khi").put(&name, std::slice::from_ref(&kept)).await.unwrap();
        let progress = world.scrubbed(&repairing()).await;
        assert_eq!((classes(&progress), progress.repaired), (vec![], 1), "{other}");
        assert_eq!(world.blobs_at(other), []);
    }
    assert_eq!(world.read("ali/k").await.unwrap(), bytes(1000, 1));
}

#[tokio::test]
async fn a_copy_that_follows_is_kept_until_another_proves_whole() {
    let world = World::new(PK_FIRST).await;
    world.put("ali/k", &bytes(LONG, 2)).await;
    world.objects.replicate_round().await.unwrap();
    let long = |site: &str| {
        let backend = world.backend(site);
        world.blobs_at(site).into_iter().max_by_key(|name| blob(backend, name).len()).unwrap()
    };
    // The first has lost bytes that heads do not show; what the second lost is elsewhere.
    let rotten = long("pk-khi");
    let at = blob(world.backend("pk-khi"), &rotten).len() - 20;
    assert!(world.backend("pk-khi").corrupt(&rotten, at));
    let lost = world.blobs_at("sg-sin").into_iter().find(|name| *name != long("sg-sin")).unwrap();
    world.backend("sg-sin").delete(&lost).await.unwrap();
    let heads = Order { repair: true, ..Order::default() };
    let progress = world.scrubbed(&heads).await;
    assert_eq!((classes(&progress), progress.repaired), (vec![("missing", 1)], 0));
    world.collect().await;
    assert_eq!(world.blobs_at("sg-sin").len(), 2, "the extent that the first has lost is there");
    assert!(world.backend("pk-khi").corrupt(&rotten, at), "and back");
    assert_eq!(world.scrubbed(&heads).await.repaired, 1);
}

/// An index that was rebuilt agrees with the journal that it was made of, whatever the rebuild did not have.
#[tokio::test]
async fn what_a_rebuild_did_not_find_is_not_removed() {
    let world = World::new(PK_ONLY).await;
    let mut old = Vec::new();
    for at in ["ali/lost", "ali/found"] {
        let put = world.put(at, b"acknowledged").await;
        old.extend(world.blobs_at("pk-khi").into_iter().map(|name| (name, blob(world.backend("pk-khi"), &name))));
        let rebuilt = || Event::new(Kind::IndexRebuilt, Actor::System);
        if at == "ali/lost" {
            // As if its row had been in a piece that is lost: it goes, and nothing that comes after the rebuild speaks of it.
            world.put(at, b"another").await;
            world.objects.index.commit(Change::Note, rebuilt()).await.unwrap();
        } else {
            let gone = put.summary.describe(Event::new(Kind::DeleteObject, Actor::System));
            world.objects.index.commit(Change::Note, gone).await.unwrap();
            world.put(at, b"another").await;
        }
        world.collect().await;
    }
    let kept: BTreeSet<_> = world.blobs_at("pk-khi").into_iter().collect();
    for (name, blob) in old.iter().filter(|(name, _)| !kept.contains(name)) {
        world.backend("pk-khi").put(name, std::slice::from_ref(blob)).await.unwrap();
    }
    let progress = world.scrubbed(&repairing()).await;
    assert_eq!((classes(&progress), progress.repaired), (vec![("unindexed", 1)], 1));
    assert_eq!(progress.listed[0].key, Some(key("ali/lost")));
}

#[tokio::test]
async fn what_a_rebuild_had_to_do_without_keeps_everything_where_it_is() {
    let world = World::new(PK_ONLY).await;
    world.put("ali/k", b"old").await;
    let (name, old) = (world.blobs_at("pk-khi")[0], blob(world.backend("pk-khi"), &world.blobs_at("pk-khi")[0]));
    world.put("ali/k", b"new").await;
    world.collect().await;
    world.backend("pk-khi").put(&name, std::slice::from_ref(&old)).await.unwrap();
    let gap = |gap: Option<&str>| Checked { gap: gap.map(str::to_owned), ..Checked::default() };
    world.objects.index.keep_checked(&gap(Some("what lies at sg-sin"))).await.unwrap();
    let progress = world.scrubbed(&repairing()).await;
    assert_eq!((classes(&progress), progress.repaired), (vec![("unindexed", 1)], 0));
    assert!(progress.behind.unwrap().contains("without what lies at sg-sin"));
    world.objects.index.keep_checked(&gap(None)).await.unwrap();
    assert_eq!(world.scrubbed(&repairing()).await.repaired, 1);
}

/// A subject key is stored under the same name whenever a site needs it: a stray one can be needed in the next moment.
#[tokio::test]
async fn the_blob_of_a_subject_key_is_not_removed_once_a_row_names_it() {
    let world = World::new(PK_ONLY).await;
    let record = world.put("ali/k", b"bytes").await;
    let copy = &record.detail.copies[0];
    let wrapped = world.objects.index.subject_key(&copy.key, &copy.owner).unwrap().unwrap();
    let name = BlobName::of_subject_key(&wrapped);
    let site = |name: &str| Arc::clone(world.objects.sites.get(&SiteId::new(name).unwrap()).unwrap());
    let held = blob(world.backend("pk-khi"), &name);
    world.backend("pk-lhe").put(&name, std::slice::from_ref(&held)).await.unwrap();
    assert!(!world.objects.discard_key(&site("pk-khi"), &name, &wrapped).await.unwrap());
    assert_eq!(blob(world.backend("pk-khi"), &name), held);
    assert!(world.objects.discard_key(&site("pk-lhe"), &name, &wrapped).await.unwrap());
    assert!(!world.objects.restore_key(&site("pk-lhe"), &wrapped).await.unwrap(), "nor stored where none does");
    let another =
        crate::kms::WrappedSubjectKey { generation: crate::types::Generation(wrapped.generation.0 + 1), ..(*wrapped).clone() };
    assert!(!world.objects.restore_key(&site("pk-khi"), &another).await.unwrap(), "nor in place of a younger one");
    assert!(world.backend("pk-lhe").blobs().iter().all(|(other, _)| *other != name));
}

/// Under the key of another country a copy lies where that country's subject key has to be, too. Its blob is no blob in the wrong place.
#[tokio::test]
async fn a_subject_key_that_a_crash_left_abroad_is_a_leftover_and_after_a_rebuild_it_is_kept() {
    const ABROAD: &str = "[require]\ncopies = \"only\"\ncountries = [\"SG\"]\nkeys = [\"PK\"]\n";
    let world = World::new(ABROAD).await;
    let record = world.put("ali/k", b"bytes").await;
    let copy = &record.detail.copies[0];
    let wrapped = world.objects.index.subject_key(&copy.key, &copy.owner).unwrap().unwrap();
    let name = BlobName::of_subject_key(&wrapped);
    let held = blob(world.backend("sg-sin"), &name);
    assert_eq!(classes(&world.scrubbed(&deep()).await), []);
    // Stored at one more site, and not committed.
    world.backend("pk-khi").put(&name, std::slice::from_ref(&held)).await.unwrap();
    assert_eq!(classes(&world.scrubbed(&deep()).await), [("leftover", 1)]);
    assert_eq!(world.scrubbed(&repairing()).await.repaired, 1);
    let holds = |site: &str| world.backend(site).blobs().iter().any(|(one, _)| *one == name);
    assert!(!holds("pk-khi") && holds("sg-sin"));
    // Made and stored abroad, and not committed.
    let (_, made) = world.objects.hierarchy.create_subject_key(&copy.key, copy.owner.clone()).await.unwrap();
    let site = world.objects.sites.get(&SiteId::new("sg-sin").unwrap()).unwrap();
    let target = crate::seal::SealTarget::for_test("sg-sin", site.spec().country, &copy.key).unwrap();
    site.store(&crate::seal::subject_key_blob(&target, &made).unwrap()).await.unwrap();
    assert_eq!(classes(&world.scrubbed(&deep()).await), [("leftover", 1)]);
    // A rebuild may have lost a row: then it can be all that opens what lies beside it.
    world.objects.index.commit(Change::Note, Event::new(Kind::IndexRebuilt, Actor::System)).await.unwrap();
    let progress = world.scrubbed(&repairing()).await;
    assert_eq!((classes(&progress), progress.repaired), (vec![("unindexed", 1)], 0));
    assert_eq!(world.read("ali/k").await.unwrap(), b"bytes");
}
