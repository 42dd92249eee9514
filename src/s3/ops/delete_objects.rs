//! DeleteObjects: up to 1,000 keys in one request.

use http::{HeaderMap, Response};

use super::Context;
use crate::digest::ChecksumAlgorithm;
use crate::index::WriteCondition;
use crate::objects::{DeleteItem, Deleted};
use crate::s3::body::RequestBody;
use crate::s3::conditions;
use crate::s3::errors::{Code, S3Error};
use crate::s3::headers::{bypass_governance, text};
use crate::s3::response::{ResponseBody, document};
use crate::s3::target::object_key;
use crate::s3::xml::{self, Element, NAMESPACE, XmlWriter};
use crate::types::VersionId;

const MAX_DOCUMENT: usize = 2 * 1024 * 1024;
const MAX_KEYS: usize = 1000;

/// One entry as the client wrote it, and what can be done with it.
struct Entry {
    key: String,
    version: Option<String>,
    item: Result<DeleteItem, S3Error>,
}

pub(super) async fn handle(context: &Context<'_>, body: RequestBody) -> Result<Response<ResponseBody>, S3Error> {
    let bucket = context.bucket()?;
    require_digest(context.headers())?;
    let bypass = bypass_governance(context.headers())?;
    let (quiet, mut entries) = entries(&body.document(context.headers(), MAX_DOCUMENT).await?)?;
    // An entry that cannot be read fails alone, as in S3.
    let items = entries.iter().filter_map(|entry| entry.item.as_ref().ok().cloned()).collect();
    let mut outcomes = context.objects.delete_many(&context.request, bucket, items, bypass).await?.into_iter();
    let mut xml = XmlWriter::document("DeleteResult", Some(NAMESPACE));
    for entry in &mut entries {
        let outcome = match &entry.item {
            Ok(_) => {
                outcomes.next().map_or_else(|| Err(S3Error::new(Code::InternalError)), |outcome| outcome.map_err(S3Error::from))
            }
            Err(error) => Err(error.clone()),
        };
        match outcome {
            Ok(_) if quiet => {}
            Ok(deleted) => write_deleted(&mut xml, entry, &deleted),
            Err(error) => write_error(&mut xml, entry, &error),
        }
    }
    Ok(document(xml))
}

/// S3 demands a digest of this body, since a flipped bit would delete something else.
fn require_digest(headers: &HeaderMap) -> Result<(), S3Error> {
    let checksum = ChecksumAlgorithm::ALL.iter().any(|algorithm| headers.contains_key(algorithm.header_name()));
    if checksum || headers.contains_key("content-md5") || text(headers, "x-amz-trailer")?.is_some() {
        return Ok(());
    }
    Err(S3Error::with(
        Code::InvalidRequest,
        "Missing required header for this request: Content-MD5 or an x-amz-checksum-* header.",
    ))
}

fn entries(body: &[u8]) -> Result<(bool, Vec<Entry>), S3Error> {
    let root = xml::parse(body, "Delete")?;
    let quiet = root.child_text("Quiet").is_some_and(|text| text.trim().eq_ignore_ascii_case("true"));
    let objects = root.children.iter().filter(|child| child.name == "Object");
    let entries = objects.map(entry).collect::<Result<Vec<_>, _>>()?;
    if entries.is_empty() || entries.len() > MAX_KEYS {
        return Err(S3Error::with(Code::MalformedXml, "A Delete names 1 to 1000 objects."));
    }
    Ok((quiet, entries))
}

fn entry(object: &Element) -> Result<Entry, S3Error> {
    let key = object.required("Key")?.to_owned();
    let version = object.child_text("VersionId").filter(|version| !version.is_empty()).map(str::to_owned);
    Ok(Entry { item: item(object, &key, version.as_deref()), key, version })
}

fn item(object: &Element, key: &str, version: Option<&str>) -> Result<DeleteItem, S3Error> {
    if object.child("LastModifiedTime").is_some() || object.child("Size").is_some() {
        return Err(S3Error::not_implemented("Deleting by date or size"));
    }
    let version = version.map(str::parse::<VersionId>).transpose().map_err(|_| S3Error::new(Code::NoSuchVersion))?;
    let condition = object.child_text("ETag").map_or(WriteCondition::None, conditions::if_match);
    Ok(DeleteItem { key: object_key(key)?, version, condition })
}

fn write_deleted(xml: &mut XmlWriter, entry: &Entry, deleted: &Deleted) {
    xml.element("Deleted", |xml| {
        xml.text("Key", &entry.key);
        xml.optional("VersionId", entry.version.as_deref());
        let marker = match deleted {
            Deleted::Key => None,
            Deleted::Version { version, was_marker } => Some(version).filter(|_| *was_marker),
            Deleted::Marked(version) => Some(version),
        };
        if let Some(version) = marker {
            xml.text("DeleteMarker", "true");
            xml.plain("DeleteMarkerVersionId", version);
        }
    });
}

fn write_error(xml: &mut XmlWriter, entry: &Entry, error: &S3Error) {
    xml.element("Error", |xml| {
        xml.text("Key", &entry.key);
        xml.optional("VersionId", entry.version.as_deref());
        xml.text("Code", error.code().as_str());
        xml.text("Message", error.message());
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_read_in_order_and_fail_alone() {
        let long = "k".repeat(1025);
        let body = format!(
            "<Delete><Quiet>true</Quiet><Object><Key>a&amp;b</Key></Object><Object><Key>{long}</Key></Object>\
             <Object><Key>c</Key><VersionId>null</VersionId><ETag>\"900150983cd24fb0d6963f7d28e17f72\"</ETag></Object></Delete>"
        );
        let (quiet, entries) = entries(body.as_bytes()).unwrap();
        assert!(quiet);
        assert_eq!(entries[0].item.as_ref().unwrap().key.as_str(), "a&b");
        assert_eq!(entries[1].item.as_ref().unwrap_err().code(), Code::KeyTooLongError);
        let third = entries[2].item.as_ref().unwrap();
        assert_eq!(third.version, Some(VersionId::Null));
        assert!(matches!(&third.condition, WriteCondition::IfMatch(tags) if tags.len() == 1));
    }

    #[test]
    fn one_to_a_thousand_keys() {
        let delete = |count| format!("<Delete>{}</Delete>", "<Object><Key>a</Key></Object>".repeat(count));
        assert_eq!(entries(delete(1000).as_bytes()).unwrap().1.len(), 1000);
        for wrong in [delete(0), delete(1001), "<Delete><Object/></Delete>".to_owned()] {
            assert_eq!(entries(wrong.as_bytes()).err().unwrap().code(), Code::MalformedXml);
        }
    }

    #[test]
    fn a_digest_is_required() {
        assert_eq!(require_digest(&HeaderMap::new()).unwrap_err().code(), Code::InvalidRequest);
        let headers =
            HeaderMap::from_iter([("x-amz-checksum-crc32".parse().unwrap(), http::HeaderValue::from_static("y/Q5Jg=="))]);
        assert!(require_digest(&headers).is_ok());
    }
}
