//! GetBucketLifecycleConfiguration, PutBucketLifecycleConfiguration and DeleteBucketLifecycle. The gateway carries the rules out itself
//! (`lifecycle`).

use http::Response;

use super::{Context, MAX_SETTING};
use crate::access::Action;
use crate::bucket::{Lifecycle, Setting};
use crate::s3::body::RequestBody;
use crate::s3::documents::lifecycle;
use crate::s3::errors::{Code, S3Error};
use crate::s3::response::{ResponseBody, document, no_content, ok};

pub(super) async fn get(context: &Context<'_>) -> Result<Response<ResponseBody>, S3Error> {
    let action = Action::GetLifecycleConfiguration;
    let bucket = context.objects.configured_bucket(&context.request, context.bucket()?, action).await?;
    let rules = bucket.settings.lifecycle.as_ref();
    rules.map(|rules| document(lifecycle::write(rules))).ok_or_else(|| S3Error::new(Code::NoSuchLifecycle))
}

pub(super) async fn put(context: &Context<'_>, body: RequestBody) -> Result<Response<ResponseBody>, S3Error> {
    let rules = lifecycle::parse(&body.document(context.headers(), MAX_SETTING).await?)?;
    set(context, Some(rules)).await?;
    Ok(ok())
}

pub(super) async fn delete(context: &Context<'_>) -> Result<Response<ResponseBody>, S3Error> {
    set(context, None).await?;
    Ok(no_content())
}

async fn set(context: &Context<'_>, rules: Option<Lifecycle>) -> Result<(), S3Error> {
    let action = Action::PutLifecycleConfiguration;
    Ok(context.objects.configure_bucket(&context.request, context.bucket()?, action, Setting::Lifecycle(rules)).await?)
}
