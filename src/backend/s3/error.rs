//! What the SDK's errors mean for a caller.

use std::{error::Error, sync::Arc};

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};

use crate::{backend::BackendError, seal::BlobName, types::SiteId};

/// A failed write. Unless the service refused it, it may have taken effect: a lost answer looks like a lost request, and only the
/// last of several attempts is known here.
pub(super) fn of_write<E>(site: &SiteId, name: &BlobName, error: SdkError<E>) -> BackendError
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    let never_sent = matches!(error, SdkError::ConstructionFailure(_));
    match of_read(site, name, error) {
        // An absent object cannot be why a write fails; an absent bucket can.
        BackendError::NotFound { site, .. } => {
            BackendError::Refused { site, reason: "the bucket or its path does not exist".to_owned(), cause: None }
        }
        error if error.is_retryable() && !never_sent => error.with_unknown_outcome(),
        error => error,
    }
}

/// A failed request for a blob.
pub(super) fn of_read<E>(site: &SiteId, name: &BlobName, error: SdkError<E>) -> BackendError
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    translate(site, Some(name), error)
}

/// A failed request about the bucket as a whole.
pub(super) fn of_bucket<E>(site: &SiteId, bucket: &str, error: SdkError<E>) -> BackendError
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    // Answers to HEAD have no code that tells an absent bucket from anything else that is absent.
    let absent = matches!(&error, SdkError::ServiceError(answer) if answer.raw().status().as_u16() == 404);
    match translate(site, None, error) {
        BackendError::Refused { site, cause, .. } if absent => {
            let reason = format!("there is no bucket `{bucket}` at the endpoint: create it, or correct `bucket` or `endpoint`");
            BackendError::Refused { site, reason, cause }
        }
        other => other,
    }
}

fn translate<E>(site: &SiteId, name: Option<&BlobName>, error: SdkError<E>) -> BackendError
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    let site = site.clone();
    match &error {
        SdkError::TimeoutError(_) => BackendError::Timeout { site, reason: "no answer to an attempt in time".to_owned() },
        SdkError::DispatchFailure(failure) if failure.is_user() => {
            BackendError::Refused { site, reason: chain(&error), cause: Some(Arc::new(error)) }
        }
        SdkError::ServiceError(answer) => {
            let status = answer.raw().status().as_u16();
            let code = answer.err().code().map(str::to_owned);
            match (name, service_error(status, code.as_deref())) {
                (Some(name), Meaning::NotFound) => BackendError::NotFound { site, name: name.to_string() },
                (_, Meaning::Corrupt) => BackendError::Corrupt { site, reason: "a blob is shorter than was stored".to_owned() },
                (_, Meaning::Busy) => BackendError::Busy { site, reason: told(status, code), cause: Some(Arc::new(error)) },
                (_, Meaning::Refused | Meaning::NotFound) => {
                    BackendError::Refused { site, reason: told(status, code), cause: Some(Arc::new(error)) }
                }
            }
        }
        SdkError::ConstructionFailure(_) => BackendError::Refused { site, reason: chain(&error), cause: Some(Arc::new(error)) },
        // Could not connect, or the connection broke, or what came was no answer to the request.
        _ => BackendError::Unavailable { site, reason: chain(&error), cause: Some(Arc::new(error)) },
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Meaning {
    NotFound,
    Corrupt,
    Busy,
    Refused,
}

fn service_error(status: u16, code: Option<&str>) -> Meaning {
    match (status, code) {
        (404, Some("NoSuchBucket")) => Meaning::Refused,
        (404, _) => Meaning::NotFound,
        (416, _) => Meaning::Corrupt,
        (408 | 409 | 429 | 500.., _) | (_, Some("RequestTimeout" | "SlowDown" | "Throttling")) => Meaning::Busy,
        _ => Meaning::Refused,
    }
}

/// Code and status as the service told them; its message may repeat parts of the request.
pub(super) fn told(status: u16, code: Option<String>) -> String {
    match code {
        Some(code) => format!("{code} (HTTP status {status})"),
        None => format!("HTTP status {status}"),
    }
}

/// The error and what lies under it, in one line.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_mean_what_a_caller_can_act_on() {
        assert_eq!(service_error(404, Some("NoSuchKey")), Meaning::NotFound);
        assert_eq!(service_error(404, None), Meaning::NotFound, "answers to HEAD have no code");
        assert_eq!(service_error(404, Some("NoSuchBucket")), Meaning::Refused);
        assert_eq!(service_error(416, Some("InvalidRange")), Meaning::Corrupt);
        assert_eq!(service_error(503, Some("SlowDown")), Meaning::Busy);
        assert_eq!(service_error(400, Some("RequestTimeout")), Meaning::Busy);
        assert_eq!(service_error(403, Some("AccessDenied")), Meaning::Refused);
        assert_eq!(service_error(301, Some("PermanentRedirect")), Meaning::Refused);
    }
}
