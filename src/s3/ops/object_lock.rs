//! Object lock: a bucket's configuration, a version's retention and its legal hold.

use http::Response;

use super::get_object::version_name;
use super::{Context, MAX_SETTING};
use crate::access::Action;
use crate::bucket::Setting;
use crate::s3::body::RequestBody;
use crate::s3::documents::{legal_hold, object_lock, retention};
use crate::s3::errors::{Code, S3Error};
use crate::s3::headers::bypass_governance;
use crate::s3::response::{ResponseBody, document, ok};

pub(super) async fn get_configuration(context: &Context<'_>) -> Result<Response<ResponseBody>, S3Error> {
    let action = Action::GetBucketObjectLockConfiguration;
    let bucket = context.objects.configured_bucket(&context.request, context.bucket()?, action).await?;
    let lock = bucket.settings.object_lock.as_ref();
    lock.map(|lock| document(object_lock::write(lock))).ok_or_else(|| S3Error::new(Code::ObjectLockConfigurationNotFound))
}

pub(super) async fn put_configuration(context: &Context<'_>, body: RequestBody) -> Result<Response<ResponseBody>, S3Error> {
    let lock = object_lock::parse(&body.document(context.headers(), MAX_SETTING).await?)?;
    let action = Action::PutBucketObjectLockConfiguration;
    context.objects.configure_bucket(&context.request, context.bucket()?, action, Setting::ObjectLock(lock)).await?;
    Ok(ok())
}

pub(super) async fn get_retention(context: &Context<'_>) -> Result<Response<ResponseBody>, S3Error> {
    let record = context.objects.describe_lock(&context.request, version_name(context)?, Action::GetObjectRetention).await?;
    let found = record.detail.lock.retention.as_ref();
    found.map(|found| document(retention::write(found))).ok_or_else(|| S3Error::new(Code::NoSuchObjectLockConfiguration))
}

pub(super) async fn put_retention(context: &Context<'_>, body: RequestBody) -> Result<Response<ResponseBody>, S3Error> {
    let name = version_name(context)?;
    let bypass = bypass_governance(context.headers())?;
    let retention = retention::parse(&body.document(context.headers(), MAX_SETTING).await?)?;
    context.objects.set_retention(&context.request, name, retention, bypass).await?;
    Ok(ok())
}

pub(super) async fn get_legal_hold(context: &Context<'_>) -> Result<Response<ResponseBody>, S3Error> {
    let record = context.objects.describe_lock(&context.request, version_name(context)?, Action::GetObjectLegalHold).await?;
    let held = record.detail.lock.legal_hold;
    held.map(|held| document(legal_hold::write(held))).ok_or_else(|| S3Error::new(Code::NoSuchObjectLockConfiguration))
}

pub(super) async fn put_legal_hold(context: &Context<'_>, body: RequestBody) -> Result<Response<ResponseBody>, S3Error> {
    let name = version_name(context)?;
    let held = legal_hold::parse(&body.document(context.headers(), MAX_SETTING).await?)?;
    context.objects.set_legal_hold(&context.request, name, held).await?;
    Ok(ok())
}
