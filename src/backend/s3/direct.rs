//! The hot path to a site: one signed request over the SDK's own pooled connections, without the SDK's orchestration.
//!
//! The orchestrator costs more processor time than everything else that a small read or write does here. So each read and write is
//! tried once this way; whatever does not simply succeed goes to the SDK, which retries it and knows what its errors mean. Signing
//! follows "Signature Calculations for the Authorization Header" in the Amazon S3 API reference, with an unsigned payload: the blob
//! authenticates itself.

use std::{ops::Range, time::Duration};

use aws_sdk_s3::config::{
    SharedHttpClient,
    http::{HttpRequest, HttpResponse},
};
use aws_sdk_s3::primitives::SdkBody;
use aws_smithy_runtime_api::client::http::{HttpConnector, SharedHttpConnector, http_client_fn};
use http::{HeaderValue, Method, Request, Uri, header};
use parking_lot::Mutex;
use secrecy::{ExposeSecret, SecretString};

use super::{Addressing, S3Config};
use crate::{
    clock::{Clock, SystemClock},
    digest::{hmac_sha256, sha256},
    seal::BlobName,
};

const SIGNED_HEADERS: &str = "host;x-amz-content-sha256;x-amz-date";
const UNSIGNED: &str = "UNSIGNED-PAYLOAD";

/// Sends signed requests for the blobs of one bucket.
pub(super) struct Direct {
    connector: SharedHttpConnector,
    /// Scheme and authority: `https://host:port`.
    origin: String,
    host: HeaderValue,
    /// What stands before a blob's name: `/bucket/` or `/`.
    folder: String,
    access_key_id: String,
    secret: SecretString,
    region: String,
    /// The day's signing key.
    key: Mutex<([u8; 8], [u8; 32])>,
    timeout: Duration,
}

impl Direct {
    /// `None` where the endpoint is nothing that a URL can be made of: the SDK will say what is wrong with it.
    pub(super) fn new(config: &S3Config, connector: SharedHttpConnector) -> Option<Self> {
        let endpoint: Uri = config.endpoint.parse().ok()?;
        let (scheme, authority) = (endpoint.scheme_str()?, endpoint.authority()?);
        let path = endpoint.path().trim_end_matches('/');
        let (authority, folder) = match config.addressing {
            Addressing::Path => (authority.to_string(), format!("{path}/{}/", config.bucket)),
            Addressing::Virtual => (format!("{}.{authority}", config.bucket), format!("{path}/")),
        };
        Some(Self {
            connector,
            origin: format!("{scheme}://{authority}"),
            // The signature covers the host as it is sent, without a scheme's usual port.
            host: HeaderValue::from_str(without_default_port(scheme, &authority)).ok()?,
            folder,
            access_key_id: config.credentials.access_key_id.clone(),
            secret: config.credentials.secret_access_key.clone(),
            region: config.region.clone(),
            key: Mutex::default(),
            timeout: config.attempt_timeout,
        })
    }

    /// The SDK's client over the same connections.
    pub(super) fn sdk_client(connector: &SharedHttpConnector) -> SharedHttpClient {
        let connector = connector.clone();
        SharedHttpClient::new(http_client_fn(move |_, _| connector.clone()))
    }

    /// Reads a blob or a range of it; `None` for every answer but the bytes.
    pub(super) async fn get(&self, name: &BlobName, range: Option<&Range<u64>>) -> Option<HttpResponse> {
        let mut request = self.request(Method::GET, name, SdkBody::empty())?;
        if let Some(range) = range {
            let text = format!("bytes={}-{}", range.start, range.end.checked_sub(1)?);
            request.headers_mut().insert(header::RANGE, HeaderValue::from_str(&text).ok()?);
        }
        self.send(request).await.filter(|answer| matches!(answer.status().as_u16(), 200 | 206))
    }

