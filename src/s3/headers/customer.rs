//! Keys of the client's own (SSE-C): `x-amz-server-side-encryption-customer-*`, and the same for the object that a copy reads.

use base64::{Engine, engine::general_purpose::STANDARD};
use http::HeaderMap;
use zeroize::Zeroizing;

use super::{invalid, text};
use crate::digest::constant_time_eq;
use crate::objects::{CustomerKey, CustomerKeys};
use crate::s3::errors::{Code, S3Error};

/// The three headers of one key.
struct Names {
    algorithm: &'static str,
    key: &'static str,
    md5: &'static str,
}

const OBJECT: Names = Names {
    algorithm: "x-amz-server-side-encryption-customer-algorithm",
    key: "x-amz-server-side-encryption-customer-key",
    md5: "x-amz-server-side-encryption-customer-key-md5",
};

const COPY_SOURCE: Names = Names {
    algorithm: "x-amz-copy-source-server-side-encryption-customer-algorithm",
    key: "x-amz-copy-source-server-side-encryption-customer-key",
    md5: "x-amz-copy-source-server-side-encryption-customer-key-md5",
};

/// Takes the client's keys out of `headers`: nothing that handles them later comes by a key. `secure` tells whether keys may come the
/// way this request came.
///
/// # Errors
/// As S3: `InvalidRequest` where the way is not secure, `InvalidEncryptionAlgorithmError`, and `InvalidArgument` where a header is missing or
/// does not fit the others.
pub(crate) fn take_customer_keys(headers: &mut HeaderMap, secure: bool) -> Result<CustomerKeys, S3Error> {
    // Both are taken away, also when one of them is wrong.
    let (object, copy_source) = (take(headers, &OBJECT, secure), take(headers, &COPY_SOURCE, secure));
    Ok(CustomerKeys { object: object?, copy_source: copy_source? })
}

/// Whether a request has headers of a key for the object that it writes.
pub(super) fn brings_customer_key(headers: &HeaderMap) -> bool {
    headers.contains_key(OBJECT.algorithm)
}

/// Whether `name` is a header of a client's key.
pub(super) fn is_of_customer_key(name: &str) -> bool {
    [OBJECT, COPY_SOURCE].iter().any(|names| [names.algorithm, names.key, names.md5].contains(&name))
}

fn take(headers: &mut HeaderMap, names: &Names, secure: bool) -> Result<Option<CustomerKey>, S3Error> {
    if ![names.algorithm, names.key, names.md5].iter().any(|name| headers.contains_key(*name)) {
        return Ok(None);
    }
    let key = read(headers, names);
    headers.remove(names.key);
    if !secure {
        return Err(S3Error::with(
            Code::InvalidRequest,
            "Requests specifying Server Side Encryption with Customer provided keys must be made over a secure connection.",
        ));
    }
    key.map(Some)
}

fn read(headers: &HeaderMap, names: &Names) -> Result<CustomerKey, S3Error> {
    match text(headers, names.algorithm)? {
        Some("AES256") => {}
        Some(_) => return Err(S3Error::new(Code::InvalidEncryptionAlgorithm)),
        None => return Err(missing(names.algorithm, "a valid encryption algorithm")),
    }
    let encoded = text(headers, names.key)?.ok_or_else(|| missing(names.key, "an appropriate secret key"))?;
    let md5 = text(headers, names.md5)?.ok_or_else(|| missing(names.md5, "the client calculated MD5 of the secret key"))?;
    let bytes = STANDARD.decode(encoded).ok().map(Zeroizing::new);
    let key = bytes
        .and_then(|bytes| CustomerKey::from_slice(&bytes))
        .ok_or_else(|| invalid(names.key, "The secret key was invalid for the specified algorithm."))?;
    if !STANDARD.decode(md5).is_ok_and(|md5| constant_time_eq(&md5, &key.md5())) {
        return Err(invalid(names.md5, "The calculated MD5 hash of the key did not match the hash that was provided."));
    }
    Ok(key)
}

fn missing(name: &'static str, what: &str) -> S3Error {
    invalid(name, format!("Requests specifying Server Side Encryption with Customer provided keys must provide {what}."))
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    const KEY: &str = "pO3upElrwuEXSoFwCfnZPdSsmt/xWeFa0N9KgDijwVs=";
    const MD5: &str = "DWygnHRtgiJ77HCm+1rvHw==";

    fn headers(names: &Names, algorithm: &str, key: &str, md5: &str) -> HeaderMap {
        [(names.algorithm, algorithm), (names.key, key), (names.md5, md5)]
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()))
            .collect()
    }

    #[test]
    fn a_key_is_read_checked_and_taken_away() {
        let mut request = headers(&OBJECT, "AES256", KEY, MD5);
        let keys = take_customer_keys(&mut request, true).unwrap();
        assert_eq!(STANDARD.encode(keys.object.as_ref().unwrap().md5()), MD5);
        assert!(keys.copy_source.is_none() && request.len() == 2 && !request.contains_key(OBJECT.key));
        assert!(!format!("{keys:?}").contains("pO3u"));
        let of_source = take_customer_keys(&mut headers(&COPY_SOURCE, "AES256", KEY, MD5), true).unwrap();
        assert!(of_source.object.is_none() && of_source.copy_source.is_some());
        let none = take_customer_keys(&mut HeaderMap::new(), false).unwrap();
        assert!(none.object.is_none() && none.copy_source.is_none());
    }

    #[test]
    fn what_does_not_fit_together_is_refused() {
        for names in [OBJECT, COPY_SOURCE] {
            for (algorithm, key, md5, code) in [
                ("", KEY, MD5, Code::InvalidArgument),
                ("AES256", "", MD5, Code::InvalidArgument),
                ("AES256", KEY, "", Code::InvalidArgument),
                ("AES256", "", "", Code::InvalidArgument),
                ("AES128", KEY, MD5, Code::InvalidEncryptionAlgorithm),
                ("aws:kms", KEY, MD5, Code::InvalidEncryptionAlgorithm),
                ("AES256", KEY, "AAAAAAAAAAAAAAAAAAAAAA==", Code::InvalidArgument),
                ("AES256", KEY, "x", Code::InvalidArgument),
                ("AES256", "AAAA", MD5, Code::InvalidArgument),
                ("AES256", "not base64", MD5, Code::InvalidArgument),
            ] {
                let error = take_customer_keys(&mut headers(&names, algorithm, key, md5), true).unwrap_err();
                assert_eq!(error.code(), code, "{algorithm} {key} {md5}");
                assert!(!error.message().contains(KEY));
            }
        }
        let mut both = headers(&OBJECT, "AES128", KEY, MD5);
        both.extend(headers(&COPY_SOURCE, "AES256", KEY, MD5));
        assert!(take_customer_keys(&mut both, true).is_err());
        assert!(!both.contains_key(OBJECT.key) && !both.contains_key(COPY_SOURCE.key), "nobody comes by the other one later");
    }

    #[test]
    fn no_key_is_taken_that_others_could_read_on_the_way() {
        for part in [("AES256", "", ""), ("", KEY, ""), ("AES256", KEY, MD5)] {
            let error = take_customer_keys(&mut headers(&OBJECT, part.0, part.1, part.2), false).unwrap_err();
            assert_eq!(error.code(), Code::InvalidRequest);
            assert!(error.message().contains("secure connection"));
        }
    }
}
