//! The content headers that an object keeps and gives back.

use std::collections::BTreeMap;

use http::HeaderMap;

use super::text;
use crate::s3::errors::S3Error;

const KEPT: [&str; 5] = ["content-type", "cache-control", "content-disposition", "content-language", "expires"];

/// The content headers by lower-case name. `aws-chunked` describes how a body travels, not the object, and is dropped.
pub(crate) fn content_headers(headers: &HeaderMap) -> Result<BTreeMap<String, String>, S3Error> {
    let mut kept = BTreeMap::new();
    for name in KEPT {
        if let Some(value) = text(headers, name)?.filter(|value| !value.is_empty()) {
            kept.insert(name.to_owned(), value.to_owned());
        }
    }
    let mut encodings = Vec::new();
    for value in headers.get_all("content-encoding") {
        let value = super::utf8(value, "content-encoding")?;
        encodings.extend(
            value.split(',').map(str::trim).filter(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case("aws-chunked")),
        );
    }
    if !encodings.is_empty() {
        kept.insert("content-encoding".to_owned(), encodings.join(", "));
    }
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn aws_chunked_is_not_kept_but_other_codings_are() {
        for (sent, kept) in [
            ("aws-chunked", None),
            ("gzip", Some("gzip")),
            ("aws-chunked,gzip", Some("gzip")),
            ("gzip, AWS-Chunked, br", Some("gzip, br")),
            ("", None),
        ] {
            let headers = HeaderMap::from_iter([(http::header::CONTENT_ENCODING, HeaderValue::from_str(sent).unwrap())]);
            assert_eq!(content_headers(&headers).unwrap().get("content-encoding").map(String::as_str), kept, "{sent}");
        }
    }

    #[test]
    fn only_content_headers_are_kept() {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static("text/plain"));
        headers.insert("expires", HeaderValue::from_static("whenever"));
        headers.insert("user-agent", HeaderValue::from_static("x"));
        let kept = content_headers(&headers).unwrap();
        assert_eq!(
            kept.into_iter().collect::<Vec<_>>(),
            [("content-type".to_owned(), "text/plain".to_owned()), ("expires".to_owned(), "whenever".to_owned())]
        );
    }
}
