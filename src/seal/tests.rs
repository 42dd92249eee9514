use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::{
    kms::{Dek, KeyOwner, SecretKey, SubjectKey, WrappedKey, WrappedSubjectKey},
    types::{AttemptId, Country, Generation, KeyId, Pseudonym, RecordId},
};

mod fixture;
mod interop;
mod mixes;
mod tampering;

/// Where the format changes shape: around the first segment's end, the second's, and an extent's.
const SIZES: [usize; 15] =
    [0, 1, 2, 65_479, 65_480, 65_481, 65_519, 65_520, 65_521, 130_999, 131_000, 131_001, 131_040, 196_521, 1_000_000];

struct World {
    target: SealTarget,
    subject_key: SubjectKey,
    key: RecordKey,
}

fn world() -> World {
    world_in("PK", RecordId::from_bytes([2; 16]))
}

fn world_in(country: &str, record: RecordId) -> World {
    let (key_id, country): (KeyId, Country) = ("key".parse().unwrap(), country.parse().unwrap());
    let owner = KeyOwner::Subject(Pseudonym::from_bytes([1; 16]));
    let subject_key = SubjectKey::for_test(owner, key_id.clone(), country);
    let key = RecordKey::create(&subject_key, record, country).unwrap();
    World { target: SealTarget::for_test("site", country, &key_id).unwrap(), subject_key, key }
}

impl World {
    fn id(&self) -> ExtentId {
        ExtentId { record: self.key.record(), part: 0, attempt: AttemptId::from_bytes([3; 16]), extent: 0 }
    }

    fn seal(&self, id: ExtentId, plain: &[u8], manifest: Option<&[u8]>) -> SealedBlob {
        let mut sealer = ExtentSealer::new(&self.target, id, &self.key, plain.len()).unwrap();
        sealer.push(plain).unwrap();
        sealer.finish(manifest).unwrap()
    }

    /// Opens what `plan` fetches from `blob`, which arrives in pieces of `chunk` bytes.
    fn open(&self, id: ExtentId, plan: &ReadPlan, blob: &[u8], chunk: usize) -> Result<Vec<u8>, SealError> {
        plan.check_total(blob.len() as u64)?;
        self.open_unchecked(id, plan, blob, chunk)
    }

    /// Without the check of the whole blob's length.
    fn open_unchecked(&self, id: ExtentId, plan: &ReadPlan, blob: &[u8], chunk: usize) -> Result<Vec<u8>, SealError> {
        let range = plan.blob_range.clone();
        let end = blob.len().min(range.end as usize);
        let fetched = blob.get(range.start as usize..end).unwrap_or_default();
        let mut opener = ExtentOpener::new(id, self.key.country(), &self.key, plan)?;
        let mut out = Vec::new();
        for (index, piece) in fetched.chunks(chunk).enumerate() {
            let piece = Bytes::copy_from_slice(piece);
            // Every other piece is shared, so that both ways of opening run.
            let _shared = (index % 2 == 1).then(|| piece.clone());
            opener.push(piece, &mut out)?;
        }
        opener.finish()?;
        Ok(out.concat())
    }
}

