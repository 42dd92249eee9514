//! DeleteBucket.

use http::Response;

use super::Context;
use crate::s3::errors::S3Error;
use crate::s3::response::{ResponseBody, no_content};

pub(super) async fn handle(context: &Context<'_>) -> Result<Response<ResponseBody>, S3Error> {
    context.objects.delete_bucket(&context.request, context.bucket()?).await?;
    Ok(no_content())
}
