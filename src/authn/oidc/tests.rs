//! Every way in which a token is not taken, and those in which it is.

use std::time::Duration;

use proptest::prelude::*;
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair},
};
use serde_json::{Map, Value, json};

use super::*;
use crate::authn::Role;
use crate::digest::hmac_sha256;

const NOW: i64 = 1_700_000_000;
const ISSUER: &str = "https://login.example";
const ALLOWED: [JwtAlgorithm; 2] = [JwtAlgorithm::Es256, JwtAlgorithm::EdDsa];

/// An issuer with a key of each of two kinds.
struct Issuer {
    curve: EcdsaKeyPair,
    edwards: Ed25519KeyPair,
}

fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

impl Issuer {
    fn new() -> Self {
        let random = SystemRandom::new();
        let curve = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let curve = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, curve.as_ref(), &random).unwrap();
        let edwards = Ed25519KeyPair::from_pkcs8(Ed25519KeyPair::generate_pkcs8(&random).unwrap().as_ref()).unwrap();
        Self { curve, edwards }
    }

    fn jwk(&self) -> Value {
        let point = self.curve.public_key().as_ref();
        json!({ "kty": "EC", "crv": "P-256", "kid": "one", "x": b64(&point[1..33]), "y": b64(&point[33..]) })
    }

    fn keys(&self) -> KeySet {
        let edwards = json!({ "kty": "OKP", "crv": "Ed25519", "kid": "two", "x": b64(self.edwards.public_key()) });
        KeySet::parse(
            json!({ "keys": [self.jwk(), edwards, { "kty": "oct", "kid": "three", "k": b64("shared") }] }).to_string().as_bytes(),
        )
        .unwrap()
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        let signed = format!("{}.{}", b64(header.to_string()), b64(claims.to_string()));
        let signature = match header["alg"].as_str() {
            Some("EdDSA") => self.edwards.sign(signed.as_bytes()).as_ref().to_vec(),
            _ => self.curve.sign(&SystemRandom::new(), signed.as_bytes()).unwrap().as_ref().to_vec(),
        };
        format!("{signed}.{}", b64(signature))
    }

    fn token(&self, claims: &Value) -> String {
        self.sign(&json!({ "alg": "ES256", "kid": "one", "typ": "JWT" }), claims)
    }
}

fn expected(parties: &[String]) -> Expected<'_> {
    Expected { issuer: ISSUER, audience: "domicile", parties, algorithms: &ALLOWED, skew: Duration::from_secs(30) }
}

fn take(issuer: &Issuer, token: &str) -> Result<Claims, JwtRefused> {
    Claims::verify(token, &issuer.keys(), &expected(&["console".to_owned()]), NOW)
}

fn good() -> Value {
    json!({ "iss": ISSUER, "aud": "domicile", "exp": NOW + 60, "iat": NOW, "sub": "ann", "groups": ["staff", "auditors"] })
}

fn with(name: &str, value: Value) -> Value {
    let mut claims = good();
    claims[name] = value;
    claims
}

fn without(name: &str) -> Value {
    let mut claims = good();
    claims.as_object_mut().unwrap().remove(name);
    claims
}

#[test]
fn a_good_token_is_taken() {
    let issuer = Issuer::new();
    for claims in [
        good(),
        with("aud", json!(["domicile"])),
        with("azp", json!("console")),
        with("client_id", json!("console")),
        with("exp", json!(NOW - 29)),
        with("exp", json!(NOW as f64 + 0.5)),
        with("nbf", json!(NOW + 30)),
    ] {
        assert!(take(&issuer, &issuer.token(&claims)).is_ok(), "{claims}");
    }
    let mut both = with("aud", json!(["other", "domicile"]));
    both["azp"] = json!("console");
    assert!(take(&issuer, &issuer.token(&both)).is_ok());
    for header in [
        json!({ "alg": "EdDSA", "kid": "two" }),
        json!({ "alg": "ES256", "typ": "at+jwt" }),
        json!({ "alg": "ES256", "typ": "application/at+JWT", "jku": "https://evil.example", "jwk": {} }),
    ] {
        assert!(take(&issuer, &issuer.sign(&header, &good())).is_ok(), "{header}");
    }
}

