//! The calls to AWS KMS, and what its errors mean.
//!
//! The SDK copies a key on its way to and from the service, and wipes no copy.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use aws_sdk_kms::{
    Client, Config,
    config::{
        BehaviorVersion, Credentials, Region, SharedHttpClient, http::HttpResponse, retry::RetryConfig, timeout::TimeoutConfig,
    },
    error::{DisplayErrorContext, ProvideErrorMetadata, SdkError},
    primitives::Blob,
    types::{KeyMetadata, KeySpec, KeyUsageType, Tag},
};
use aws_smithy_http_client::{
    Builder,
    tls::{Provider, rustls_provider::CryptoMode},
};
use secrecy::ExposeSecret;
use zeroize::Zeroizing;

use super::AwsKmsSettings;
use crate::{
    kms::{KmsError, SecretKey},
    types::KeyId,
};

/// Attempts at one request, the first included; a country's requests wait meanwhile.
const ATTEMPTS: u32 = 3;
const FIRST_BACKOFF: Duration = Duration::from_millis(50);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

type Bound = HashMap<String, String>;

/// KMS in one region, as one country key's provider uses it.
#[derive(Debug)]
pub(super) struct Service {
    key: KeyId,
    client: Client,
}

/// TLS on ring, as everywhere.
pub(super) fn http_client() -> SharedHttpClient {
    Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https()
}

