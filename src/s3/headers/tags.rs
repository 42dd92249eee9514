//! `x-amz-tagging`: tags as a query string. What S3 limits in them is checked by the use cases.

use http::HeaderMap;

use super::{invalid, text};
use crate::s3::errors::S3Error;
use crate::s3::query::Query;

const TAGGING: &str = "x-amz-tagging";

/// The tags, in the order given.
pub(crate) fn tags(headers: &HeaderMap) -> Result<Vec<(String, String)>, S3Error> {
    let Some(value) = text(headers, TAGGING)? else { return Ok(Vec::new()) };
    let query = Query::parse(Some(value)).map_err(|_| invalid(TAGGING, "The tags are not encoded as URL query parameters."))?;
    Ok(query.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn tags_are_form_encoded() {
        let headers = HeaderMap::from_iter([("x-amz-tagging".parse().unwrap(), HeaderValue::from_static("a=1&b+c=%D9%BE&d"))]);
        let expected = [("a", "1"), ("b c", "پ"), ("d", "")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(tags(&headers).unwrap(), expected);
        let broken = HeaderMap::from_iter([("x-amz-tagging".parse().unwrap(), HeaderValue::from_static("a=%zz"))]);
        assert!(tags(&broken).is_err());
    }
}
