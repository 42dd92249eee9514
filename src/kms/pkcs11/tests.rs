//! The provider over a token of SoftHSM 2, where that is installed. The token is made, removed and brought back by the tests, all in one
//! process: the library is initialised once for all of them.

use std::{fs, path::PathBuf, process::Command, sync::OnceLock};

use super::*;
use crate::{
    clock::SystemClock,
    kms::{KeyOwner, conformance},
    types::{Generation, Pseudonym},
};
use cryptoki::{
    mechanism::Mechanism,
    object::{Attribute, KeyType, ObjectClass},
};

const PIN: &str = "1234";

/// Where the tokens of the tests are kept; none where SoftHSM is not there. Its configuration is named by the environment, so
/// `DOMICILE_TEST_SOFTHSM` has to name the module and `SOFTHSM2_CONF` a file of the caller's.
fn tokens() -> Option<(PathBuf, PathBuf)> {
    let Ok(module) = std::env::var("DOMICILE_TEST_SOFTHSM") else {
        eprintln!("skipped: DOMICILE_TEST_SOFTHSM is not set");
        return None;
    };
    let text = fs::read_to_string(std::env::var("SOFTHSM2_CONF").unwrap()).unwrap();
    let folder = text.lines().find_map(|line| line.strip_prefix("directories.tokendir = ")).unwrap();
    Some((module.into(), folder.into()))
}

/// One test at a time: they share the library, and one of them takes its token away.
fn alone() -> &'static tokio::sync::Mutex<()> {
    static ALONE: OnceLock<tokio::sync::Mutex<()>> = OnceLock::new();
    ALONE.get_or_init(tokio::sync::Mutex::default)
}

fn make_token(label: &str) {
    let made = Command::new("softhsm2-util")
        .args(["--init-token", "--free", "--label", label, "--so-pin", "5678", "--pin", PIN])
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
}

fn identity() -> KeyIdentity {
    KeyIdentity { id: "pk".parse().unwrap(), country: "PK".parse().unwrap(), installation: [7; 16] }
}

fn context() -> WrapContext {
    let owner = KeyOwner::Subject(Pseudonym::from_bytes([1; 16]));
    WrapContext { installation: [7; 16], country: "PK".parse().unwrap(), owner, generation: Generation(1) }
}

fn settings(module: &std::path::Path, token: &str) -> Pkcs11Settings {
    Pkcs11Settings {
        module: module.to_owned(),
        token: Pkcs11Token::Label(token.to_owned()),
        label: "pk".to_owned(),
        pin: PIN.to_owned().into(),
        sessions: 4,
        timeout: Pkcs11Settings::DEFAULT_TIMEOUT,
    }
}

fn provider(settings: &Pkcs11Settings) -> Pkcs11Provider {
    Pkcs11Provider::new(identity(), settings, Arc::new(SystemClock))
}

