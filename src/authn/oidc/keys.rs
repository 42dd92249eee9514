//! An issuer's keys (RFC 7517), and signatures by them (RFC 7515, RFC 7518).

use std::str::FromStr;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::signature::{self, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm};
use serde::Deserialize;
use serde_json::Value;

use super::JwtRefused;

/// Keys of one issuer that are looked at.
const MOST_KEYS: usize = 100;

/// How a token may be signed. Neither `none` nor a shared secret is among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of RFC 7518 and RFC 8037")]
pub enum JwtAlgorithm {
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Ps384,
    Ps512,
    Es256,
    Es384,
    EdDsa,
}

impl JwtAlgorithm {
    /// All of them, by name.
    pub const ALL: [(&'static str, Self); 9] = [
        ("RS256", Self::Rs256),
        ("RS384", Self::Rs384),
        ("RS512", Self::Rs512),
        ("PS256", Self::Ps256),
        ("PS384", Self::Ps384),
        ("PS512", Self::Ps512),
        ("ES256", Self::Es256),
        ("ES384", Self::Es384),
        ("EdDSA", Self::EdDsa),
    ];
}

impl FromStr for JwtAlgorithm {
    type Err = JwtRefused;

    fn from_str(name: &str) -> Result<Self, JwtRefused> {
        Self::ALL.iter().find_map(|(known, algorithm)| (*known == name).then_some(*algorithm)).ok_or(JwtRefused::Algorithm)
    }
}

/// The keys that an issuer signs with now.
#[derive(Debug, Clone, Default)]
pub struct KeySet(Vec<Key>);

#[derive(Debug, Clone)]
struct Key {
    id: Option<String>,
    /// The only algorithm that the issuer uses it with, where it says so.
    only: Option<String>,
    material: Material,
}

#[derive(Debug, Clone)]
enum Material {
    Rsa { n: Vec<u8>, e: Vec<u8> },
    P256(Vec<u8>),
    P384(Vec<u8>),
    Ed25519(Vec<u8>),
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<Value>,
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl KeySet {
    /// Reads a JWK set. Keys that sign nothing, and those of kinds that are not known, are passed over.
    ///
    /// # Errors
    /// It is no JWK set.
    pub fn parse(document: &[u8]) -> Result<Self, JwtRefused> {
        let document: Document = serde_json::from_slice(document).map_err(|_| JwtRefused::Malformed)?;
        Ok(Self(document.keys.into_iter().take(MOST_KEYS).filter_map(Key::read).collect()))
    }

    /// Whether `message` was signed with the key that `id` names; without a name, with one that can be meant.
    pub(super) fn verify(
        &self,
        algorithm: JwtAlgorithm,
        id: Option<&str>,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), JwtRefused> {
        let mut meant = self.0.iter().filter(|key| id.is_none_or(|id| key.id.as_deref() == Some(id))).peekable();
        meant.peek().ok_or(JwtRefused::UnknownKey)?;
        let verified = meant.any(|key| key.verify(algorithm, message, signature).is_ok());
        verified.then_some(()).ok_or(JwtRefused::Signature)
    }
}

impl Key {
    fn read(value: Value) -> Option<Self> {
        let jwk: Jwk = serde_json::from_value(value).ok()?;
        let signs = jwk.purpose.as_deref().is_none_or(|purpose| purpose == "sig")
            && jwk.key_ops.as_ref().is_none_or(|uses| uses.iter().any(|purpose| purpose == "verify"));
        if !signs {
            return None;
        }
        let bytes = |text: &Option<String>| text.as_deref().and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
        let point = |length| {
            let (x, y) = (bytes(&jwk.x)?, bytes(&jwk.y)?);
            (x.len() == length && y.len() == length).then(|| [&[4], &x[..], &y[..]].concat())
        };
        let material = match (jwk.kty.as_str(), jwk.crv.as_deref()) {
            ("RSA", _) => Material::Rsa { n: without_zeros(bytes(&jwk.n)?), e: without_zeros(bytes(&jwk.e)?) },
            ("EC", Some("P-256")) => Material::P256(point(32)?),
            ("EC", Some("P-384")) => Material::P384(point(48)?),
            ("OKP", Some("Ed25519")) => Material::Ed25519(bytes(&jwk.x).filter(|x| x.len() == 32)?),
            _ => return None,
        };
        Some(Self { id: jwk.kid, only: jwk.alg, material })
    }

    /// A key answers only for the algorithms of its kind: one of RSA is never taken for a shared secret, nor for a curve's.
    fn verify(&self, algorithm: JwtAlgorithm, message: &[u8], signature: &[u8]) -> Result<(), JwtRefused> {
        if self.only.as_ref().is_some_and(|only| only.parse() != Ok(algorithm)) {
            return Err(JwtRefused::Signature);
        }
        let plain =
            |by: &'static dyn VerificationAlgorithm, key: &[u8]| UnparsedPublicKey::new(by, key).verify(message, signature);
        let verified = match (&self.material, algorithm) {
            (Material::Rsa { n, e }, _) => {
                let by = match algorithm {
                    JwtAlgorithm::Rs256 => &signature::RSA_PKCS1_2048_8192_SHA256,
                    JwtAlgorithm::Rs384 => &signature::RSA_PKCS1_2048_8192_SHA384,
                    JwtAlgorithm::Rs512 => &signature::RSA_PKCS1_2048_8192_SHA512,
                    JwtAlgorithm::Ps256 => &signature::RSA_PSS_2048_8192_SHA256,
                    JwtAlgorithm::Ps384 => &signature::RSA_PSS_2048_8192_SHA384,
                    JwtAlgorithm::Ps512 => &signature::RSA_PSS_2048_8192_SHA512,
                    _ => return Err(JwtRefused::Signature),
                };
                RsaPublicKeyComponents { n, e }.verify(by, message, signature)
            }
            (Material::P256(key), JwtAlgorithm::Es256) => plain(&signature::ECDSA_P256_SHA256_FIXED, key),
            (Material::P384(key), JwtAlgorithm::Es384) => plain(&signature::ECDSA_P384_SHA384_FIXED, key),
            (Material::Ed25519(key), JwtAlgorithm::EdDsa) => plain(&signature::ED25519, key),
            _ => return Err(JwtRefused::Signature),
        };
        verified.map_err(|_| JwtRefused::Signature)
    }
}

/// `ring` takes numbers without zeros in front; some issuers write one.
fn without_zeros(number: Vec<u8>) -> Vec<u8> {
    number.into_iter().skip_while(|byte| *byte == 0).collect()
}
