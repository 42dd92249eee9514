//! GetBucketEncryption, PutBucketEncryption and DeleteBucketEncryption. Every object is sealed with AES-256 under its country's key
//! whatever is set: that is the only setting there can be, and the one that is in force without any.

use http::Response;

use super::{Context, MAX_SETTING};
use crate::access::Action;
use crate::bucket::{Encryption, Setting};
use crate::s3::body::RequestBody;
use crate::s3::documents::encryption;
use crate::s3::errors::S3Error;
use crate::s3::response::{ResponseBody, document, no_content, ok};

pub(super) async fn get(context: &Context<'_>) -> Result<Response<ResponseBody>, S3Error> {
    let bucket =
        context.objects.configured_bucket(&context.request, context.bucket()?, Action::GetEncryptionConfiguration).await?;
    Ok(document(encryption::write(&bucket.settings.encryption.unwrap_or_default())))
}

pub(super) async fn put(context: &Context<'_>, body: RequestBody) -> Result<Response<ResponseBody>, S3Error> {
    let encryption = encryption::parse(&body.document(context.headers(), MAX_SETTING).await?)?;
    set(context, Some(encryption)).await?;
    Ok(ok())
}

pub(super) async fn delete(context: &Context<'_>) -> Result<Response<ResponseBody>, S3Error> {
    set(context, None).await?;
    Ok(no_content())
}

async fn set(context: &Context<'_>, encryption: Option<Encryption>) -> Result<(), S3Error> {
    let action = Action::PutEncryptionConfiguration;
    Ok(context.objects.configure_bucket(&context.request, context.bucket()?, action, Setting::Encryption(encryption)).await?)
}
