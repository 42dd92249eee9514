//! HeadObject.

use http::Response;

use super::Context;
use super::get_object::{describe, read_request};
use crate::s3::errors::S3Error;
use crate::s3::response::{ResponseBody, ok};

pub(super) async fn handle(context: &Context<'_>) -> Result<Response<ResponseBody>, S3Error> {
    let found = context.objects.head(&context.request, read_request(context)?).await?;
    let mut response = ok();
    describe(context.query, (context.headers(), context.request.keys), &mut response, &found)?;
    Ok(response)
}
