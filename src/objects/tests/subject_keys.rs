//! Every site can be opened without the others of its country.

use super::*;
use crate::{kms::WrappedSubjectKey, seal::BlobName, types::SubjectId};

fn stored_key(world: &World) -> Arc<WrappedSubjectKey> {
    let owner = world.objects.key_owner(Some(&SubjectId::new("ali").unwrap()), &bucket());
    world.objects.index.subject_key(&key_id("pk-khi"), &owner).unwrap().unwrap()
}

fn holds(world: &World, site: &str, name: &BlobName) -> bool {
    world.backend(site).blobs().iter().any(|(held, _)| held == name)
}

#[tokio::test]
async fn a_subject_key_is_stored_at_every_site_that_gets_records_under_it() {
    let world = World::new(PK_ONLY).await;
    world.put("ali/1", b"first").await;
    let name = BlobName::of_subject_key(&stored_key(&world));
    assert!(holds(&world, "pk-khi", &name) && !holds(&world, "pk-lhe", &name));

    world.set_up("pk-khi", false).await;
    world.backend("pk-lhe").faults().fail_puts(1);
    assert!(world.try_put("ali/2", b"second").await.is_err(), "no record before its key");
    assert!(world.record("ali/2").is_none());
    assert_eq!(stored_key(&world).sites, [site("pk-khi")].into());

    world.set_up("pk-lhe", true).await;
    world.put("ali/2", b"second").await;
    assert_eq!(stored_key(&world).sites, [site("pk-khi"), site("pk-lhe")].into());
    let of = |at: &str| world.backend(at).blobs().into_iter().find(|(held, _)| *held == name);
    assert!(of("pk-lhe").is_some_and(|blob| Some(blob) == of("pk-khi")), "the same blob at both");

    let (entries, blobs) = (world.ledger(), world.backend("pk-lhe").blobs().len());
    assert_eq!(entries.iter().filter(|kind| kind.starts_with("key-")).collect::<Vec<_>>(), ["key-created", "key-stored"]);
    world.put("ali/3", b"third").await;
    assert_eq!(world.ledger().len(), entries.len() + 1, "nothing but the record is committed");
    assert_eq!(world.backend("pk-lhe").blobs().len(), blobs + 1, "and stored");
    assert!(!world.backend("sg-sin").blobs().iter().any(|(held, _)| *held == name));
}

#[tokio::test]
async fn writes_at_once_store_a_subject_key_once() {
    let world = World::new(PK_ONLY).await;
    let keys = ["ali/1", "ali/2", "ali/3", "ali/4"];
    futures_util::future::join_all(keys.map(|at| world.put(at, b"bytes"))).await;
    world.set_up("pk-khi", false).await;
    futures_util::future::join_all(keys.map(|at| world.put(at, b"bytes"))).await;
    assert_eq!(world.ledger().iter().filter(|kind| kind.starts_with("key-")).count(), 2);
}
