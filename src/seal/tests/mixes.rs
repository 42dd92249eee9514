//! Two countries hold data of the same person. Whatever is taken from one and put in the place of the other's, nothing opens.

use std::sync::Arc;

use super::*;
use crate::clock::SystemClock;
use crate::kms::{Hierarchy, KeyProvider, Keyring};

/// All that one country has of the person.
struct Side {
    facts: WrappedSubjectKey,
    key: RecordKey,
    id: ExtentId,
    blob: SealedBlob,
}

/// Keys that name, in this order, the providers of these.
fn hierarchy(keyring: &Keyring, providers: [&Country; 2]) -> Hierarchy {
    let entry = |country: &str, held: &Country| {
        let id = |country: &str| country.to_lowercase().parse::<KeyId>().unwrap();
        let provider: Arc<dyn KeyProvider> = keyring.provider(&id(held.as_str()), *held).unwrap();
        (id(country), country.parse().unwrap(), provider)
    };
    Hierarchy::new(vec![entry("PK", providers[0]), entry("SG", providers[1])], keyring.installation_id())
}

async fn side(right: &Hierarchy, country: Country, number: u8) -> Side {
    let key_id: KeyId = country.as_str().to_lowercase().parse().unwrap();
    let owner = KeyOwner::Subject(Pseudonym::from_bytes([1; 16]));
    let (subject_key, facts) = right.create_subject_key(&key_id, owner).await.unwrap();
    let key = RecordKey::create(&subject_key, RecordId::from_bytes([number; 16]), country).unwrap();
    let id = ExtentId { record: key.record(), part: 0, attempt: AttemptId::from_bytes([number; 16]), extent: 0 };
    let target = SealTarget::for_test("site", country, &key_id).unwrap();
    let mut sealer = ExtentSealer::new(&target, id, &key, 5).unwrap();
    sealer.push(b"bytes").unwrap();
    Side { facts, blob: sealer.finish(Some(b"names")).unwrap(), key, id }
}

/// What a blob gives under a subject key and a wrapped data key.
fn open(subject_key: &SubjectKey, dek: &Side, blob: &Side, country: Country) -> Result<Vec<u8>, SealError> {
    let key = RecordKey::open(subject_key, blob.id.record, country, dek.key.wrapped())?;
    let bytes = whole(&blob.blob);
    let plan = full_plan(&blob.blob);
    let head = parse_head(&bytes)?;
    head.authenticate(&key)?;
    let mut out = Vec::new();
    let mut opener = ExtentOpener::new(blob.id, country, &key, &plan)?;
    opener.push(Bytes::copy_from_slice(&bytes[plan.blob_range.start as usize..plan.blob_range.end as usize]), &mut out)?;
    opener.finish()?;
    Ok(out.concat())
}

#[tokio::test]
async fn nothing_opens_that_mixes_providers_keys_wrappings_and_heads_of_two_countries() {
    let folder = tempfile::tempdir().unwrap();
    let (pk, sg): (Country, Country) = ("PK".parse().unwrap(), "SG".parse().unwrap());
    let ids = [("pk".parse().unwrap(), pk), ("sg".parse().unwrap(), sg)];
    let keyring = Keyring::create(&folder.path().join("keyring.age"), &ids, Arc::new(SystemClock)).unwrap().keyring;
    let right = hierarchy(&keyring, [&pk, &sg]);
    let sides = [side(&right, pk, 2).await, side(&right, sg, 3).await];
    let countries = [pk, sg];

    let (mut tried, mut opened) = (0, 0);
    for providers in 0..4 {
        let of = [providers & 1, providers >> 1];
        for mix in 0..1 << 6 {
            let take = |bit: usize| mix >> bit & 1;
            // Nothing is cached of another mix.
            let hierarchy = hierarchy(&keyring, [&countries[of[0]], &countries[of[1]]]);
            let facts = WrappedSubjectKey {
                key: sides[take(0)].facts.key.clone(),
                country: sides[take(1)].facts.country,
                generation: sides[take(2)].facts.generation,
                wrapped: sides[take(3)].facts.wrapped.clone(),
                ..sides[0].facts.clone()
            };
            let (dek, blob) = (take(4), take(5));
            let all_of_one = (0..6).all(|bit| take(bit) == blob) && of[blob] == blob;
            let result = match hierarchy.open_subject_key(&facts).await {
                Ok(subject_key) => open(&subject_key, &sides[dek], &sides[blob], countries[blob]),
                Err(error) => Err(error.into()),
            };
            assert_eq!(result.is_ok(), all_of_one, "{providers:02b} {mix:06b} {result:?}");
            tried += 1;
            opened += u32::from(all_of_one);
        }
    }
    assert_eq!((tried, opened), (256, 4), "each country's own, whatever the other's key names");
}
