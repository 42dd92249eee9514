//! ListObjectVersions.

use http::Response;

use super::Context;
use super::listing::{Encoding, MAX_KEYS, owner, page_size};
use crate::index::VersionItem;
use crate::objects::VersionsRequest;
use crate::s3::errors::{Code, S3Error};
use crate::s3::response::{ResponseBody, document};
use crate::s3::xml::{NAMESPACE, XmlWriter};
use crate::types::VersionId;

pub(super) async fn handle(context: &Context<'_>) -> Result<Response<ResponseBody>, S3Error> {
    let (bucket, query) = (context.bucket()?, &context.query);
    let (encoding, limit) = (Encoding::of(query)?, page_size(query, "max-keys", MAX_KEYS)?);
    let prefix = query.get("prefix").unwrap_or_default();
    let delimiter = query.get_filled("delimiter");
    let key_marker = query.get_filled("key-marker");
    let version_marker = query.get_filled("version-id-marker");
    let list = VersionsRequest {
        prefix: prefix.to_owned(),
        delimiter: delimiter.map(str::to_owned),
        key_marker: key_marker.map(str::to_owned),
        version_marker: version_marker.map(|version| parse_marker(version, key_marker)).transpose()?,
        limit,
    };
    let (_, page) = context.objects.list_versions(&context.request, bucket, list).await?;
    let mut xml = XmlWriter::document("ListVersionsResult", Some(NAMESPACE));
    xml.reserve(page.versions.len().saturating_mul(400));
    xml.text("Name", bucket.as_str());
    xml.text("Prefix", &encoding.apply(prefix));
    xml.text("KeyMarker", &encoding.apply(key_marker.unwrap_or_default()));
    xml.text("VersionIdMarker", version_marker.unwrap_or_default());
    if let Some((key, version)) = &page.next {
        xml.text("NextKeyMarker", &encoding.apply(key));
        if let Some(version) = version {
            xml.plain("NextVersionIdMarker", version);
        }
    }
    xml.plain("MaxKeys", limit);
    xml.optional("Delimiter", delimiter.map(|delimiter| encoding.apply(delimiter)).as_deref());
    xml.plain("IsTruncated", page.truncated);
    encoding.element(&mut xml);
    page.versions.iter().for_each(|item| version(&mut xml, item, encoding));
    for prefix in &page.common_prefixes {
        xml.element("CommonPrefixes", |xml| xml.text("Prefix", &encoding.apply(prefix)));
    }
    Ok(document(xml))
}

fn parse_marker(version: &str, key_marker: Option<&str>) -> Result<VersionId, S3Error> {
    let invalid =
        |message: &'static str| S3Error::with(Code::InvalidArgument, message).detail("ArgumentName", "version-id-marker");
    if key_marker.is_none() {
        return Err(invalid("A version-id marker cannot be specified without a key marker."));
    }
    version.parse().map_err(|_| invalid("Invalid version id specified."))
}

fn version(xml: &mut XmlWriter, item: &VersionItem, encoding: Encoding) {
    let summary = &item.summary;
    xml.element(if summary.delete_marker { "DeleteMarker" } else { "Version" }, |xml| {
        xml.text("Key", &encoding.apply(&item.key));
        xml.plain("VersionId", summary.version);
        xml.plain("IsLatest", item.is_latest);
        xml.text("LastModified", &summary.modified.to_rfc3339());
        if !summary.delete_marker {
            xml.etag("ETag", summary.etag);
            if let Some((algorithm, kind)) = &summary.checksum_algorithm {
                xml.plain("ChecksumAlgorithm", algorithm);
                xml.plain("ChecksumType", kind);
            }
            xml.plain("Size", summary.size);
            xml.text("StorageClass", "STANDARD");
        }
        owner(xml, "Owner", summary.owner.as_str());
    });
}
