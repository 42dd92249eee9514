//! Headers that ask for something the gateway has not. A header that changes what happens to data is obeyed or refused, never
//! ignored.

use http::HeaderMap;

use super::text;
use crate::s3::errors::{Code, S3Error};

/// Checks the headers of a request that writes an object.
pub(crate) fn check_object_features(headers: &HeaderMap) -> Result<(), S3Error> {
    check_customer_keys(headers)?;
    match text(headers, "x-amz-server-side-encryption")? {
        None | Some("AES256") => {}
        Some("aws:kms" | "aws:kms:dsse" | "aws:fsx") => {
            return Err(S3Error::not_implemented(
                "Choosing the key of an object (the gateway seals every object under its country's key)",
            ));
        }
        Some(_) => return Err(S3Error::new(Code::InvalidEncryptionAlgorithm)),
    }
    refuse(headers, "x-amz-server-side-encryption-", "Choosing the key of an object")?;
    match text(headers, "x-amz-storage-class")? {
        None | Some("STANDARD") => {}
        Some(_) => return Err(S3Error::new(Code::InvalidStorageClass)),
    }
    refuse(headers, "x-amz-website-redirect-location", "Website redirection")?;
    refuse(headers, "x-amz-write-offset-bytes", "Appending to an object")
}

/// Checks the headers of a request that reads an object.
pub(crate) fn check_read_features(headers: &HeaderMap) -> Result<(), S3Error> {
    check_customer_keys(headers)
}

/// SSE-C, for the object itself or for a copy's source.
fn check_customer_keys(headers: &HeaderMap) -> Result<(), S3Error> {
    refuse(headers, "x-amz-server-side-encryption-customer-", "Encryption with keys of the client")?;
    refuse(headers, "x-amz-copy-source-server-side-encryption-customer-", "Encryption with keys of the client")
}

fn refuse(headers: &HeaderMap, prefix: &str, what: &str) -> Result<(), S3Error> {
    if headers.keys().any(|name| name.as_str().starts_with(prefix)) {
        return Err(S3Error::not_implemented(what));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn object(name: &'static str, value: &'static str) -> Option<Code> {
        let headers = HeaderMap::from_iter([(name.parse().unwrap(), HeaderValue::from_static(value))]);
        check_object_features(&headers).err().map(|error| error.code())
    }

    #[test]
    fn what_is_the_default_is_accepted() {
        assert_eq!(object("x-amz-storage-class", "STANDARD"), None);
        assert_eq!(object("x-amz-server-side-encryption", "AES256"), None);
        assert_eq!(object("x-amz-meta-a", "b"), None);
    }

    #[test]
    fn nothing_that_matters_is_ignored() {
        for (name, value, code) in [
            ("x-amz-storage-class", "GLACIER", Code::InvalidStorageClass),
            ("x-amz-server-side-encryption", "aws:kms", Code::NotImplemented),
            ("x-amz-server-side-encryption", "ROT13", Code::InvalidEncryptionAlgorithm),
            ("x-amz-server-side-encryption-aws-kms-key-id", "k", Code::NotImplemented),
            ("x-amz-server-side-encryption-customer-algorithm", "AES256", Code::NotImplemented),
        ] {
            assert_eq!(object(name, value), Some(code), "{name}: {value}");
        }
    }
}
