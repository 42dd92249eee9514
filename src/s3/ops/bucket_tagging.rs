//! GetBucketTagging, PutBucketTagging and DeleteBucketTagging.

use http::Response;

use super::{Context, MAX_SETTING};
use crate::access::Action;
use crate::bucket::Setting;
use crate::s3::body::RequestBody;
use crate::s3::documents::tagging;
use crate::s3::errors::{Code, S3Error};
use crate::s3::response::{ResponseBody, document, no_content};

pub(super) async fn get(context: &Context<'_>) -> Result<Response<ResponseBody>, S3Error> {
    let bucket = context.objects.configured_bucket(&context.request, context.bucket()?, Action::GetBucketTagging).await?;
    match &bucket.settings.tags[..] {
        [] => Err(S3Error::new(Code::NoSuchTagSet)),
        tags => Ok(document(tagging::write(tags))),
    }
}

pub(super) async fn put(context: &Context<'_>, body: RequestBody) -> Result<Response<ResponseBody>, S3Error> {
    let tags = tagging::parse_of_bucket(&body.document(context.headers(), MAX_SETTING).await?)?;
    set(context, tags).await
}

pub(super) async fn delete(context: &Context<'_>) -> Result<Response<ResponseBody>, S3Error> {
    set(context, Vec::new()).await
}

async fn set(context: &Context<'_>, tags: Vec<(String, String)>) -> Result<Response<ResponseBody>, S3Error> {
    context.objects.configure_bucket(&context.request, context.bucket()?, Action::PutBucketTagging, Setting::Tags(tags)).await?;
    Ok(no_content())
}
