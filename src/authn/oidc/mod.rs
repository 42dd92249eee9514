//! Tokens of an OpenID provider: JSON Web Tokens (RFC 7519) and what they say of who bears them.
//!
//! Signatures are checked here, by `ring`, and not by one of the JWT crates; `ARCHITECTURE.md` says why. What that takes is small: three
//! base64 parts, a header of which four fields count, and the claims.
//!
//! Architecture invariant: nothing that a token says is looked at before its signature, but for which key it names.

mod claims;
mod keys;
mod roles;
#[cfg(test)]
mod tests;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;

pub use claims::{Claims, Expected};
pub use keys::{JwtAlgorithm, KeySet};
pub use roles::RoleMap;

/// A token is looked at only up to this length, in bytes.
const MOST_TOKEN: usize = 16 << 10;

/// Why a token is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JwtRefused {
    /// It is no signed JSON Web Token.
    #[error("not a signed JSON Web Token")]
    Malformed,
    /// Its algorithm is not among those that are allowed, or asks for what is not understood.
    #[error("its algorithm or header is not allowed")]
    Algorithm,
    /// The issuer has no such key.
    #[error("the issuer has no such key")]
    UnknownKey,
    /// The signature is not the issuer's.
    #[error("its signature is wrong")]
    Signature,
    /// It is over.
    #[error("it has expired")]
    Expired,
    /// It does not hold yet.
    #[error("it does not hold yet")]
    NotYet,
    /// What it says is not what it has to say.
    #[error("its claim `{0}` is missing or wrong")]
    Claim(&'static str),
    /// What it says of its bearer gives no role here.
    #[error("it gives no role here")]
    NoRole,
}

impl JwtRefused {
    /// A stable word for it.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Malformed => "malformed-token",
            Self::Algorithm => "token-algorithm",
            Self::UnknownKey => "unknown-key",
            Self::Signature => "wrong-signature",
            Self::Expired => "expired-token",
            Self::NotYet => "early-token",
            Self::Claim(_) => "wrong-claim",
            Self::NoRole => "no-role",
        }
    }
}

/// What counts of a header. Keys and addresses that it may bring are not looked at: only the issuer's own keys are.
#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    crit: Option<serde::de::IgnoredAny>,
}

impl Claims {
    /// The claims of `token`, signed by one of `keys`, and as `expected` at `now` (in seconds since 1970).
    ///
    /// # Errors
    /// [`JwtRefused::UnknownKey`] can be another with newer keys; all others stay.
    pub fn verify(token: &str, keys: &KeySet, expected: &Expected<'_>, now: i64) -> Result<Self, JwtRefused> {
        if token.len() > MOST_TOKEN {
            return Err(JwtRefused::Malformed);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(JwtRefused::Malformed)?;
        let (header, payload) = signed.split_once('.').ok_or(JwtRefused::Malformed)?;
        let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).map_err(|_| JwtRefused::Malformed);
        let header: Header = serde_json::from_slice(&decode(header)?).map_err(|_| JwtRefused::Malformed)?;
        let algorithm = header.alg.parse::<JwtAlgorithm>().map_err(|_| JwtRefused::Algorithm)?;
        if !expected.algorithms.contains(&algorithm) || header.crit.is_some() || !header.typ.as_deref().is_none_or(is_for_access)
        {
            return Err(JwtRefused::Algorithm);
        }
        keys.verify(algorithm, header.kid.as_deref(), signed.as_bytes(), &decode(signature)?)?;
        let claims = serde_json::from_slice(&decode(payload)?).map_err(|_| JwtRefused::Malformed)?;
        Self::check(claims, expected, now)
    }
}

/// Whether a token of this type says who somebody is. Others of the same issuer are for something else: a logout, a proof of a key.
fn is_for_access(kind: &str) -> bool {
    let kind = kind.strip_prefix("application/").unwrap_or(kind);
    ["JWT", "at+jwt"].iter().any(|allowed| kind.eq_ignore_ascii_case(allowed))
}
