//! Percent-encoding, strict where the `percent-encoding` crate is lenient: a broken escape is an error, never data.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// What S3 leaves as it is under `encoding-type=url`: RFC 3986's unreserved characters, `/` and `*`.
const LISTING: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'/').remove(b'*');

/// Decodes `%XX`; `None` when an escape is broken or the result is not UTF-8.
pub(super) fn decode(text: &str) -> Option<Cow<'_, str>> {
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' && !(bytes.next()?.is_ascii_hexdigit() && bytes.next()?.is_ascii_hexdigit()) {
            return None;
        }
    }
    percent_decode_str(text).decode_utf8().ok()
}

/// Like [`decode`], with `+` for a space as in forms and query strings.
pub(super) fn decode_form(text: &str) -> Option<Cow<'_, str>> {
    if text.contains('+') {
        return decode(&text.replace('+', " ")).map(|decoded| Cow::Owned(decoded.into_owned()));
    }
    decode(text)
}

/// Encodes a key, prefix or marker for a listing with `encoding-type=url`.
pub(super) fn encode(text: &str) -> Cow<'_, str> {
    utf8_percent_encode(text, LISTING).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoding_then_decoding_gives_the_text_back() {
        for text in ["", "a b+c", "گلگت/ä\u{1}\n%", "..//./~", "%41"] {
            assert_eq!(decode(&encode(text)).unwrap(), text);
            assert_eq!(decode_form(&encode(text)).unwrap(), text);
        }
        assert_eq!(encode("a b/c*d"), "a%20b/c*d");
    }

    #[test]
    fn plus_is_a_space_in_forms_only() {
        assert_eq!(decode("a+b").unwrap(), "a+b");
        assert_eq!(decode_form("a+b%2B").unwrap(), "a b+");
    }

    #[test]
    fn only_whole_escapes_of_utf_8_are_taken() {
        for wrong in ["%", "%4", "%4g", "a%", "%ff", "%c3%28", "%-1"] {
            assert_eq!(decode(wrong), None, "{wrong}");
        }
    }
}
