//! Against a real OpenBao, where one is installed.

mod openbao;

use std::{fs, sync::Arc, time::Duration};

use serde_json::json;

use self::openbao::{OpenBao, settings};
use super::*;
use crate::kms::{KeyIdentity, KeyOwner, KeyProvider, KeyState, KmsError, SecretKey, WrapContext, WrappedKey, conformance};
use crate::types::{Country, Generation, Pseudonym};

use http::Method;
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

const INSTALLATION: [u8; 16] = [1; 16];

fn pk() -> Country {
    "PK".parse().unwrap()
}

fn identity(country: &str) -> KeyIdentity {
    KeyIdentity { id: country.to_lowercase().parse().unwrap(), country: country.parse().unwrap(), installation: INSTALLATION }
}

fn provider(settings: VaultSettings) -> Arc<VaultProvider> {
    Arc::new(VaultProvider::new(identity("PK"), settings).unwrap())
}

fn context(number: u8) -> WrapContext {
    let owner = KeyOwner::Subject(Pseudonym::from_bytes([number; 16]));
    WrapContext { installation: INSTALLATION, country: pk(), owner, generation: Generation(1) }
}

fn reason<T: std::fmt::Debug>(result: Result<T, KmsError>) -> String {
    result.unwrap_err().to_string()
}

#[tokio::test]
async fn does_what_every_provider_must_with_no_more_rights_than_documented() {
    let Some(bao) = OpenBao::start().await else { return };
    bao.create_key("pk", json!({})).await;
    let token = bao.token("pk", "1h").await;
    let provider = provider(settings(&bao.address, VaultLogin::Token(token)));
    conformance::run(provider.clone(), INSTALLATION, pk()).await;

    // Transit destroys from the front.
    provider.rotate().await.unwrap();
    provider.rotate().await.unwrap();
    let refused = provider.destroy_version(3).await;
    assert!(
        matches!(&refused, Err(KmsError::Refused { reason, .. }) if reason.contains("destroy version 2 first")),
        "{refused:?}"
    );
    provider.destroy_version(2).await.unwrap();
    provider.destroy_version(3).await.unwrap();
    let states: Vec<KeyState> = provider.describe().await.unwrap().iter().map(|one| one.state).collect();
    assert_eq!(states, [KeyState::Destroyed, KeyState::Destroyed, KeyState::Destroyed, KeyState::Primary]);
}

#[tokio::test]
async fn keys_that_could_leave_the_country_are_not_used() {
    let Some(bao) = OpenBao::start().await else { return };
    for (name, more, fault) in [
        ("exportable", json!({ "exportable": true }), "exportable"),
        ("backups", json!({ "allow_plaintext_backup": true }), "plaintext backups"),
        ("chacha", json!({ "type": "chacha20-poly1305" }), "chacha20-poly1305, not aes256-gcm96"),
        ("plain", json!({ "derived": false }), "not derived"),
        ("equal", json!({ "convergent_encryption": true }), "convergent"),
    ] {
        bao.create_key(name, more).await;
        let key = settings(&bao.address, VaultLogin::Token("root".into()));
        let provider = provider(VaultSettings { name: name.to_owned(), ..key });
        for result in [
            provider.health().await,
            provider.wrap(&context(1), &SecretKey::random()).await.map(drop),
            provider.rotate().await.map(drop),
        ] {
            assert!(matches!(&result, Err(KmsError::Unsuitable { reason, .. }) if reason.contains(fault)), "{name}: {result:?}");
        }
    }
    bao.create_key("pk", json!({})).await;
    let cluster = settings(&bao.address, VaultLogin::Token("root".into()));
    let health = provider(VaultSettings { cluster: Some("somewhere-else".to_owned()), ..cluster }).health().await;
    assert!(matches!(&health, Err(KmsError::Unsuitable { reason, .. }) if reason.contains("cluster")), "{health:?}");
}

