//! GetBucketAcl, PutBucketAcl, GetObjectAcl and PutObjectAcl.

use http::Response;

use super::get_object::version_name;
use super::upload::version_header;
use super::{Context, MAX_SETTING};
use crate::access::{Acl, Action};
use crate::bucket::{Setting, SettingError};
use crate::objects::AclRequest;
use crate::s3::body::RequestBody;
use crate::s3::documents::acl;
use crate::s3::errors::{Code, S3Error};
use crate::s3::response::{ResponseBody, document, ok};
use crate::types::AccountId;

pub(super) async fn get_of_bucket(context: &Context<'_>) -> Result<Response<ResponseBody>, S3Error> {
    Ok(document(acl::write(&context.objects.bucket_acl(&context.request, context.bucket()?).await?)))
}

pub(super) async fn put_of_bucket(context: &Context<'_>, body: RequestBody) -> Result<Response<ResponseBody>, S3Error> {
    let (name, action) = (context.bucket()?, Action::PutBucketAcl);
    // Before anybody is asked for permission: the body may take its time.
    let sent = body.document(context.headers(), MAX_SETTING).await?;
    let bucket = context.objects.configured_bucket(&context.request, name, action).await?;
    if !bucket.settings.ownership().acls_enabled() {
        return Err(SettingError::AclsOff.into());
    }
    let acl = match asked(context, &sent, &bucket.owner)? {
        Asked::Whole(acl) => acl,
        Asked::Short(short) => short.for_bucket(&bucket.owner)?.ok_or_else(nothing)?,
    };
    context.objects.configure_bucket(&context.request, name, action, Setting::Acl(acl)).await?;
    Ok(ok())
}

pub(super) async fn get_of_object(context: &Context<'_>) -> Result<Response<ResponseBody>, S3Error> {
    let (found, version) = context.objects.object_acl(&context.request, version_name(context)?).await?;
    let mut response = document(acl::write(&found));
    version_header(response.headers_mut(), &version);
    Ok(response)
}

pub(super) async fn put_of_object(context: &Context<'_>, body: RequestBody) -> Result<Response<ResponseBody>, S3Error> {
    let name = version_name(context)?;
    let sent = body.document(context.headers(), MAX_SETTING).await?;
    let (bucket, record) = context.objects.object_for_acl(&context.request, name).await?;
    let owner = &record.summary.owner;
    let acl = match asked(context, &sent, owner)? {
        Asked::Whole(acl) => acl,
        Asked::Short(short) => short.for_object(owner, &bucket.owner)?.ok_or_else(nothing)?,
    };
    context.objects.set_object_acl(&context.request, (&bucket, name.key), &record, acl).await?;
    let mut response = ok();
    version_header(response.headers_mut(), &record.summary.version);
    Ok(response)
}

/// How a request says what an ACL shall be.
enum Asked {
    /// In headers.
    Short(AclRequest),
    /// In a document.
    Whole(Acl),
}

fn asked(context: &Context<'_>, document: &[u8], owner: &AccountId) -> Result<Asked, S3Error> {
    let short = context.acl()?;
    match (short, document.is_empty()) {
        (AclRequest::Unsaid, true) => Err(nothing()),
        (AclRequest::Unsaid, false) => Ok(Asked::Whole(acl::parse(document, owner, &**context.principals())?)),
        (short, true) => Ok(Asked::Short(short)),
        (_, false) => Err(S3Error::with(Code::InvalidRequest, "An ACL comes either in headers or in a document, not in both.")),
    }
}

fn nothing() -> S3Error {
    S3Error::with(Code::MissingSecurityHeader, "The request names no ACL, neither in headers nor in a document.")
}
