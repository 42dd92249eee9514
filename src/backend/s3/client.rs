//! The SDK client: TLS on ring, our own timeouts, no checksums or stream protection on top of what a sealed blob brings itself.

use std::{sync::Arc, time::Duration};

use aws_sdk_s3::{
    Client, Config,
    config::{
        AsyncSleep, BehaviorVersion, Credentials, Region, RequestChecksumCalculation, ResponseChecksumValidation, Sleep,
        StalledStreamProtectionConfig, retry::RetryConfig, timeout::TimeoutConfig,
    },
};
use aws_smithy_http_client::{
    Connector,
    tls::{self, Provider, TrustStore, rustls_provider::CryptoMode},
};
use aws_smithy_runtime_api::client::http::{HttpConnectorSettings, SharedHttpConnector};
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};
use secrecy::ExposeSecret;

use super::{Addressing, S3Config, direct::Direct};
use crate::{
    backend::{BackendError, Cause},
    types::SiteId,
};

/// Attempts at one request, the first included.
const ATTEMPTS: u32 = 3;
/// The pause before the second attempt; it doubles, with jitter.
const FIRST_BACKOFF: Duration = Duration::from_millis(100);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Idle connections kept to a site, and for how long: shorter than services usually keep theirs.
const IDLE_CONNECTIONS: usize = 128;
const IDLE_TIME: Duration = Duration::from_secs(60);

/// Builds the client of one site.
pub(super) fn build(config: &S3Config, connector: &SharedHttpConnector) -> Client {
    let credentials = &config.credentials;
    let secret = credentials.secret_access_key.expose_secret();
    let retries = RetryConfig::standard().with_max_attempts(ATTEMPTS).with_initial_backoff(FIRST_BACKOFF);
    let timeouts = TimeoutConfig::builder().operation_attempt_timeout(config.attempt_timeout).build();
    let sdk = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .http_client(Direct::sdk_client(connector))
        .endpoint_url(&config.endpoint)
        .region(Region::new(config.region.clone()))
        .credentials_provider(Credentials::new(&credentials.access_key_id, secret, None, None, "configuration"))
        .force_path_style(config.addressing == Addressing::Path)
        // The default would send every body as aws-chunked with a CRC32 in the trailer.
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
        // It takes a busy reader's pauses for the site's; the stall timeout does not.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .retry_config(retries)
        .timeout_config(timeouts)
        .build();
    Client::from_conf(sdk)
}

/// The pooled connections of one site, which the SDK and the short way share.
pub(super) fn connector(site: &SiteId, private_ca: Option<&[u8]>) -> Result<SharedHttpConnector, BackendError> {
    let trust = match private_ca {
        Some(pem) => TrustStore::empty().with_pem_certificate(checked_authorities(site, pem)?),
        None => TrustStore::default(),
    };
    let context = tls::TlsContext::builder()
        .with_trust_store(trust)
        .build()
        .map_err(|error| unusable(site, "the private authority's certificates cannot be used", Some(Arc::new(error))))?;
    let settings = HttpConnectorSettings::builder().connect_timeout(CONNECT_TIMEOUT).build();
    let connector = Connector::builder()
        .connector_settings(settings)
        .sleep_impl(TokioSleep)
        .pool_max_idle_per_host(IDLE_CONNECTIONS)
        .pool_idle_timeout(IDLE_TIME)
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .tls_context(context)
        .build();
    Ok(SharedHttpConnector::new(connector))
}

/// The same PEM, once every certificate in it is known to be one. The connector takes a file without any for an authority that vouches
/// for nobody, and panics over one that cannot be read.
fn checked_authorities<'a>(site: &SiteId, pem: &'a [u8]) -> Result<&'a [u8], BackendError> {
    let mut anchors = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate =
            certificate.map_err(|error| unusable(site, "the private authority's file is not PEM", Some(Arc::new(error))))?;
        let unfit =
            |error| unusable(site, "the private authority's file holds no certificate that can be used", Some(Arc::new(error)));
        anchors.add(certificate).map_err(unfit)?;
    }
    if anchors.is_empty() {
        return Err(unusable(site, "there is no certificate in the private authority's file", None));
    }
    Ok(pem)
}

fn unusable(site: &SiteId, reason: &str, cause: Option<Cause>) -> BackendError {
    BackendError::Refused { site: site.clone(), reason: reason.to_owned(), cause }
}

/// Sleeps on tokio, for the connector's own timeout.
#[derive(Debug)]
struct TokioSleep;

impl AsyncSleep for TokioSleep {
    fn sleep(&self, duration: Duration) -> Sleep {
        Sleep::new(tokio::time::sleep(duration))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_without_a_usable_certificate_is_refused() {
        let site = SiteId::new("pk-khi").unwrap();
        let made = rcgen::generate_simple_self_signed(["authority".to_owned()]).unwrap();
        assert!(connector(&site, Some(made.cert.pem().as_bytes())).is_ok());
        let cut = made.cert.pem().replace("-----END CERTIFICATE-----", "");
        let no_certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        for pem in ["", "no certificate", &made.signing_key.serialize_pem(), &cut, no_certificate] {
            assert!(matches!(connector(&site, Some(pem.as_bytes())), Err(BackendError::Refused { .. })), "{pem}");
        }
    }
}