#[tokio::test]
async fn a_key_of_one_country_is_none_of_another_even_where_both_are_one_at_the_server() {
    let Some(bao) = OpenBao::start().await else { return };
    bao.create_key("pk", json!({})).await;
    let settings = settings(&bao.address, VaultLogin::Token("root".into()));
    let of_pk = provider(settings.clone());
    let wrapped = of_pk.wrap(&context(1), &SecretKey::random()).await.unwrap();
    let of_sg = VaultProvider::new(identity("SG"), settings.clone()).unwrap();
    let elsewhere = KeyIdentity { installation: [2; 16], ..identity("PK") };
    let of_another = VaultProvider::new(elsewhere, settings).unwrap();
    for (other, country, installation) in [(&of_sg, "SG", INSTALLATION), (&of_another, "PK", [2; 16])] {
        assert!(matches!(other.unwrap(&context(1), &wrapped).await, Err(KmsError::WrongContext)));
        let own = WrapContext { country: country.parse().unwrap(), installation, ..context(1) };
        assert!(matches!(other.unwrap(&own, &wrapped).await, Err(KmsError::Corrupt)));
        assert!(matches!(other.rewrap(&own, &wrapped).await, Err(KmsError::Corrupt)));
    }
}

#[tokio::test]
async fn what_becomes_of_a_key_is_told_apart() {
    let Some(bao) = OpenBao::start().await else { return };
    bao.create_key("pk", json!({})).await;
    let provider = provider(settings(&bao.address, VaultLogin::Token("root".into())));
    let key = SecretKey::random();
    let wrapped = provider.wrap(&context(1), &key).await.unwrap();
    provider.health().await.unwrap();
    let opens = async || provider.unwrap(&context(1), &wrapped).await.map(drop);

    // Disallowed by its settings, and allowed again.
    bao.order("transit/keys/pk/rotate", json!({})).await;
    bao.order("transit/keys/pk/config", json!({ "min_decryption_version": 2 })).await;
    assert!(reason(opens().await).contains("min_decryption_version is 2"));
    assert!(!provider.opens(1) && provider.opens(2));
    bao.order("transit/keys/pk/config", json!({ "min_decryption_version": 1 })).await;
    provider.health().await.unwrap();
    opens().await.unwrap();
    assert!(provider.opens(1));

    // Deleted so that it can be restored.
    bao.delete("transit/keys/pk/soft-delete").await;
    assert!(matches!(provider.health().await, Err(KmsError::Refused { .. })));
    assert!(matches!(opens().await, Err(KmsError::Refused { .. })));
    bao.order("transit/keys/pk/soft-delete-restore", json!({})).await;
    provider.health().await.unwrap();
    opens().await.unwrap();

    // Destroyed by somebody else.
    bao.order("transit/keys/pk/config", json!({ "min_decryption_version": 2, "min_encryption_version": 2 })).await;
    bao.order("transit/keys/pk/trim", json!({ "min_available_version": 2 })).await;
    assert!(matches!(opens().await, Err(KmsError::Destroyed { version: 1, .. })));
    provider.health().await.unwrap();
    let fresh = provider.wrap(&context(1), &key).await.unwrap();
    let later = WrappedKey::new(fresh.as_str().replace("vault:v2:", "vault:v9:"));
    assert!(matches!(provider.unwrap(&context(1), &later).await, Err(KmsError::UnknownVersion { version: 9, .. })));

    // Deleted for good, then another made under its name.
    bao.order("transit/keys/pk/config", json!({ "deletion_allowed": true })).await;
    bao.delete("transit/keys/pk").await;
    for result in [provider.health().await, provider.unwrap(&context(1), &fresh).await.map(drop)] {
        assert!(matches!(result, Err(KmsError::Refused { .. })), "{result:?}");
    }
    bao.create_key("pk", json!({})).await;
    bao.order("transit/keys/pk/rotate", json!({})).await;
    assert!(reason(provider.health().await).contains("another key stands under its name"));
}

#[tokio::test]
async fn a_version_that_is_destroyed_while_the_key_is_looked_at_is_no_fault_of_it() {
    let Some(bao) = OpenBao::start().await else { return };
    bao.create_key("pk", json!({})).await;
    let provider = provider(settings(&bao.address, VaultLogin::Token("root".into())));
    provider.health().await.unwrap();
    provider.rotate().await.unwrap();
    let before = provider.read().await.unwrap();
    // Between the two orders that destroy it, and after them.
    bao.order("transit/keys/pk/config", json!({ "min_decryption_version": 2, "min_encryption_version": 2 })).await;
    let disallowed = provider.reopen().await;
    provider.destroy_version(1).await.unwrap();
    let destroyed = provider.reopen().await;
    for reopened in [disallowed, destroyed] {
        assert!(reopened.is_none(), "{reopened:?}");
        provider.prove(&before, reopened).await.unwrap();
    }
    assert!(matches!(provider.reopen().await, Some((2, Ok(())))));
}

