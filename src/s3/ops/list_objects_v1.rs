//! ListObjects, the first version, with markers that are names.

use http::Response;

use super::Context;
use super::listing::{Encoding, MAX_KEYS, entries, page_size};
use crate::index::{ListAfter, ListItem};
use crate::objects::ListRequest;
use crate::s3::errors::S3Error;
use crate::s3::response::{ResponseBody, document};
use crate::s3::xml::{NAMESPACE, XmlWriter};

pub(super) async fn handle(context: &Context<'_>) -> Result<Response<ResponseBody>, S3Error> {
    let (bucket, query) = (context.bucket()?, &context.query);
    let (encoding, limit) = (Encoding::of(query)?, page_size(query, "max-keys", MAX_KEYS)?);
    let prefix = query.get("prefix").unwrap_or_default();
    let delimiter = query.get_filled("delimiter");
    let marker = query.get("marker").unwrap_or_default();
    let after = position(marker, prefix, delimiter);
    let list = ListRequest { prefix: prefix.to_owned(), delimiter: delimiter.map(str::to_owned), after, limit };
    let (_, page) = context.objects.list(&context.request, bucket, list).await?;
    // S3 answers a page of no keys as the last one.
    let truncated = page.truncated && limit > 0;
    let mut xml = XmlWriter::document("ListBucketResult", Some(NAMESPACE));
    xml.text("Name", bucket.as_str());
    xml.text("Prefix", &encoding.apply(prefix));
    xml.text("Marker", &encoding.apply(marker));
    // Without a delimiter the last key is the next marker, and clients know that.
    if truncated && delimiter.is_some() {
        let last = page.items.last().map(|item| match item {
            ListItem::Object { key, .. } => key.as_str(),
            ListItem::Prefix(prefix) => prefix.as_str(),
        });
        xml.optional("NextMarker", last.map(|last| encoding.apply(last)).as_deref());
    }
    xml.plain("MaxKeys", limit);
    xml.optional("Delimiter", delimiter.map(|delimiter| encoding.apply(delimiter)).as_deref());
    xml.plain("IsTruncated", truncated);
    encoding.element(&mut xml);
    entries(&mut xml, &page.items, encoding, true);
    Ok(document(xml))
}

/// Where a page behind `marker` begins. A marker that is a common prefix stands for all the keys under it.
pub(super) fn position(marker: &str, prefix: &str, delimiter: Option<&str>) -> Option<ListAfter> {
    if marker.is_empty() {
        return None;
    }
    let is_common_prefix = |delimiter: &str| {
        let rest = marker.strip_prefix(prefix)?;
        let at = rest.find(delimiter)?;
        Some(at.saturating_add(delimiter.len()) == rest.len())
    };
    let whole = delimiter.and_then(is_common_prefix).unwrap_or(false);
    Some(if whole { ListAfter::Prefix(marker.to_owned()) } else { ListAfter::Key(marker.to_owned()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_may_be_a_common_prefix() {
        let prefix = |marker, prefix, delimiter| matches!(position(marker, prefix, delimiter), Some(ListAfter::Prefix(_)));
        assert!(prefix("a/", "", Some("/")));
        assert!(prefix("a/b/", "a/", Some("/")));
        assert!(!prefix("a/b/", "", Some("/")));
        assert!(!prefix("a/b", "a/", Some("/")));
        assert!(!prefix("a/", "", None));
        assert!(position("", "", Some("/")).is_none());
    }
}
