//! GetBucketVersioning and PutBucketVersioning.

use http::Response;

use super::{Context, MAX_SETTING};
use crate::access::Action;
use crate::bucket::Setting;
use crate::s3::body::RequestBody;
use crate::s3::documents::versioning;
use crate::s3::errors::S3Error;
use crate::s3::response::{ResponseBody, document, ok};

pub(super) async fn get(context: &Context<'_>) -> Result<Response<ResponseBody>, S3Error> {
    let bucket = context.objects.configured_bucket(&context.request, context.bucket()?, Action::GetBucketVersioning).await?;
    Ok(document(versioning::write(bucket.settings.versioning)))
}

pub(super) async fn put(context: &Context<'_>, body: RequestBody) -> Result<Response<ResponseBody>, S3Error> {
    let (bucket, action) = (context.bucket()?, Action::PutBucketVersioning);
    let versioning = versioning::parse(&body.document(context.headers(), MAX_SETTING).await?)?;
    context.objects.configure_bucket(&context.request, bucket, action, Setting::Versioning(versioning)).await?;
    Ok(ok())
}
