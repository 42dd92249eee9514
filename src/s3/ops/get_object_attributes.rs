//! GetObjectAttributes: what HeadObject and ListParts say of an object, in one answer and only as far as asked for.

use http::Response;

use super::Context;
use super::get_object::version_name;
use super::upload::{checksum_elements, checksum_value, version_header};
use crate::digest::Checksum;
use crate::index::PartEntry;
use crate::s3::conditions;
use crate::s3::errors::{Code, S3Error};
use crate::s3::headers::{check_read_features, text};
use crate::s3::response::{ResponseBody, document, set};
use crate::s3::xml::{NAMESPACE, XmlWriter};

const NAMES: &str = "x-amz-object-attributes";
const MAX_PARTS: usize = 1000;

/// What of an object is asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Wanted {
    etag: bool,
    checksum: bool,
    parts: bool,
    storage_class: bool,
    size: bool,
}

pub(super) async fn handle(context: &Context<'_>) -> Result<Response<ResponseBody>, S3Error> {
    let headers = context.headers();
    check_read_features(headers)?;
    let wanted = wanted(text(headers, NAMES)?.unwrap_or_default())?;
    let limit = number(context, "x-amz-max-parts")?.unwrap_or(MAX_PARTS).min(MAX_PARTS);
    let after = number(context, "x-amz-part-number-marker")?.unwrap_or(0);
    let condition = conditions::of_read(headers)?;
    let found = context.objects.attributes(&context.request, version_name(context)?, &condition).await?;
    let summary = &found.record.summary;
    let mut xml = XmlWriter::document("GetObjectAttributesResponse", Some(NAMESPACE));
    if wanted.etag {
        // Without quotes, unlike everywhere else.
        xml.plain("ETag", summary.etag);
    }
    if let Some(checksum) = found.record.detail.checksum.as_ref().filter(|_| wanted.checksum) {
        xml.element("Checksum", |xml| checksum_elements(xml, checksum));
    }
    if let Some(parts) = found.parts.as_deref().filter(|_| wanted.parts) {
        xml.element("ObjectParts", |xml| write_parts(xml, parts, (after, limit), |part| found.checksum_of(part)));
    }
    if wanted.storage_class {
        xml.text("StorageClass", "STANDARD");
    }
    if wanted.size {
        xml.plain("ObjectSize", summary.size);
    }
    let mut response = document(xml);
    set(response.headers_mut(), "last-modified", &summary.modified.to_http_date());
    version_header(response.headers_mut(), &summary.version);
    Ok(response)
}

fn write_parts(
    xml: &mut XmlWriter,
    parts: &[PartEntry],
    (after, limit): (usize, usize),
    checksum_of: impl Fn(&PartEntry) -> Option<Checksum>,
) {
    let is_behind = |part: &&PartEntry| usize::try_from(part.number).is_ok_and(|number| number > after);
    let mut rest = parts.iter().filter(is_behind);
    let page: Vec<_> = rest.by_ref().take(limit).collect();
    xml.plain("PartsCount", parts.len());
    xml.plain("PartNumberMarker", after);
    if let Some(last) = page.last() {
        xml.plain("NextPartNumberMarker", last.number);
    }
    xml.plain("MaxParts", limit);
    xml.plain("IsTruncated", rest.next().is_some());
    for part in page {
        xml.element("Part", |xml| {
            xml.plain("PartNumber", part.number);
            xml.plain("Size", part.size);
            if let Some(checksum) = checksum_of(part) {
                checksum_value(xml, &checksum);
            }
        });
    }
}

fn wanted(names: &str) -> Result<Wanted, S3Error> {
    let mut wanted = Wanted::default();
    for name in names.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        match name {
            "ETag" => wanted.etag = true,
            "Checksum" => wanted.checksum = true,
            "ObjectParts" => wanted.parts = true,
            "StorageClass" => wanted.storage_class = true,
            "ObjectSize" => wanted.size = true,
            _ => {
                let message = "The attributes are ETag, Checksum, ObjectParts, StorageClass and ObjectSize.";
                return Err(S3Error::with(Code::InvalidArgument, message).detail("ArgumentName", NAMES));
            }
        }
    }
    if wanted == Wanted::default() {
        let message = "The x-amz-object-attributes header names the attributes that are wanted; it is missing or empty.";
        return Err(S3Error::with(Code::InvalidRequest, message));
    }
    Ok(wanted)
}

fn number(context: &Context<'_>, name: &'static str) -> Result<Option<usize>, S3Error> {
    let parse = |value: &str| {
        let message = "The value must be a whole number, not below zero.";
        value.parse().map_err(|_| S3Error::with(Code::InvalidArgument, message).detail("ArgumentName", name))
    };
    text(context.headers(), name)?.map(parse).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::AttemptId;

    #[test]
    fn attributes_are_named_and_none_is_an_error() {
        let some = wanted(" ETag, ObjectSize,").unwrap();
        assert_eq!(some, Wanted { etag: true, size: true, ..Wanted::default() });
        assert_eq!(wanted("").unwrap_err().code(), Code::InvalidRequest);
        assert_eq!(wanted("ETag,Colour").unwrap_err().code(), Code::InvalidArgument);
    }

    #[test]
    fn parts_come_in_pages() {
        let part = |number| PartEntry {
            number,
            attempt: AttemptId::from_bytes([0; 16]),
            size: 5,
            etag: "900150983cd24fb0d6963f7d28e17f72".parse().unwrap(),
            checksum: None,
        };
        let parts = [2, 3, 7].map(part);
        let written = |after, limit| {
            let mut xml = XmlWriter::document("P", None);
            write_parts(&mut xml, &parts, (after, limit), |part| part.checksum);
            String::from_utf8(xml.finish().to_vec()).unwrap()
        };
        let first = written(0, 2);
        assert!(first.contains("<PartsCount>3</PartsCount>") && first.contains("<IsTruncated>true</IsTruncated>"), "{first}");
        assert!(first.contains("<NextPartNumberMarker>3</NextPartNumberMarker>") && first.matches("<Part>").count() == 2);
        let last = written(3, 2);
        assert!(last.contains("<PartNumber>7</PartNumber>") && last.contains("<IsTruncated>false</IsTruncated>"), "{last}");
    }
}