#[test]
fn what_a_token_says_wrongly_is_named() {
    let issuer = Issuer::new();
    let claim = JwtRefused::Claim;
    for (claims, why) in [
        (with("iss", json!("https://login.example/")), claim("iss")),
        (with("iss", json!(["https://login.example"])), claim("iss")),
        (without("iss"), claim("iss")),
        (with("aud", json!("other")), claim("aud")),
        (with("aud", json!([])), claim("aud")),
        (with("aud", json!([["domicile"]])), claim("aud")),
        (without("aud"), claim("aud")),
        (with("aud", json!(["domicile", "other"])), claim("azp")),
        (with("azp", json!("other")), claim("azp")),
        (with("azp", json!(7)), claim("azp")),
        (with("client_id", json!("other")), claim("azp")),
        (with("exp", json!(NOW - 30)), JwtRefused::Expired),
        (with("exp", json!((NOW + 60).to_string())), claim("exp")),
        (with("exp", json!(-1)), claim("exp")),
        (with("exp", json!(1e300)), claim("exp")),
        (with("exp", Value::Null), claim("exp")),
        (without("exp"), claim("exp")),
        (with("nbf", json!(NOW + 31)), JwtRefused::NotYet),
        (with("nbf", json!("soon")), claim("nbf")),
        (with("iat", json!(NOW + 31)), JwtRefused::NotYet),
        (with("cnf", json!({ "jkt": "x" })), claim("cnf")),
    ] {
        assert_eq!(take(&issuer, &issuer.token(&claims)), Err(why), "{claims}");
    }
}

#[test]
fn no_algorithm_is_taken_for_another() {
    let issuer = Issuer::new();
    let refused = |header: Value| take(&issuer, &issuer.sign(&header, &good())).unwrap_err();
    for header in [
        json!({ "alg": "none" }),
        json!({ "alg": "None" }),
        json!({ "alg": "es256", "kid": "one" }),
        json!({ "alg": "HS256", "kid": "one" }),
        json!({ "alg": "RS256", "kid": "one" }),
        json!({ "alg": "ES256", "kid": "one", "crit": ["b64"], "b64": false }),
        json!({ "alg": "ES256", "kid": "one", "typ": "logout+jwt" }),
        json!({ "alg": "ES256", "kid": "one", "typ": "dpop+jwt" }),
    ] {
        assert_eq!(refused(header.clone()), JwtRefused::Algorithm, "{header}");
    }
    assert_eq!(refused(json!({ "kid": "one" })), JwtRefused::Malformed);
    assert_eq!(refused(json!({ "alg": "ES256", "kid": "other" })), JwtRefused::UnknownKey);
    assert_eq!(refused(json!({ "alg": "ES256", "kid": "three" })), JwtRefused::UnknownKey, "a shared secret is no key");
    assert_eq!(refused(json!({ "alg": "ES256", "kid": "two" })), JwtRefused::Signature, "a key of another kind");
    assert_eq!(refused(json!({ "alg": "EdDSA", "kid": "one" })), JwtRefused::Signature);

    // The public key as a shared secret, and no signature at all.
    let signed = |alg: &str| format!("{}.{}", b64(json!({ "alg": alg, "kid": "one" }).to_string()), b64(good().to_string()));
    let message = signed("HS256");
    let forged = hmac_sha256(issuer.curve.public_key().as_ref(), &[message.as_bytes()]);
    assert_eq!(take(&issuer, &format!("{message}.{}", b64(forged))), Err(JwtRefused::Algorithm));
    assert_eq!(take(&issuer, &format!("{}.", signed("none"))), Err(JwtRefused::Algorithm));
    assert_eq!(take(&issuer, &format!("{}.", signed("ES256"))), Err(JwtRefused::Signature));
    // An algorithm that the key is not for, though it is of its kind.
    let mut jwk = issuer.jwk();
    jwk["alg"] = json!("ES384");
    let keys = KeySet::parse(json!({ "keys": [jwk] }).to_string().as_bytes()).unwrap();
    let token = issuer.token(&good());
    assert_eq!(Claims::verify(&token, &keys, &expected(&[]), NOW), Err(JwtRefused::Signature));
}

#[test]
fn a_key_that_is_not_for_signatures_is_none() {
    let issuer = Issuer::new();
    for (name, value) in [("use", json!("enc")), ("key_ops", json!(["encrypt"])), ("x", json!("AAAA")), ("crv", json!("P-521"))] {
        let mut jwk = issuer.jwk();
        jwk[name] = value;
        let keys = KeySet::parse(json!({ "keys": [jwk, 7, {}] }).to_string().as_bytes()).unwrap();
        assert_eq!(Claims::verify(&issuer.token(&good()), &keys, &expected(&[]), NOW), Err(JwtRefused::UnknownKey), "{name}");
    }
    assert!(KeySet::parse(b"{}").is_err() && KeySet::parse(b"[]").is_err());
}

#[test]
fn only_what_was_signed_is_taken() {
    let (issuer, other) = (Issuer::new(), Issuer::new());
    let token = issuer.token(&good());
    assert_eq!(take(&other, &token), Err(JwtRefused::Signature));
    let parts: Vec<&str> = token.split('.').collect();
    let swapped = format!("{}.{}.{}", parts[0], b64(with("sub", json!("eve")).to_string()), parts[2]);
    assert_eq!(take(&issuer, &swapped), Err(JwtRefused::Signature));
    for broken in ["", ".", "..", "...", "a.b", &token[1..], &format!("{token}."), &format!("{token}="), &format!(" {token}")] {
        assert!(take(&issuer, broken).is_err(), "{broken:?}");
    }
    let long = issuer.token(&with("more", json!("x".repeat(MOST_TOKEN))));
    assert_eq!(take(&issuer, &long), Err(JwtRefused::Malformed));
}

