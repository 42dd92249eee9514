//! ListMultipartUploads.

use http::Response;

use super::Context;
use super::listing::{Encoding, MAX_KEYS, owner, page_size};
use crate::index::{BucketId, UploadsQuery};
use crate::s3::errors::S3Error;
use crate::s3::response::{ResponseBody, document};
use crate::s3::xml::{NAMESPACE, XmlWriter};

pub(super) async fn handle(context: &Context<'_>) -> Result<Response<ResponseBody>, S3Error> {
    let (bucket, query) = (context.bucket()?, &context.query);
    let (encoding, limit) = (Encoding::of(query)?, page_size(query, "max-uploads", MAX_KEYS)?);
    let prefix = query.get("prefix").unwrap_or_default();
    let delimiter = query.get_filled("delimiter");
    let key_marker = query.get_filled("key-marker");
    // Without a key marker an upload id marker means nothing, as in S3.
    let id_marker = query.get_filled("upload-id-marker").filter(|_| key_marker.is_some());
    let list = UploadsQuery {
        // Filled in by the use case, which looks the bucket up.
        bucket: BucketId(0),
        prefix: prefix.to_owned(),
        delimiter: delimiter.map(str::to_owned),
        key_marker: key_marker.map(str::to_owned),
        id_marker: id_marker.and_then(|id| id.parse().ok()),
        limit,
    };
    let (_, page) = context.objects.list_uploads(&context.request, bucket, list).await?;
    let mut xml = XmlWriter::document("ListMultipartUploadsResult", Some(NAMESPACE));
    xml.text("Bucket", bucket.as_str());
    xml.text("KeyMarker", &encoding.apply(key_marker.unwrap_or_default()));
    xml.text("UploadIdMarker", id_marker.unwrap_or_default());
    if let Some((key, id)) = &page.next {
        xml.text("NextKeyMarker", &encoding.apply(key));
        xml.text("NextUploadIdMarker", &id.map(|id| id.to_string()).unwrap_or_default());
    }
    xml.text("Prefix", &encoding.apply(prefix));
    xml.optional("Delimiter", delimiter.map(|delimiter| encoding.apply(delimiter)).as_deref());
    encoding.element(&mut xml);
    xml.plain("MaxUploads", limit);
    xml.plain("IsTruncated", page.truncated);
    for upload in &page.uploads {
        xml.element("Upload", |xml| {
            xml.text("Key", &encoding.apply(upload.key.as_str()));
            xml.plain("UploadId", upload.id);
            owner(xml, "Initiator", upload.initiator.as_str());
            owner(xml, "Owner", upload.owner.as_str());
            xml.text("StorageClass", "STANDARD");
            xml.text("Initiated", &upload.initiated.to_rfc3339());
            if let Some((algorithm, kind)) = &upload.checksum {
                xml.plain("ChecksumAlgorithm", algorithm);
                xml.plain("ChecksumType", kind);
            }
        });
    }
    for prefix in &page.common_prefixes {
        xml.element("CommonPrefixes", |xml| xml.text("Prefix", &encoding.apply(prefix)));
    }
    Ok(document(xml))
}
