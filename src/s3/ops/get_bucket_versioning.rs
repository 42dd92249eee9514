//! GetBucketVersioning: versioning was never turned on, which S3 says with an empty document.

use http::Response;

use super::Context;
use crate::s3::errors::S3Error;
use crate::s3::response::{ResponseBody, document};
use crate::s3::xml::{NAMESPACE, XmlWriter};

pub(super) async fn handle(context: &Context<'_>) -> Result<Response<ResponseBody>, S3Error> {
    context.objects.head_bucket(&context.request, context.bucket()?).await?;
    Ok(document(XmlWriter::document("VersioningConfiguration", Some(NAMESPACE))))
}
