//! Versions that the policy keeps: nobody removes them before their time, whatever their rights, and whatever comes in between.

use super::*;
use crate::{index::CommitError, types::VersionId};

const A_DAY: &str = "[require]\ncopies = \"only\"\ncountries = [\"PK\"]\n[retention]\nat-least = \"1d\"\n";
const FREE: &str = "[require]\ncopies = \"only\"\ncountries = [\"PK\"]\n";
const DAY: i64 = 24 * 3600 * 1000;

impl World {
    async fn try_remove(&self, at: &str, version: Option<VersionId>) -> Result<Deleted, ObjectError> {
        let item = DeleteItem { key: key(at), version, condition: WriteCondition::None };
        let delete = DeleteRequest { bucket: bucket(), item, bypass_governance: true };
        self.objects.delete(&self.asks(), delete).await
    }

    async fn versioning(&self, versioning: crate::bucket::Versioning) {
        let setting = crate::bucket::Setting::Versioning(versioning);
        let action = crate::access::Action::PutBucketVersioning;
        self.objects.configure_bucket(&self.asks(), &bucket(), action, setting).await.unwrap();
    }
}

fn is_kept<T: std::fmt::Debug>(outcome: &Result<T, ObjectError>) -> bool {
    matches!(outcome, Err(ObjectError::Kept { .. }))
}

#[tokio::test]
async fn without_versions_nothing_is_deleted_or_overwritten_before_its_time() {
    let world = World::new(A_DAY).await;
    let written = world.put("ali/1", b"kept").await;
    let upload = world.upload("ali/1").await;
    let etag = world.part("ali/1", upload, b"a part").await.etag.to_string();
    let blobs = world.backend("pk-khi").blobs().len();
    for _ in 0..2 {
        let refused =
            [world.try_remove("ali/1", None).await.map(drop), world.try_remove("ali/1", Some(VersionId::Null)).await.map(drop)];
        assert!(refused.iter().all(is_kept), "{refused:?}");
        let item = |at: &str| DeleteItem { key: key(at), version: None, condition: WriteCondition::None };
        let many =
            world.objects.delete_many(&world.asks(), &bucket(), vec![item("ali/1"), item("ali/none")], true).await.unwrap();
        assert!(is_kept(&many[0]) && many[1].is_ok(), "{many:?}");
        let refused = world.try_put("ali/1", b"other").await;
        assert!(is_kept(&refused), "{refused:?}");
        world.clock.advance(DAY - 1 - (world.clock.now().millis() - written.summary.modified.millis()));
    }
    assert_eq!(world.backend("pk-khi").blobs().len(), blobs, "not a byte of what would overwrite it is stored");
    let refused = world.complete("ali/1", upload, &etag).await;
    assert!(is_kept(&refused), "{refused:?}");
    assert_eq!(world.read("ali/1").await.unwrap(), b"kept");
    let recorded =
        world.all_entries().into_iter().filter(|entry| entry.contains("\"refused\":{\"code\":\"AccessDenied\"}")).count();
    assert_eq!(recorded, 9);

    world.clock.advance(1);
    world.complete("ali/1", upload, &etag).await.unwrap();
    assert_eq!(world.read("ali/1").await.unwrap(), b"a part");
    assert!(is_kept(&world.try_remove("ali/1", None).await), "that one is younger");
    assert_eq!(world.objects.index.summary(), world.objects.index.recount().await.unwrap());
}

