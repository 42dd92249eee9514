//! The `Range` header (RFC 9110 section 14.2) and the range of a part to copy.

use http::HeaderMap;

use super::errors::{Code, S3Error};
use super::headers::text;
use crate::objects::ByteRange;

/// The range a GET or HEAD asks for. `None` means the whole object: no header, one that is not a byte range, or several ranges,
/// which S3 does not serve.
///
/// # Errors
/// `InvalidArgument` when the header is there more than once.
pub(super) fn range(headers: &HeaderMap) -> Result<Option<ByteRange>, S3Error> {
    Ok(text(headers, "range")?.and_then(parse_range))
}

fn parse_range(value: &str) -> Option<ByteRange> {
    let (unit, set) = value.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") || set.contains(',') {
        return None;
    }
    match set.trim().split_once('-')? {
        ("", count) => Some(ByteRange::Last(number(count)?)),
        (from, "") => Some(ByteRange::From(number(from)?)),
        (from, to) => {
            let (from, to) = (number(from)?, number(to)?);
            (from <= to).then_some(ByteRange::FromTo(from, to))
        }
    }
}

/// `x-amz-copy-source-range`: first and last byte, both included.
pub(super) fn copy_source_range(headers: &HeaderMap) -> Result<Option<(u64, u64)>, S3Error> {
    let Some(value) = text(headers, "x-amz-copy-source-range")? else { return Ok(None) };
    let parsed = value
        .strip_prefix("bytes=")
        .and_then(|set| set.split_once('-'))
        .and_then(|(from, to)| Some((number(from)?, number(to)?)));
    match parsed {
        Some((from, to)) if from <= to => Ok(Some((from, to))),
        _ => Err(S3Error::with(Code::InvalidArgument, "The x-amz-copy-source-range must be of the form bytes=first-last.")
            .detail("ArgumentName", "x-amz-copy-source-range")),
    }
}

/// Digits alone; a number too large for any object saturates, so that it is out of range rather than malformed.
fn number(text: &str) -> Option<u64> {
    let text = text.trim();
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use http::{HeaderValue, header};

    use super::*;

    fn parsed(value: &str) -> Option<ByteRange> {
        range(&HeaderMap::from_iter([(header::RANGE, HeaderValue::from_str(value).unwrap())])).unwrap()
    }

    #[test]
    fn the_three_forms() {
        assert_eq!(parsed("bytes=0-0"), Some(ByteRange::FromTo(0, 0)));
        assert_eq!(parsed("Bytes=5-"), Some(ByteRange::From(5)));
        assert_eq!(parsed("bytes=-5"), Some(ByteRange::Last(5)));
        assert_eq!(parsed("bytes=-0"), Some(ByteRange::Last(0)));
        assert_eq!(parsed("bytes=1-99999999999999999999999"), Some(ByteRange::FromTo(1, u64::MAX)));
    }

    #[test]
    fn all_else_is_the_whole_object() {
        for value in
            ["", "bytes", "bytes=", "bytes=-", "bytes=a-b", "bytes=5-4", "bytes=0-1,3-4", "items=0-1", "bytes=+1-2", "bytes=1--2"]
        {
            assert_eq!(parsed(value), None, "{value}");
        }
        assert_eq!(range(&HeaderMap::new()).unwrap(), None);
    }

    #[test]
    fn several_range_headers_are_refused() {
        let mut headers = HeaderMap::new();
        headers.append(header::RANGE, HeaderValue::from_static("bytes=0-1"));
        headers.append(header::RANGE, HeaderValue::from_static("3-4"));
        assert_eq!(range(&headers).unwrap_err().code(), Code::InvalidArgument);
    }

    #[test]
    fn a_copied_range_is_exact_or_refused() {
        let parsed = |value| {
            copy_source_range(&HeaderMap::from_iter([(
                "x-amz-copy-source-range".parse().unwrap(),
                HeaderValue::from_str(value).unwrap(),
            )]))
        };
        assert_eq!(parsed("bytes=0-9").unwrap(), Some((0, 9)));
        for wrong in ["bytes=0-", "bytes=-9", "0-9", "bytes=9-0", "bytes=0-9,11-12", "bytes=a-b"] {
            assert_eq!(parsed(wrong).unwrap_err().code(), Code::InvalidArgument, "{wrong}");
        }
    }
}
