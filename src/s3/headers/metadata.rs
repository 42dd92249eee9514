//! User metadata: `x-amz-meta-*`. Values outside ASCII travel as UTF-8 or as RFC 2047 encoded words, and come back as the latter.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderValue};

use super::{invalid, utf8};
use crate::s3::errors::S3Error;
use crate::types::decode_words;

const PREFIX: &str = "x-amz-meta-";

/// Bytes of UTF-8 in one encoded word: with its frame no longer than the 75 characters of RFC 2047 section 2.
const WORD: usize = 45;

/// User metadata by lower-case name without its prefix.
///
/// # Errors
/// `InvalidArgument` when a value is not UTF-8 or a name is there twice: values that are decoded first and joined then are not those
/// that were signed.
pub(crate) fn user_metadata(headers: &HeaderMap) -> Result<BTreeMap<String, String>, S3Error> {
    let mut metadata = BTreeMap::<String, String>::new();
    for (name, value) in headers {
        let Some(name) = name.as_str().strip_prefix(PREFIX).filter(|name| !name.is_empty()) else { continue };
        if metadata.insert(name.to_owned(), decode_words(utf8(value, PREFIX)?)).is_some() {
            return Err(invalid(PREFIX, "A header is there more than once."));
        }
    }
    Ok(metadata)
}

/// A metadata value as a header's: printable ASCII as it is, all else as encoded words of UTF-8.
pub(crate) fn encode_value(value: &str) -> Option<HeaderValue> {
    if value.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return HeaderValue::from_str(value).ok();
    }
    let mut words = String::with_capacity(value.len() * 2);
    let mut rest = value;
    while !rest.is_empty() {
        let cut = (0..=WORD.min(rest.len())).rev().find(|&at| rest.is_char_boundary(at)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(cut);
        if !words.is_empty() {
            words.push(' ');
        }
        words.push_str("=?UTF-8?B?");
        STANDARD.encode_string(word, &mut words);
        words.push_str("?=");
        rest = after;
    }
    HeaderValue::from_str(&words).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sent(pairs: &[(&'static str, &[u8])]) -> BTreeMap<String, String> {
        read(pairs).unwrap()
    }

    fn read(pairs: &[(&'static str, &[u8])]) -> Result<BTreeMap<String, String>, S3Error> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_bytes(value).unwrap());
        }
        user_metadata(&headers)
    }

    #[test]
    fn names_lose_their_prefix_and_doubles_are_refused() {
        let metadata = sent(&[("x-amz-meta-a", b"1,2"), ("x-amz-acl", b"private"), ("x-amz-meta-b", b"")]);
        assert_eq!(metadata.into_iter().collect::<Vec<_>>(), [("a".into(), "1,2".into()), ("b".into(), String::new())]);
        assert!(read(&[("x-amz-meta-a", b"1"), ("x-amz-meta-a", b"2")]).is_err());
    }

    #[test]
    fn utf_8_comes_raw_or_in_words() {
        assert_eq!(sent(&[("x-amz-meta-a", "پاک".as_bytes())])["a"], "پاک");
        assert_eq!(sent(&[("x-amz-meta-a", b"=?UTF-8?B?2b7Yp9qp?=")])["a"], "پاک");
        assert_eq!(sent(&[("x-amz-meta-a", b"=?utf-8?q?a=C3=A4_b?=")])["a"], "aä b");
        for kept in ["=?", "=?UTF-8?X?a?=", "=?latin1?Q?=E4?=", "=?UTF-8?B?!!?=", "=?UTF-8?Q?=C3?=", "=?UTF-8?Q?=?="] {
            assert_eq!(sent(&[("x-amz-meta-a", kept.as_bytes())])["a"], kept);
        }
    }

    proptest! {
        #[test]
        fn any_value_comes_back(value in "\\PC{0,200}") {
            prop_assume!(!value.starts_with("=?"));
            let header = encode_value(&value).unwrap();
            prop_assert!(header.to_str().is_ok());
            prop_assert_eq!(decode_words(header.to_str().unwrap()), value);
        }
    }
}
