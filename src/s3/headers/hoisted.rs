//! Headers that a presigned URL carries in its query.
//!
//! Presigners of several SDKs move `x-amz-*` headers there, and S3 reads them as if they were headers. They are covered by the
//! signature, like all of the query.

use http::{HeaderMap, HeaderName, HeaderValue};

use super::customer::is_of_customer_key;
use super::invalid;
use crate::s3::errors::S3Error;
use crate::s3::query::Query;

/// Parameters that are no headers: those of the signature itself, and checksums, which a presigner can only take of a body that it
/// has not seen.
const NOT_HEADERS: [&str; 9] = [
    "x-amz-algorithm",
    "x-amz-credential",
    "x-amz-date",
    "x-amz-expires",
    "x-amz-signedheaders",
    "x-amz-signature",
    "x-amz-security-token",
    "x-amz-content-sha256",
    "x-amz-sdk-checksum-algorithm",
];

/// Adds the headers that `query` carries to `headers`.
///
/// # Errors
/// `InvalidArgument` when one of them is in both places, since only one can be meant, and when a client's key is among them: URLs end up in
/// logs and histories. SDKs leave those in the head, and S3 reads them nowhere else.
pub(crate) fn add_hoisted(query: &Query<'_>, headers: &mut HeaderMap) -> Result<(), S3Error> {
    for (name, value) in query.iter() {
        let name = name.to_ascii_lowercase();
        if !name.starts_with("x-amz-") || name.starts_with("x-amz-checksum-") || NOT_HEADERS.contains(&name.as_str()) {
            continue;
        }
        if is_of_customer_key(&name) {
            return Err(invalid("x-amz-", "A key of the client's own (SSE-C) comes in the request's head, not in its URL."));
        }
        let header = HeaderName::from_bytes(name.as_bytes()).ok().zip(HeaderValue::from_str(value).ok());
        let Some((name, value)) = header else { return Err(invalid("x-amz-", "A query parameter cannot be read as a header.")) };
        if headers.contains_key(&name) {
            return Err(invalid("x-amz-", "The same x-amz- header is in the request's head and in its query."));
        }
        headers.insert(name, value);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hoisted(query: &str, mut headers: HeaderMap) -> Result<HeaderMap, S3Error> {
        add_hoisted(&Query::parse(Some(query)).unwrap(), &mut headers).map(|()| headers)
    }

    #[test]
    fn headers_in_the_query_count_as_headers() {
        let query = "X-Amz-Signature=s&X-Amz-Date=d&x-amz-meta-domicile-subject=%D9%BE&x-amz-storage-class=GLACIER&x-id=PutObject\
            &x-amz-checksum-crc32=AAAAAA%3D%3D&x-amz-sdk-checksum-algorithm=CRC32";
        let headers = hoisted(query, HeaderMap::new()).unwrap();
        assert_eq!(headers.len(), 2);
        assert_eq!(headers["x-amz-meta-domicile-subject"].as_bytes(), "پ".as_bytes());
        assert_eq!(headers["x-amz-storage-class"], "GLACIER");
    }

    #[test]
    fn a_header_in_both_places_is_refused() {
        let headers = HeaderMap::from_iter([("x-amz-meta-a".parse().unwrap(), HeaderValue::from_static("1"))]);
        assert!(hoisted("x-amz-meta-a=2", headers).is_err());
        assert!(hoisted("x-amz-server-side-encryption-customer-key=a", HeaderMap::new()).is_err());
        assert!(hoisted("X-Amz-Copy-Source-Server-Side-Encryption-Customer-Algorithm=AES256", HeaderMap::new()).is_err());
        assert!(hoisted("x-amz-meta-a=%0d%0a", HeaderMap::new()).is_err());
        assert!(hoisted("x-amz-me%20ta=1", HeaderMap::new()).is_err());
    }
}
