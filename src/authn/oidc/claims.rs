//! What a token says, held against what it has to say.

use std::time::Duration;

use serde_json::{Map, Value};

use super::{JwtAlgorithm, JwtRefused};

/// What a token has to say.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'e> {
    /// Who made it, letter for letter.
    pub issuer: &'e str,
    /// For whom it is; it may be for others besides.
    pub audience: &'e str,
    /// The clients that it may have been given to.
    pub parties: &'e [String],
    /// How it may be signed.
    pub algorithms: &'e [JwtAlgorithm],
    /// By how much the issuer's clock may be wrong.
    pub skew: Duration,
}

/// The claims of a token that has been verified.
#[derive(Debug, Clone, PartialEq)]
pub struct Claims(Map<String, Value>);

impl Claims {
    pub(super) fn check(claims: Map<String, Value>, expected: &Expected<'_>, now: i64) -> Result<Self, JwtRefused> {
        let claims = Self(claims);
        let skew = i64::try_from(expected.skew.as_secs()).unwrap_or(0);
        if claims.text("iss")? != Some(expected.issuer) {
            return Err(JwtRefused::Claim("iss"));
        }
        if now >= claims.time("exp")?.ok_or(JwtRefused::Claim("exp"))?.saturating_add(skew) {
            return Err(JwtRefused::Expired);
        }
        for name in ["nbf", "iat"] {
            if claims.time(name)?.is_some_and(|time| time > now.saturating_add(skew)) {
                return Err(JwtRefused::NotYet);
            }
        }
        let audiences = claims.list("aud").ok_or(JwtRefused::Claim("aud"))?;
        if !audiences.contains(&expected.audience) {
            return Err(JwtRefused::Claim("aud"));
        }
        // OpenID Connect Core 3.1.3.7 and RFC 9068: whom it was given to.
        match (claims.text("azp")?, claims.text("client_id")?) {
            (None, None) if audiences.len() > 1 => return Err(JwtRefused::Claim("azp")),
            (azp, client) => {
                let known = |party: &str| expected.parties.iter().any(|allowed| allowed == party);
                if !azp.into_iter().chain(client).all(known) {
                    return Err(JwtRefused::Claim("azp"));
                }
            }
        }
        // One that is good only with a proof of a key (RFC 7800, RFC 9449): taken without, it could be anybody's who found it.
        if claims.0.contains_key("cnf") {
            return Err(JwtRefused::Claim("cnf"));
        }
        Ok(claims)
    }

    /// A claim that is a text.
    ///
    /// # Errors
    /// It is something else.
    pub fn text(&self, name: &'static str) -> Result<Option<&str>, JwtRefused> {
        self.0.get(name).map(|value| value.as_str().ok_or(JwtRefused::Claim(name))).transpose()
    }

    /// Whether a claim is `true`.
    pub(super) fn is_true(&self, name: &str) -> bool {
        self.0.get(name) == Some(&Value::Bool(true))
    }

    /// A claim that is a text or a list of texts, by its name or, where there is none of that name, by its way through objects.
    pub(super) fn list(&self, path: &str) -> Option<Vec<&str>> {
        let mut names = path.split('.');
        let nested = || {
            let first = self.0.get(names.next()?)?;
            names.try_fold(first, |value, name| value.get(name))
        };
        match self.0.get(path).or_else(nested)? {
            Value::String(one) => Some(vec![one]),
            Value::Array(many) => many.iter().map(Value::as_str).collect(),
            _ => None,
        }
    }

    /// Seconds since 1970. Fractions are allowed, and cut off.
    fn time(&self, name: &'static str) -> Result<Option<i64>, JwtRefused> {
        let Some(value) = self.0.get(name) else { return Ok(None) };
        #[expect(clippy::cast_possible_truncation, reason = "cut off to whole seconds, within what a date can be")]
        let whole = |seconds: f64| (0.0..1e12).contains(&seconds).then_some(seconds as i64);
        let seconds = value.as_i64().filter(|seconds| *seconds >= 0).or_else(|| value.as_f64().and_then(whole));
        seconds.map(Some).ok_or(JwtRefused::Claim(name))
    }
}
