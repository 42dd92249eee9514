//! What stands before a form and before each of its parts: the boundary, and the names of the part's field and file.

use http::HeaderMap;

use super::decoder::FormError;
use crate::s3::errors::{Code, S3Error};
use crate::s3::headers::text;

/// The longest boundary (RFC 2046 section 5.1.1).
const MAX_BOUNDARY: usize = 70;

/// What the head of a part says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PartHead {
    /// The field's name.
    pub(super) name: String,
    /// The name of the file that the field's value comes from.
    pub(super) filename: Option<String>,
}

/// The boundary of a form.
///
/// # Errors
/// `RequestIsNotMultiPartContent` when the request's `Content-Type` is not that of a form.
pub(super) fn boundary(headers: &HeaderMap) -> Result<String, S3Error> {
    let found = text(headers, "content-type")?.and_then(|value| {
        let (kind, parameters) = split(value)?;
        kind.eq_ignore_ascii_case("multipart/form-data").then(|| take(parameters, "boundary")).flatten()
    });
    let fits = |boundary: &String| {
        (1..=MAX_BOUNDARY).contains(&boundary.len())
            && boundary.bytes().all(|byte| matches!(byte, b' '..=b'~'))
            && !boundary.ends_with(' ')
    };
    found.filter(fits).ok_or_else(|| S3Error::new(Code::RequestIsNotMultiPartContent))
}

impl PartHead {
    /// Reads the lines of a part's head, without the empty one at its end.
    pub(super) fn parse(head: &[u8]) -> Result<Self, FormError> {
        let head = std::str::from_utf8(head).map_err(|_| FormError("the head of a part is not UTF-8"))?;
        let mut disposition = None;
        for line in head.split("\r\n").filter(|line| !line.is_empty()) {
            let (name, value) = line.split_once(':').ok_or(FormError("a line in the head of a part is not `name: value`"))?;
            match name.to_ascii_lowercase().as_str() {
                "content-disposition" if disposition.is_some() => return Err(FormError("a part has two dispositions")),
                "content-disposition" => disposition = Some(value),
                "content-transfer-encoding" if !is_plain(value) => return Err(FormError("a part has a transfer encoding")),
                _ => {}
            }
        }
        let unnamed = FormError("a part has no `Content-Disposition: form-data; name=\"…\"`");
        let (kind, mut parameters) = disposition.and_then(split).ok_or(unnamed)?;
        if !kind.eq_ignore_ascii_case("form-data") {
            return Err(unnamed);
        }
        let position = parameters.iter().position(|(name, _)| name == "filename");
        let filename = position.map(|at| parameters.swap_remove(at).1);
        Ok(Self { name: take(parameters, "name").ok_or(unnamed)?, filename })
    }
}

/// Whether the bytes of a part are what they look like (RFC 2045 section 6.2).
fn is_plain(encoding: &str) -> bool {
    ["7bit", "8bit", "binary"].iter().any(|plain| encoding.trim().eq_ignore_ascii_case(plain))
}

type Parameters = Vec<(String, String)>;

/// A value and its parameters, names in lower case: `kind; name=value; name="value"`. `None` when it cannot be read or names a
/// parameter twice.
fn split(text: &str) -> Option<(&str, Parameters)> {
    let (kind, mut rest) = text.split_at(text.find(';').unwrap_or(text.len()));
    let mut parameters = Parameters::new();
    while let Some(after) = rest.strip_prefix(';') {
        let parameter = after.trim_start();
        if parameter.is_empty() {
            break;
        }
        let (name, value) = parameter.split_once('=')?;
        let name = name.trim().to_ascii_lowercase();
        let (value, after) = match value.strip_prefix('"') {
            Some(quoted) => unquote(quoted)?,
            None => {
                let (token, after) = value.split_at(value.find(';').unwrap_or(value.len()));
                (token.trim().to_owned(), after)
            }
        };
        if parameters.iter().any(|(known, _)| *known == name) {
            return None;
        }
        parameters.push((name, value));
        rest = after.trim_start();
    }
    (rest.is_empty() || rest.starts_with(';')).then_some((kind.trim(), parameters))
}

