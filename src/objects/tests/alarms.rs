//! Sites at which an alarm stands: nothing new goes there by whatever way, and what is there is read and removed.

use tokio::sync::mpsc;

use super::*;
use crate::backend::{Check, Severity, Verdict};

const BOTH_IN_PK: [&str; 2] = ["pk-khi", "pk-lhe"];

impl World {
    /// Makes a site copy itself elsewhere, or not any more, and lets the gateway look.
    async fn set_copied(&self, name: &str, copied: bool) {
        self.say_copied(name, copied);
        self.objects.sites.examine().await;
        assert_eq!(crate::residency::Availability::is_up(&*self.objects.sites, &site(name)), !copied);
    }

    fn say_copied(&self, name: &str, copied: bool) {
        let alarm = Verdict::Found { severity: Severity::Alarm, detail: "abroad".to_owned() };
        self.backend(name).faults().set_verdict(Check::Replication, if copied { alarm } else { Verdict::Fine });
    }

    fn names_at(&self, site: &str) -> Vec<crate::seal::BlobName> {
        self.backend(site).blobs().into_iter().map(|(name, _)| name).collect()
    }
}

#[tokio::test]
async fn new_records_go_to_another_site_of_the_country_or_nowhere() {
    let world = World::new(PK_ONLY).await;
    world.put("ali/1", b"before").await;
    world.set_copied("pk-khi", true).await;
    let held = world.names_at("pk-khi");
    let record = world.put("ali/2", b"meanwhile").await;
    assert!(record.detail.copies.iter().all(|copy| copy.site == site("pk-lhe")), "{:?}", record.detail.copies);
    world.set_copied("pk-lhe", true).await;
    let refused = world.try_put("ali/3", b"nowhere to go").await.unwrap_err();
    assert!(
        matches!(&refused, ObjectError::Residency(crate::residency::Refusal::Unavailable { country }) if country.as_str() == "PK"),
        "{refused:?}"
    );
    assert_eq!(
        (world.names_at("pk-khi"), world.backend("sg-sin").blobs().len()),
        (held, 1),
        "nothing was written, least of all abroad"
    );
    assert_eq!(world.read("ali/1").await.unwrap(), b"before");
    assert_eq!(world.read("ali/2").await.unwrap(), b"meanwhile");
    for name in BOTH_IN_PK {
        world.set_copied(name, false).await;
    }
    world.put("ali/3", b"and again").await;
}

#[tokio::test]
async fn a_body_under_way_is_stored_no_further_and_leaves_garbage_that_goes() {
    let world = World::new(PK_ONLY).await;
    world.put("ali/0", b"the key is there").await;
    let held = world.names_at("pk-khi").len();
    let extent = Bytes::from(vec![7_u8; 8 << 20]);
    let (send, body) = channel();
    let drive = async {
        send.send(Ok(Piece::Data(extent.clone()))).await.unwrap();
        for _ in 0..400 {
            if world.names_at("pk-khi").len() > held {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        world.say_copied("pk-khi", true);
        world.objects.sites.examine().await;
        for piece in [extent.clone(), extent.clone()] {
            // The body is dropped as soon as the write has failed.
            drop(send.send(Ok(Piece::Data(piece))).await);
        }
        drop(send);
    };
    let (outcome, ()) = tokio::join!(world.try_put_body("ali/1", 3 * extent.len() as u64, body), drive);
    assert!(outcome.is_err(), "{outcome:?}");
    assert!(world.record("ali/1").is_none());
    assert!(world.names_at("pk-khi").len() <= held + 1, "only what was stored before the alarm");
    world.clock.advance(1);
    world.objects.collect_round(Duration::ZERO).await.unwrap();
    assert_eq!(world.names_at("pk-khi").len(), held, "a site that is closed is still cleared");
}

/// A body, and where its pieces are put in.
fn channel() -> (mpsc::Sender<Result<Piece, BodyError>>, Body) {
    let (send, receive) = mpsc::channel(1);
    let next = |mut receive: mpsc::Receiver<_>| async move { receive.recv().await.map(|piece| (piece, receive)) };
    (send, Box::pin(stream::unfold(receive, next)))
}

#[tokio::test]
async fn parts_and_queued_copies_wait_too() {
    let world = World::new(PK_FIRST).await;
    let upload = world.upload("ali/big").await;
    world.put("ali/1", b"follows later").await;
    world.set_copied("sg-sin", true).await;
    let held = world.names_at("sg-sin");
    assert_eq!(world.objects.replicate_round().await.unwrap(), 0);
    assert_eq!(world.names_at("sg-sin"), held);
    world.set_copied("sg-sin", false).await;
    assert_eq!(world.objects.replicate_round().await.unwrap(), 1);

    for name in BOTH_IN_PK {
        world.set_copied(name, true).await;
    }
    let held = BOTH_IN_PK.map(|name| world.names_at(name));
    assert!(world.try_part("ali/big", upload, b"a part").await.is_err());
    assert_eq!(BOTH_IN_PK.map(|name| world.names_at(name)), held);
}

#[tokio::test]
async fn what_was_deleted_is_removed_from_a_closed_site() {
    let world = World::new(PK_ONLY).await;
    world.put("ali/1", b"first").await;
    let held = world.names_at("pk-khi").len();
    world.put("ali/1", b"second").await;
    world.set_copied("pk-khi", true).await;
    world.clock.advance(1);
    assert_eq!(world.objects.collect_round(Duration::ZERO).await.unwrap(), 1);
    assert_eq!(world.names_at("pk-khi").len(), held);
}
