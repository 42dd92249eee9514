//! ListMultipartUploads.

use http::Response;

use super::Context;
use super::listing::{Encoding, MAX_KEYS, owner, page_size};
use crate::index::{UploadItem, UploadsQuery};
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
        prefix: prefix.to_owned(),
        delimiter: delimiter.map(str::to_owned),
        key_marker: key_marker.map(str::to_owned),
        id_marker: id_marker.and_then(|id| id.parse().ok()),
        limit,
        ..UploadsQuery::default()
    };
    let (_, page) = context.objects.list_uploads(&context.request, bucket, list).await?;
    let mut xml = XmlWriter::document("ListMultipartUploadsResult", Some(NAMESPACE));
    xml.text("Bucket", bucket.as_str());
    xml.text("KeyMarker", &encoding.apply(key_marker.unwrap_or_default()));
    xml.text("UploadIdMarker", id_marker.unwrap_or_default());
    xml.optional("NextKeyMarker", page.next_key_marker.as_deref().map(|marker| encoding.apply(marker)).as_deref());
    if let Some(id) = page.next_id_marker {
        xml.plain("NextUploadIdMarker", id);
    }
    xml.text("Prefix", &encoding.apply(prefix));
    xml.optional("Delimiter", delimiter.map(|delimiter| encoding.apply(delimiter)).as_deref());
    encoding.element(&mut xml);
    xml.plain("MaxUploads", limit);
    xml.plain("IsTruncated", page.truncated);
    for item in &page.items {
        if let UploadItem::Upload { key, id, initiated, owner: who } = item {
            xml.element("Upload", |xml| {
                xml.text("Key", &encoding.apply(key.as_str()));
                xml.plain("UploadId", id);
                owner(xml, "Initiator", who.as_str());
                owner(xml, "Owner", who.as_str());
                xml.text("StorageClass", "STANDARD");
                xml.text("Initiated", &initiated.to_rfc3339());
            });
        }
    }
    for item in &page.items {
        if let UploadItem::Prefix(prefix) = item {
            xml.element("CommonPrefixes", |xml| xml.text("Prefix", &encoding.apply(prefix)));
        }
    }
    Ok(document(xml))
}
