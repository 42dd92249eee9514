//! Percent-encoding as Signature Version 4 wants it, and the query string read as S3 reads it.

use std::borrow::Cow;

/// The name and value pairs of a query string, decoded: `%XX` and `+` (a space), as they are signed. What is not UTF-8 after
/// decoding is replaced by U+FFFD. A name without `=` has an empty value; empty pairs are skipped.
///
/// Routers should read queries through this, so that what is served is what was signed.
#[derive(Debug, Clone)]
pub struct QueryPairs<'a>(std::str::Split<'a, char>);

impl<'a> QueryPairs<'a> {
    /// Reads the part of a URI after `?`.
    pub fn new(query: &'a str) -> Self {
        Self(query.split('&'))
    }
}

impl<'a> Iterator for QueryPairs<'a> {
    type Item = (Cow<'a, str>, Cow<'a, str>);

    fn next(&mut self) -> Option<Self::Item> {
        let pair = self.0.find(|pair| !pair.is_empty())?;
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        Some((decode(name), decode(value)))
    }
}

fn decode(text: &str) -> Cow<'_, str> {
    if !text.bytes().any(|b| matches!(b, b'%' | b'+')) {
        return Cow::Borrowed(text);
    }
    let bytes: Vec<u8> = DecodedBytes { rest: text.as_bytes(), plus_is_space: true }.collect();
    Cow::Owned(String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}

/// What `encode` does with the characters on which a path and a query differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// `/` stays, `+` is itself.
    Path,
    /// `/` becomes `%2F`, `+` is a space.
    Query,
}

/// Appends the canonical encoding of `raw`: decoded once, then everything but unreserved characters as `%XX`, upper case. Any two
/// spellings of the same bytes come out the same.
pub(super) fn encode(raw: &[u8], place: Place, out: &mut Vec<u8>) {
    const HEX: [u8; 16] = *b"0123456789ABCDEF";
    for byte in (DecodedBytes { rest: raw, plus_is_space: place == Place::Query }) {
        let unreserved = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
        if unreserved || (byte == b'/' && place == Place::Path) {
            out.push(byte);
        } else {
            out.extend_from_slice(&[b'%', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
        }
    }
}

/// Appends the canonical query string: every pair encoded, sorted by encoded name, then value. `leave_out` names a pair that is not
/// signed.
pub(super) fn encode_query(query: &str, leave_out: Option<&str>, out: &mut Vec<u8>) {
    if query.is_empty() {
        return;
    }
    let mut encoded = Vec::with_capacity(query.len().saturating_add(64));
    let mut pairs = Vec::with_capacity(16);
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let start = encoded.len();
        encode(name.as_bytes(), Place::Query, &mut encoded);
        let middle = encoded.len();
        if leave_out.is_some_and(|name| name.as_bytes() == &encoded[start..]) {
            encoded.truncate(start);
            continue;
        }
        encode(value.as_bytes(), Place::Query, &mut encoded);
        pairs.push((start..middle, middle..encoded.len()));
    }
    pairs.sort_unstable_by(|a, b| {
        let bytes =
            |pair: &(std::ops::Range<usize>, std::ops::Range<usize>)| (&encoded[pair.0.clone()], &encoded[pair.1.clone()]);
        bytes(a).cmp(&bytes(b))
    });
    for (index, (name, value)) in pairs.into_iter().enumerate() {
        if index > 0 {
            out.push(b'&');
        }
        out.extend_from_slice(&encoded[name]);
        out.push(b'=');
        out.extend_from_slice(&encoded[value]);
    }
}

/// The bytes that a percent-encoded text stands for. A `%` that no two hex digits follow stands for itself.
struct DecodedBytes<'a> {
    rest: &'a [u8],
    plus_is_space: bool,
}

impl Iterator for DecodedBytes<'_> {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        let (&first, rest) = self.rest.split_first()?;
        self.rest = rest;
        match first {
            b'%' => {
                if let [high, low, after @ ..] = rest
                    && let (Some(high), Some(low)) = (hex_digit(*high), hex_digit(*low))
                {
                    self.rest = after;
                    return Some(high << 4 | low);
                }
                Some(b'%')
            }
            b'+' if self.plus_is_space => Some(b' '),
            byte => Some(byte),
        }
    }
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn canonical(query: &str) -> String {
        let mut out = Vec::new();
        encode_query(query, Some("X-Amz-Signature"), &mut out);
        String::from_utf8(out).unwrap()
    }

    fn path(raw: &str) -> String {
        let mut out = Vec::new();
        encode(raw.as_bytes(), Place::Path, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn sorts_by_encoded_name_then_value() {
        assert_eq!(canonical("b=2&a=2&a=1&acl"), "a=1&a=2&acl=&b=2");
        // By name and value apart: `-` sorts before `=`, but the name `a` still comes before `a-b`.
        assert_eq!(canonical("a-b=1&a=1"), "a=1&a-b=1");
        // By the encoded bytes: `%` of the encoded letter sorts before the plain one.
        assert_eq!(canonical("z=1&%C3%A9=1"), "%C3%A9=1&z=1");
        assert_eq!(canonical("prefix=a/b+c%20d&&delimiter=%2f"), "delimiter=%2F&prefix=a%2Fb%20c%20d");
        assert_eq!(canonical("X-Amz-Signature=ab&x=%"), "x=%25");
        assert_eq!(canonical("%58-Amz-Signature=ab&a=b=c"), "a=b%3Dc");
    }

    #[test]
    fn paths_are_encoded_once_and_not_normalised() {
        assert_eq!(path("/a//b/../c/./"), "/a//b/../c/./");
        assert_eq!(path("/%2525"), "/%2525");
        assert_eq!(path("/test%24file.text"), "/test%24file.text");
        assert_eq!(path("/test$file+(1)~.text"), "/test%24file%2B%281%29~.text");
        assert_eq!(path("/%e2%82%ac"), "/%E2%82%AC");
        assert_eq!(path("/100%"), "/100%25");
    }

    #[test]
    fn pairs_are_decoded() {
        let pairs: Vec<_> = QueryPairs::new("a=1&b&&c=%20+%zz&d=%ff").collect();
        let expected = [("a", "1"), ("b", ""), ("c", "  %zz"), ("d", "\u{fffd}")];
        assert_eq!(pairs, expected.map(|(name, value)| (name.into(), value.into())));
    }

    proptest! {
        #[test]
        fn encoding_is_idempotent(raw in proptest::collection::vec(any::<u8>(), 0..64)) {
            for place in [Place::Path, Place::Query] {
                let (mut once, mut twice) = (Vec::new(), Vec::new());
                encode(&raw, place, &mut once);
                encode(&once, place, &mut twice);
                prop_assert_eq!(once, twice);
            }
        }
    }
}
