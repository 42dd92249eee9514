//! PutObject.

use http::Response;

use super::Context;
use super::upload::{check_features, stored_headers};
use crate::objects::{Length, PutRequest};
use crate::s3::body::RequestBody;
use crate::s3::conditions;
use crate::s3::errors::S3Error;
use crate::s3::headers::{content_md5, description, expected_checksum};
use crate::s3::response::{ResponseBody, ok, set_checksum};

pub(super) async fn handle(context: &Context<'_>, body: RequestBody) -> Result<Response<ResponseBody>, S3Error> {
    let (bucket, key) = context.object()?;
    let headers = context.headers();
    check_features(context).await?;
    let (description, condition) = (description(headers)?, conditions::of_write(headers)?);
    let (content_md5, checksum) = (content_md5(headers)?, expected_checksum(headers)?);
    let (length, body) = body.upload(headers)?;
    let acl = context.acl()?;
    let length = Length::Exact(length);
    let put = PutRequest { bucket: bucket.clone(), key: key.clone(), description, length, content_md5, checksum, condition, acl };
    let stored = context.objects.put(&context.request, put, body).await?;
    let mut response = ok();
    stored_headers(response.headers_mut(), &stored, context.request.keys);
    if let Some(checksum) = &stored.checksum {
        set_checksum(response.headers_mut(), checksum);
    }
    Ok(response)
}
