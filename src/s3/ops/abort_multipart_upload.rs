//! AbortMultipartUpload.

use http::Response;

use super::Context;
use super::upload::upload_id;
use crate::s3::errors::S3Error;
use crate::s3::response::{ResponseBody, no_content};

pub(super) async fn handle(context: &Context<'_>) -> Result<Response<ResponseBody>, S3Error> {
    let (bucket, key) = context.object()?;
    context.objects.abort_upload(&context.request, bucket, key, upload_id(context)?).await?;
    Ok(no_content())
}