fn map(user_claim: &str, role_claim: &str) -> RoleMap {
    let roles = vec![("auditors".to_owned(), Role::Auditor), ("operators".to_owned(), Role::Operator)];
    RoleMap { user_claim: user_claim.to_owned(), role_claim: role_claim.to_owned(), roles }
}

fn claims(value: Value) -> Claims {
    let Value::Object(claims) = value else { panic!("no object") };
    Claims::check(claims, &expected(&[]), NOW).unwrap()
}

#[test]
fn a_claim_gives_a_role_and_its_absence_none() {
    let who = |map: &RoleMap, value: Value| map.identity(&claims(value), ISSUER).map(|who| (who.id.to_string(), who.role));
    let plain = map("sub", "groups");
    assert_eq!(who(&plain, good()), Ok(("oidc.ann".to_owned(), Role::Auditor)));
    assert_eq!(who(&plain, with("groups", json!("operators"))), Ok(("oidc.ann".to_owned(), Role::Operator)));
    assert_eq!(who(&plain, with("groups", json!(["operators", "auditors"]))).unwrap().1, Role::Auditor, "the first that fits");
    for groups in [
        json!([]),
        json!(["Auditors"]),
        json!("auditors operators"),
        json!({ "auditors": true }),
        json!([["auditors"]]),
        json!(null),
    ] {
        assert_eq!(who(&plain, with("groups", groups.clone())), Err(JwtRefused::NoRole), "{groups}");
    }
    assert_eq!(who(&plain, without("groups")), Err(JwtRefused::NoRole));
    assert_eq!(who(&plain, without("sub")), Err(JwtRefused::Claim("user-claim")));
    assert_eq!(who(&plain, with("sub", json!(""))), Err(JwtRefused::Claim("user-claim")));
    assert_eq!(who(&plain, with("sub", json!(["ann", "bob"]))), Err(JwtRefused::Claim("user-claim")));

    let nested = json!({ "realm_access": { "roles": ["auditors"] } });
    assert_eq!(who(&map("sub", "realm_access.roles"), with("resource", nested["realm_access"].clone())), Err(JwtRefused::NoRole));
    assert!(who(&map("sub", "realm_access.roles"), with("realm_access", nested["realm_access"].clone())).is_ok());
    assert!(who(&map("sub", "https://x.example/roles"), with("https://x.example/roles", json!(["auditors"]))).is_ok());

    let mail = map("email", "groups");
    assert_eq!(who(&mail, with("email", json!("ann@example.com"))), Err(JwtRefused::Claim("email_verified")));
    let mut confirmed = with("email", json!("ann@example.com"));
    confirmed["email_verified"] = json!(true);
    let (name, _) = who(&mail, confirmed.clone()).unwrap();
    assert!(name.starts_with("oidc-") && name.len() == 37, "{name}");
    confirmed["email"] = json!("Ann@Example.com");
    assert_eq!(who(&mail, confirmed).unwrap().0, name, "no second person who could approve what the first one proposes");
    let long = |sub: &str| who(&plain, with("sub", json!(sub))).unwrap().0;
    assert_ne!(long("auth0|1"), long("auth0|2"));
}

proptest! {
    #[test]
    fn nothing_that_is_not_signed_is_taken(token in "[A-Za-z0-9_.-]{0,200}") {
        prop_assert!(Claims::verify(&token, &KeySet::default(), &expected(&[]), NOW).is_err());
    }

    #[test]
    fn a_changed_token_is_not_taken(at in any::<prop::sample::Index>(), to in any::<char>()) {
        let issuer = Issuer::new();
        let token = issuer.token(&good());
        let mut changed: Vec<char> = token.chars().collect();
        let at = at.index(changed.len());
        prop_assume!(changed[at] != to);
        changed[at] = to;
        prop_assert!(take(&issuer, &changed.into_iter().collect::<String>()).is_err());
    }

    #[test]
    fn any_document_is_read_or_refused(document in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = KeySet::parse(&document);
    }

    #[test]
    fn any_time_is_a_time_or_refused(seconds in any::<f64>()) {
        let mut claims = Map::new();
        claims.insert("iss".to_owned(), json!(ISSUER));
        claims.insert("aud".to_owned(), json!("domicile"));
        claims.insert("exp".to_owned(), json!(seconds));
        let taken = Claims::check(claims, &expected(&[]), NOW).is_ok();
        prop_assert_eq!(taken, seconds.trunc() + 30.0 > NOW as f64 && seconds < 1e12);
    }
}
