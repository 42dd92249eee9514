//! Records under a key that the client brings with each request.

use super::*;
use crate::{
    digest::{Checksum, ChecksumAlgorithm, ChecksumHasher, ChecksumKind, ETag, Md5},
    objects::customer::Unlocked,
    seal::EXTENT_SIZE,
    types::UploadId,
};

const MIB: usize = 1024 * 1024;
/// The plaintext of an extent's first segment, and of each after it.
const FIRST_SEGMENT: usize = 65_480;
const SEGMENT: usize = 65_520;

/// The keys of a request: a byte each, 0 for none.
fn keys(object: u8, copy_source: u8) -> CustomerKeys {
    let key = |byte: u8| (byte != 0).then(|| CustomerKey::from_slice(&[byte; 32]).unwrap());
    CustomerKeys { object: key(object), copy_source: key(copy_source) }
}

fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 31 % 251) as u8).collect()
}

fn md5(bytes: &[u8]) -> ETag {
    let mut md5 = Md5::new();
    md5.update(bytes);
    ETag::single(md5.finish())
}

fn crc(bytes: &[u8]) -> Checksum {
    let mut hasher = ChecksumHasher::new(ChecksumAlgorithm::Crc32);
    hasher.update(bytes);
    hasher.finish()
}

const CRC: ExpectedChecksum = ExpectedChecksum { algorithm: ChecksumAlgorithm::Crc32, value: None };

fn source_of(at: &str) -> CopySource {
    CopySource { bucket: bucket(), key: key(at), version: None, condition: Default::default(), expected_owner: None }
}

impl World {
    fn with<'a>(&'a self, keys: &'a CustomerKeys) -> Request<'a> {
        Request { keys, ..self.asks() }
    }

    async fn put_under(&self, key: u8, at: &str, bytes: &[u8]) -> Stored {
        let put = PutRequest { checksum: Some(CRC), ..Self::put_request(at, bytes.len() as u64) };
        self.objects.put(&self.with(&keys(key, 0)), put, body(bytes)).await.unwrap()
    }

    async fn get_under(&self, key: u8, at: &str, range: Option<ByteRange>) -> Result<(Found, Vec<u8>), ObjectError> {
        let condition = ReadCondition::default();
        let get = GetRequest { bucket: bucket(), key: super::key(at), version: None, range, part: None, condition };
        let (found, body) = self.objects.get(&self.with(&keys(key, 0)), get).await?;
        Ok((found, body.try_collect::<Vec<_>>().await.unwrap().concat()))
    }

    /// What the keys of the site alone open.
    async fn under_the_seal(&self, at: &str) -> Vec<u8> {
        let record = self.record(at).unwrap();
        let opened = self.objects.open_record(&record, 0..record.summary.size, &Unlocked::as_stored()).await.unwrap();
        opened.try_collect::<Vec<_>>().await.unwrap().concat()
    }

    async fn upload_under(&self, key: u8, at: &str, checksum: Option<ChecksumKind>) -> UploadId {
        let checksum = checksum.map(|kind| (ChecksumAlgorithm::Crc32, kind));
        let (description, acl) = (Description::default(), AclRequest::Unsaid);
        let create = CreateUpload { bucket: bucket(), key: super::key(at), description, checksum, acl };
        self.objects.create_upload(&self.with(&keys(key, 0)), create).await.unwrap().0
    }

    async fn part_under(
        &self,
        key: u8,
        at: &str,
        (upload, number): (UploadId, u32),
        bytes: &[u8],
    ) -> Result<StoredPart, ObjectError> {
        let (length, content_md5, checksum) = (bytes.len() as u64, Some(md5(bytes).md5), None);
        let part = PartRequest { bucket: bucket(), key: super::key(at), upload, number, length, content_md5, checksum };
        self.objects.upload_part(&self.with(&keys(key, 0)), part, body(bytes)).await
    }

    async fn complete_under(&self, key: u8, at: &str, upload: UploadId, parts: &[StoredPart]) -> Result<Stored, ObjectError> {
        let part = |(at, part): (usize, &StoredPart)| CompletePart {
            number: at as u32 + 1,
            etag: part.etag.to_string(),
            checksum: part.checksum,
        };
        let complete = CompleteRequest {
            bucket: bucket(),
            key: super::key(at),
            upload,
            parts: parts.iter().enumerate().map(part).collect(),
            condition: WriteCondition::None,
            checksum: None,
            size: None,
        };
        self.objects.complete_upload(&self.with(&keys(key, 0)), complete).await
    }

    async fn copy_under(&self, (source, target): (u8, u8), from: &str, to: &str) -> Result<Stored, ObjectError> {
        let copy = CopyRequest {
            source: source_of(from),
            bucket: bucket(),
            key: key(to),
            replace: None,
            tags: None,
            lock: Default::default(),
            acl: AclRequest::Unsaid,
            condition: WriteCondition::None,
            checksum: None,
        };
        self.objects.copy(&self.with(&keys(target, source)), copy).await
    }
}

