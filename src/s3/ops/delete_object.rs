//! DeleteObject.

use http::{HeaderMap, Response};

use super::Context;
use super::get_object::version;
use crate::s3::conditions;
use crate::s3::errors::S3Error;
use crate::s3::headers::text;
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
    let deleted = context.objects.delete(&context.request, bucket, key, version(context)?, condition).await?;
    let mut response = no_content();
    if deleted.delete_marker {
        set(response.headers_mut(), "x-amz-delete-marker", "true");
    }
    if let Some(version) = deleted.version {
        super::upload::version_header(response.headers_mut(), &version);
    }
    Ok(response)
}

fn refuse_mfa(headers: &HeaderMap) -> Result<(), S3Error> {
    match text(headers, "x-amz-mfa")? {
        Some(_) => Err(S3Error::not_implemented("MFA delete")),
        None => Ok(()),
    }
}
