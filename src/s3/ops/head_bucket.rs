//! HeadBucket.

use http::Response;

use super::Context;
use crate::s3::errors::S3Error;
use crate::s3::response::{ResponseBody, ok, set};

pub(super) async fn handle(context: &Context<'_>) -> Result<Response<ResponseBody>, S3Error> {
    let bucket = context.objects.head_bucket(&context.request, context.bucket()?).await?;
    let mut response = ok();
    set(response.headers_mut(), "x-amz-bucket-region", bucket.region.as_deref().unwrap_or(context.region));
    set(response.headers_mut(), "x-amz-access-point-alias", "false");
    Ok(response)
}