/// As an operator makes it; `changed` takes the place of attributes of the same kind.
async fn add_key(settings: &Pkcs11Settings, label: &str, changed: Vec<Attribute>) {
    let pool = Arc::new(Pool::new(identity().id, settings));
    let mut template = vec![
        Attribute::Class(ObjectClass::SECRET_KEY),
        Attribute::KeyType(KeyType::AES),
        Attribute::ValueLen(32.into()),
        Attribute::Token(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::Label(label.as_bytes().to_vec()),
    ];
    for attribute in changed {
        template.retain(|one| one.attribute_type() != attribute.attribute_type());
        template.push(attribute);
    }
    let imported = template.iter().any(|one| matches!(one, Attribute::Value(_)));
    let made = pool.run(move |session, _| {
        if imported {
            template.retain(|one| !matches!(one, Attribute::ValueLen(_)));
            session.create_object(&template)?;
        } else {
            session.generate_key(&Mechanism::AesKeyGen, &template)?;
        }
        Ok(())
    });
    made.await.unwrap();
}

/// A token that the running library knows, with the first version of a key.
async fn token(module: &std::path::Path, label: &str) -> Pkcs11Settings {
    make_token(label);
    let settings = settings(module, label);
    // The library looks for tokens when it is initialised.
    let module = module::Module::at(module);
    let generation = module.enter().unwrap().generation();
    module.restart_now(generation);
    add_key(&settings, "pk-v1", Vec::new()).await;
    settings
}

#[tokio::test]
async fn conforms() {
    let _alone = alone().lock().await;
    let Some((module, _)) = tokens() else { return };
    let settings = token(&module, "conforms").await;
    conformance::run(Arc::new(provider(&settings)), [7; 16], "PK".parse().unwrap()).await;
    // Another process knows the versions from the token, the destroyed one too.
    let again = provider(&settings).describe().await.unwrap();
    let states: Vec<_> = again.iter().map(|version| (version.version, version.state)).collect();
    assert_eq!(states, [(1, KeyState::Destroyed), (2, KeyState::Primary)]);
}

#[tokio::test]
async fn keys_that_were_or_could_be_outside_the_token_are_not_used() {
    let _alone = alone().lock().await;
    let Some((module, _)) = tokens() else { return };
    let wrong = [
        ("extractable", vec![Attribute::Extractable(true)]),
        ("readable", vec![Attribute::Sensitive(false)]),
        ("imported", vec![Attribute::Value(vec![7; 32])]),
        ("short", vec![Attribute::ValueLen(16.into())]),
        ("mute", vec![Attribute::Encrypt(false)]),
    ];
    let settings = token(&module, "wrong").await;
    for (name, changed) in wrong {
        let settings = Pkcs11Settings { label: name.to_owned(), ..settings.clone() };
        add_key(&settings, &format!("{name}-v1"), changed).await;
        let health = provider(&settings).health().await;
        assert!(matches!(health, Err(KmsError::Unsuitable { .. })), "{name}: {health:?}");
        assert!(provider(&settings).wrap(&context(), &SecretKey::random()).await.is_err(), "{name}");
    }
    let none = Pkcs11Settings { label: "none".to_owned(), ..settings.clone() };
    assert!(matches!(provider(&none).health().await, Err(KmsError::Refused { .. })));
    add_key(&settings, "twice-v1", Vec::new()).await;
    add_key(&settings, "twice-v1", Vec::new()).await;
    let twice = Pkcs11Settings { label: "twice".to_owned(), ..settings.clone() };
    assert!(matches!(provider(&twice).health().await, Err(KmsError::Unsuitable { .. })));
    // Taken into use by one installation, it is refused to others.
    provider(&settings).health().await.unwrap();
    let other = KeyIdentity { installation: [8; 16], ..identity() };
    let health = Pkcs11Provider::new(other, &settings, Arc::new(SystemClock)).health().await;
    assert!(matches!(health, Err(KmsError::Unsuitable { .. })), "{health:?}");
}

#[tokio::test]
async fn a_rotation_that_broke_off_is_taken_up_and_a_key_that_others_removed_is_no_primary() {
    let _alone = alone().lock().await;
    let Some((module, _)) = tokens() else { return };
    let settings = token(&module, "rotates").await;
    let provider = provider(&settings);
    let key = SecretKey::random();
    let wrapped = provider.wrap(&context(), &key).await.unwrap();
    // The key was made, its note was not.
    add_key(&settings, "pk-v2", Vec::new()).await;
    assert_eq!(provider.describe().await.unwrap().len(), 1);
    assert_eq!(provider.version_of(&provider.wrap(&context(), &key).await.unwrap()).unwrap(), 1);
    assert_eq!(provider.rotate().await.unwrap().version, 2);
    assert_eq!(provider.unwrap(&context(), &wrapped).await.unwrap().expose(), key.expose());
    let newer = provider.wrap(&context(), &key).await.unwrap();
    provider
        .run(|inner, session, _| {
            let key = inner.objects.key(session, 2)?.unwrap();
            Ok(session.destroy_object(key)?)
        })
        .await
        .unwrap();
    assert!(matches!(provider.health().await, Err(KmsError::Refused { .. })));
    assert!(provider.wrap(&context(), &key).await.is_err());
    assert!(provider.unwrap(&context(), &newer).await.is_err());
    assert_eq!(provider.unwrap(&context(), &wrapped).await.unwrap().expose(), key.expose(), "the others still open");
}

#[tokio::test]
async fn another_key_in_the_place_of_one_that_wrapped_is_not_used() {
    let _alone = alone().lock().await;
    let Some((module, _)) = tokens() else { return };
    let settings = token(&module, "swapped").await;
    let provider = provider(&settings);
    let wrapped = provider.wrap(&context(), &SecretKey::random()).await.unwrap();
    for _ in 0..2 {
        provider.health().await.unwrap();
    }
    provider
        .run(|inner, session, _| {
            let key = inner.objects.key(session, 1)?.unwrap();
            Ok(session.destroy_object(key)?)
        })
        .await
        .unwrap();
    add_key(&settings, "pk-v1", Vec::new()).await;
    let health = provider.health().await;
    assert!(matches!(&health, Err(KmsError::Refused { reason, .. }) if reason.contains("another key")), "{health:?}");
    assert!(provider.unwrap(&context(), &wrapped).await.is_err());
}

#[tokio::test]
async fn a_wrong_pin_is_tried_once() {
    let _alone = alone().lock().await;
    let Some((module, _)) = tokens() else { return };
    let right = token(&module, "pin").await;
    // Nobody is logged in yet.
    let loaded = module::Module::at(&module);
    let generation = loaded.enter().unwrap().generation();
    loaded.restart_now(generation);
    let wrong = provider(&Pkcs11Settings { pin: "9999".to_owned().into(), ..right.clone() });
    for _ in 0..20 {
        assert!(matches!(wrong.health().await, Err(KmsError::Refused { .. })));
    }
    provider(&right).health().await.unwrap();
}

/// The token goes while it is used, and comes back.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_away_is_unavailable_and_found_when_it_is_back() {
    let _alone = alone().lock().await;
    let Some((module, folder)) = tokens() else { return };
    let settings = token(&module, "goes").await;
    let provider = provider(&settings);
    let key = SecretKey::random();
    let wrapped = provider.wrap(&context(), &key).await.unwrap();
    let away = folder.with_extension("away");
    fs::rename(&folder, &away).unwrap();
    fs::create_dir(&folder).unwrap();
    let loaded = module::Module::at(&module);
    let generation = loaded.enter().unwrap().generation();
    loaded.restart_now(generation);
    for _ in 0..3 {
        let opened = provider.unwrap(&context(), &wrapped).await;
        assert!(matches!(opened, Err(KmsError::Unavailable { .. })), "{opened:?}");
        assert!(matches!(provider.health().await, Err(KmsError::Unavailable { .. })));
    }
    fs::remove_dir(&folder).unwrap();
    fs::rename(&away, &folder).unwrap();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while provider.health().await.is_err() {
        assert!(std::time::Instant::now() < deadline, "it is not found again");
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    assert_eq!(provider.unwrap(&context(), &wrapped).await.unwrap().expose(), key.expose());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_at_a_time_share_the_sessions() {
    let _alone = alone().lock().await;
    let Some((module, _)) = tokens() else { return };
    let provider = Arc::new(provider(&token(&module, "many").await));
    let tasks: Vec<_> = (0..64)
        .map(|_| {
            let provider = Arc::clone(&provider);
            tokio::spawn(async move {
                let key = SecretKey::random();
                let wrapped = provider.wrap(&context(), &key).await.unwrap();
                assert_eq!(provider.unwrap(&context(), &wrapped).await.unwrap().expose(), key.expose());
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert!(provider.pool.idle_sessions() <= 4);
}
