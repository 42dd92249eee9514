//! DeleteObject.

use http::{HeaderMap, Response};

use super::Context;
use super::get_object::version;
use crate::objects::{DeleteItem, DeleteRequest, Deleted};
use crate::s3::conditions;
use crate::s3::errors::S3Error;
use crate::s3::headers::{bypass_governance, text};
use crate::s3::response::{ResponseBody, no_content, set};

pub(super) async fn handle(context: &Context<'_>) -> Result<Response<ResponseBody>, S3Error> {
    let (bucket, key) = context.object()?;
    let headers = context.headers();
    refuse_mfa(headers)?;
    // Conditions of directory buckets; ignoring one would delete what the client wants kept.
    for name in ["x-amz-if-match-last-modified-time", "x-amz-if-match-size"] {
        if text(headers, name)?.is_some() {
            return Err(S3Error::not_implemented(format_args!("The condition {name}")));
        }
    }
    let condition = conditions::of_write(headers)?;
    let item = DeleteItem { key: key.clone(), version: version(context)?, condition };
    let delete = DeleteRequest { bucket: bucket.clone(), item, bypass_governance: bypass_governance(headers)? };
    let (version, marker) = match context.objects.delete(&context.request, delete).await? {
        Deleted::Key => (None, false),
        Deleted::Version { version, was_marker } => (Some(version), was_marker),
        Deleted::Marked(marker) => (Some(marker), true),
    };
    let mut response = no_content();
    let headers = response.headers_mut();
    if marker {
        set(headers, "x-amz-delete-marker", "true");
    }
    if let Some(version) = version {
        set(headers, "x-amz-version-id", &version.to_string());
    }
    Ok(response)
}

fn refuse_mfa(headers: &HeaderMap) -> Result<(), S3Error> {
    match text(headers, "x-amz-mfa")? {
        Some(_) => Err(S3Error::not_implemented("MFA delete")),
        None => Ok(()),
    }
}
