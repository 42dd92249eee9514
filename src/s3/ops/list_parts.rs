//! ListParts.

use http::Response;

use super::Context;
use super::listing::{MAX_KEYS, owner, page_size};
use super::upload::{checksum_value, upload_id};
use crate::objects::PartsRequest;
use crate::s3::errors::S3Error;
use crate::s3::response::{ResponseBody, document};
use crate::s3::xml::{NAMESPACE, XmlWriter};

pub(super) async fn handle(context: &Context<'_>) -> Result<Response<ResponseBody>, S3Error> {
    let (bucket, key) = context.object()?;
    let upload = upload_id(context)?;
    let limit = page_size(context.query, "max-parts", MAX_KEYS)?;
    let after = context.query.parsed("part-number-marker", "a part number")?.unwrap_or(0);
    let list = PartsRequest { bucket: bucket.clone(), key: key.clone(), upload, after, limit };
    let page = context.objects.list_parts(&context.request, list).await?;
    let mut xml = XmlWriter::document("ListPartsResult", Some(NAMESPACE));
    xml.text("Bucket", bucket.as_str());
    xml.text("Key", key.as_str());
    xml.plain("UploadId", upload);
    owner(&mut xml, "Initiator", page.upload.initiator.as_str());
    owner(&mut xml, "Owner", page.upload.owner.as_str());
    xml.text("StorageClass", "STANDARD");
    xml.plain("PartNumberMarker", after);
    if let Some(last) = page.parts.last() {
        xml.plain("NextPartNumberMarker", last.entry.number);
    }
    xml.plain("MaxParts", limit);
    xml.plain("IsTruncated", page.truncated);
    xml.reserve(page.parts.len().saturating_mul(192));
    for part in &page.parts {
        xml.element("Part", |xml| {
            xml.plain("PartNumber", part.entry.number);
            xml.text("LastModified", &part.modified.to_rfc3339());
            xml.etag("ETag", part.entry.etag);
            xml.plain("Size", part.entry.size);
            if let Some(checksum) = &part.entry.checksum {
                checksum_value(xml, checksum);
            }
        });
    }
    Ok(document(xml))
}
