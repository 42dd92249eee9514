//! UploadPartCopy.

use http::Response;

use super::Context;
use super::copy_object::copy_source;
use super::upload::{check_features, checksum_value, part_number, upload_id};
use crate::objects::PartCopyRequest;
use crate::s3::errors::S3Error;
use crate::s3::ranges;
use crate::s3::response::{ResponseBody, document, set, set_encryption};
use crate::s3::xml::{NAMESPACE, XmlWriter};

pub(super) async fn handle(context: &Context<'_>) -> Result<Response<ResponseBody>, S3Error> {
    let (bucket, key) = context.object()?;
    check_features(context).await?;
    let source = copy_source(context)?;
    let source_version = source.version;
    let copy = PartCopyRequest {
        bucket: bucket.clone(),
        key: key.clone(),
        upload: upload_id(context)?,
        number: part_number(context)?,
        source,
        range: ranges::copy_source_range(context.headers())?,
    };
    let stored = context.objects.upload_part_copy(&context.request, copy).await?;
    let mut xml = XmlWriter::document("CopyPartResult", Some(NAMESPACE));
    xml.text("LastModified", &stored.modified.to_rfc3339());
    xml.etag("ETag", stored.etag);
    if let Some(checksum) = &stored.checksum {
        checksum_value(&mut xml, checksum);
    }
    let mut response = document(xml);
    if let Some(version) = source_version {
        set(response.headers_mut(), "x-amz-copy-source-version-id", &version.to_string());
    }
    set_encryption(response.headers_mut(), context.request.keys);
    Ok(response)
}
