//! A symmetric key as a JSON Web Key (RFC 7517; RFC 7518 section 6.4), with what it is for beside it.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

use super::SecretKey;

/// One key; `Use` says what it opens. Wiped when it goes.
#[derive(Serialize, Deserialize)]
pub(super) struct Jwk<Use> {
    kty: String,
    alg: String,
    pub(super) kid: String,
    k: String,
    pub(super) domicile: Use,
}

impl<Use> Jwk<Use> {
    pub(super) fn new(kid: String, secret: &SecretKey, domicile: Use) -> Self {
        Self { kty: "oct".into(), alg: "A256GCM".into(), kid, k: URL_SAFE_NO_PAD.encode(secret.expose()), domicile }
    }

    /// The key; `None` when it is no symmetric one of 32 bytes.
    pub(super) fn secret(&self) -> Option<SecretKey> {
        let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(&self.k).ok()?);
        if self.kty == "oct" { SecretKey::from_slice(&bytes) } else { None }
    }
}

impl<Use> Drop for Jwk<Use> {
    fn drop(&mut self) {
        self.k.zeroize();
    }
}
