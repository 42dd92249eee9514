//! GetObjectTagging, PutObjectTagging and DeleteObjectTagging.

use http::Response;

use super::get_object::version_name;
use super::upload::version_header;
use super::{Context, MAX_SETTING};
use crate::s3::body::RequestBody;
use crate::s3::documents::tagging;
use crate::s3::errors::S3Error;
use crate::s3::response::{ResponseBody, document, no_content, ok};

pub(super) async fn get(context: &Context<'_>) -> Result<Response<ResponseBody>, S3Error> {
    let record = context.objects.tagged(&context.request, version_name(context)?).await?;
    let mut response = document(tagging::write(&record.detail.tags));
    version_header(response.headers_mut(), &record.summary.version);
    Ok(response)
}

pub(super) async fn put(context: &Context<'_>, body: RequestBody) -> Result<Response<ResponseBody>, S3Error> {
    let name = version_name(context)?;
    let tags = tagging::parse_of_object(&body.document(context.headers(), MAX_SETTING).await?)?;
    let version = context.objects.set_tags(&context.request, name, tags).await?;
    let mut response = ok();
    version_header(response.headers_mut(), &version);
    Ok(response)
}

pub(super) async fn delete(context: &Context<'_>) -> Result<Response<ResponseBody>, S3Error> {
    let version = context.objects.set_tags(&context.request, version_name(context)?, Vec::new()).await?;
    let mut response = no_content();
    version_header(response.headers_mut(), &version);
    Ok(response)
}