fn error(result: Result<(Found, Vec<u8>), ObjectError>) -> CustomerKeyError {
    match result {
        Err(ObjectError::CustomerKey(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn any_range_of_any_length_is_read_back() {
    let world = World::new(PK_ONLY).await;
    let lengths =
        [0, 1, 15, 16, FIRST_SEGMENT, FIRST_SEGMENT + 1, EXTENT_SIZE - 1, EXTENT_SIZE, EXTENT_SIZE + 1, EXTENT_SIZE + SEGMENT];
    for length in lengths {
        let plain = bytes(length);
        let stored = world.put_under(1, "ali/1", &plain).await;
        assert!(stored.customer && stored.checksum == Some(crc(&plain)), "{length}");
        let (found, read) = world.get_under(1, "ali/1", None).await.unwrap();
        assert!(read == plain && found.record.detail.checksum == stored.checksum, "{length}");
        let edges = [0, 1, 16, FIRST_SEGMENT, FIRST_SEGMENT + SEGMENT, EXTENT_SIZE, EXTENT_SIZE + FIRST_SEGMENT, length];
        let near = |edge: usize| [edge.saturating_sub(1), edge, edge + 1];
        for (from, to) in edges.iter().flat_map(|from| edges.iter().map(|to| (*from, *to))) {
            for (from, to) in near(from).into_iter().zip(near(to)).filter(|(from, to)| from < to && *to <= length) {
                if to - from > 200_000 && from != FIRST_SEGMENT {
                    continue;
                }
                let range = ByteRange::FromTo(from as u64, to as u64 - 1);
                let (_, read) = world.get_under(1, "ali/1", Some(range)).await.unwrap();
                assert!(read == plain[from..to], "{from}..{to} of {length}");
            }
        }
    }
}

#[tokio::test]
async fn a_record_is_read_with_its_own_key_alone() {
    let world = World::new(PK_ONLY).await;
    world.put_under(1, "ali/1", b"secret").await;
    world.put("ali/2", b"plain").await;
    assert_eq!(error(world.get_under(0, "ali/1", None).await), CustomerKeyError::ObjectNeedsKey);
    assert_eq!(error(world.get_under(2, "ali/1", None).await), CustomerKeyError::NotTheObjects);
    assert_eq!(error(world.get_under(1, "ali/2", None).await), CustomerKeyError::ObjectHasNone);
    let world = world.restart().await;
    assert_eq!(world.get_under(1, "ali/1", None).await.unwrap().1, b"secret");
}

#[tokio::test]
async fn without_the_key_there_is_neither_plaintext_nor_its_hash() {
    let world = World::new(PK_ONLY).await;
    for (at, length) in [("ali/whole", 70_000), ("ali/extents", EXTENT_SIZE + 70_000)] {
        let plain = bytes(length);
        let etag = world.put_under(1, at, &plain).await.etag;
        let stored = world.under_the_seal(at).await;
        assert!(stored.len() == length && !stored.windows(8).any(|window| window == &plain[..8]));
        assert!(etag == md5(&stored) && etag != md5(&plain));
        let kept = world.record(at).unwrap().detail;
        assert!(kept.checksum.is_some_and(|checksum| checksum != crc(&plain)));
        let again = world.put_under(1, at, &plain).await;
        assert_ne!(again.etag, etag, "the same bytes under the same key cannot be recognised");
        let row = rmp_serde::to_vec_named(&world.record(at).unwrap().detail).unwrap();
        let key_md5 = CustomerKey::from_slice(&[1; 32]).unwrap().md5();
        assert!(!row.windows(16).any(|window| window == [1; 16] || window == key_md5));
    }
}

#[tokio::test]
async fn what_the_client_says_of_the_plaintext_is_verified() {
    let world = World::new(PK_ONLY).await;
    let good = PutRequest { content_md5: Some(md5(b"bytes").md5), ..World::put_request("ali/1", 5) };
    let bad = PutRequest { content_md5: Some(md5(b"other").md5), ..good.clone() };
    let wrong = PutRequest { checksum: Some(ExpectedChecksum { value: Some(crc(b"other")), ..CRC }), ..good.clone() };
    let keys = keys(1, 0);
    for (put, ok) in [(bad, false), (wrong, false), (good, true)] {
        let stored = world.objects.put(&world.with(&keys), put, body(b"bytes")).await;
        assert_eq!(stored.is_ok(), ok, "{stored:?}");
    }
}

#[tokio::test]
async fn copies_that_follow_are_made_without_the_key_and_opened_with_it() {
    let world = World::new(PK_FIRST).await;
    let (small, large) = (bytes(1000), bytes(EXTENT_SIZE + 1000));
    world.put_under(1, "ali/1", &small).await;
    world.put_under(1, "ali/2", &large).await;
    let upload = world.upload_under(1, "ali/3", None).await;
    let parts = [bytes(5 * MIB), bytes(100)];
    let mut stored = Vec::new();
    for (number, part) in (1..).zip(&parts) {
        stored.push(world.part_under(1, "ali/3", (upload, number), part).await.unwrap());
    }
    world.complete_under(1, "ali/3", upload, &stored).await.unwrap();
    let world = world.restart().await;
    assert_eq!(world.objects.replicate_round().await.unwrap(), 3);
    for name in ["pk-khi", "pk-lhe"] {
        world.set_up(name, false).await;
    }
    for (at, plain) in [("ali/1", small), ("ali/2", large), ("ali/3", parts.concat())] {
        assert!(world.get_under(1, at, None).await.unwrap().1 == plain, "{at}");
        assert_eq!(error(world.get_under(2, at, None).await), CustomerKeyError::NotTheObjects);
        assert!(world.under_the_seal(at).await != plain, "{at}");
    }
}

#[tokio::test]
async fn an_upload_takes_parts_under_its_key_alone() {
    let world = World::new(PK_ONLY).await;
    let refused = |result: Result<StoredPart, ObjectError>| match result {
        Err(ObjectError::CustomerKey(error)) => error,
        other => panic!("{other:?}"),
    };
    let upload = world.upload_under(1, "ali/1", None).await;
    assert_eq!(refused(world.part_under(0, "ali/1", (upload, 1), b"a").await), CustomerKeyError::UploadNeedsKey);
    assert_eq!(refused(world.part_under(2, "ali/1", (upload, 1), b"a").await), CustomerKeyError::NotTheUploads);
    let part = world.part_under(1, "ali/1", (upload, 1), b"a").await.unwrap();
    assert_ne!(part.etag, md5(b"a"));
    let stored = world.complete_under(0, "ali/1", upload, &[part]).await.unwrap();
    assert!(stored.customer);
    assert_eq!(error(world.get_under(0, "ali/1", None).await), CustomerKeyError::ObjectNeedsKey);
    assert_eq!(world.get_under(1, "ali/1", None).await.unwrap().1, b"a");
    let plain = world.upload_under(0, "ali/2", None).await;
    assert_eq!(refused(world.part_under(1, "ali/2", (plain, 1), b"a").await), CustomerKeyError::UploadHasNone);
}

#[tokio::test]
async fn parts_and_whole_have_checksums_for_who_brings_the_key() {
    let world = World::new(PK_ONLY).await;
    let parts = [bytes(5 * MIB), bytes(70_000), bytes(3)];
    for kind in [ChecksumKind::Composite, ChecksumKind::FullObject] {
        let parts = &parts[if kind == ChecksumKind::Composite { 1..2 } else { 0..2 }];
        let upload = world.upload_under(1, "ali/1", Some(kind)).await;
        let mut stored = Vec::new();
        for (number, part) in (1..).zip(parts) {
            // A part that is uploaded again is under another key stream.
            let first = world.part_under(1, "ali/1", (upload, number), part).await.unwrap();
            stored.push(world.part_under(1, "ali/1", (upload, number), part).await.unwrap());
            assert!(first.etag != stored.last().unwrap().etag && first.checksum == Some(crc(part)));
        }
        let list = PartsRequest { bucket: bucket(), key: key("ali/1"), upload, after: 0, limit: 10 };
        for (brought, shown) in [(0, None), (1, Some(crc(&parts[0])))] {
            let page = world.objects.list_parts(&world.with(&keys(brought, 0)), list.clone()).await.unwrap();
            assert_eq!(page.parts[0].entry.checksum, shown);
        }
        assert!(world.objects.list_parts(&world.with(&keys(2, 0)), list).await.is_err());
        for (brought, why) in [(0, CustomerKeyError::UploadNeedsKey), (2, CustomerKeyError::NotTheUploads)] {
            let refused = world.complete_under(brought, "ali/1", upload, &stored).await;
            assert!(matches!(&refused, Err(ObjectError::CustomerKey(error)) if *error == why), "{refused:?}");
        }
        let done = world.complete_under(1, "ali/1", upload, &stored).await.unwrap();
        let whole = parts.concat();
        if kind == ChecksumKind::FullObject {
            assert_eq!(done.checksum, Some(crc(&whole)));
        }
        let again = world.complete_under(1, "ali/1", upload, &stored).await.unwrap();
        assert_eq!((again.checksum, again.etag), (done.checksum, done.etag));
        assert!(world.complete_under(0, "ali/1", upload, &stored).await.is_err());
        let (found, read) = world.get_under(1, "ali/1", None).await.unwrap();
        assert!(read == whole && found.record.detail.checksum == done.checksum);
        assert_ne!(world.record("ali/1").unwrap().detail.checksum, done.checksum);
        if let [first, second] = parts {
            let from = first.len() as u64 - 10;
            let (_, read) = world.get_under(1, "ali/1", Some(ByteRange::FromTo(from, from + 19))).await.unwrap();
            assert_eq!(read, [&first[first.len() - 10..], &second[..10]].concat());
        }
    }
}

#[tokio::test]
async fn a_copy_is_under_the_key_that_it_brings() {
    let world = World::new(PK_ONLY).await;
    let plain = bytes(70_000);
    world.put_under(1, "ali/1", &plain).await;
    for (source, target, from, to) in [
        (1, 2, "ali/1", "ali/2"),
        (2, 0, "ali/2", "ali/3"),
        (0, 3, "ali/3", "ali/4"),
        (3, 4, "ali/4", "ali/4"),
        (4, 0, "ali/4", "ali/4"),
    ] {
        let stored = world.copy_under((source, target), from, to).await.unwrap();
        assert_eq!((stored.customer, stored.checksum), (target != 0, Some(crc(&plain))));
        assert_eq!(stored.etag == md5(&plain), target == 0);
        assert!(world.get_under(target, to, None).await.unwrap().1 == plain, "{from} to {to}");
    }
    for (source, why) in [(0, CustomerKeyError::ObjectNeedsKey), (2, CustomerKeyError::NotTheObjects)] {
        let refused = world.copy_under((source, 0), "ali/1", "ali/9").await;
        assert!(matches!(&refused, Err(ObjectError::CustomerKey(error)) if *error == why), "{refused:?}");
    }
    let refused = world.copy_under((1, 0), "ali/3", "ali/9").await;
    assert!(matches!(refused, Err(ObjectError::CustomerKey(CustomerKeyError::ObjectHasNone))), "{refused:?}");
    assert!(world.record("ali/9").is_none());
}

#[tokio::test]
async fn a_part_is_copied_from_one_key_to_another() {
    let world = World::new(PK_ONLY).await;
    let plain = bytes(200_000);
    world.put_under(1, "ali/1", &plain).await;
    let upload = world.upload_under(2, "ali/2", None).await;
    let copy = || PartCopyRequest {
        bucket: bucket(),
        key: key("ali/2"),
        upload,
        number: 1,
        source: source_of("ali/1"),
        range: Some((65_000, 139_999)),
    };
    for (target, source) in [(0, 1), (1, 1), (2, 0), (2, 2)] {
        let keys = keys(target, source);
        let refused = world.objects.upload_part_copy(&world.with(&keys), copy()).await;
        assert!(matches!(refused, Err(ObjectError::CustomerKey(_))), "{target} {source}: {refused:?}");
    }
    let part = world.objects.upload_part_copy(&world.with(&keys(2, 1)), copy()).await.unwrap();
    world.complete_under(0, "ali/2", upload, &[part]).await.unwrap();
    assert!(world.get_under(2, "ali/2", None).await.unwrap().1 == plain[65_000..140_000]);
}

#[tokio::test]
async fn what_a_site_changes_is_never_deciphered_into_an_answer() {
    let world = World::new(PK_ONLY).await;
    let plain = bytes(70_000);
    // In the head, in the first segment, in the last one and its tag; counted from the end.
    for (case, back) in [plain.len(), plain.len() - 100, 1000, 1].into_iter().enumerate() {
        let at = format!("ali/{case}");
        world.put_under(1, &at, &plain).await;
        let record = world.record(&at).unwrap();
        let blob = record.blobs(&[]).next().unwrap();
        let backend = world.backend(blob.site.as_str());
        let length = backend.blobs().iter().find(|(name, _)| *name == blob.name).unwrap().1.len();
        assert!(backend.corrupt(&blob.name, length - back));
        let read = world.get_under(1, &at, None).await;
        assert!(matches!(read, Err(ObjectError::Tampered(_))), "{back} from the end");
    }
}

#[tokio::test]
async fn replaced_records_and_parts_are_collected_without_the_key() {
    let world = World::new(PK_ONLY).await;
    let upload = world.upload_under(1, "ali/2", None).await;
    for _ in 0..2 {
        world.put_under(1, "ali/1", b"secret").await;
        world.part_under(1, "ali/2", (upload, 1), b"part").await.unwrap();
    }
    let before = world.backend("pk-khi").blobs().len();
    world.clock.advance(1);
    world.objects.collect_round(Duration::ZERO).await.unwrap();
    assert_eq!(world.backend("pk-khi").blobs().len(), before - 2);
    assert_eq!(world.get_under(1, "ali/1", None).await.unwrap().1, b"secret");
}
