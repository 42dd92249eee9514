//! The provider before a KMS in memory, and before one that `DOMICILE_TEST_KMS_ENDPOINT` names, as moto.

mod fake;

use std::collections::BTreeMap;

use serde_json::json;

use self::fake::Fake;
use super::*;
use crate::{
    clock::SystemClock,
    kms::{KeyOwner, conformance},
    types::{Generation, Pseudonym},
};

const ALIAS: &str = "alias/sg";

fn identity() -> KeyIdentity {
    KeyIdentity { id: "sg".parse().unwrap(), country: "SG".parse().unwrap(), installation: [7; 16] }
}

fn settings() -> AwsKmsSettings {
    AwsKmsSettings {
        region: "ap-southeast-1".to_owned(),
        alias: ALIAS.to_owned(),
        endpoint: None,
        access_key_id: "id".to_owned(),
        secret_access_key: "secret".to_owned().into(),
        deletion_window_days: 7,
        timeout: AwsKmsSettings::DEFAULT_TIMEOUT,
    }
}

fn context() -> WrapContext {
    let owner = KeyOwner::Subject(Pseudonym::from_bytes([1; 16]));
    WrapContext { installation: [7; 16], country: "SG".parse().unwrap(), owner, generation: Generation(1) }
}

fn tags(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// As an operator makes it.
const FIRST: [(&str, &str); 4] =
    [("domicile-key", "sg"), ("domicile-country", "SG"), ("domicile-version", "1"), ("owner", "ops")];

fn service() -> Fake {
    let fake = Fake::default();
    let id = fake.region().add_key(tags(&FIRST), "only these");
    fake.region().aliases.insert(ALIAS.to_owned(), id);
    fake
}

fn provider(fake: &Fake) -> AwsKms {
    AwsKms::over(identity(), &settings(), Arc::new(SystemClock), fake.client())
}

#[tokio::test]
async fn conforms() {
    conformance::run(Arc::new(provider(&service())), [7; 16], "SG".parse().unwrap()).await;
}

#[tokio::test]
async fn conforms_before_a_service() {
    let Ok(endpoint) = std::env::var("DOMICILE_TEST_KMS_ENDPOINT") else {
        eprintln!("skipped: DOMICILE_TEST_KMS_ENDPOINT is not set");
        return;
    };
    let variable = |name: &str| std::env::var(format!("DOMICILE_TEST_KMS_{name}")).unwrap();
    let settings = AwsKmsSettings {
        endpoint: Some(endpoint),
        alias: variable("ALIAS"),
        access_key_id: variable("ACCESS_KEY_ID"),
        secret_access_key: variable("SECRET_ACCESS_KEY").into(),
        ..settings()
    };
    let provider = Arc::new(AwsKms::new(identity(), &settings, Arc::new(SystemClock)));
    conformance::run(provider.clone(), [7; 16], "SG".parse().unwrap()).await;
    let states: Vec<KeyState> = provider.describe().await.unwrap().iter().map(|version| version.state).collect();
    assert_eq!(states, [KeyState::Destroying, KeyState::Primary], "a key that waits for its deletion is not gone");
}

#[tokio::test]
async fn a_version_that_waits_for_its_deletion_is_gone_when_the_service_says_so() {
    let fake = service();
    let provider = provider(&fake);
    let wrapped = provider.wrap(&context(), &SecretKey::random()).await.unwrap();
    let first = fake.region().version(1);
    provider.rotate().await.unwrap();
    provider.destroy_version(1).await.unwrap();
    let states = || async { provider.describe().await.unwrap().into_iter().map(|version| version.state).collect::<Vec<_>>() };
    assert_eq!(states().await, [KeyState::Destroying, KeyState::Primary]);
    // Somebody takes it back: it is not said to be on its way any more, nor used, and can be ordered again.
    fake.region().set(&first, "KeyState", json!("Disabled"));
    assert_eq!(states().await, [KeyState::DecryptOnly, KeyState::Primary]);
    assert!(matches!(provider.unwrap(&context(), &wrapped).await, Err(KmsError::Refused { .. })));
    fake.region().set(&first, "KeyState", json!("Enabled"));
    assert_eq!(states().await, [KeyState::DecryptOnly, KeyState::Primary]);
    assert!(matches!(provider.unwrap(&context(), &wrapped).await, Err(KmsError::Refused { .. })));
    provider.destroy_version(1).await.unwrap();
    // A process that knows nothing reads the same from the service.
    let again = self::provider(&fake);
    assert_eq!(again.describe().await.unwrap()[0].state, KeyState::Destroying);
    assert!(matches!(again.unwrap(&context(), &wrapped).await, Err(KmsError::Destroyed { version: 1, .. })));
    fake.region().delete_what_waits();
    let versions = provider.describe().await.unwrap();
    assert_eq!(versions[0].state, KeyState::Destroyed);
    assert_eq!(versions[0].created, versions[1].created, "its date is known still");
    assert!(matches!(provider.unwrap(&context(), &wrapped).await, Err(KmsError::Destroyed { version: 1, .. })));
}

/// What others order destroys what is needed: it must stop things, not pass for an erasure.
#[tokio::test]
async fn a_deletion_that_others_ordered_is_no_destruction() {
    let fake = service();
    let provider = provider(&fake);
    let wrapped = provider.wrap(&context(), &SecretKey::random()).await.unwrap();
    provider.rotate().await.unwrap();
    let first = fake.region().version(1);
    fake.region().set(&first, "KeyState", json!("PendingDeletion"));
    assert_eq!(provider.describe().await.unwrap()[0].state, KeyState::DecryptOnly);
    assert!(matches!(provider.unwrap(&context(), &wrapped).await, Err(KmsError::Refused { .. })));
    provider.destroy_version(1).await.unwrap();
    assert_eq!(provider.describe().await.unwrap()[0].state, KeyState::Destroying);
    assert!(fake.region().keys[&first].tags.contains_key(DESTROYING));

    let second = fake.region().version(2);
    fake.region().set(&second, "KeyState", json!("PendingDeletion"));
    assert!(matches!(provider.health().await, Err(KmsError::Refused { .. })));
    assert!(matches!(provider.wrap(&context(), &SecretKey::random()).await, Err(KmsError::Refused { .. })));
}

#[tokio::test]
async fn a_rotation_that_breaks_off_loses_nothing_and_is_taken_up() {
    for (failing, code) in
        [("GetKeyPolicy", "AccessDeniedException"), ("CreateKey", "cut"), ("UpdateAlias", "KMSInternalException")]
    {
        let fake = service();
        let provider = provider(&fake);
        let key = SecretKey::random();
        let wrapped = provider.wrap(&context(), &key).await.unwrap();
        fake.region().failing.insert(failing, code);
        assert!(provider.rotate().await.is_err(), "{failing}");
        assert_eq!(provider.describe().await.unwrap().len(), 1, "{failing}");
        assert_eq!(provider.unwrap(&context(), &wrapped).await.unwrap().expose(), key.expose());
        fake.region().failing.clear();
        assert_eq!(provider.rotate().await.unwrap().version, 2);
        assert_eq!(fake.region().keys.len(), 2, "{failing}: none too many");
        let second = fake.region().version(2);
        assert_eq!(fake.region().keys[&second].policy, "only these", "who may use the key does not change with its versions");
        assert_eq!(provider.unwrap(&context(), &wrapped).await.unwrap().expose(), key.expose());
        assert_eq!(self::provider(&fake).unwrap(&context(), &wrapped).await.unwrap().expose(), key.expose());
    }
}

/// KMS tells for a while where an alias led before.
#[tokio::test(start_paused = true)]
async fn a_stale_alias_brings_no_old_version_back() {
    let fake = service();
    let provider = provider(&fake);
    provider.health().await.unwrap();
    provider.rotate().await.unwrap();
    let first = fake.region().version(1);
    let second = fake.region().version(2);
    fake.region().stale.insert(ALIAS.to_owned(), first);
    let key = SecretKey::random();
    for _ in 0..3 {
        provider.health().await.unwrap();
        tokio::time::advance(STATES).await;
        let wrapped = provider.wrap(&context(), &key).await.unwrap();
        assert_eq!(provider.version_of(&wrapped).unwrap(), 2);
        // Nor does a process that has started since fail to open what it finds.
        assert_eq!(self::provider(&fake).unwrap(&context(), &wrapped).await.unwrap().expose(), key.expose());
    }
    fake.region().set(&second, "KeyState", json!("Disabled"));
    assert!(matches!(provider.health().await, Err(KmsError::Refused { .. })), "its state is that of the key in use");
}

#[tokio::test(start_paused = true)]
async fn states_are_asked_for_now_and_then_and_a_disabled_key_is_not_used() {
    let fake = service();
    let provider = provider(&fake);
    for _ in 0..10 {
        provider.wrap(&context(), &SecretKey::random()).await.unwrap();
    }
    assert_eq!((fake.count("DescribeKey"), fake.count("Encrypt")), (1, 10));
    let first = fake.region().version(1);
    fake.region().set(&first, "KeyState", json!("Disabled"));
    tokio::time::advance(STATES).await;
    let wrapped = provider.wrap(&context(), &SecretKey::random()).await;
    assert!(matches!(wrapped, Err(KmsError::Refused { .. })), "{wrapped:?}");
    fake.region().set(&first, "KeyState", json!("Unavailable"));
    assert!(matches!(provider.health().await, Err(KmsError::Unavailable { .. })));
    fake.region().set(&first, "KeyState", json!("Enabled"));
    provider.health().await.unwrap();
    provider.wrap(&context(), &SecretKey::random()).await.unwrap();
}

#[tokio::test]
async fn keys_that_must_not_be_used_are_not() {
    let wrong = [
        ("MultiRegion", json!(true)),
        ("Arn", json!("arn:aws:kms:eu-central-1:1:key/x")),
        ("KeySpec", json!("RSA_4096")),
        ("KeyUsage", json!("GENERATE_VERIFY_MAC")),
        ("Origin", json!("EXTERNAL")),
        ("Origin", json!("EXTERNAL_KEY_STORE")),
        ("KeyManager", json!("AWS")),
    ];
    for (name, value) in wrong {
        let fake = service();
        let first = fake.region().version(1);
        fake.region().set(&first, name, value.clone());
        let health = provider(&fake).health().await;
        assert!(matches!(health, Err(KmsError::Unsuitable { .. })), "{name} = {value}: {health:?}");
        assert!(provider(&fake).wrap(&context(), &SecretKey::random()).await.is_err(), "{name}");
        assert!(!fake.region().keys[&first].tags.contains_key(INSTALLATION), "{name}: not claimed either");
    }
    let others = [
        ("domicile-key", "pk"),
        ("domicile-country", "PK"),
        ("domicile-version", "0"),
        ("domicile-version", "2"),
        ("domicile-installation", "00"),
        ("domicile-earlier-1", "0123abcd-89ab-4def-8123-456789abcdef"),
    ];
    for (name, value) in others {
        let fake = service();
        let first = fake.region().version(1);
        fake.region().keys.get_mut(&first).unwrap().tags.insert(name.to_owned(), value.to_owned());
        let health = provider(&fake).health().await;
        assert!(matches!(health, Err(KmsError::Unsuitable { .. })), "{name} = {value}: {health:?}");
    }
    let fake = service();
    let strange = fake.region().add_key(BTreeMap::new(), "");
    let provider = provider(&fake);
    provider.health().await.unwrap();
    fake.region().aliases.insert(ALIAS.to_owned(), strange);
    assert!(provider.health().await.is_err(), "an alias that somebody has led elsewhere");
    fake.region().aliases.clear();
    assert!(matches!(provider.health().await, Err(KmsError::Refused { .. })));
}

#[tokio::test]
async fn many_versions_fit_and_only_those_that_are_gone_are_forgotten() {
    let fake = service();
    let provider = provider(&fake);
    let wrapped = provider.wrap(&context(), &SecretKey::random()).await.unwrap();
    for version in 1..=40 {
        provider.rotate().await.unwrap();
        provider.destroy_version(version).await.unwrap();
    }
    let refused = provider.rotate().await;
    assert!(matches!(refused, Err(KmsError::Refused { .. })), "{refused:?}");
    fake.region().delete_what_waits();
    assert_eq!(provider.rotate().await.unwrap().version, 42);
    let versions = provider.describe().await.unwrap();
    assert_eq!((versions.len(), versions[0].version), (41, 2));
    provider.destroy_version(1).await.unwrap();
    assert!(matches!(provider.unwrap(&context(), &wrapped).await, Err(KmsError::Destroyed { version: 1, .. })));
}

#[tokio::test(start_paused = true)]
async fn what_is_worth_trying_again_is_told_from_what_is_not() {
    let fake = service();
    let provider = provider(&fake);
    let wrapped = provider.wrap(&context(), &SecretKey::random()).await.unwrap();
    for code in ["cut", "ThrottlingException", "KMSInternalException", "KeyUnavailableException"] {
        fake.region().failing.insert("Decrypt", code);
        let opened = provider.unwrap(&context(), &wrapped).await;
        assert!(matches!(opened, Err(KmsError::Unavailable { .. })), "{code}: {opened:?}");
    }
    for code in ["AccessDeniedException", "DisabledException", "KMSInvalidStateException", "UnrecognizedClientException"] {
        fake.region().failing.insert("Decrypt", code);
        let opened = provider.unwrap(&context(), &wrapped).await;
        assert!(matches!(opened, Err(KmsError::Refused { .. })), "{code}: {opened:?}");
    }
}
