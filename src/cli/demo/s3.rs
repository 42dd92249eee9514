//! The application's side of the demo: an ordinary aws-sdk-s3 client.

use std::net::SocketAddr;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Builder, Credentials, Region, retry::RetryConfig};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

/// Calls the gateway as an application backend does.
pub(super) struct Caller(Client);

/// One write and what it says of itself.
pub(super) struct Write<'a> {
    pub(super) bucket: &'a str,
    pub(super) key: &'a str,
    pub(super) residence: Option<&'a str>,
    pub(super) body: Vec<u8>,
}

/// The gateway's answer: where the record lives and which instruments said so, or status and code of the refusal.
pub(super) type Answer = Result<(String, String), (u16, String)>;

impl Caller {
    pub(super) fn new(gateway: SocketAddr, access_key_id: &str, secret: &str) -> Self {
        let http = aws_smithy_http_client::Builder::new().build_http();
        let config = Builder::new()
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(format!("http://{gateway}"))
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new(access_key_id, secret, None, None, "demo"))
            .retry_config(RetryConfig::disabled())
            .force_path_style(true)
            .http_client(http)
            .build();
        Self(Client::from_conf(config))
    }

    pub(super) async fn create_bucket(&self, bucket: &str) -> Result<(), (u16, String)> {
        self.0.create_bucket().bucket(bucket).send().await.map(|_| ()).map_err(refusal)
    }

    pub(super) async fn put(&self, write: Write<'_>) -> Answer {
        let mut put = self.0.put_object().bucket(write.bucket).key(write.key).body(ByteStream::from(write.body));
        if let Some(residence) = write.residence {
            put = put.metadata("domicile-residence", residence);
        }
        put.send().await.map_err(refusal)?;
        self.lives(write.bucket, write.key).await
    }

    pub(super) async fn get(&self, bucket: &str, key: &str) -> Result<Vec<u8>, (u16, String)> {
        let found = self.0.get_object().bucket(bucket).key(key).send().await.map_err(refusal)?;
        let body = found.body.collect().await.map_err(|error| (0, error.to_string()))?;
        Ok(body.to_vec())
    }

    /// Asks the gateway where a record lives, by the headers of HeadObject.
    async fn lives(&self, bucket: &str, key: &str) -> Answer {
        let headers = std::sync::Arc::new(std::sync::Mutex::new((String::new(), String::new())));
        let seen = std::sync::Arc::clone(&headers);
        self.0
            .head_object()
            .bucket(bucket)
            .key(key)
            .customize()
            .map_request(Ok::<_, std::convert::Infallible>)
            .interceptor(ResidenceHeaders(seen))
            .send()
            .await
            .map_err(refusal)?;
        let found = headers.lock().map(|headers| headers.clone()).unwrap_or_default();
        Ok(found)
    }
}

/// Reads the `x-domicile-*` headers, which the SDK's typed answers leave out.
#[derive(Debug)]
struct ResidenceHeaders(std::sync::Arc<std::sync::Mutex<(String, String)>>);

impl aws_sdk_s3::config::Intercept for ResidenceHeaders {
    fn name(&self) -> &'static str {
        "residence headers"
    }

    fn read_after_transmit(
        &self,
        context: &aws_sdk_s3::config::interceptors::BeforeDeserializationInterceptorContextRef<'_>,
        _: &aws_sdk_s3::config::RuntimeComponents,
        _: &mut aws_sdk_s3::config::ConfigBag,
    ) -> Result<(), aws_sdk_s3::error::BoxError> {
        let header = |name: &str| context.response().headers().get(name).unwrap_or_default().to_owned();
        if let Ok(mut headers) = self.0.lock() {
            *headers = (header("x-domicile-country"), header("x-domicile-instruments"));
        }
        Ok(())
    }
}

fn refusal<E>(error: SdkError<E, HttpResponse>) -> (u16, String)
where
    E: ProvideErrorMetadata,
{
    let status = error.raw_response().map_or(0, |response| response.status().as_u16());
    let code = error.as_service_error().and_then(ProvideErrorMetadata::code).unwrap_or("no answer").to_owned();
    (status, code)
}
