//! UploadPart.

use http::Response;

use super::Context;
use super::upload::{check_features, part_number, upload_id};
use crate::objects::PartRequest;
use crate::s3::body::RequestBody;
use crate::s3::errors::S3Error;
use crate::s3::headers::{content_md5, expected_checksum};
use crate::s3::response::{ResponseBody, ok, set, set_encryption, set_etag};

pub(super) async fn handle(context: &Context<'_>, body: RequestBody) -> Result<Response<ResponseBody>, S3Error> {
    let (bucket, key) = context.object()?;
    let headers = context.headers();
    check_features(context).await?;
    let (upload, number) = (upload_id(context)?, part_number(context)?);
    let (content_md5, checksum) = (content_md5(headers)?, expected_checksum(headers)?);
    let (length, body) = body.upload(headers)?;
    let part = PartRequest { bucket: bucket.clone(), key: key.clone(), upload, number, length, content_md5, checksum };
    let stored = context.objects.upload_part(&context.request, part, body).await?;
    let mut response = ok();
    let headers = response.headers_mut();
    set_etag(headers, &stored.etag);
    if let Some(checksum) = &stored.checksum {
        set(headers, checksum.algorithm().header_name(), &checksum.to_string());
    }
    set_encryption(headers, context.request.keys);
    Ok(response)
}
