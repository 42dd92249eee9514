//! GetBucketCors, PutBucketCors and DeleteBucketCors. What the rules do stands in `s3/cors.rs`.

use http::Response;

use super::{Context, MAX_SETTING};
use crate::access::Action;
use crate::bucket::{Cors, Setting};
use crate::s3::body::RequestBody;
use crate::s3::documents::cors;
use crate::s3::errors::{Code, S3Error};
use crate::s3::response::{ResponseBody, document, no_content, ok};

pub(super) async fn get(context: &Context<'_>) -> Result<Response<ResponseBody>, S3Error> {
    let bucket = context.objects.configured_bucket(&context.request, context.bucket()?, Action::GetBucketCORS).await?;
    let rules = bucket.settings.cors.as_ref();
    rules.map(|rules| document(cors::write(rules))).ok_or_else(|| S3Error::new(Code::NoSuchCors))
}

pub(super) async fn put(context: &Context<'_>, body: RequestBody) -> Result<Response<ResponseBody>, S3Error> {
    let rules = cors::parse(&body.document(context.headers(), MAX_SETTING).await?)?;
    set(context, Some(rules)).await?;
    Ok(ok())
}

pub(super) async fn delete(context: &Context<'_>) -> Result<Response<ResponseBody>, S3Error> {
    set(context, None).await?;
    Ok(no_content())
}

async fn set(context: &Context<'_>, rules: Option<Cors>) -> Result<(), S3Error> {
    let action = Action::PutBucketCORS;
    Ok(context.objects.configure_bucket(&context.request, context.bucket()?, action, Setting::Cors(rules)).await?)
}
