//! One server, asked over HTTP: requests with a token, answers as JSON, failures as what they mean for a key.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, de::DeserializeOwned};
use zeroize::Zeroizing;

use super::VaultSettings;
use crate::{
    kms::KmsError,
    server::{HttpClient, client},
    types::KeyId,
};

/// The largest answer that is read, in bytes.
const MAX_ANSWER: usize = 1 << 20;
/// How much of what a server says in an error is repeated.
const MAX_REASON: usize = 200;

/// The server that holds one key.
pub(super) struct Server {
    http: HttpClient,
    address: String,
    namespace: Option<HeaderValue>,
    timeout: Duration,
    key: KeyId,
}

/// Why a request has no answer.
#[derive(Debug)]
pub(super) enum Failure {
    /// The server cannot be reached, does not answer in time, or says nothing that can be read.
    Unreachable(String),
    /// It answers with an error.
    Answered(StatusCode, String),
}

#[derive(Deserialize)]
struct Envelope<T> {
    data: Option<T>,
    auth: Option<Grant>,
}

#[derive(Deserialize)]
struct Errors {
    #[serde(default)]
    errors: Vec<String>,
}

/// A token, as a login or a renewal gives it.
#[derive(Deserialize)]
pub(super) struct Grant {
    pub(super) client_token: SecretString,
    pub(super) lease_duration: u64,
    pub(super) renewable: bool,
}

impl Server {
    pub(super) fn new(key: KeyId, settings: &VaultSettings) -> Result<Self, KmsError> {
        let unusable = |reason: String| KmsError::Unsuitable { key: key.clone(), reason };
        let http = client(settings.address.starts_with("https://"), settings.ca.as_deref()).map_err(unusable)?;
        let namespace = settings.namespace.as_deref().map(HeaderValue::from_str).transpose();
        let namespace = namespace.map_err(|_| unusable("the namespace cannot stand in a header".to_owned()))?;
        Ok(Self { http, address: settings.address.clone(), namespace, timeout: settings.timeout, key })
    }

    /// The `data` of an answer.
    pub(super) async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        token: &SecretString,
        body: Option<Zeroizing<Vec<u8>>>,
    ) -> Result<T, Failure> {
        let answer = self.exchange(method, path, Some(token), body).await?;
        let envelope: Envelope<T> = serde_json::from_slice(&answer).map_err(|_| unreadable())?;
        envelope.data.ok_or_else(unreadable)
    }

    /// Something whose answer does not matter.
    pub(super) async fn order(&self, path: &str, token: &SecretString, body: Zeroizing<Vec<u8>>) -> Result<(), Failure> {
        self.exchange(Method::POST, path, Some(token), Some(body)).await.map(drop)
    }

    /// The token of a login or a renewal.
    pub(super) async fn grant(
        &self,
        path: &str,
        token: Option<&SecretString>,
        body: Zeroizing<Vec<u8>>,
    ) -> Result<Grant, Failure> {
        let answer = self.exchange(Method::POST, path, token, Some(body)).await?;
        let envelope: Envelope<serde::de::IgnoredAny> = serde_json::from_slice(&answer).map_err(|_| unreadable())?;
        envelope.auth.ok_or_else(unreadable)
    }

    /// What may be asked without a token, and is not wrapped.
    pub(super) async fn public<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        let answer = self.exchange(Method::GET, path, None, None).await?;
        serde_json::from_slice(&answer).map_err(|_| unreadable())
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        token: Option<&SecretString>,
        body: Option<Zeroizing<Vec<u8>>>,
    ) -> Result<Bytes, Failure> {
        let request = self.request(method, path, token, body)?;
        let exchange = async {
            let response = self.http.request(request).await.map_err(|error| Failure::Unreachable(causes(&error)))?;
            let status = response.status();
            let body = Limited::new(response.into_body(), MAX_ANSWER).collect().await;
            Ok((status, body.map_err(|error| Failure::Unreachable(error.to_string()))?.to_bytes()))
        };
        let late = || Failure::Unreachable(format!("no answer within {} ms", self.timeout.as_millis()));
        let (status, answer) = tokio::time::timeout(self.timeout, exchange).await.map_err(|_| late())??;
        if status.is_success() { Ok(answer) } else { Err(Failure::Answered(status, said(&answer))) }
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        token: Option<&SecretString>,
        body: Option<Zeroizing<Vec<u8>>>,
    ) -> Result<Request<Full<Bytes>>, Failure> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}/v1/{path}", self.address))
            // The server's guard against being asked through others.
            .header("x-vault-request", "true")
            .header(header::CONTENT_TYPE, "application/json");
        if let Some(namespace) = &self.namespace {
            request = request.header("x-vault-namespace", namespace);
        }
        if let Some(token) = token {
            let mut value = HeaderValue::from_str(token.expose_secret())
                .map_err(|_| Failure::Answered(StatusCode::FORBIDDEN, "the token cannot stand in a header".to_owned()))?;
            value.set_sensitive(true);
            request = request.header("x-vault-token", value);
        }
        // Wiped once it has been sent.
        let body = body.map_or_else(Bytes::new, |body| Bytes::from_owner(Wiped(body)));
        request.body(Full::new(body)).map_err(|error| Failure::Unreachable(error.to_string()))
    }

    /// What a failure means for the key.
    pub(super) fn error(&self, failure: Failure) -> KmsError {
        let key = self.key.clone();
        match failure {
            Failure::Unreachable(reason) => KmsError::Unavailable { key, reason },
            Failure::Answered(StatusCode::SERVICE_UNAVAILABLE, reason) if reason.contains("sealed") => {
                KmsError::Refused { key, reason: "its server is sealed".to_owned() }
            }
            Failure::Answered(StatusCode::FORBIDDEN, reason) => KmsError::Refused { key, reason },
            Failure::Answered(StatusCode::NOT_FOUND, _) => KmsError::Refused {
                key,
                reason: "its server has no such key or mount: it was deleted, or is misspelt".to_owned(),
            },
            Failure::Answered(StatusCode::BAD_REQUEST, reason) if is_corrupt(&reason) => KmsError::Corrupt,
            Failure::Answered(StatusCode::BAD_REQUEST, reason) => KmsError::Refused { key, reason },
            // A standby that does not forward, a server that is starting or overloaded, a broken storage.
            Failure::Answered(status, reason) => KmsError::Unavailable { key, reason: format!("{} {reason}", status.as_u16()) },
        }
    }
}

