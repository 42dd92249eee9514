//! What a request's headers say of an object: content headers, metadata, tags, checksums, and the features that are refused.

mod acl;
mod checksums;
mod content;
mod customer;
mod features;
mod hoisted;
mod lock;
mod metadata;
mod tags;

use http::{HeaderMap, HeaderValue};

pub(super) use acl::{acl, object_ownership};
pub(super) use checksums::{
    algorithm_of_copy, algorithm_of_upload, content_md5, expected_checksum, full_object_checksum, kind_of_upload,
    trailing_algorithm,
};
pub(super) use content::content_headers;
pub(super) use customer::take_customer_keys;
pub(super) use features::{check_object_features, check_read_features};
pub(super) use hoisted::add_hoisted;
pub(super) use lock::{bypass_governance, lock};
pub(super) use metadata::{encode_value, user_metadata};
pub(super) use tags::tags;

use super::errors::{Code, S3Error};
use crate::objects::Description;

/// The value of a header as text; `None` when it is absent.
///
/// # Errors
/// `InvalidArgument` when it is not UTF-8, or there more than once: the signature covers the values joined, so none of them may be
/// taken for the whole.
pub(super) fn text<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<Option<&'a str>, S3Error> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => utf8(value, name).map(Some),
        (Some(_), Some(_)) => Err(invalid(name, "A header is there more than once.")),
    }
}

/// A header's value as text. Clients send UTF-8 where HTTP means Latin-1, and S3 takes it so.
fn utf8<'a>(value: &'a HeaderValue, name: &str) -> Result<&'a str, S3Error> {
    let text = std::str::from_utf8(value.as_bytes());
    text.map(|text| text.trim_matches([' ', '\t']))
        .map_err(|_| S3Error::with(Code::InvalidArgument, "A header's value is not UTF-8.").detail("ArgumentName", name))
}

/// An `InvalidArgument` that names the header.
fn invalid(name: &'static str, message: impl Into<String>) -> S3Error {
    S3Error::with(Code::InvalidArgument, message.into()).detail("ArgumentName", name)
}

/// Everything a client says of a new object besides its bytes.
pub(super) fn description(headers: &HeaderMap) -> Result<Description, S3Error> {
    Ok(Description {
        content: content_headers(headers)?,
        metadata: user_metadata(headers)?,
        tags: tags(headers)?,
        lock: lock(headers)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_has_one_value_or_none() {
        let mut headers = HeaderMap::new();
        assert_eq!(text(&headers, "content-type").unwrap(), None);
        headers.append("content-type", HeaderValue::from_static(" text/plain\t"));
        assert_eq!(text(&headers, "content-type").unwrap(), Some("text/plain"));
        headers.append("content-type", HeaderValue::from_static("text/html"));
        assert_eq!(text(&headers, "content-type").unwrap_err().code(), Code::InvalidArgument);
        assert!(description(&headers).is_err());
    }
}
