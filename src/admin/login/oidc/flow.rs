//! A sign-in with a code (OpenID Connect Core section 3.1, RFC 7636): there to the provider, and back.
//!
//! The gateway keeps nothing of a sign-in that has begun, so that nobody can fill its memory with them. What the answer is held against is
//! derived from a secret in a cookie of the browser: that is also what ties the answer to the browser.

use std::time::Duration;

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use http::{Method, Request, header};
use secrecy::ExposeSecret;
use serde::Deserialize;

use super::{Oidc, OidcRefused};
use crate::authn::{JwtRefused, TokenIdentity};
use crate::digest::{constant_time_eq, hmac_sha256, random, sha256};

/// From the beginning to the answer.
const TIME: Duration = Duration::from_secs(10 * 60);

/// A sign-in that has begun.
pub(in crate::admin::login) struct Flow {
    /// What is behind its state, nonce and verifier.
    secret: [u8; 32],
    /// The page that was asked for.
    pub(in crate::admin::login) next: String,
}

/// What the provider sends the browser back with.
#[derive(Debug, Default, Deserialize)]
pub(in crate::admin::login) struct Answer {
    state: Option<String>,
    code: Option<String>,
    error: Option<String>,
    iss: Option<String>,
}

#[derive(Deserialize)]
struct Tokens {
    id_token: String,
}

impl Flow {
    pub(in crate::admin::login) fn begin(next: &str) -> Self {
        Self { secret: random(), next: next.to_owned() }
    }

    /// For the cookie: the secret, when it ends (in seconds since 1970), the page, and a mark that all of it is ours.
    pub(in crate::admin::login) fn cookie(&self, key: &[u8; 32], now: i64) -> String {
        let end = now.saturating_add(i64::try_from(TIME.as_secs()).unwrap_or(0));
        let mark = hmac_sha256(key, &[&self.secret, &end.to_be_bytes(), self.next.as_bytes()]);
        let [secret, next, mark] = [&self.secret[..], self.next.as_bytes(), &mark].map(|part| URL_SAFE_NO_PAD.encode(part));
        format!("{secret}.{end}.{next}.{mark}")
    }

    /// The sign-in of a cookie, when it is ours and still lasts.
    pub(in crate::admin::login) fn of_cookie(cookie: &str, key: &[u8; 32], now: i64) -> Option<Self> {
        let [secret, end, next, mark]: [&str; 4] = cookie.split('.').collect::<Vec<_>>().try_into().ok()?;
        let secret: [u8; 32] = URL_SAFE_NO_PAD.decode(secret).ok()?.try_into().ok()?;
        let (end, mark) = (end.parse::<i64>().ok()?, URL_SAFE_NO_PAD.decode(mark).ok()?);
        let next = String::from_utf8(URL_SAFE_NO_PAD.decode(next).ok()?).ok()?;
        let ours = constant_time_eq(&mark, &hmac_sha256(key, &[&secret, &end.to_be_bytes(), next.as_bytes()]));
        (ours && now < end).then_some(Self { secret, next })
    }

    fn derived(&self, what: &str) -> String {
        URL_SAFE_NO_PAD.encode(hmac_sha256(&self.secret, &[what.as_bytes()]))
    }

    fn is_answered_by(&self, answer: &Answer) -> bool {
        answer.state.as_ref().is_some_and(|state| constant_time_eq(state.as_bytes(), self.derived("state").as_bytes()))
    }
}

impl Oidc {
    /// Where the browser is sent.
    pub(in crate::admin::login) async fn there(&self, flow: &Flow, back: &str) -> Result<String, OidcRefused> {
        let known = self.provider.known().await?;
        let scope = self.settings.scopes.iter().fold("openid".to_owned(), |scopes, one| scopes + " " + one);
        let challenge = URL_SAFE_NO_PAD.encode(sha256(flow.derived("verifier").as_bytes()));
        let (state, nonce) = (flow.derived("state"), flow.derived("nonce"));
        let parameters = [
            ("response_type", "code"),
            ("client_id", self.settings.client_id.as_str()),
            ("redirect_uri", back),
            ("scope", scope.as_str()),
            ("state", state.as_str()),
            ("nonce", nonce.as_str()),
            ("code_challenge", challenge.as_str()),
            ("code_challenge_method", "S256"),
        ];
        let query = serde_urlencoded::to_string(parameters).map_err(|_| OidcRefused::Unavailable)?;
        let endpoint = &known.metadata.authorization_endpoint;
        let join = if endpoint.contains('?') { '&' } else { '?' };
        Ok(format!("{endpoint}{join}{query}"))
    }

