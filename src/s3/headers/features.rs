//! Headers that ask for something the gateway has not. A header that changes what happens to data is obeyed or refused, never
//! ignored.

use http::HeaderMap;

use super::customer::{brings_customer_key, is_of_customer_key};
use super::{invalid, text};
use crate::s3::errors::{Code, S3Error};

const ENCRYPTION: &str = "x-amz-server-side-encryption";
const KMS_KEY: &str = "x-amz-server-side-encryption-aws-kms-key-id";

/// Checks the headers of a request that writes an object.
pub(crate) fn check_object_features(headers: &HeaderMap) -> Result<(), S3Error> {
    let method = text(headers, ENCRYPTION)?;
    if method.is_some() && brings_customer_key(headers) {
        return Err(invalid(
            ENCRYPTION,
            "Server Side Encryption with Customer provided key is incompatible with the encryption method specified",
        ));
    }
    match method {
        None | Some("AES256") if headers.contains_key(KMS_KEY) => {
            return Err(invalid(
                KMS_KEY,
                "Server Side Encryption with AWS KMS managed key requires HTTP header x-amz-server-side-encryption : aws:kms",
            ));
        }
        None | Some("AES256") => {}
        Some("aws:kms" | "aws:kms:dsse" | "aws:fsx") => {
            return Err(S3Error::not_implemented(
                "Choosing the key of an object (the gateway seals every object under its country's key)",
            ));
        }
        Some(_) => return Err(invalid(ENCRYPTION, "The encryption method specified is not supported")),
    }
    refuse(headers, "x-amz-server-side-encryption-", "Choosing the key of an object")?;
    refuse(headers, "x-amz-copy-source-server-side-encryption-", "Choosing the key of an object")?;
    match text(headers, "x-amz-storage-class")? {
        None | Some("STANDARD") => {}
        Some(_) => return Err(S3Error::new(Code::InvalidStorageClass)),
    }
    refuse(headers, "x-amz-website-redirect-location", "Website redirection")?;
    refuse(headers, "x-amz-write-offset-bytes", "Appending to an object")
}

/// Checks the headers of a request that reads an object.
pub(crate) fn check_read_features(headers: &HeaderMap) -> Result<(), S3Error> {
    if headers.contains_key(ENCRYPTION) || headers.contains_key(KMS_KEY) {
        return Err(invalid(ENCRYPTION, "How an object is encrypted is said when it is written, not when it is read."));
    }
    Ok(())
}

fn refuse(headers: &HeaderMap, prefix: &str, what: &str) -> Result<(), S3Error> {
    if headers.keys().any(|name| name.as_str().starts_with(prefix) && !is_of_customer_key(name.as_str())) {
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
    fn one_way_of_encryption_is_asked_for() {
        for method in ["AES256", "aws:kms"] {
            let headers = HeaderMap::from_iter([
                ("x-amz-server-side-encryption".parse().unwrap(), HeaderValue::from_static(method)),
                ("x-amz-server-side-encryption-customer-algorithm".parse().unwrap(), HeaderValue::from_static("AES256")),
            ]);
            assert_eq!(check_object_features(&headers).unwrap_err().code(), Code::InvalidArgument);
            assert_eq!(check_read_features(&headers).unwrap_err().code(), Code::InvalidArgument);
        }
        assert_eq!(object("x-amz-server-side-encryption-customer-algorithm", "AES256"), None);
    }

    #[test]
    fn nothing_that_matters_is_ignored() {
        for (name, value, code) in [
            ("x-amz-storage-class", "GLACIER", Code::InvalidStorageClass),
            ("x-amz-server-side-encryption", "aws:kms", Code::NotImplemented),
            ("x-amz-server-side-encryption", "ROT13", Code::InvalidArgument),
            ("x-amz-server-side-encryption-aws-kms-key-id", "k", Code::InvalidArgument),
            ("x-amz-server-side-encryption-context", "k", Code::NotImplemented),
            ("x-amz-server-side-encryption-customer-else", "k", Code::NotImplemented),
        ] {
            assert_eq!(object(name, value), Some(code), "{name}: {value}");
        }
    }
}
