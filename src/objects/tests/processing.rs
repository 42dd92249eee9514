//! Content that may be opened from some countries alone. The gateway of these tests is in Singapore.

use super::*;
use crate::{index::FoundRecord, objects::Relocated, residency::Refusal};

const FROM_BOTH: &str = "[require]\ncopies = \"only\"\ncountries = [\"PK\"]\nprocessing = [\"PK\", \"SG\"]\n";
const FROM_PK: &str = "[require]\ncopies = \"only\"\ncountries = [\"PK\"]\nprocessing = [\"PK\"]\n";
/// The same place, and nothing said of who reads.
const FREE: &str = "[require]\ncopies = \"only\"\ncountries = [\"PK\"]\n";
/// Elsewhere, and only from Pakistan.
const ABROAD_FROM_PK: &str = "[require]\ncopies = \"only\"\ncountries = [\"SG\"]\nprocessing = [\"PK\"]\n";

impl World {
    /// A request of somebody who processes in `country`.
    fn somebody_in(&self, country: &str) -> Authenticated {
        let principal = Principal::unrestricted("reader", vec![AccessKey::new("AKREADER", "secret".to_owned().into())]).unwrap();
        let attributes = self.auth.principal().attributes.clone();
        Authenticated::for_test(Principal { country: country.parse().ok(), attributes, ..principal })
    }

    async fn read_as(&self, auth: &Authenticated, at: &str, range: Option<ByteRange>) -> Result<Vec<u8>, ObjectError> {
        let condition = ReadCondition::default();
        let get = GetRequest { bucket: bucket(), key: key(at), version: None, range, part: None, condition };
        let (_, body) = self.objects.get(&Request { auth, ..self.asks() }, get).await?;
        Ok(body.try_collect::<Vec<_>>().await.unwrap().concat())
    }

    async fn copy_as(&self, auth: &Authenticated, from: &str, to: &str) -> Result<Stored, ObjectError> {
        let copy = CopyRequest {
            source: source(from),
            bucket: bucket(),
            key: key(to),
            replace: None,
            tags: None,
            lock: Default::default(),
            condition: WriteCondition::None,
            checksum: None,
            acl: Default::default(),
        };
        self.objects.copy(&Request { auth, ..self.asks() }, copy).await
    }

    /// How many refusals for reasons of residency the ledger tells of.
    fn refused(&self) -> usize {
        self.all_entries().into_iter().filter(|entry| entry.contains("\"refused\":{\"code\":\"ResidencyConflict\"}")).count()
    }
}

fn source(at: &str) -> CopySource {
    CopySource { bucket: bucket(), key: key(at), version: None, condition: ReadCondition::default(), expected_owner: None }
}

fn is_denied<T: std::fmt::Debug>(outcome: &Result<T, ObjectError>) -> bool {
    matches!(outcome, Err(ObjectError::Residency(Refusal::Denied { instruments, reason }))
        if instruments.len() == 1 && instruments[0].as_str() == "pk" && reason.contains("`pk`"))
}

#[tokio::test]
async fn content_is_opened_for_readers_in_the_countries_that_the_policy_names_alone() {
    let world = World::new(FROM_BOTH).await;
    world.put("ali/1", b"content").await;
    assert_eq!(world.read("ali/1").await.unwrap(), b"content", "a reader of no country is where the gateway is");
    let (pk, germany) = (world.somebody_in("PK"), world.somebody_in("DE"));
    assert_eq!(world.read_as(&pk, "ali/1", Some(ByteRange::FromTo(1, 2))).await.unwrap(), b"on");
    let reads = world.backend("pk-khi").blobs().len();
    for range in [None, Some(ByteRange::FromTo(1, 2))] {
        let refused = world.read_as(&germany, "ali/1", range).await;
        assert!(is_denied(&refused), "{refused:?}");
    }
    assert_eq!(world.refused(), 2, "both are recorded");
    let nobody = Authenticated::anonymous_for_test();
    let permitted = |auth: &Authenticated| {
        let reader = world.objects.residency.reader_country(auth);
        let placement = world.record("ali/1").unwrap().detail.placement;
        world.objects.residency.read_permission(&placement, &bucket(), &key("ali/1"), reader).is_ok()
    };
    assert_eq!((permitted(&pk), permitted(&germany), permitted(&nobody)), (true, false, false));
    let get = GetRequest {
        bucket: bucket(),
        key: key("ali/1"),
        version: None,
        range: None,
        part: None,
        condition: ReadCondition::default(),
    };
    world.objects.head(&Request { auth: &germany, ..world.asks() }, get).await.unwrap();
    assert_eq!(world.backend("pk-khi").blobs().len(), reads);
    world.decide_by(policies(FREE)).await;
    assert_eq!(world.read_as(&germany, "ali/1", None).await.unwrap(), b"content", "the policy in force decides");
}

#[tokio::test]
async fn a_copy_reads_its_source() {
    let world = World::new(FROM_BOTH).await;
    world.put("ali/1", b"content").await;
    let germany = world.somebody_in("DE");
    let refused = world.copy_as(&germany, "ali/1", "ali/2").await;
    assert!(is_denied(&refused), "{refused:?}");
    let upload = world.upload("ali/3").await;
    let part =
        || PartCopyRequest { bucket: bucket(), key: key("ali/3"), upload, number: 1, source: source("ali/1"), range: None };
    let refused = world.objects.upload_part_copy(&Request { auth: &germany, ..world.asks() }, part()).await;
    assert!(is_denied(&refused), "{refused:?}");
    world.objects.upload_part_copy(&world.asks(), part()).await.unwrap();
    let pk = world.somebody_in("PK");
    world.copy_as(&pk, "ali/1", "ali/2").await.unwrap();
    // What bound it goes with it.
    let refused = world.read_as(&germany, "ali/2", None).await;
    assert!(is_denied(&refused), "{refused:?}");
    assert_eq!(world.refused(), 3);
}

#[tokio::test]
async fn a_gateway_in_another_country_takes_no_content_and_still_moves_what_is_there() {
    let world = World::new(FREE).await;
    world.put("ali/1", b"content").await;
    let upload = world.upload("ali/2").await;
    let etag = world.part("ali/2", upload, b"a part").await.etag.to_string();
    world.decide_by(policies(FROM_PK)).await;
    let pk = world.somebody_in("PK");
    let refused = world.read_as(&pk, "ali/1", None).await;
    assert!(is_denied(&refused), "the reader may, the gateway may not: {refused:?}");
    let blobs = world.backend("pk-khi").blobs().len();
    let refused = world.try_put("ali/3", b"more").await;
    assert!(is_denied(&refused), "{refused:?}");
    let refused = world.try_part("ali/2", upload, b"another").await;
    assert!(is_denied(&refused), "{refused:?}");
    let refused = world.complete("ali/2", upload, &etag).await;
    assert!(is_denied(&refused), "{refused:?}");
    assert_eq!(world.backend("pk-khi").blobs().len(), blobs, "nothing of it was stored");
    assert!(world.refused() >= 4);
    // To bring a record to where it has to be is the gateway's own work: nobody gets to see it.
    world.decide_by(policies(ABROAD_FROM_PK)).await;
    let found = FoundRecord { bucket: bucket(), key: key("ali/1"), record: world.record("ali/1").unwrap() };
    assert!(matches!(world.objects.relocate(&found).await.unwrap(), Relocated::Moved(_)));
    assert!(is_denied(&world.read("ali/1").await));
    world.decide_by(policies(FREE)).await;
    assert_eq!(world.read("ali/1").await.unwrap(), b"content");
    world.complete("ali/2", upload, &etag).await.unwrap();
}
