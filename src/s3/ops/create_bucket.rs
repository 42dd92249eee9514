//! CreateBucket.

use http::{HeaderMap, Response};

use super::Context;
use crate::bucket::BucketSettings;
use crate::objects::Created;
use crate::s3::body::RequestBody;
use crate::s3::errors::{Code, S3Error};
use crate::s3::headers::{object_ownership, text};
use crate::s3::response::{ResponseBody, ok, set};
use crate::s3::xml;

const MAX_DOCUMENT: usize = 64 * 1024;

/// The region where S3 lets an owner create a bucket again and answers `200 OK`.
const LENIENT_REGION: &str = "us-east-1";

pub(super) async fn handle(context: &Context<'_>, body: RequestBody) -> Result<Response<ResponseBody>, S3Error> {
    let bucket = context.bucket()?;
    let document = body.document(context.headers(), MAX_DOCUMENT).await?;
    let region = location_constraint(&document)?;
    if region.as_deref().is_some_and(|region| region != context.region) {
        return Err(S3Error::with(
            Code::IllegalLocationConstraint,
            format!(
                "The location constraint must be empty or this gateway's region, `{}`; policies decide where data lives.",
                context.region
            ),
        ));
    }
    let settings = if object_lock(context.headers())? { BucketSettings::with_object_lock() } else { BucketSettings::default() };
    let settings = BucketSettings {
        ownership: object_ownership(context.headers())?.or(context.new_buckets.ownership),
        public_access: context.new_buckets.public_access,
        ..settings
    };
    match context.objects.create_bucket(&context.request, bucket, region, settings, context.acl()?).await? {
        Created::AlreadyOwned if context.region != LENIENT_REGION => Err(S3Error::new(Code::BucketAlreadyOwnedByYou)),
        Created::New | Created::AlreadyOwned => {
            let mut response = ok();
            set(response.headers_mut(), "location", &format!("/{bucket}"));
            Ok(response)
        }
    }
}

/// Whether the bucket is to have object lock.
fn object_lock(headers: &HeaderMap) -> Result<bool, S3Error> {
    Ok(text(headers, "x-amz-bucket-object-lock-enabled")?.is_some_and(|value| value.eq_ignore_ascii_case("true")))
}

/// The region that the body names, if it names one.
fn location_constraint(document: &[u8]) -> Result<Option<String>, S3Error> {
    if document.is_empty() {
        return Ok(None);
    }
    let root = xml::parse(document, "CreateBucketConfiguration")?;
    if root.child("Location").is_some() || root.child("Bucket").is_some() {
        return Err(S3Error::not_implemented("A directory bucket"));
    }
    if root.child("Tags").is_some() {
        return Err(S3Error::not_implemented("Tagging a bucket"));
    }
    let region = root.child_text("LocationConstraint").map(str::trim).filter(|region| !region.is_empty());
    Ok(region.map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_region_is_read_from_the_body() {
        let parsed = |document: &str| location_constraint(document.as_bytes());
        assert_eq!(parsed("").unwrap(), None);
        assert_eq!(parsed("<CreateBucketConfiguration/>").unwrap(), None);
        let named = "<CreateBucketConfiguration xmlns=\"u\"><LocationConstraint>eu-west-1</LocationConstraint></CreateBucketConfiguration>";
        assert_eq!(parsed(named).unwrap().as_deref(), Some("eu-west-1"));
        assert_eq!(parsed("<x/>").unwrap_err().code(), Code::MalformedXml);
        let directory = "<CreateBucketConfiguration><Bucket><Type>Directory</Type></Bucket></CreateBucketConfiguration>";
        assert_eq!(parsed(directory).unwrap_err().code(), Code::NotImplemented);
    }
}