#[tokio::test]
async fn with_versions_delete_markers_are_fine_and_versions_stay() {
    let world = World::new(A_DAY).await;
    world.versioning(crate::bucket::Versioning::Enabled).await;
    let first = world.put("ali/1", b"first").await.summary.version;
    world.put("ali/1", b"second").await;
    let Deleted::Marked(marker) = world.try_remove("ali/1", None).await.unwrap() else { panic!() };
    assert!(is_kept(&world.try_remove("ali/1", Some(first)).await));
    world.try_remove("ali/1", Some(marker)).await.unwrap();
    assert_eq!(world.read("ali/1").await.unwrap(), b"second");
    world.clock.advance(DAY);
    world.try_remove("ali/1", Some(first)).await.unwrap();

    world.versioning(crate::bucket::Versioning::Suspended).await;
    world.put("ali/2", b"null").await;
    assert!(is_kept(&world.try_put("ali/2", b"over it").await));
    assert!(is_kept(&world.try_remove("ali/2", None).await), "its marker would take the place of the null version");
    world.clock.advance(DAY);
    world.put("ali/2", b"over it").await;
}

#[tokio::test]
async fn a_policy_that_comes_while_a_delete_waits_is_not_overlooked() {
    let world = World::new(FREE).await;
    for at in ["ali/1", "ali/2"] {
        world.put(at, b"kept").await;
    }
    let set = policies(A_DAY);
    // The index has it, and the gateway decides by the one before.
    world.activate(Arc::clone(&set)).await;
    let both = async {
        let (deleted, overwritten) = tokio::join!(world.try_remove("ali/1", None), world.try_put("ali/2", b"other"));
        assert!(is_kept(&deleted) && is_kept(&overwritten), "{deleted:?} {overwritten:?}");
    };
    let switch = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        world.policies.store(set);
    };
    tokio::join!(both, switch);
    assert_eq!((world.read("ali/1").await.unwrap(), world.read("ali/2").await.unwrap()), (b"kept".to_vec(), b"kept".to_vec()));
}

#[tokio::test]
async fn what_the_policy_keeps_is_not_erased() {
    let world = World::new(A_DAY).await;
    world.put("ali/1", b"kept").await;
    assert_eq!(world.try_erase("ali").await, Erasing::Held);
    assert_eq!(world.read("ali/1").await.unwrap(), b"kept");
    // One that comes between the look and the commit counts, too.
    let subject = crate::types::SubjectId::new("ali").unwrap();
    world.decide_by(policies(FREE)).await;
    let watch = world.objects.index.watch_holds(&subject);
    assert_eq!(world.objects.index.is_held(&subject, world.clock.now()).await.unwrap(), Some(false));
    world.decide_by(policies(A_DAY)).await;
    let change = Change::Erase(Box::new(crate::index::EraseChange { subject: subject.clone(), at_once: false, watch }));
    let refused = world.objects.index.commit(change, Event::new(Kind::ErasureAccepted, Actor::System)).await;
    assert!(matches!(refused, Err(CommitError::Conflict)), "{refused:?}");
    // So does a version.
    world.clock.advance(DAY);
    let watch = world.objects.index.watch_holds(&subject);
    assert_eq!(world.objects.index.is_held(&subject, world.clock.now()).await.unwrap(), Some(false));
    world.put("ali/2", b"younger").await;
    let change = Change::Erase(Box::new(crate::index::EraseChange { subject, at_once: false, watch }));
    let refused = world.objects.index.commit(change, Event::new(Kind::ErasureAccepted, Actor::System)).await;
    assert!(matches!(refused, Err(CommitError::Conflict)), "{refused:?}");
    assert_eq!(world.try_erase("ali").await, Erasing::Held);
    world.clock.advance(DAY);
    assert!(matches!(world.try_erase("ali").await, Erasing::Accepted(_)));
}

#[tokio::test]
async fn a_gateway_that_never_gets_the_policy_in_force_removes_nothing() {
    let world = World::new(FREE).await;
    world.put("ali/1", b"kept").await;
    world.activate(policies(A_DAY)).await;
    assert_eq!(
        world.objects.index.is_held(&crate::types::SubjectId::new("ali").unwrap(), world.clock.now()).await.unwrap(),
        None
    );
    let refused = world.try_remove("ali/1", None).await;
    assert!(matches!(refused, Err(ObjectError::Residency(crate::residency::Refusal::Stale { .. }))), "{refused:?}");
    assert_eq!(world.read("ali/1").await.unwrap(), b"kept");
}