#[tokio::test]
async fn tokens_are_read_again_renewed_and_got_anew() {
    let Some(bao) = OpenBao::start().await else { return };
    bao.create_key("pk", json!({})).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");

    let first = bao.token("pk", "1h").await;
    fs::write(&file, format!("{}\n", first.expose_secret())).unwrap();
    let of_file = provider(settings(&bao.address, VaultLogin::TokenFile(file.clone())));
    let wrapped = of_file.wrap(&context(1), &SecretKey::random()).await.unwrap();
    bao.revoke(&first).await;
    for result in [of_file.unwrap(&context(1), &wrapped).await.map(drop), of_file.health().await] {
        assert!(matches!(result, Err(KmsError::Refused { .. })), "{result:?}");
    }
    fs::write(&file, bao.token("pk", "1h").await.expose_secret()).unwrap();
    of_file.unwrap(&context(1), &wrapped).await.unwrap();
    of_file.health().await.unwrap();

    // A token that lives for two seconds, asked for its health each second, lives on.
    let short = provider(settings(&bao.address, VaultLogin::Token(bao.token("pk", "2s").await)));
    for _ in 0..8 {
        short.health().await.unwrap();
        tokio::time::sleep(Duration::from_millis(500)).await;
    }

    // A role: logged in at first use, and again when its token is gone.
    bao.order("sys/auth/approle", json!({ "type": "approle" })).await;
    bao.order("auth/approle/role/domicile", json!({ "token_policies": ["pk"], "token_ttl": "1h" })).await;
    let role_id = bao.get("auth/approle/role/domicile/role-id").await.unwrap()["role_id"].as_str().unwrap().to_owned();
    bao.order("auth/approle/role/domicile/custom-secret-id", json!({ "secret_id": "a-secret-of-the-tests" })).await;
    let secret_id_file = folder.path().join("secret-id");
    fs::write(&secret_id_file, "a-secret-of-the-tests\n").unwrap();
    let login = VaultLogin::AppRole { mount: "approle".to_owned(), role_id, secret_id_file };
    let of_role = provider(settings(&bao.address, login));
    of_role.unwrap(&context(1), &wrapped).await.unwrap();
    bao.order("auth/token/revoke-accessor", json!({ "accessor": accessor_of_role(&bao).await })).await;
    assert!(matches!(of_role.unwrap(&context(1), &wrapped).await, Err(KmsError::Refused { .. })), "just logged in");
    tokio::time::sleep(Duration::from_secs(5)).await;
    of_role.unwrap(&context(1), &wrapped).await.unwrap();
}

/// The accessor of the token that the role has got.
async fn accessor_of_role(bao: &OpenBao) -> String {
    let all = bao.get("auth/token/accessors?list=true").await.unwrap();
    for accessor in all["keys"].as_array().unwrap() {
        let accessor = accessor.as_str().unwrap().to_owned();
        let body = Zeroizing::new(json!({ "accessor": accessor }).to_string().into_bytes());
        if bao.look_up(body).await["path"] == "auth/approle/login" {
            return accessor;
        }
    }
    panic!("the role has no token");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unavailable() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let gone = provider(settings(&format!("http://127.0.0.1:{port}"), VaultLogin::Token("root".into())));
    for result in [gone.health().await, gone.wrap(&context(1), &SecretKey::random()).await.map(drop)] {
        assert!(matches!(result, Err(KmsError::Unavailable { .. })), "{result:?}");
    }
    let missing = VaultLogin::TokenFile("/nonexistent/token".into());
    let unread = reason(provider(settings(&format!("http://127.0.0.1:{port}"), missing)).health().await);
    assert!(unread.contains("cannot read `/nonexistent/token`"), "{unread}");
}

/// One that takes connections and says nothing.
#[tokio::test]
async fn a_server_that_does_not_answer_is_unavailable_in_time() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", silent.local_addr().unwrap());
    let hanging =
        provider(VaultSettings { timeout: Duration::from_millis(100), ..settings(&address, VaultLogin::Token("root".into())) });
    let error = reason(hanging.health().await);
    assert!(error.contains("no answer within 100 ms"), "{error}");
}
