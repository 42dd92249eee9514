//! Copies that follow after the answer, when something goes wrong on the way.

use super::*;
use crate::index::CopyRow;

/// A world in which the key of the queued copies is at their site already, so that the next blob there is a record's.
async fn world() -> World {
    let world = World::new(PK_FIRST).await;
    world.put("ali/0", b"earlier").await;
    assert_eq!(world.replicated().await, 1);
    world
}

impl World {
    async fn replicated(&self) -> usize {
        self.objects.replicate_round().await.unwrap()
    }

    fn copy_at(&self, at: &str, name: &str) -> Option<CopyRow> {
        self.record(at).unwrap().detail.copies.into_iter().find(|copy| copy.site == site(name))
    }

    /// How many blobs a site holds besides its marker and the one subject key.
    fn records_at(&self, site: &str) -> usize {
        self.backend(site).blobs().len() - 2
    }
}

#[tokio::test]
async fn a_copy_that_was_begun_goes_on_under_its_key_after_a_restart() {
    let world = world().await;
    world.put("ali/1", b"bytes").await;
    world.backend("sg-sin").faults().fail_puts(1);
    assert_eq!(world.replicated().await, 0);
    let begun = world.copy_at("ali/1", "sg-sin").unwrap();
    assert!(!begun.is_stored() && world.records_at("sg-sin") == 1, "begun, and nothing of it is there");

    let world = world.restart().await;
    assert_eq!(world.replicated().await, 1);
    let stored = world.copy_at("ali/1", "sg-sin").unwrap();
    assert!(stored.is_stored());
    assert_eq!((stored.dek, stored.manifest_attempt), (begun.dek, begun.manifest_attempt));
    assert_eq!(world.replicated().await, 0, "no longer queued");
    assert_eq!(world.count("copy-begun"), 2, "once for each record");
    world.set_up("pk-khi", false).await;
    assert_eq!(world.read("ali/1").await.unwrap(), b"bytes");
}

#[tokio::test]
async fn tries_that_repeat_leave_one_blob() {
    let world = world().await;
    world.put("ali/1", b"bytes").await;
    for _ in 0..3 {
        world.backend("sg-sin").faults().lose_put_answers(1);
        assert_eq!(world.replicated().await, 0);
        assert_eq!(world.records_at("sg-sin"), 2);
        assert!(!world.copy_at("ali/1", "sg-sin").unwrap().is_stored(), "what nobody confirmed does not count");
    }
    assert_eq!(world.replicated().await, 1);
    assert_eq!((world.records_at("sg-sin"), world.count("copy-begun")), (2, 2));
    world.set_up("pk-khi", false).await;
    assert_eq!(world.read("ali/1").await.unwrap(), b"bytes");
}

#[tokio::test]
async fn what_was_written_of_a_copy_goes_with_the_record_that_is_replaced() {
    let world = world().await;
    world.put("ali/1", b"old").await;
    world.backend("sg-sin").faults().lose_put_answers(1);
    assert_eq!(world.replicated().await, 0);
    world.put("ali/1", b"new").await;
    world.clock.advance(1);
    world.objects.collect_round(Duration::ZERO).await.unwrap();
    assert_eq!(world.records_at("sg-sin"), 1, "the blob of the unfinished copy is gone");
    assert_eq!(world.replicated().await, 1);
    world.set_up("pk-khi", false).await;
    assert_eq!(world.read("ali/1").await.unwrap(), b"new");
}

#[tokio::test]
async fn a_record_replaced_while_its_copy_is_written_leaves_nothing_behind() {
    let world = world().await;
    world.put("ali/1", b"old").await;
    world.backend("sg-sin").faults().set_delay(Duration::from_millis(200));
    let replace = async {
        while world.copy_at("ali/1", "sg-sin").is_none() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        world.put("ali/1", b"new").await;
    };
    let (tried, ()) = tokio::join!(world.objects.replicate_round(), replace);
    tried.unwrap();
    world.backend("sg-sin").faults().set_delay(Duration::ZERO);
    world.replicated().await;
    world.clock.advance(1);
    world.objects.collect_round(Duration::ZERO).await.unwrap();
    assert_eq!((world.records_at("sg-sin"), world.records_at("pk-khi")), (2, 2));
    world.set_up("pk-khi", false).await;
    assert_eq!(world.read("ali/1").await.unwrap(), b"new");
}

#[tokio::test]
async fn a_copy_waits_for_a_site_that_is_down() {
    let world = world().await;
    world.set_up("sg-sin", false).await;
    let stored = world.try_put("ali/1", b"bytes").await.unwrap();
    assert_eq!(stored.residence.sites, [site("pk-khi")]);
    assert_eq!(world.replicated().await, 0);
    assert!(world.copy_at("ali/1", "sg-sin").is_none(), "not even begun");
    world.set_up("sg-sin", true).await;
    assert_eq!(world.replicated().await, 1);
    assert!(world.copy_at("ali/1", "sg-sin").unwrap().is_stored());
}