/// A quoted text behind its first quote, and what follows it. Browsers write `%22` for a quote, others `\"`; a backslash before anything
/// else is itself, since some give whole paths.
fn unquote(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut rest = text;
    loop {
        let at = rest.find('"')?;
        let (before, after) = (rest.get(..at)?, rest.get(at + 1..)?);
        rest = after;
        match before.strip_suffix('\\') {
            Some(before) => {
                value.push_str(before);
                value.push('"');
            }
            None => {
                value.push_str(before);
                return Some((value, rest));
            }
        }
    }
}

fn take(parameters: Parameters, wanted: &str) -> Option<String> {
    parameters.into_iter().find(|(name, _)| name == wanted).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn of(content_type: &str) -> Option<String> {
        let headers = HeaderMap::from_iter([(http::header::CONTENT_TYPE, HeaderValue::from_str(content_type).unwrap())]);
        boundary(&headers).ok()
    }

    #[test]
    fn boundaries_are_tokens_or_quoted() {
        for (sent, expected) in [
            ("multipart/form-data; boundary=abc", Some("abc")),
            ("Multipart/Form-Data;charset=utf-8; Boundary=\"a b;c\"", Some("a b;c")),
            ("multipart/form-data; boundary=----WebKitFormBoundaryX;", Some("----WebKitFormBoundaryX")),
            ("multipart/form-data", None),
            ("multipart/form-data; boundary=", None),
            ("multipart/form-data; boundary=\"a \"", None),
            ("multipart/form-data; boundary=a; boundary=b", None),
            ("multipart/form-data; boundary=\"a", None),
            ("multipart/mixed; boundary=a", None),
            ("text/plain", None),
        ] {
            assert_eq!(of(sent).as_deref(), expected, "{sent}");
        }
        assert!(of(&format!("multipart/form-data; boundary={}", "a".repeat(70))).is_some());
        assert!(of(&format!("multipart/form-data; boundary={}", "a".repeat(71))).is_none());
        assert!(boundary(&HeaderMap::new()).is_err());
    }

    fn part(head: &str) -> Option<(String, Option<String>)> {
        PartHead::parse(head.as_bytes()).ok().map(|head| (head.name, head.filename))
    }

    #[test]
    fn parts_have_a_name_and_perhaps_a_file() {
        for (head, name, filename) in [
            ("Content-Disposition: form-data; name=\"key\"", "key", None),
            ("content-disposition:form-data;name=key", "key", None),
            ("Content-Type: a/b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a;b.txt\"", "f", Some("a;b.txt")),
            ("Content-Disposition: form-data; filename=\"C:\\dir\\a.txt\"; name=\"f\"", "f", Some("C:\\dir\\a.txt")),
            ("Content-Disposition: form-data; name=\"f\"; filename=\"a\\\"b\"", "f", Some("a\"b")),
            ("Content-Disposition: form-data; name=\"f\"; filename=\"پ\"\r\nContent-Transfer-Encoding: binary", "f", Some("پ")),
        ] {
            assert_eq!(part(head), Some((name.to_owned(), filename.map(str::to_owned))), "{head}");
        }
        for wrong in [
            "",
            "Content-Disposition: form-data",
            "Content-Disposition: attachment; name=\"a\"",
            "Content-Disposition: form-data; name=\"a",
            "Content-Disposition: form-data; name=\"a\" b",
            "Content-Disposition: form-data; name=\"a\"; name=\"b\"",
            "Content-Disposition: form-data; name=\"a\"\r\nContent-Disposition: form-data; name=\"b\"",
            "Content-Disposition: form-data; name=\"a\"\r\nContent-Transfer-Encoding: base64",
            "nonsense",
        ] {
            assert_eq!(part(wrong), None, "{wrong}");
        }
        assert!(PartHead::parse(b"Content-Disposition: form-data; name=\"\xff\"").is_err());
    }

    proptest! {
        #[test]
        fn no_head_panics(head in "[a-z\"\\\\;=: \r\n]{0,60}") {
            let _ = PartHead::parse(format!("Content-Disposition: form-data; {head}").as_bytes());
            let _ = PartHead::parse(head.as_bytes());
        }
    }
}
