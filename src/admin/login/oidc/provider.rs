//! What a provider says of itself: where its endpoints are, and its keys.

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use http::{Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use serde::{Deserialize, de::DeserializeOwned};
use tokio::time::{Instant, timeout};

use super::{OidcRefused, OidcSettings};
use crate::authn::KeySet;
use crate::outbound::{HttpClient, client};

/// For one request to the provider.
const PATIENCE: Duration = Duration::from_secs(5);
/// What it says is read again after so long: a key that it has withdrawn is not taken for longer.
const FRESH: Duration = Duration::from_secs(10 * 60);
/// And is used for so long when it cannot be read again.
const GOOD: Duration = Duration::from_secs(60 * 60);
/// Between two readings, whoever asks: tokens with made-up keys cost the provider nothing.
const PAUSE: Duration = Duration::from_secs(10);
/// Answers are read up to this length, in bytes.
const MOST_ANSWER: usize = 1 << 20;

pub(super) struct Provider {
    http: HttpClient,
    issuer: String,
    known: ArcSwapOption<Known>,
    /// When it was last tried; held by who tries, so that all wait for one.
    tried: tokio::sync::Mutex<Option<Instant>>,
}

/// What it said last.
pub(super) struct Known {
    pub(super) metadata: Metadata,
    pub(super) keys: KeySet,
    at: Instant,
}

/// OpenID Connect Discovery 1.0, section 3.
#[derive(Debug, Deserialize)]
pub(super) struct Metadata {
    issuer: String,
    pub(super) authorization_endpoint: String,
    pub(super) token_endpoint: String,
    jwks_uri: String,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
}

impl Metadata {
    /// Whether the secret goes into a header, as it does where nothing is said.
    pub(super) fn takes_basic(&self) -> bool {
        self.token_endpoint_auth_methods_supported
            .as_ref()
            .is_none_or(|methods| methods.iter().any(|one| one == "client_secret_basic"))
    }
}

impl Provider {
    pub(super) fn new(settings: &OidcSettings) -> Result<Self, String> {
        let http = client(settings.issuer.starts_with("https://"), settings.ca.as_deref())?;
        Ok(Self { http, issuer: settings.issuer.clone(), known: ArcSwapOption::empty(), tried: tokio::sync::Mutex::new(None) })
    }

    /// What is known, read again when it is old: by one, while the others go on with that.
    pub(super) async fn known(&self) -> Result<Arc<Known>, OidcRefused> {
        match self.known.load_full() {
            Some(known) if known.at.elapsed() < FRESH => Ok(known),
            Some(known) if known.at.elapsed() < GOOD && self.tried.try_lock().is_err() => Ok(known),
            _ => self.read(|known| known.at.elapsed() < FRESH).await,
        }
    }

    /// What is newer than `old`, where there is a chance of it.
    pub(super) async fn newer_than(&self, old: &Known) -> Result<Arc<Known>, OidcRefused> {
        self.read(|known| known.at > old.at).await
    }

    async fn read(&self, suits: impl Fn(&Known) -> bool) -> Result<Arc<Known>, OidcRefused> {
        let mut tried = self.tried.lock().await;
        if let Some(known) = self.known.load_full().filter(|known| suits(known)) {
            return Ok(known);
        }
        if tried.is_none_or(|tried| tried.elapsed() >= PAUSE) {
            *tried = Some(Instant::now());
            match self.ask().await {
                Ok(known) => self.known.store(Some(Arc::new(known))),
                Err(error) => tracing::warn!(issuer = self.issuer, error, "the OpenID provider cannot be asked"),
            }
        }
        self.known.load_full().filter(|known| known.at.elapsed() < GOOD).ok_or(OidcRefused::Unavailable)
    }

    async fn ask(&self) -> Result<Known, String> {
        let address = format!("{}/.well-known/openid-configuration", self.issuer.trim_end_matches('/'));
        let metadata: Metadata = self.get(&address).await?;
        if metadata.issuer != self.issuer {
            return Err("it calls itself something else than the configuration's `issuer`".to_owned());
        }
        let scheme = |address: &str| address.split_once("://").map(|(scheme, _)| scheme.to_owned());
        for endpoint in [&metadata.authorization_endpoint, &metadata.token_endpoint, &metadata.jwks_uri] {
            if scheme(endpoint) != scheme(&self.issuer) {
                return Err(format!("`{endpoint}` is reached in another way than the issuer"));
            }
        }
        let keys: serde_json::Value = self.get(&metadata.jwks_uri).await?;
        let keys = KeySet::parse(keys.to_string().as_bytes()).map_err(|_| "its keys are no JWK set".to_owned())?;
        Ok(Known { metadata, keys, at: Instant::now() })
    }

    async fn get<T: DeserializeOwned>(&self, address: &str) -> Result<T, String> {
        let (status, body) = self.send(Request::builder().method(Method::GET), address, Bytes::new()).await?;
        if status != StatusCode::OK {
            return Err(format!("`{address}` answers {status}"));
        }
        serde_json::from_slice(&body).map_err(|error| format!("`{address}`: {error}"))
    }

    /// One request, whose answer is taken as it is: no redirect is followed.
    pub(super) async fn send(
        &self,
        request: http::request::Builder,
        address: &str,
        body: Bytes,
    ) -> Result<(StatusCode, Bytes), String> {
        let uri: Uri = address.parse().map_err(|_| format!("`{address}` is no address"))?;
        let request = request.uri(uri).header(header::ACCEPT, "application/json");
        let request = request.body(Full::new(body)).map_err(|error| error.to_string())?;
        let exchange = async {
            let answer = self.http.request(request).await.map_err(|error| format!("`{address}`: {error}"))?;
            let status = answer.status();
            let body =
                Limited::new(answer.into_body(), MOST_ANSWER).collect().await.map_err(|error| format!("`{address}`: {error}"))?;
            Ok((status, body.to_bytes()))
        };
        timeout(PATIENCE, exchange).await.map_err(|_| format!("`{address}` does not answer"))?
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::net::TcpListener;

    use super::*;
    use crate::authn::RoleMap;

    fn provider(issuer: String) -> Provider {
        let settings = OidcSettings {
            issuer,
            client_id: "domicile".to_owned(),
            client_secret: None,
            scopes: Vec::new(),
            audience: "domicile".to_owned(),
            parties: Vec::new(),
            algorithms: OidcSettings::ALGORITHMS.to_vec(),
            skew: OidcSettings::SKEW,
            roles: RoleMap { user_claim: "sub".to_owned(), role_claim: "groups".to_owned(), roles: Vec::new() },
            ca: None,
        };
        Provider::new(&settings).unwrap()
    }

    fn said(issuer: &str) -> Arc<Known> {
        let endpoint = || format!("{issuer}/there");
        let metadata = Metadata {
            issuer: issuer.to_owned(),
            authorization_endpoint: endpoint(),
            token_endpoint: endpoint(),
            jwks_uri: endpoint(),
            token_endpoint_auth_methods_supported: None,
        };
        Arc::new(Known { metadata, keys: KeySet::default(), at: Instant::now() })
    }

    #[tokio::test(start_paused = true)]
    async fn one_waits_for_a_provider_that_hangs_and_the_others_go_on() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            let _connection = listener.accept().await.unwrap();
            pending::<()>().await;
        });
        let provider = provider(issuer.clone());
        provider.known.store(Some(said(&issuer)));
        tokio::time::advance(FRESH).await;
        let began = Instant::now();
        let took = async || provider.known().await.map(|_| began.elapsed());
        let (asks, goes_on) = tokio::join!(took(), took());
        assert_eq!((asks.unwrap(), goes_on.unwrap()), (PATIENCE, Duration::ZERO));
        tokio::time::advance(GOOD).await;
        assert!(provider.known().await.is_err(), "not for ever");
    }
}
