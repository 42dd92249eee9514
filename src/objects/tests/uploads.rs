//! Completing an upload once more.

use super::*;
use crate::types::UploadId;

impl World {
    pub(crate) async fn upload(&self, at: &str) -> UploadId {
        let create = CreateUpload {
            bucket: bucket(),
            key: key(at),
            description: Description::default(),
            checksum: None,
            acl: Default::default(),
        };
        self.objects.create_upload(&self.asks(), create).await.unwrap().0
    }

    pub(crate) async fn part(&self, at: &str, upload: UploadId, bytes: &[u8]) -> StoredPart {
        self.try_part(at, upload, bytes).await.unwrap()
    }

    pub(super) async fn try_part(&self, at: &str, upload: UploadId, bytes: &[u8]) -> Result<StoredPart, ObjectError> {
        let (length, content_md5, checksum) = (bytes.len() as u64, None, None);
        let part = PartRequest { bucket: bucket(), key: key(at), upload, number: 1, length, content_md5, checksum };
        self.objects.upload_part(&self.asks(), part, body(bytes)).await
    }

    pub(super) async fn complete(&self, at: &str, upload: UploadId, etag: &str) -> Result<Stored, ObjectError> {
        let complete = CompleteRequest {
            bucket: bucket(),
            key: key(at),
            upload,
            parts: vec![CompletePart { number: 1, etag: etag.to_owned(), checksum: None }],
            condition: WriteCondition::None,
            checksum: None,
            size: None,
        };
        self.objects.complete_upload(&self.asks(), complete).await
    }
}

fn facts(stored: &Stored) -> (String, u64, Timestamp, Residence) {
    (stored.etag.to_string(), stored.size, stored.modified, stored.residence.clone())
}

#[tokio::test]
async fn completing_again_gives_the_same_answer_while_the_object_is_there() {
    let world = World::new(PK_ONLY).await;
    let upload = world.upload("ali/1").await;
    let etag = world.part("ali/1", upload, b"a part").await.etag.to_string();
    let first = world.complete("ali/1", upload, &etag).await.unwrap();
    world.clock.advance(1000);
    let world = world.restart().await;
    let blobs = world.backend("pk-khi").blobs().len();
    let again = world.complete("ali/1", upload, &etag).await.unwrap();
    assert_eq!(facts(&again), facts(&first));
    assert_eq!(world.backend("pk-khi").blobs().len(), blobs, "nothing is written for it");
    assert_eq!(world.count("complete-upload"), 2, "both are recorded");
    assert_eq!(world.read("ali/1").await.unwrap(), b"a part");

    let other = world.complete("ali/1", upload, &"0".repeat(32)).await;
    assert!(matches!(other, Err(ObjectError::NoSuchUpload)), "{other:?}");
    world.put("ali/1", b"another object").await;
    let late = world.complete("ali/1", upload, &etag).await;
    assert!(matches!(late, Err(ObjectError::NoSuchUpload)), "{late:?}");
}

#[tokio::test]
async fn completing_twice_at_once_makes_one_object() {
    let world = World::new(PK_ONLY).await;
    let upload = world.upload("ali/1").await;
    let etag = world.part("ali/1", upload, b"a part").await.etag.to_string();
    let (one, other) = tokio::join!(world.complete("ali/1", upload, &etag), world.complete("ali/1", upload, &etag));
    assert_eq!(facts(&one.unwrap()), facts(&other.unwrap()));
    world.put("ali/2", b"behind whatever was given up").await;
    world.clock.advance(1);
    world.objects.collect_round(Duration::ZERO).await.unwrap();
    assert_eq!(world.read("ali/1").await.unwrap(), b"a part");
    assert_eq!(world.backend("pk-khi").blobs().len(), 2 + 2 + 1, "marker, key, the object's two and the other object");
}
