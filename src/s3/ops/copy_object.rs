//! CopyObject, and the reading of `x-amz-copy-source` that UploadPartCopy shares.

use http::Response;

use super::Context;
use super::upload::{check_features, checksum_elements, version_header};
use crate::objects::{CopyRequest, CopySource};
use crate::s3::errors::{Code, S3Error};
use crate::s3::headers::{algorithm_of_copy, content_headers, lock, tags, text, user_metadata};
use crate::s3::response::{ResponseBody, document, set, set_encryption, set_residence};
use crate::s3::target::{bucket_name, object_key};
use crate::s3::xml::{NAMESPACE, XmlWriter};
use crate::s3::{conditions, percent};

pub(super) async fn handle(context: &Context<'_>) -> Result<Response<ResponseBody>, S3Error> {
    let (bucket, key) = context.object()?;
    let headers = context.headers();
    check_features(context).await?;
    let source = copy_source(context)?;
    let source_version = source.version;
    let replace = match text(headers, "x-amz-metadata-directive")? {
        None | Some("COPY") => None,
        Some("REPLACE") => Some((content_headers(headers)?, user_metadata(headers)?)),
        Some(_) => return Err(unknown_directive("x-amz-metadata-directive")),
    };
    let tags = match text(headers, "x-amz-tagging-directive")? {
        None | Some("COPY") => None,
        Some("REPLACE") => Some(tags(headers)?),
        Some(_) => return Err(unknown_directive("x-amz-tagging-directive")),
    };
    let copy = CopyRequest {
        source,
        bucket: bucket.clone(),
        key: key.clone(),
        replace,
        tags,
        lock: lock(headers)?,
        condition: conditions::of_write(headers)?,
        checksum: algorithm_of_copy(headers)?,
        acl: context.acl()?,
    };
    let stored = context.objects.copy(&context.request, copy).await?;
    let mut xml = XmlWriter::document("CopyObjectResult", Some(NAMESPACE));
    xml.etag("ETag", stored.etag);
    xml.text("LastModified", &stored.modified.to_rfc3339());
    if let Some(checksum) = &stored.checksum {
        checksum_elements(&mut xml, checksum);
    }
    let mut response = document(xml);
    let headers = response.headers_mut();
    version_header(headers, &stored.version);
    if let Some(version) = source_version {
        set(headers, "x-amz-copy-source-version-id", &version.to_string());
    }
    set_encryption(headers, context.request.keys);
    set_residence(headers, &stored.residence);
    Ok(response)
}

/// The object that a copy reads, and the conditions on it.
pub(super) fn copy_source(context: &Context<'_>) -> Result<CopySource, S3Error> {
    let value = text(context.headers(), "x-amz-copy-source")?.unwrap_or_default();
    let mut source = parse_copy_source(value)?;
    source.condition = conditions::of_copy_source(context.headers())?;
    source.expected_owner = text(context.headers(), "x-amz-source-expected-bucket-owner")?.map(str::to_owned);
    Ok(source)
}

/// `bucket/key` of a copy source, without its version.
pub(in crate::s3) fn path_of_copy_source(value: &str) -> Option<String> {
    let path = percent::decode(value.rsplit_once("?versionId=").map_or(value, |(path, _)| path))?;
    Some(path.strip_prefix('/').unwrap_or(&path).to_owned())
}

/// `[/]bucket/key[?versionId=id]`, percent-encoded as a whole or by segment. The `?` counts only while it is not encoded, so that a
/// key may contain one.
fn parse_copy_source(value: &str) -> Result<CopySource, S3Error> {
    let invalid =
        |message: &'static str| S3Error::with(Code::InvalidArgument, message).detail("ArgumentName", "x-amz-copy-source");
    if value.starts_with("arn:") {
        return Err(S3Error::not_implemented("A copy source named by an access point"));
    }
    let version = match value.rsplit_once("?versionId=") {
        Some((_, version)) => Some(version.parse().map_err(|_| S3Error::new(Code::NoSuchVersion))?),
        None => None,
    };
    let path = path_of_copy_source(value).ok_or_else(|| invalid("The copy source must be percent-encoded UTF-8."))?;
    let (bucket, key) = path.split_once('/').ok_or_else(|| invalid("The copy source must be of the form /bucket/key."))?;
    Ok(CopySource {
        bucket: bucket_name(bucket)?,
        key: object_key(key)?,
        version,
        condition: Default::default(),
        expected_owner: None,
    })
}

fn unknown_directive(name: &'static str) -> S3Error {
    S3Error::with(Code::InvalidArgument, "The directive must be COPY or REPLACE.").detail("ArgumentName", name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::VersionId;

    #[test]
    fn sources_come_in_several_spellings() {
        for (value, key, version) in [
            ("media/a/b", "a/b", None),
            ("/media/a%2Fb", "a/b", None),
            ("%2Fmedia%2Fa%20b", "a b", None),
            ("media/a+b", "a+b", None),
            ("media/a%3FversionId=x", "a?versionId=x", None),
            ("media/a?versionId=null", "a", Some(VersionId::Null)),
            ("media//a", "/a", None),
            ("media/../a", "../a", None),
        ] {
            let source = parse_copy_source(value).unwrap();
            assert_eq!((source.bucket.as_str(), source.key.as_str(), source.version), ("media", key, version), "{value}");
        }
    }

    #[test]
    fn what_names_no_object_is_refused() {
        for (value, code) in [
            ("", Code::InvalidArgument),
            ("media", Code::InvalidArgument),
            ("media/", Code::InvalidArgument),
            ("/media/%zz", Code::InvalidArgument),
            ("A/b", Code::InvalidBucketName),
            ("media/a?versionId=x", Code::NoSuchVersion),
            ("arn:aws:s3:us-west-2:1:accesspoint/p/object/k", Code::NotImplemented),
        ] {
            assert_eq!(parse_copy_source(value).unwrap_err().code(), code, "{value}");
        }
    }
}