    /// Writes a blob of `len` bytes; whether the service took it. After `false` it may have, too.
    pub(super) async fn put(&self, name: &BlobName, body: SdkBody, len: u64) -> bool {
        let Some(mut request) = self.request(Method::PUT, name, body) else { return false };
        request.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(len));
        self.send(request).await.is_some_and(|answer| answer.status().as_u16() == 200)
    }

    async fn send(&self, request: Request<SdkBody>) -> Option<HttpResponse> {
        let request = HttpRequest::try_from(request).ok()?;
        tokio::time::timeout(self.timeout, self.connector.call(request)).await.ok()?.ok()
    }

    fn request(&self, method: Method, name: &BlobName, body: SdkBody) -> Option<Request<SdkBody>> {
        let path = format!("{}{name}", self.folder);
        let date = SystemClock.now().to_datetime();
        let day = format!("{:04}{:02}{:02}", date.year(), u8::from(date.month()), date.day());
        let time = format!("{day}T{:02}{:02}{:02}Z", date.hour(), date.minute(), date.second());
        let authorization = self.authorization(&method, &path, &day, &time)?;
        Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.origin))
            .header(header::HOST, &self.host)
            .header("x-amz-content-sha256", UNSIGNED)
            .header("x-amz-date", time)
            .header(header::AUTHORIZATION, authorization)
            .body(body)
            .ok()
    }

    fn authorization(&self, method: &Method, path: &str, day: &str, time: &str) -> Option<String> {
        let host = self.host.to_str().ok()?;
        let canonical = format!(
            "{method}\n{path}\n\nhost:{host}\nx-amz-content-sha256:{UNSIGNED}\nx-amz-date:{time}\n\n{SIGNED_HEADERS}\n{UNSIGNED}"
        );
        let scope = format!("{day}/{}/s3/aws4_request", self.region);
        let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", hex::encode(sha256(canonical.as_bytes())));
        let signature = hex::encode(hmac_sha256(&self.signing_key(day)?, &[text.as_bytes()]));
        let id = &self.access_key_id;
        Some(format!("AWS4-HMAC-SHA256 Credential={id}/{scope}, SignedHeaders={SIGNED_HEADERS}, Signature={signature}"))
    }

    fn signing_key(&self, day: &str) -> Option<[u8; 32]> {
        let today = <[u8; 8]>::try_from(day.as_bytes()).ok()?;
        let mut cached = self.key.lock();
        if cached.0 != today {
            let start = zeroize::Zeroizing::new(format!("AWS4{}", self.secret.expose_secret()));
            let mut key = hmac_sha256(start.as_bytes(), &[day.as_bytes()]);
            for part in [self.region.as_str(), "s3", "aws4_request"] {
                key = hmac_sha256(&key, &[part.as_bytes()]);
            }
            *cached = (today, key);
        }
        Some(cached.1)
    }
}

impl std::fmt::Debug for Direct {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Direct").field("origin", &self.origin).finish_non_exhaustive()
    }
}

fn without_default_port<'a>(scheme: &str, authority: &'a str) -> &'a str {
    let port = match scheme {
        "https" => ":443",
        _ => ":80",
    };
    authority.strip_suffix(port).unwrap_or(authority)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authn::{AccessKey, HostRules, Principal, Principals, S3Authenticator};
    use crate::backend::S3Credentials;

    #[derive(Debug)]
    struct Nowhere;

    impl HttpConnector for Nowhere {
        fn call(&self, _: HttpRequest) -> aws_smithy_runtime_api::client::http::HttpConnectorFuture {
            unreachable!("nothing is sent")
        }
    }

    fn direct(endpoint: &str, addressing: Addressing) -> Direct {
        let credentials = S3Credentials { access_key_id: "SITEKEY".to_owned(), secret_access_key: "secret".to_owned().into() };
        let config = S3Config { addressing, ..S3Config::new(endpoint, "khi", "blobs", credentials) };
        Direct::new(&config, SharedHttpConnector::new(Nowhere)).unwrap()
    }

    #[test]
    fn our_own_front_accepts_the_signature() {
        let access_key = AccessKey::new("SITEKEY", "secret".to_owned().into());
        let principal = Principal::unrestricted("gateway", vec![access_key]).unwrap();
        let principals = std::sync::Arc::new(arc_swap::ArcSwap::from_pointee(Principals::new([principal]).unwrap()));
        let authenticator = S3Authenticator::new(principals, "khi".to_owned(), HostRules::default());
        let request = direct("http://127.0.0.1:9000", Addressing::Path)
            .request(Method::PUT, &BlobName::marker(), SdkBody::empty())
            .unwrap();
        assert_eq!(request.uri().path(), "/blobs/domicile-site");
        let (mut parts, _) = request.into_parts();
        assert!(authenticator.verify(&parts, SystemClock.now()).is_ok());
        parts.headers.insert("x-amz-date", HeaderValue::from_static("20200101T000000Z"));
        assert!(authenticator.verify(&parts, SystemClock.now()).is_err());
    }

    #[test]
    fn hosts_are_signed_as_they_are_sent() {
        assert_eq!(direct("https://s3.example.pk:443", Addressing::Path).host, "s3.example.pk");
        let bucket = direct("https://s3.example.pk", Addressing::Virtual);
        assert_eq!((bucket.host.to_str().unwrap(), bucket.folder.as_str()), ("blobs.s3.example.pk", "/"));
        assert_eq!(direct("http://host:80/base/", Addressing::Path).folder, "/base/blobs/");
    }
}
