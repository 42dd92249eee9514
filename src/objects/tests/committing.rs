//! A decision that stopped standing while the body was on its way.

use super::*;
use crate::residency::Refusal;

/// The same places as under [`PK_ONLY`], by another set.
const SAME: &str = "[require]\ncopies = \"only\"\ncountries = [\"PK\"]\n";

/// A body that has `meanwhile` done when it is asked for.
fn body_after(meanwhile: impl Future<Output = ()> + Send + 'static) -> Body {
    Box::pin(stream::once(async move {
        meanwhile.await;
        Ok(Piece::Data(Bytes::from_static(b"bytes")))
    }))
}

fn in_force(index: Index, set: Arc<PolicySet>) -> impl Future<Output = ()> {
    let change = Change::Policy(PolicyChange::in_force(set.revision()));
    async move { drop(index.commit(change, Event::new(Kind::PolicyActivated, Actor::System)).await.unwrap()) }
}

#[tokio::test]
async fn a_decision_that_comes_out_the_same_commits_as_the_later_one() {
    let world = World::new(PK_ONLY).await;
    let (set, deciding) = (policies(SAME), world.policies.clone());
    let activated = in_force(world.objects.index.clone(), set.clone());
    let switched = set.clone();
    let body = body_after(async move {
        deciding.store(switched);
        activated.await;
    });
    world.try_put_body("ali/1", 5, body).await.unwrap();
    assert_eq!(world.record("ali/1").unwrap().detail.placement.revision, set.revision());
}

#[tokio::test]
async fn a_write_waits_until_the_gateway_decides_by_the_set_in_force() {
    let world = World::new(PK_ONLY).await;
    let (set, deciding) = (policies(SAME), world.policies.clone());
    let activated = in_force(world.objects.index.clone(), set.clone());
    let switched = set.clone();
    let body = body_after(async move {
        activated.await;
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(50)).await;
            deciding.store(switched);
        });
    });
    world.try_put_body("ali/1", 5, body).await.unwrap();
    assert_eq!(world.record("ali/1").unwrap().detail.placement.revision, set.revision());
}

#[tokio::test]
async fn a_write_gives_up_when_the_gateway_never_gets_the_set_in_force() {
    let world = World::new(PK_ONLY).await;
    let body = body_after(in_force(world.objects.index.clone(), policies(SAME)));
    let refused = world.try_put_body("ali/1", 5, body).await;
    assert!(matches!(refused, Err(ObjectError::Residency(Refusal::Stale { .. }))), "{refused:?}");
    assert!(world.record("ali/1").is_none());
}

#[tokio::test]
async fn a_decision_that_comes_out_otherwise_is_refused_and_recorded_and_nothing_is_stored() {
    let world = World::new(PK_ONLY).await;
    let (set, deciding) = (policies(PK_FIRST), world.policies.clone());
    let activated = in_force(world.objects.index.clone(), set.clone());
    let body = body_after(async move {
        deciding.store(set);
        activated.await;
    });
    let refused = world.try_put_body("ali/1", 5, body).await;
    assert!(matches!(refused, Err(ObjectError::Residency(Refusal::Stale { .. }))), "{refused:?}");
    assert!(world.record("ali/1").is_none());
    assert_eq!(world.count("put-object"), 1, "the refusal");

    world.put("ali/2", b"under the new set").await;
    world.clock.advance(1);
    assert_eq!(world.objects.collect_round(Duration::ZERO).await.unwrap(), 0, "it was refused before its blob was stored");
    assert_eq!(world.backend("pk-khi").blobs().len(), 3, "marker, key and the record that was stored");
}

#[tokio::test]
async fn what_binds_the_source_of_a_part_is_asked_again_at_its_commit() {
    let world = World::new(PK_ONLY).await;
    let clinic = BucketName::new("clinic").unwrap();
    world.objects.create_bucket(&world.asks(), &clinic, None, Default::default(), Default::default()).await.unwrap();
    let put = PutRequest { bucket: clinic.clone(), ..World::put_request("ali/source", 5) };
    world.objects.put(&world.asks(), put, body(b"bytes")).await.unwrap();
    let upload = world.upload("ali/1").await;
    let copy = PartCopyRequest {
        bucket: bucket(),
        key: key("ali/1"),
        upload,
        number: 1,
        source: CopySource {
            bucket: clinic.clone(),
            key: key("ali/source"),
            version: None,
            condition: Default::default(),
            expected_owner: None,
        },
        range: None,
    };

    // While the source is read, an instrument comes in force that binds its bucket and not the upload's.
    let of_clinic = "[when]\nbucket = [\"clinic\"]\n[require]\ncopies = \"only\"\ncountries = [\"PK\"]\n";
    let set = policies_with(PK_ONLY, &[("clinic", of_clinic)]);
    world.backend("pk-khi").faults().set_delay(Duration::from_millis(100));
    let switch = async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        world.policies.store(set.clone());
        world.activate(set.clone()).await;
    };
    let asks = world.asks();
    let (refused, ()) = tokio::join!(world.objects.upload_part_copy(&asks, copy), switch);
    let refused = refused.unwrap_err();
    assert!(matches!(&refused, ObjectError::Residency(Refusal::Conflict { reason }) if reason.contains("clinic")), "{refused}");
}
