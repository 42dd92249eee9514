//! RFC 2047 encoded words, as which metadata outside ASCII travel in headers.

use base64::{Engine, engine::general_purpose::STANDARD};

/// Decodes encoded words of UTF-8; a text that is not made of them alone stays as it is.
pub fn decode_words(text: &str) -> String {
    if !text.starts_with("=?") {
        return text.to_owned();
    }
    let mut bytes = Vec::new();
    for word in text.split_ascii_whitespace() {
        match decode_word(word) {
            Some(decoded) => bytes.extend(decoded),
            None => return text.to_owned(),
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

/// `=?charset?B|Q?text?=` (RFC 2047 section 2).
fn decode_word(word: &str) -> Option<Vec<u8>> {
    let mut fields = word.strip_prefix("=?")?.strip_suffix("?=")?.split('?');
    let (charset, encoding, text) = (fields.next()?, fields.next()?, fields.next()?);
    if fields.next().is_some() || !(charset.eq_ignore_ascii_case("utf-8") || charset.eq_ignore_ascii_case("us-ascii")) {
        return None;
    }
    match encoding {
        "B" | "b" => STANDARD.decode(text).ok(),
        "Q" | "q" => percent_encoding_of_q(text),
        _ => None,
    }
}

/// The `Q` encoding: `_` is a space, `=XX` a byte.
fn percent_encoding_of_q(text: &str) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'_' => b' ',
            b'=' => {
                let mut out = [0];
                hex::decode_to_slice([bytes.next()?, bytes.next()?], &mut out).ok()?;
                out[0]
            }
            other => other,
        });
    }
    Some(decoded)
}
