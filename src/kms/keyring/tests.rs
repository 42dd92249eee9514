use std::{fs, os::unix::fs::PermissionsExt};

use super::*;
use crate::{
    clock::SystemClock,
    kms::{KeyOwner, KeyState, WrapContext, conformance},
    types::{Generation, Pseudonym},
};

fn pk() -> (KeyId, Country) {
    ("pk".parse().unwrap(), "PK".parse().unwrap())
}

fn create(folder: &Path) -> CreatedKeyring {
    let sg = ("sg".parse().unwrap(), "SG".parse().unwrap());
    Keyring::create(&folder.join("keyring.age"), &[pk(), sg], Arc::new(SystemClock)).unwrap()
}

fn context(keyring: &Keyring) -> WrapContext {
    let owner = KeyOwner::Bucket(Pseudonym::from_bytes([3; 16]));
    WrapContext { installation: keyring.installation_id(), country: pk().1, owner, generation: Generation(1) }
}

#[tokio::test]
async fn conforms() {
    let folder = tempfile::tempdir().unwrap();
    let keyring = create(folder.path()).keyring;
    let provider = keyring.provider(&pk().0, pk().1).unwrap();
    conformance::run(provider, keyring.installation_id(), pk().1).await;
}

#[tokio::test]
async fn either_identity_opens_it_again_with_every_key_and_state() {
    let folder = tempfile::tempdir().unwrap();
    let created = create(folder.path());
    let provider = created.keyring.provider(&pk().0, pk().1).unwrap();
    let key = SecretKey::random();
    let context = context(&created.keyring);
    let first = provider.wrap(&context, &key).await.unwrap();
    provider.rotate().await.unwrap();
    let second = provider.wrap(&context, &key).await.unwrap();
    provider.destroy_version(1).await.unwrap();

    for identity in [&created.operator_identity, &created.recovery_identity] {
        let opened = Keyring::open(&folder.path().join("keyring.age"), identity, Arc::new(SystemClock)).unwrap();
        assert_eq!(opened.installation_id(), created.keyring.installation_id());
        for purpose in PURPOSES {
            assert_eq!(opened.purpose(purpose).expose(), created.keyring.purpose(purpose).expose());
        }
        let provider = opened.provider(&pk().0, pk().1).unwrap();
        let states: Vec<_> = provider.describe().await.unwrap().iter().map(|version| version.state).collect();
        assert_eq!((states.first(), states.last()), (Some(&KeyState::Destroyed), Some(&KeyState::Primary)));
        assert!(matches!(provider.unwrap(&context, &first).await, Err(KmsError::Destroyed { version: 1, .. })));
        assert_eq!(provider.unwrap(&context, &second).await.unwrap().expose(), key.expose());
        // Writing it again keeps both recipients.
        provider.rotate().await.unwrap();
    }
    let names = fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(names, 3, "no temporary file is left");
}

#[test]
fn files_are_private_and_others_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let created = create(folder.path());
    let path = folder.path().join("keyring.age");
    let files = [&path, &created.operator_identity, &created.recovery_identity];
    for file in files {
        assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
    }
    for file in [&path, &created.operator_identity] {
        fs::set_permissions(file, fs::Permissions::from_mode(0o640)).unwrap();
        let error = Keyring::open(&path, &created.operator_identity, Arc::new(SystemClock)).unwrap_err();
        assert!(error.to_string().contains("chmod 600"), "{error}");
        fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
    }
}

#[test]
fn nothing_is_overwritten_and_strangers_open_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let created = create(folder.path());
    let path = folder.path().join("keyring.age");
    let before = fs::read(&path).unwrap();
    assert!(matches!(Keyring::create(&path, &[pk()], Arc::new(SystemClock)), Err(KmsError::Exists(_))));
    fs::rename(&path, folder.path().join("moved")).unwrap();
    assert!(matches!(Keyring::create(&path, &[pk()], Arc::new(SystemClock)), Err(KmsError::Exists(_))));
    fs::rename(folder.path().join("moved"), &path).unwrap();
    assert_eq!(fs::read(&path).unwrap(), before);

    let other = tempfile::tempdir().unwrap();
    let stranger = create(other.path()).operator_identity;
    assert!(matches!(Keyring::open(&path, &stranger, Arc::new(SystemClock)), Err(KmsError::Format { .. })));
    for damage in [&b""[..], b"age-encryption.org/v1\n", &before[..before.len() - 1]] {
        fs::write(&path, damage).unwrap();
        assert!(matches!(Keyring::open(&path, &created.operator_identity, Arc::new(SystemClock)), Err(KmsError::Format { .. })));
    }
}

#[tokio::test]
async fn a_country_named_later_gets_a_key_once() {
    let folder = tempfile::tempdir().unwrap();
    let created = create(folder.path());
    let (de, country): (KeyId, Country) = ("de".parse().unwrap(), "DE".parse().unwrap());
    assert!(matches!(created.keyring.provider(&de, country), Err(KmsError::UnknownKey(_))));
    created.keyring.ensure(&de, country).unwrap();
    created.keyring.ensure(&de, country).unwrap();
    assert!(created.keyring.ensure(&de, "FR".parse().unwrap()).is_err());
    let path = folder.path().join("keyring.age");
    let opened = Keyring::open(&path, &created.operator_identity, Arc::new(SystemClock)).unwrap();
    assert_eq!(opened.provider(&de, country).unwrap().describe().await.unwrap().len(), 1);
}

#[test]
fn nothing_secret_is_in_the_file_or_in_debug() {
    let folder = tempfile::tempdir().unwrap();
    let created = create(folder.path());
    let file = fs::read(folder.path().join("keyring.age")).unwrap();
    assert!(file.starts_with(b"age-encryption.org/v1"));
    assert!(!String::from_utf8_lossy(&file).contains("oct"));
    assert!(!format!("{created:?}").contains("AGE-SECRET"));
    assert!(created.advice.contains("recovery.identity"));
}
