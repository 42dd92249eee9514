//! GetBucketLocation.

use http::Response;

use super::Context;
use crate::access::Action;
use crate::s3::errors::S3Error;
use crate::s3::response::{ResponseBody, document};
use crate::s3::xml::{NAMESPACE, XmlWriter};

pub(super) async fn handle(context: &Context<'_>) -> Result<Response<ResponseBody>, S3Error> {
    let bucket = context.objects.configured_bucket(&context.request, context.bucket()?, Action::GetBucketLocation).await?;
    let mut xml = XmlWriter::document("LocationConstraint", Some(NAMESPACE));
    // S3 writes its oldest region as an empty constraint.
    let region = bucket.region.as_deref().unwrap_or(context.region);
    xml.content(if region == "us-east-1" { "" } else { region });
    Ok(document(xml))
}
