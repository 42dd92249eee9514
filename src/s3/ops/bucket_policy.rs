//! GetBucketPolicy, PutBucketPolicy, DeleteBucketPolicy and GetBucketPolicyStatus.

use http::{HeaderValue, Response, header};

use super::Context;
use crate::access::{Action, BucketPolicy};
use crate::bucket::Setting;
use crate::s3::body::RequestBody;
use crate::s3::documents::public_access_block::write_policy_status;
use crate::s3::errors::{Code, S3Error};
use crate::s3::response::{ResponseBody, document, no_content};

pub(super) async fn get(context: &Context<'_>) -> Result<Response<ResponseBody>, S3Error> {
    let bucket = context.objects.configured_bucket(&context.request, context.bucket()?, Action::GetBucketPolicy).await?;
    let policy = bucket.settings.policy.as_ref().ok_or_else(|| S3Error::new(Code::NoSuchBucketPolicy))?;
    let mut response = Response::new(ResponseBody::full(policy.text().to_owned().into()));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

pub(super) async fn put(context: &Context<'_>, body: RequestBody) -> Result<Response<ResponseBody>, S3Error> {
    let (name, action) = (context.bucket()?, Action::PutBucketPolicy);
    // Who may not set a policy is not told what is wrong with it.
    context.objects.configured_bucket(&context.request, name, action).await?;
    let text = body.document(context.headers(), BucketPolicy::MAX_BYTES).await?;
    let text = std::str::from_utf8(&text).map_err(|_| S3Error::with(Code::MalformedPolicy, "The policy is not UTF-8."))?;
    let policy = BucketPolicy::for_bucket(text, name)?;
    context.objects.configure_bucket(&context.request, name, action, Setting::Policy(Some(policy))).await?;
    Ok(no_content())
}

pub(super) async fn delete(context: &Context<'_>) -> Result<Response<ResponseBody>, S3Error> {
    let action = Action::DeleteBucketPolicy;
    context.objects.configure_bucket(&context.request, context.bucket()?, action, Setting::Policy(None)).await?;
    Ok(no_content())
}

pub(super) async fn status(context: &Context<'_>) -> Result<Response<ResponseBody>, S3Error> {
    let public = context.objects.is_public(&context.request, context.bucket()?).await?;
    Ok(document(write_policy_status(public)))
}
