//! What the operations that write an object or a part have in common.

use http::HeaderMap;

use super::Context;
use crate::digest::Checksum;
use crate::objects::{CustomerKeys, Stored};
use crate::s3::errors::{Code, S3Error};
use crate::s3::headers::check_object_features;
use crate::s3::response::{set, set_encryption, set_etag, set_expiration, set_residence};
use crate::s3::xml::XmlWriter;
use crate::types::{UploadId, VersionId};

/// `uploadId`. One that has another form than ours names no upload.
pub(super) fn upload_id(context: &Context<'_>) -> Result<UploadId, S3Error> {
    context.query.get("uploadId").unwrap_or_default().parse().map_err(|_| S3Error::new(Code::NoSuchUpload))
}

/// `partNumber` of an upload.
pub(super) fn part_number(context: &Context<'_>) -> Result<u32, S3Error> {
    let number = context.query.parsed("partNumber", "a number from 1 to 10000")?;
    number.filter(|number| (1..=10_000).contains(number)).ok_or_else(|| {
        S3Error::with(Code::InvalidArgument, "Part number must be an integer between 1 and 10000, inclusive.")
            .detail("ArgumentName", "partNumber")
    })
}

/// Refuses what the headers of a write ask for that cannot be.
pub(super) async fn check_features(context: &Context<'_>) -> Result<(), S3Error> {
    match check_object_features(context.headers()) {
        Ok(()) => Ok(()),
        Err(error) => Err(refused_write(context, error).await),
    }
}

/// The answer to a write whose headers cannot be obeyed. As in S3, who may not write is told that first: a bucket policy may deny
/// just such headers.
pub(super) async fn refused_write(context: &Context<'_>, error: S3Error) -> S3Error {
    let Ok((bucket, key)) = context.object() else { return error };
    match context.objects.check_writable(&context.request, bucket, key).await {
        Ok(()) => error,
        Err(denied) => denied.into(),
    }
}

/// The headers of an answer about an object that was written.
pub(super) fn stored_headers(headers: &mut HeaderMap, stored: &Stored, keys: &CustomerKeys) {
    set_etag(headers, &stored.etag);
    version_header(headers, &stored.version);
    set_encryption(headers, keys);
    set_residence(headers, &stored.residence);
    set_expiration(headers, stored.expiration.as_deref());
}

/// `x-amz-version-id`, which buckets without versioning do not have.
pub(super) fn version_header(headers: &mut HeaderMap, version: &VersionId) {
    if let VersionId::Id(_) = version {
        set(headers, "x-amz-version-id", &version.to_string());
    }
}

/// A checksum as elements of a document.
pub(super) fn checksum_elements(xml: &mut XmlWriter, checksum: &Checksum) {
    checksum_value(xml, checksum);
    xml.plain("ChecksumType", checksum.kind());
}

/// `ChecksumCRC32` and its like.
pub(super) fn checksum_value(xml: &mut XmlWriter, checksum: &Checksum) {
    xml.plain(&format!("Checksum{}", checksum.algorithm()), checksum);
}
