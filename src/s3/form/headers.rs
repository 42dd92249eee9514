//! The fields of a form as the headers that PutObject has for the same.

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::authn::FormFields;
use crate::s3::documents::tagging;
use crate::s3::errors::{Code, S3Error};
use crate::s3::percent;

/// Fields that go by the name of their header.
const CONTENT: [&str; 7] =
    ["cache-control", "content-disposition", "content-encoding", "content-language", "content-md5", "content-type", "expires"];

/// Fields that are no headers: those of the signature.
const SIGNATURE: [&str; 4] = ["x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-signature"];

/// What a form cannot ask for, and a bucket's policy may look at: it would pass for what it is not.
const OF_COPIES: [&str; 3] = ["x-amz-copy-source", "x-amz-metadata-directive", "x-amz-tagging-directive"];

/// Headers of the request that count: what the facts of a request and conditional writes are made of.
const OF_REQUEST: [&str; 5] = ["if-match", "if-none-match", "referer", "user-agent", "x-amz-content-sha256"];

/// Headers of the request that say nothing of the object.
const HARMLESS: [&str; 4] = ["x-amz-content-sha256", "x-amz-date", "x-amz-expected-bucket-owner", "x-amz-user-agent"];

/// What a form says of its object. `request` are the headers that it came with.
///
/// # Errors
/// `InvalidArgument` for a field that no header can carry, for those of copies, and for `x-amz-` headers of the request: a policy covers fields alone.
pub(crate) fn headers(request: &HeaderMap, fields: &FormFields) -> Result<HeaderMap, S3Error> {
    let stray = |name: &HeaderName| name.as_str().starts_with("x-amz-") && !HARMLESS.contains(&name.as_str());
    if request.keys().any(stray) {
        return Err(S3Error::with(Code::InvalidArgument, "What a form asks for is in its fields, not in x-amz- headers."));
    }
    let mut headers = HeaderMap::new();
    for name in OF_REQUEST {
        for value in request.get_all(name) {
            headers.append(HeaderName::from_static(name), value.clone());
        }
    }
    for (name, value) in fields {
        if OF_COPIES.iter().any(|of_copies| name.starts_with(of_copies)) {
            return Err(S3Error::with(Code::InvalidArgument, "A form brings its object: it cannot be a copy."));
        }
        let (name, value) = match name.as_str() {
            "acl" => ("x-amz-acl", value.clone()),
            "tagging" => ("x-amz-tagging", tags(value)?),
            name if CONTENT.contains(&name) => (name, value.clone()),
            name if name.starts_with("x-amz-") && !SIGNATURE.contains(&name) => (name, value.clone()),
            // Others are for the application's own use.
            _ => continue,
        };
        let header = HeaderName::from_bytes(name.as_bytes()).ok().zip(HeaderValue::from_str(&value).ok());
        let Some((name, value)) = header else {
            return Err(S3Error::with(Code::InvalidArgument, "A field of the form cannot be read as a header."));
        };
        if headers.insert(name, value).is_some() {
            return Err(S3Error::with(Code::InvalidArgument, "Two fields of the form say the same in different ways."));
        }
    }
    Ok(headers)
}

/// A document with tags as `x-amz-tagging` has them.
fn tags(document: &str) -> Result<String, S3Error> {
    let tags = tagging::parse_of_object(document.as_bytes())?;
    let pairs: Vec<_> = tags.iter().map(|(key, value)| format!("{}={}", percent::encode(key), percent::encode(value))).collect();
    Ok(pairs.join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::s3::headers as s3_headers;

    fn fields(pairs: &[(&str, &str)]) -> FormFields {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn fields_say_what_headers_say() {
        let tagging = "<Tagging><TagSet><Tag><Key>a+b=</Key><Value>پ =</Value></Tag></TagSet></Tagging>";
        let all = fields(&[
            ("acl", "private"),
            ("content-type", "text/plain"),
            ("key", "k"),
            ("policy", "p"),
            ("submit", "Go"),
            ("tagging", tagging),
            ("x-amz-date", "20261124T000000Z"),
            ("x-amz-meta-a", "پ"),
        ]);
        let request = HeaderMap::from_iter([
            (http::header::CONTENT_TYPE, HeaderValue::from_static("multipart/form-data")),
            (http::header::REFERER, HeaderValue::from_static("http://a/")),
        ]);
        let headers = headers(&request, &all).unwrap();
        let names: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        assert_eq!(names, ["referer", "x-amz-acl", "content-type", "x-amz-tagging", "x-amz-meta-a"]);
        assert_eq!(headers["content-type"], "text/plain");
        assert_eq!(s3_headers::tags(&headers).unwrap(), [("a+b=".to_owned(), "پ =".to_owned())]);
    }

    #[test]
    fn what_no_policy_covers_is_refused() {
        let request = HeaderMap::from_iter([("x-amz-acl".parse().unwrap(), HeaderValue::from_static("public-read"))]);
        assert!(headers(&request, &fields(&[])).is_err());
        for wrong in [
            &[("x-amz-meta-a", "1\r\nx: 2")][..],
            &[("x-amz-meta a", "1")],
            &[("acl", "private"), ("x-amz-acl", "private")],
            &[("tagging", "a=b")],
            &[("x-amz-copy-source", "/media/a")],
            &[("x-amz-copy-source-if-match", "a")],
            &[("x-amz-metadata-directive", "COPY")],
        ] {
            assert!(headers(&HeaderMap::new(), &fields(wrong)).is_err(), "{wrong:?}");
        }
    }
}