fn whole(blob: &SealedBlob) -> Vec<u8> {
    blob.pieces().concat()
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length as u32).map(|index| (index.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

fn full_plan(blob: &SealedBlob) -> ReadPlan {
    ReadPlan::new(blob.head_len(), blob.plain_len(), 0..blob.plain_len())
}

#[test]
fn every_size_opens_whole_and_has_the_length_it_should() {
    let world = world();
    for size in SIZES.into_iter().chain([EXTENT_SIZE - 1, EXTENT_SIZE]) {
        let plain = pattern(size);
        let blob = world.seal(world.id(), &plain, None);
        let bytes = whole(&blob);
        assert_eq!(blob.head_len() as usize, HEAD_LEN);
        assert_eq!(blob.len(), HEAD_LEN as u64 + stream_len(size as u64));
        assert_eq!(blob.len(), full_plan(&blob).blob_len);
        for chunk in [64 * 1024, 1_000_003, usize::MAX] {
            assert!(world.open(world.id(), &full_plan(&blob), &bytes, chunk).unwrap() == plain, "{size} in {chunk}");
        }
        assert!(!size.gt(&64) || !bytes.windows(32).any(|window| window == &plain[..32]), "plaintext in a blob of {size}");
    }
}

#[test]
fn an_extent_takes_no_more_than_it_holds() {
    let world = world();
    let mut sealer = ExtentSealer::new(&world.target, world.id(), &world.key, 0).unwrap();
    sealer.push(&vec![0; EXTENT_SIZE]).unwrap();
    assert_eq!(sealer.room(), 0);
    assert!(matches!(sealer.push(&[0]), Err(SealError::TooLarge)));
    assert_eq!(sealer.finish(None).unwrap().plain_len(), EXTENT_SIZE as u64);
}

#[test]
fn every_byte_can_be_read_alone_around_the_boundaries() {
    let world = world();
    let plain = pattern(196_521);
    let blob = world.seal(world.id(), &plain, None);
    let bytes = whole(&blob);
    for border in [0usize, 65_480, 131_000, 196_520] {
        for start in border.saturating_sub(2)..(border + 3).min(plain.len()) {
            for end in start..(start + 4).min(plain.len()) {
                let plan = ReadPlan::new(blob.head_len(), blob.plain_len(), start as u64..end as u64);
                assert_eq!(world.open(world.id(), &plan, &bytes, 4096).unwrap(), &plain[start..end], "{start}..{end}");
                assert_eq!(plan.blob_range.start == 0, start < 65_480, "the head is read with the first segment");
            }
        }
    }
}

#[test]
fn absurd_plans_do_not_panic_and_read_nothing() {
    let world = world();
    let blob = world.seal(world.id(), b"abc", None);
    let none = 0..0;
    for (head_len, plain_len, range) in [
        (HEAD_LEN as u32, 3, 3..9),
        (HEAD_LEN as u32, 3, 7..u64::MAX),
        (HEAD_LEN as u32, 3, std::ops::Range { start: 2, end: 1 }),
    ] {
        let plan = ReadPlan::new(head_len, plain_len, range);
        assert!(world.open(world.id(), &plan, &whole(&blob), 7).unwrap().is_empty());
    }
    for (head_len, plain_len, range) in
        [(0, 3, none.clone()), (u32::MAX, u64::MAX, 0..u64::MAX), (1, u64::MAX, u64::MAX - 1..u64::MAX), (5, 0, none)]
    {
        let plan = ReadPlan::new(head_len, plain_len, range);
        assert!(world.open_unchecked(world.id(), &plan, &whole(&blob), 7).is_err());
    }
}

#[test]
fn a_head_says_what_it_should_and_opens_its_manifest() {
    let world = world();
    let blob = world.seal(world.id(), b"abc", Some(b"the manifest"));
    let bytes = whole(&blob);
    assert!(!bytes.windows(12).any(|window| window == b"the manifest"));
    let head = parse_head(&bytes).unwrap();
    assert_eq!((head.len(), head.plain_len()), (blob.head_len() as usize, 3));
    assert_eq!((*head.id(), head.country(), head.key()), (world.id(), world.key.country(), world.target.key()));
    assert_eq!((head.owner(), head.generation()), (world.subject_key.owner(), Generation(1)));
    assert_eq!(head_len(&bytes[..PREFIX_LEN]).unwrap(), head.len());

    let key = RecordKey::open(&world.subject_key, head.id().record, head.country(), head.wrapped_dek()).unwrap();
    assert_eq!(head.open_manifest(&key).unwrap().unwrap(), b"the manifest");
    let exported = Dek::from_secret(world.key.dek().secret().clone());
    assert!(head.authenticate(&head.record_key(exported).unwrap()).is_ok());
    assert!(matches!(head.record_key(Dek::from_secret(SecretKey::random())), Err(SealError::WrongKey)));

    let plain = whole(&world.seal(world.id(), b"abc", None));
    let head = parse_head(&plain).unwrap();
    assert_eq!((head.len(), head.open_manifest(&key).unwrap()), (HEAD_LEN, None));
    assert_eq!(head.wrapped_dek(), key.wrapped());
}

#[test]
fn a_record_key_opens_for_its_record_alone() {
    let world = world();
    assert!(RecordKey::open(&world.subject_key, world.key.record(), world.key.country(), world.key.wrapped()).is_ok());
    assert!(
        RecordKey::open(&world.subject_key, RecordId::from_bytes([9; 16]), world.key.country(), world.key.wrapped()).is_err()
    );
}

#[test]
fn nothing_is_sealed_for_another_country_record_or_key() {
    let (pk, sg) = (world(), world_in("SG", RecordId::from_bytes([2; 16])));
    assert!(matches!(ExtentSealer::new(&sg.target, pk.id(), &pk.key, 0), Err(SealError::Mismatch("country"))));
    let id = ExtentId { record: RecordId::from_bytes([9; 16]), ..pk.id() };
    assert!(matches!(ExtentSealer::new(&pk.target, id, &pk.key, 0), Err(SealError::Mismatch("record"))));
    let other_key = SealTarget::for_test("site", pk.key.country(), &"other".parse().unwrap()).unwrap();
    assert!(matches!(ExtentSealer::new(&other_key, pk.id(), &pk.key, 0), Err(SealError::Mismatch("key"))));

    let blob = pk.seal(pk.id(), b"abc", None);
    assert!(blob.also_for(&sg.target).is_err());
    assert!(blob.also_for(&other_key).is_err());
    let sibling = SealTarget::for_test("sibling", pk.key.country(), pk.target.key()).unwrap();
    let copy = blob.also_for(&sibling).unwrap();
    assert_eq!((copy.site(), copy.name(), copy.pieces()), (sibling.site(), blob.name(), blob.pieces()));
}

#[test]
fn an_empty_manifest_is_refused() {
    let world = world();
    let sealer = ExtentSealer::new(&world.target, ExtentId::manifest(world.key.record(), world.id().attempt), &world.key, 0);
    assert!(sealer.unwrap().finish(Some(b"")).is_err());
}

#[test]
fn small_blobs_round_trip_and_tell_their_kind() {
    let world = world();
    let site_key = SecretKey::random();
    let content =
        MarkerContent { installation: [4; 16], site: "site".parse().unwrap(), country: world.target.country(), epoch: 7 };
    let marker = seal_marker(&world.target, &site_key, &content).unwrap();
    let bytes = whole(&marker);
    assert_eq!(marker.name().to_string(), "domicile-site");
    assert_eq!(blob_kind(&bytes).unwrap(), BlobKind::Marker);
    assert_eq!(open_marker(&site_key, &bytes).unwrap(), content);
    assert!(matches!(open_marker(&SecretKey::random(), &bytes), Err(SealError::WrongKey)));
    for index in 0..bytes.len() {
        let mut altered = bytes.clone();
        altered[index] ^= 1;
        assert!(open_marker(&site_key, &altered).is_err(), "byte {index}");
        assert!(open_marker(&site_key, &bytes[..index]).is_err(), "cut at {index}");
    }

    let key = WrappedSubjectKey {
        owner: world.subject_key.owner().clone(),
        key: world.target.key().clone(),
        country: world.target.country(),
        generation: Generation(1),
        wrapped: WrappedKey::new("wrapped"),
        sites: Default::default(),
        created: None,
        wraps: 0,
        abroad: Default::default(),
    };
    let blob = subject_key_blob(&world.target, &key).unwrap();
    assert_eq!(blob_kind(&whole(&blob)).unwrap(), BlobKind::SubjectKey);
    assert_eq!(parse_subject_key_blob(&whole(&blob)).unwrap(), key);
    let elsewhere = WrappedSubjectKey { sites: ["pk-lhe".parse().unwrap()].into(), ..key.clone() };
    assert_eq!(whole(&subject_key_blob(&world.target, &elsewhere).unwrap()), whole(&blob), "the same at every site");
    let again = WrappedSubjectKey { wrapped: WrappedKey::new("again"), ..key.clone() };
    assert_ne!(*blob.name(), BlobName::of_subject_key(&again));
    assert!(parse_subject_key_blob(&bytes).is_err());
    assert!(parse_head(&bytes).is_err());
    let other = WrappedSubjectKey { key: "other".parse().unwrap(), ..key };
    assert!(subject_key_blob(&world.target, &other).is_err(), "nothing but the key that the target asks for");
}

/// A copy in Singapore under a key of Pakistan: what is bound to the copy's country is Singapore's, and nobody takes one for the other.
#[test]
fn a_copy_under_the_key_of_another_country_is_sealed_for_its_own() {
    let home = world();
    let (sg, key_id): (Country, KeyId) = ("SG".parse().unwrap(), home.target.key().clone());
    let target = SealTarget::for_test("site", sg, &key_id).unwrap();
    let key = RecordKey::create(&home.subject_key, home.key.record(), sg).unwrap();
    assert!(ExtentSealer::new(&target, home.id(), &home.key, 0).is_err(), "a key for the copies of another country");
    assert!(ExtentSealer::new(&home.target, home.id(), &key, 0).is_err());
    let abroad = World { target, key, subject_key: home.subject_key };
    let blob = abroad.seal(abroad.id(), b"bytes", Some(b"manifest"));
    assert_eq!(*blob.name(), BlobName::of(sg, &abroad.id()));
    let head = parse_head(&whole(&blob)).unwrap();
    assert_eq!((head.country(), head.key()), (sg, &key_id));
    let open = |country: &str| {
        let key = RecordKey::open(&abroad.subject_key, head.id().record, country.parse().unwrap(), head.wrapped_dek()).unwrap();
        head.open_manifest(&key)
    };
    assert_eq!(open("SG").unwrap().unwrap(), b"manifest");
    assert!(matches!(open("PK"), Err(SealError::Tampered(_))));
    let plan = ReadPlan::new(blob.head_len(), 5, 0..5);
    assert_eq!(abroad.open(abroad.id(), &plan, &whole(&blob), 100).unwrap(), b"bytes");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_range_of_any_size_opens_whatever_the_pieces(
        size in prop_oneof![0usize..200_000, prop::sample::select(&SIZES[..])],
        cut in any::<[u16; 2]>(),
        pushed in 1usize..100_000,
        chunk in 300usize..200_000,
        manifest in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let world = world();
        let plain = pattern(size);
        let mut sealer = ExtentSealer::new(&world.target, world.id(), &world.key, size / 2).unwrap();
        for piece in plain.chunks(pushed) {
            sealer.push(piece).unwrap();
        }
        prop_assert_eq!(sealer.len(), size);
        let blob = sealer.finish((!manifest.is_empty()).then_some(&manifest[..])).unwrap();
        let mut ends = cut.map(|cut| size * usize::from(cut) / usize::from(u16::MAX));
        ends.sort_unstable();
        let plan = ReadPlan::new(blob.head_len(), size as u64, ends[0] as u64..ends[1] as u64);
        let opened = world.open(world.id(), &plan, &whole(&blob), chunk).unwrap();
        prop_assert!(opened == plain[ends[0]..ends[1]]);
    }

    #[test]
    fn no_bytes_make_the_parser_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..600), shape in any::<bool>()) {
        if shape {
            let length = (bytes.len() as u32).to_be_bytes();
            for (byte, right) in bytes.iter_mut().zip([&b"DOMICILE\0\x01\x01"[..], &length].concat()) {
                *byte = right;
            }
        }
        let _ = parse_head(&bytes);
        let _ = parse_subject_key_blob(&bytes);
        let _ = open_marker(&SecretKey::random(), &bytes);
    }
}