    /// Who has come back with an answer.
    pub(in crate::admin::login) async fn back(
        &self,
        flow: &Flow,
        answer: &Answer,
        back: &str,
    ) -> Result<TokenIdentity, OidcRefused> {
        // RFC 9207: an answer of another provider is none to us.
        if !flow.is_answered_by(answer) || answer.iss.as_ref().is_some_and(|issuer| *issuer != self.settings.issuer) {
            return Err(OidcRefused::State);
        }
        let code = answer.code.as_ref().filter(|_| answer.error.is_none()).ok_or(OidcRefused::Denied)?;
        let token = self.redeem(code, flow, back).await?;
        let client = std::slice::from_ref(&self.settings.client_id);
        let claims = self.verify(&token, &self.settings.client_id, client).await?;
        let nonce = claims.text("nonce")?.unwrap_or_default();
        if !constant_time_eq(nonce.as_bytes(), flow.derived("nonce").as_bytes()) {
            return Err(JwtRefused::Claim("nonce").into());
        }
        Ok(self.settings.roles.identity(&claims, &self.settings.issuer)?)
    }

    /// The ID token for a code.
    async fn redeem(&self, code: &str, flow: &Flow, back: &str) -> Result<String, OidcRefused> {
        let known = self.provider.known().await?;
        let verifier = flow.derived("verifier");
        let client = self.settings.client_id.as_str();
        let secret = self.settings.client_secret.as_ref().map(|secret| secret.expose_secret().trim());
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", back),
            ("code_verifier", verifier.as_str()),
        ];
        let mut request =
            Request::builder().method(Method::POST).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        match secret {
            Some(secret) if known.metadata.takes_basic() => {
                // RFC 6749 section 2.3.1: both are encoded as in a form before they are put together.
                let encode =
                    |text: &str| serde_urlencoded::to_string([("", text)]).map(|pair| pair.trim_start_matches('=').to_owned());
                let (client, secret) = encode(client).ok().zip(encode(secret).ok()).ok_or(OidcRefused::Unavailable)?;
                request =
                    request.header(header::AUTHORIZATION, format!("Basic {}", STANDARD.encode(format!("{client}:{secret}"))));
            }
            Some(secret) => form.extend([("client_id", client), ("client_secret", secret)]),
            None => form.push(("client_id", client)),
        }
        let body = serde_urlencoded::to_string(&form).map_err(|_| OidcRefused::Unavailable)?;
        match self.provider.send(request, &known.metadata.token_endpoint, body.into()).await {
            Ok((status, body)) if status.is_success() => {
                serde_json::from_slice(&body).map(|tokens: Tokens| tokens.id_token).map_err(|_| OidcRefused::Denied)
            }
            Ok((status, body)) => {
                let said = String::from_utf8_lossy(&body[..body.len().min(200)]).into_owned();
                tracing::info!(%status, said, "the OpenID provider takes the code for none");
                Err(if status.is_server_error() { OidcRefused::Unavailable } else { OidcRefused::Denied })
            }
            Err(error) => {
                tracing::warn!(error, "the OpenID provider cannot be asked");
                Err(OidcRefused::Unavailable)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KEY: [u8; 32] = [7; 32];

    #[test]
    fn a_sign_in_is_of_its_browser_and_ends() {
        let flow = Flow::begin("/console/records?bucket=a");
        let cookie = flow.cookie(&KEY, 1000);
        let found = Flow::of_cookie(&cookie, &KEY, 1599).unwrap();
        assert_eq!(found.next, "/console/records?bucket=a");
        let answer = |state: &str| Answer { state: Some(state.to_owned()), ..Answer::default() };
        assert!(found.is_answered_by(&answer(&flow.derived("state"))));
        assert!(!found.is_answered_by(&answer(&flow.derived("nonce"))) && !found.is_answered_by(&Answer::default()));
        assert!(!found.is_answered_by(&answer(&Flow::begin("").derived("state"))));
        assert!(Flow::of_cookie(&cookie, &KEY, 1600).is_none(), "too late");
        assert!(Flow::of_cookie(&cookie, &[8; 32], 1000).is_none(), "of another gateway");
        assert!(Flow::of_cookie(&cookie.replace("1600", "9999"), &KEY, 1000).is_none(), "a later end");
        let other = Flow::begin("/console/keys").cookie(&KEY, 1000);
        let parts: Vec<&str> = cookie.split('.').collect();
        let next = other.split('.').nth(2).unwrap();
        assert!(Flow::of_cookie(&[parts[0], parts[1], next, parts[3]].join("."), &KEY, 1000).is_none(), "to another page");
    }

    proptest! {
        #[test]
        fn no_other_cookie_is_ours(cookie in "[A-Za-z0-9_-]{0,60}(\\.[A-Za-z0-9_-]{0,60}){0,4}") {
            prop_assert!(Flow::of_cookie(&cookie, &KEY, 0).is_none());
        }
    }
}
