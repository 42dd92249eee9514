//! The S3 backend against a real service.
//!
//! Runs when `DOMICILE_TEST_S3_ENDPOINT` is set, with `DOMICILE_TEST_S3_BUCKET`, `DOMICILE_TEST_S3_REGION`,
//! `DOMICILE_TEST_S3_ACCESS_KEY_ID` and `DOMICILE_TEST_S3_SECRET_ACCESS_KEY`. The bucket must exist and be of no other use.

#![expect(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "helpers of tests, outside a test function")]

use bytes::Bytes;
use domicile::{
    backend::{Backend, BackendError, S3Backend, S3Config, S3Credentials, conformance},
    types::SiteId,
};

fn site() -> SiteId {
    SiteId::new("s3").unwrap()
}

/// The service to test against; says so when there is none.
fn service() -> Option<S3Config> {
    let variable = |name: &str| std::env::var(format!("DOMICILE_TEST_S3_{name}")).ok();
    let Some(endpoint) = variable("ENDPOINT") else {
        println!("skipped: DOMICILE_TEST_S3_ENDPOINT is not set");
        return None;
    };
    let required = |name: &str| variable(name).unwrap_or_else(|| panic!("DOMICILE_TEST_S3_{name} is not set"));
    let credentials =
        S3Credentials { access_key_id: required("ACCESS_KEY_ID"), secret_access_key: required("SECRET_ACCESS_KEY").into() };
    Some(S3Config::new(&endpoint, &required("REGION"), &required("BUCKET"), credentials))
}

#[tokio::test]
async fn conforms() {
    let Some(config) = service() else { return };
    conformance::run(&S3Backend::new(site(), &config).unwrap()).await.unwrap();
}

#[tokio::test]
async fn wrong_credentials_and_buckets_are_refusals() {
    let Some(config) = service() else { return };
    let mut wrong_secret = config.clone();
    wrong_secret.credentials.secret_access_key = "wrong".to_owned().into();
    let wrong_bucket = S3Config { bucket: "domicile-absent-bucket".to_owned(), ..config };
    // Some services make a bucket when something is put there, so only the probe asks after one that does not exist.
    let outcome = S3Backend::new(site(), &wrong_bucket).unwrap().probe().await;
    assert!(matches!(outcome, Err(BackendError::Refused { .. })), "{outcome:?}");
    let backend = S3Backend::new(site(), &wrong_secret).unwrap();
    let outcome = backend.put(&conformance::name(1), &[Bytes::from_static(b"blob")]).await;
    assert!(matches!(outcome, Err(BackendError::Refused { .. })), "{outcome:?}");
    let outcome = backend.get(&conformance::name(1), None).await.map(drop);
    assert!(matches!(outcome, Err(BackendError::Refused { .. })), "{outcome:?}");
    let outcome = backend.probe().await;
    assert!(matches!(outcome, Err(BackendError::Refused { .. })), "{outcome:?}");
}

#[tokio::test]
async fn nobody_listening_is_an_outage() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let credentials = S3Credentials { access_key_id: "id".to_owned(), secret_access_key: "secret".to_owned().into() };
    let backend = S3Backend::new(site(), &S3Config::new(&endpoint, "us-east-1", "bucket", credentials)).unwrap();
    assert!(matches!(backend.get(&conformance::name(1), None).await, Err(BackendError::Unavailable { .. })));
    let stored = backend.put(&conformance::name(1), &[Bytes::from_static(b"blob")]).await.unwrap_err();
    assert!(stored.is_connection_failure() && stored.is_retryable(), "{stored}");
}