impl Service {
    /// Prepares the client. Nothing is sent yet.
    pub(super) fn new(key: KeyId, settings: &AwsKmsSettings, http: SharedHttpClient) -> Self {
        let secret = settings.secret_access_key.expose_secret();
        let mut config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .http_client(http)
            .region(Region::new(settings.region.clone()))
            .credentials_provider(Credentials::new(&settings.access_key_id, secret, None, None, "configuration"))
            .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS).with_initial_backoff(FIRST_BACKOFF))
            .timeout_config(
                TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).operation_attempt_timeout(settings.timeout).build(),
            );
        config.set_endpoint_url(settings.endpoint.clone());
        Self { key, client: Client::from_conf(config.build()) }
    }

    /// What KMS says of a key, by its id or alias; none when there is no such key.
    pub(super) async fn describe(&self, id: &str) -> Result<Option<KeyMetadata>, KmsError> {
        match self.client.describe_key().key_id(id).send().await {
            Ok(answer) => Ok(answer.key_metadata),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(self.failure(error)),
        }
    }

    pub(super) async fn tags(&self, id: &str) -> Result<BTreeMap<String, String>, KmsError> {
        let (mut tags, mut after) = (BTreeMap::new(), None);
        loop {
            let asked = self.client.list_resource_tags().key_id(id).set_marker(after.take());
            let page = asked.send().await.map_err(|error| self.failure(error))?;
            tags.extend(page.tags().iter().map(|tag| (tag.tag_key().to_owned(), tag.tag_value().to_owned())));
            match page.next_marker {
                Some(marker) if page.truncated => after = Some(marker),
                _ => return Ok(tags),
            }
        }
    }

    pub(super) async fn tag(&self, id: &str, name: &str, value: &str) -> Result<(), KmsError> {
        let tag = self.made_tag(name, value)?;
        self.client.tag_resource().key_id(id).tags(tag).send().await.map(drop).map_err(|error| self.failure(error))
    }

    pub(super) async fn encrypt(&self, id: &str, bound: Bound, key: &SecretKey) -> Result<Vec<u8>, KmsError> {
        let asked = self.client.encrypt().key_id(id).set_encryption_context(Some(bound));
        let answer = asked.plaintext(Blob::new(key.expose())).send().await.map_err(|error| self.failure(error))?;
        answer.ciphertext_blob.map(Blob::into_inner).ok_or_else(|| self.incomplete())
    }

    pub(super) async fn decrypt(&self, id: &str, bound: Bound, ciphertext: Vec<u8>) -> Result<SecretKey, KmsError> {
        let asked = self.client.decrypt().key_id(id).set_encryption_context(Some(bound));
        let answer = asked.ciphertext_blob(Blob::new(ciphertext)).send().await.map_err(|error| self.failure(error))?;
        let plaintext = Zeroizing::new(answer.plaintext.map(Blob::into_inner).ok_or_else(|| self.incomplete())?);
        SecretKey::from_slice(&plaintext).ok_or(KmsError::Corrupt)
    }

    /// Wraps with another key what one wrapped; it never leaves the service.
    pub(super) async fn reencrypt(
        &self,
        from: (&str, Bound),
        to: (&str, Bound),
        ciphertext: Vec<u8>,
    ) -> Result<Vec<u8>, KmsError> {
        let asked = self.client.re_encrypt().source_key_id(from.0).set_source_encryption_context(Some(from.1));
        let asked = asked.destination_key_id(to.0).set_destination_encryption_context(Some(to.1));
        let answer = asked.ciphertext_blob(Blob::new(ciphertext)).send().await.map_err(|error| self.failure(error))?;
        answer.ciphertext_blob.map(Blob::into_inner).ok_or_else(|| self.incomplete())
    }

    /// Makes a key of the same kind, in the same key store and under the same policy as another.
    pub(super) async fn create_like(
        &self,
        model: &KeyMetadata,
        description: &str,
        tags: &BTreeMap<String, String>,
    ) -> Result<KeyMetadata, KmsError> {
        let policy = self.client.get_key_policy().key_id(model.key_id()).policy_name("default").send().await;
        let policy = policy.map_err(|error| self.failure(error))?.policy;
        let tags = tags.iter().map(|(name, value)| self.made_tag(name, value)).collect::<Result<Vec<_>, _>>()?;
        let asked = self.client.create_key().description(description).set_policy(policy).set_tags(Some(tags));
        let asked = asked.key_spec(KeySpec::SymmetricDefault).key_usage(KeyUsageType::EncryptDecrypt).multi_region(false);
        let asked = asked.set_origin(model.origin().cloned()).set_custom_key_store_id(model.custom_key_store_id.clone());
        let answer = asked.send().await.map_err(|error| self.failure(error))?;
        answer.key_metadata.ok_or_else(|| self.incomplete())
    }

    pub(super) async fn point(&self, alias: &str, id: &str) -> Result<(), KmsError> {
        let asked = self.client.update_alias().alias_name(alias).target_key_id(id);
        asked.send().await.map(drop).map_err(|error| self.failure(error))
    }

    pub(super) async fn schedule_deletion(&self, id: &str, days: u8) -> Result<(), KmsError> {
        let asked = self.client.schedule_key_deletion().key_id(id).pending_window_in_days(i32::from(days));
        asked.send().await.map(drop).map_err(|error| self.failure(error))
    }

    pub(super) async fn cancel_deletion(&self, id: &str) -> Result<(), KmsError> {
        self.client.cancel_key_deletion().key_id(id).send().await.map(drop).map_err(|error| self.failure(error))
    }

    fn made_tag(&self, name: &str, value: &str) -> Result<Tag, KmsError> {
        Tag::builder().tag_key(name).tag_value(value).build().map_err(|_| self.incomplete())
    }

    fn incomplete(&self) -> KmsError {
        KmsError::Unavailable { key: self.key.clone(), reason: "KMS answers without what it was asked for".to_owned() }
    }

    /// Whether it is worth trying again, nothing was wrong with the question, or KMS says no.
    fn failure<E>(&self, error: SdkError<E, HttpResponse>) -> KmsError
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let key = self.key.clone();
        let Some(said) = error.as_service_error().map(ProvideErrorMetadata::meta) else {
            return KmsError::Unavailable { key, reason: DisplayErrorContext(error).to_string() };
        };
        let code = said.code().unwrap_or("an error without a code");
        let reason = format!("{code}: {}", said.message().unwrap_or("without a message"));
        if error.raw_response().is_some_and(|answer| answer.status().is_server_error()) {
            return KmsError::Unavailable { key, reason };
        }
        match code {
            "InvalidCiphertextException" | "IncorrectKeyException" => KmsError::Corrupt,
            "ThrottlingException"
            | "Throttling"
            | "TooManyRequestsException"
            | "RequestLimitExceeded"
            | "LimitExceededException"
            | "DependencyTimeoutException"
            | "KMSInternalException"
            | "InternalFailure"
            | "InternalError"
            | "ServiceUnavailable"
            | "KeyUnavailableException"
            | "RequestTimeout"
            | "RequestExpired"
            | "NotFoundException" => KmsError::Unavailable { key, reason },
            _ => KmsError::Refused { key, reason },
        }
    }
}

fn is_missing<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> bool {
    error.as_service_error().and_then(ProvideErrorMetadata::code) == Some("NotFoundException")
}
