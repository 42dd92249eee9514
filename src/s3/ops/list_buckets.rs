//! ListBuckets, with the paging, prefix and region filters that S3 added to it.

use http::Response;

use super::Context;
use super::listing::{owner, page_size};
use crate::index::Bucket;
use crate::s3::errors::{Code, S3Error};
use crate::s3::response::{ResponseBody, document};
use crate::s3::xml::{NAMESPACE, XmlWriter};
use crate::types::BucketName;

const MAX_BUCKETS: usize = 10_000;

pub(super) async fn handle(context: &Context<'_>) -> Result<Response<ResponseBody>, S3Error> {
    let query = &context.query;
    let limit = page_size(query, "max-buckets", MAX_BUCKETS)?;
    let prefix = query.get("prefix").unwrap_or_default();
    let after = match query.get_filled("continuation-token") {
        Some(token) => Some(
            BucketName::new(token)
                .map_err(|_| S3Error::with(Code::InvalidArgument, "The continuation token is not one of ours."))?,
        ),
        None => None,
    };
    let mut buckets = context.objects.list_buckets(&context.request).await?;
    buckets.retain(|bucket| {
        let in_region = query.get_filled("bucket-region").is_none_or(|region| region == region_of(bucket, context.region));
        bucket.name.as_str().starts_with(prefix) && in_region && after.as_ref().is_none_or(|after| bucket.name > *after)
    });
    buckets.sort_by(|a, b| a.name.cmp(&b.name));
    let truncated = buckets.len() > limit;
    buckets.truncate(limit);
    let mut xml = XmlWriter::document("ListAllMyBucketsResult", Some(NAMESPACE));
    owner(&mut xml, "Owner", context.request.auth.principal().account.as_str());
    xml.element("Buckets", |xml| {
        for bucket in &buckets {
            xml.element("Bucket", |xml| {
                xml.text("Name", bucket.name.as_str());
                xml.text("CreationDate", &bucket.created.to_rfc3339());
                xml.text("BucketRegion", region_of(bucket, context.region));
            });
        }
    });
    if truncated {
        xml.optional("ContinuationToken", buckets.last().map(|bucket| bucket.name.as_str()));
    }
    xml.optional("Prefix", query.get("prefix"));
    Ok(document(xml))
}

fn region_of<'a>(bucket: &'a Bucket, default: &'a str) -> &'a str {
    bucket.region.as_deref().unwrap_or(default)
}
