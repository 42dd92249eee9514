//! Garbage that can go goes, whatever has to stay.

use super::*;

/// More rows than the collector looks at in one step.
const MANY: usize = 256;

impl World {
    async fn collected(&self) -> usize {
        self.clock.advance(1);
        self.objects.collect_round(Duration::ZERO).await.unwrap()
    }
}

#[tokio::test]
async fn rows_that_have_to_stay_hold_up_none_behind_them_and_go_after_a_restart() {
    let world = World::new(PK_ONLY).await;
    for _ in 0..=MANY {
        world.put("ali/1", b"at the first site").await;
    }
    world.clock.advance(1);
    world.set_up("pk-khi", false).await;
    world.put("ali/2", b"at the second").await;
    world.put("ali/2", b"at the second, again").await;
    assert_eq!(world.collected().await, 1, "the last row, behind a whole page that has to stay");
    assert_eq!(world.backend("pk-lhe").blobs().len(), 3, "marker, key and the record that is left");
    assert_eq!(world.count("collected"), 1);

    world.backend("pk-khi").faults().set_unavailable(false);
    let world = world.restart().await;
    assert_eq!(world.collected().await, MANY);
    assert_eq!(world.backend("pk-khi").blobs().len(), 3);
    assert_eq!(world.count("collected"), 1 + 4, "a commit forgets at most 66 records of one site");
    assert_eq!(world.collected().await, 0);
}

#[tokio::test]
async fn what_is_read_stays_and_the_rest_goes() {
    let world = World::new(PK_ONLY).await;
    let held = world.put("ali/1", b"is read").await;
    let pin = world.objects.index.pin(held.summary.id);
    world.put("ali/1", b"replaced").await;
    world.put("ali/1", b"replaced again").await;
    assert_eq!(world.collected().await, 1);
    assert_eq!(world.collected().await, 0);
    drop(pin);
    assert_eq!(world.collected().await, 1);
}

#[tokio::test]
async fn a_record_is_forgotten_only_when_it_is_gone_from_every_site() {
    let world = World::new(PK_FIRST).await;
    world.put("ali/1", b"old").await;
    assert_eq!(world.objects.replicate_round().await.unwrap(), 1);
    world.put("ali/1", b"new").await;
    world.set_up("sg-sin", false).await;
    assert_eq!(world.collected().await, 0);
    assert_eq!((world.backend("pk-khi").blobs().len(), world.backend("sg-sin").blobs().len()), (3, 3));

    world.backend("sg-sin").faults().set_unavailable(false);
    let world = world.restart().await;
    assert_eq!(world.collected().await, 1);
    assert_eq!(world.backend("sg-sin").blobs().len(), 2, "marker and key");
}

#[tokio::test]
async fn every_aborted_upload_is_swept_by_a_commit_of_its_own() {
    let world = World::new(PK_ONLY).await;
    for at in ["ali/1", "ali/2"] {
        let upload = world.upload(at).await;
        world.part(at, upload, b"part").await;
        world.objects.abort_upload(&world.asks(), &bucket(), &key(at), upload).await.unwrap();
    }
    assert_eq!(world.collected().await, 2);
    assert_eq!(world.count("collected"), 2);
    assert_eq!(world.backend("pk-khi").blobs().len(), 2, "marker and key");
}