impl Failure {
    pub(super) fn is_forbidden(&self) -> bool {
        matches!(self, Self::Answered(StatusCode::FORBIDDEN, _))
    }

    /// The version asked for is behind what the key's settings allow, or is gone.
    pub(super) fn is_too_old(&self) -> bool {
        matches!(self, Self::Answered(StatusCode::BAD_REQUEST, reason) if reason.contains("too old"))
    }

    /// The version asked for is not there yet.
    pub(super) fn is_too_new(&self) -> bool {
        matches!(self, Self::Answered(StatusCode::BAD_REQUEST, reason) if reason.contains("version is too new"))
    }
}

fn is_corrupt(reason: &str) -> bool {
    reason.contains("message authentication failed") || reason.contains("invalid ciphertext")
}

fn unreadable() -> Failure {
    Failure::Unreachable("its answer cannot be read".to_owned())
}

/// What a server says is wrong, on one line.
fn said(answer: &[u8]) -> String {
    let errors: Vec<String> = serde_json::from_slice::<Errors>(answer).map(|known| known.errors).unwrap_or_default();
    let text = errors.join("; ");
    let text: String = text.chars().map(|char| if char.is_control() { ' ' } else { char }).take(MAX_REASON).collect();
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if text.is_empty() { "no reason given".to_owned() } else { text }
}

/// An error with what caused it: the outermost alone says little.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}

struct Wiped(Zeroizing<Vec<u8>>);

impl AsRef<[u8]> for Wiped {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kms::VaultLogin;

    #[test]
    fn failures_mean_what_they_say_of_a_key() {
        let settings = VaultSettings {
            address: "http://127.0.0.1:1".to_owned(),
            namespace: None,
            mount: "transit".to_owned(),
            name: "pk".to_owned(),
            login: VaultLogin::Token("hush".into()),
            ca: None,
            cluster: None,
            timeout: Duration::from_secs(1),
        };
        let server = Server::new("pk".parse().unwrap(), &settings).unwrap();
        for (status, errors, code) in [
            (503, "Vault is sealed", "KeyRefused"),
            (503, "", "KeyUnavailable"),
            (500, "local node not active but active cluster node not found", "KeyUnavailable"),
            (307, "", "KeyUnavailable"),
            (429, "", "KeyUnavailable"),
            (403, "permission denied", "KeyRefused"),
            (404, "", "KeyRefused"),
            (400, "encryption key not found", "KeyRefused"),
            (400, "refusing to use soft-deleted key", "KeyRefused"),
            (400, "cipher: message authentication failed", "WrappedKeyCorrupt"),
            (400, "invalid ciphertext: no prefix", "WrappedKeyCorrupt"),
        ] {
            let answer = serde_json::json!({ "errors": [errors] }).to_string();
            let failure = Failure::Answered(StatusCode::from_u16(status).unwrap(), said(answer.as_bytes()));
            assert_eq!(server.error(failure).code(), code, "{status} {errors}");
        }
        assert_eq!(server.error(unreadable()).code(), "KeyUnavailable");
        assert!(!format!("{settings:?}").contains("hush"));
    }

    #[test]
    fn what_a_server_says_is_shown_on_one_short_line() {
        let long = format!("1 error occurred:\n\t* permission denied\n\n{}", "x".repeat(10_000));
        let said = said(serde_json::json!({ "errors": [long] }).to_string().as_bytes());
        assert!(said.starts_with("1 error occurred: * permission denied") && said.len() <= MAX_REASON, "{said}");
        assert_eq!(super::said(b"<html>"), "no reason given");
    }
}
