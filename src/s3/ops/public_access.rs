//! What bounds a bucket's ACLs and policy as a whole: object ownership and the public access block.

use http::Response;

use super::{Context, MAX_SETTING};
use crate::access::Action;
use crate::bucket::Setting;
use crate::s3::body::RequestBody;
use crate::s3::documents::{ownership_controls, public_access_block};
use crate::s3::errors::{Code, S3Error};
use crate::s3::response::{ResponseBody, document, no_content, ok};

pub(super) async fn get_block(context: &Context<'_>) -> Result<Response<ResponseBody>, S3Error> {
    let action = Action::GetBucketPublicAccessBlock;
    let bucket = context.objects.configured_bucket(&context.request, context.bucket()?, action).await?;
    let block = bucket.settings.public_access.as_ref();
    block.map(|block| document(public_access_block::write(block))).ok_or_else(|| S3Error::new(Code::NoSuchPublicAccessBlock))
}

pub(super) async fn put_block(context: &Context<'_>, body: RequestBody) -> Result<Response<ResponseBody>, S3Error> {
    let block = public_access_block::parse(&body.document(context.headers(), MAX_SETTING).await?)?;
    configure(context, Action::PutBucketPublicAccessBlock, Setting::PublicAccess(Some(block))).await?;
    Ok(ok())
}

pub(super) async fn delete_block(context: &Context<'_>) -> Result<Response<ResponseBody>, S3Error> {
    configure(context, Action::PutBucketPublicAccessBlock, Setting::PublicAccess(None)).await?;
    Ok(no_content())
}

pub(super) async fn get_ownership(context: &Context<'_>) -> Result<Response<ResponseBody>, S3Error> {
    let action = Action::GetBucketOwnershipControls;
    let bucket = context.objects.configured_bucket(&context.request, context.bucket()?, action).await?;
    let ownership = bucket.settings.ownership;
    ownership
        .map(|ownership| document(ownership_controls::write(ownership)))
        .ok_or_else(|| S3Error::new(Code::OwnershipControlsNotFound))
}

pub(super) async fn put_ownership(context: &Context<'_>, body: RequestBody) -> Result<Response<ResponseBody>, S3Error> {
    let ownership = ownership_controls::parse(&body.document(context.headers(), MAX_SETTING).await?)?;
    configure(context, Action::PutBucketOwnershipControls, Setting::Ownership(Some(ownership))).await?;
    Ok(ok())
}

pub(super) async fn delete_ownership(context: &Context<'_>) -> Result<Response<ResponseBody>, S3Error> {
    configure(context, Action::PutBucketOwnershipControls, Setting::Ownership(None)).await?;
    Ok(no_content())
}

async fn configure(context: &Context<'_>, action: Action, setting: Setting) -> Result<(), S3Error> {
    Ok(context.objects.configure_bucket(&context.request, context.bucket()?, action, setting).await?)
}
