//! What documents share: elements that may be there, numbers, dates, truth values.

use std::borrow::Cow;

use crate::s3::errors::{Code, S3Error};
use crate::s3::xml::Element;
use crate::types::Timestamp;

/// The document is not what S3's schema says.
pub(super) fn malformed(why: impl Into<Cow<'static, str>>) -> S3Error {
    S3Error::with(Code::MalformedXml, why)
}

/// Checks that an element has no children but those named: `once` at most once each, `often` any number of times.
pub(super) fn check_children(element: &Element, once: &[&str], often: &[&str]) -> Result<(), S3Error> {
    for (position, child) in element.children.iter().enumerate() {
        let name = child.name.as_str();
        let repeated = || element.children[..position].iter().any(|earlier| earlier.name == name);
        if !often.contains(&name) && (!once.contains(&name) || repeated()) {
            return Err(malformed(format!("`{name}` is not expected here in `{}`.", element.name)));
        }
    }
    Ok(())
}

/// The children of that name.
pub(super) fn all<'a>(element: &'a Element, name: &'a str) -> impl Iterator<Item = &'a Element> {
    element.children.iter().filter(move |child| child.name == name)
}

/// The texts of the children of that name.
pub(super) fn texts(element: &Element, name: &str) -> Vec<String> {
    all(element, name).map(|child| child.text.clone()).collect()
}

/// A whole number, if there is one. Negative numbers are read as 0, which no setting of ours takes.
pub(super) fn number(element: &Element, name: &str) -> Result<Option<u32>, S3Error> {
    let Some(text) = element.child_text(name) else { return Ok(None) };
    let number: i32 = text.trim().parse().map_err(|_| malformed(format!("`{name}` must be a whole number.")))?;
    Ok(Some(u32::try_from(number).unwrap_or(0)))
}

/// A truth value, if there is one.
pub(super) fn truth(element: &Element, name: &str) -> Result<Option<bool>, S3Error> {
    match element.child_text(name).map(str::trim) {
        None => Ok(None),
        Some(text) if text.eq_ignore_ascii_case("true") => Ok(Some(true)),
        Some(text) if text.eq_ignore_ascii_case("false") => Ok(Some(false)),
        Some(_) => Err(malformed(format!("`{name}` must be `true` or `false`."))),
    }
}

/// A date, if there is one: a day, or a point in time of RFC 3339.
pub(super) fn date(element: &Element, name: &str) -> Result<Option<Timestamp>, S3Error> {
    let Some(text) = element.child_text(name).map(str::trim) else { return Ok(None) };
    let date = Timestamp::parse_rfc3339(text).or_else(|| Timestamp::parse_rfc3339(&format!("{text}T00:00:00Z")));
    date.map(Some).ok_or_else(|| malformed(format!("`{name}` must be a date as ISO 8601 writes it.")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::s3::xml::parse;

    fn element(inside: &str) -> Element {
        parse(format!("<R>{inside}</R>").as_bytes(), "R").unwrap()
    }

    #[test]
    fn children_are_known_and_some_come_once() {
        let check = |inside: &str| check_children(&element(inside), &["A", "B"], &["C"]).is_ok();
        assert!(check("<B/><A/><C/><C/>"));
        assert!(check(""));
        assert!(!check("<A/><A/>"));
        assert!(!check("<a/>"));
    }

    #[test]
    fn numbers_are_32_bits_and_negative_ones_nothing() {
        let read = |text: &str| number(&element(&format!("<N>{text}</N>")), "N");
        assert_eq!(read(" 7\n").unwrap(), Some(7));
        assert_eq!(read("-1").unwrap(), Some(0));
        assert_eq!(read("2147483647").unwrap(), Some(i32::MAX.cast_unsigned()));
        assert_eq!(number(&element(""), "N").unwrap(), None);
        for wrong in ["", "1.5", "2147483648", "x", "0x1"] {
            assert_eq!(read(wrong).unwrap_err().code(), Code::MalformedXml, "{wrong}");
        }
    }

    #[test]
    fn dates_are_days_or_points_in_time() {
        let read = |text: &str| date(&element(&format!("<D>{text}</D>")), "D");
        let midnight = Timestamp::from_seconds(1_893_456_000);
        for text in ["2030-01-01", "2030-01-01T00:00:00Z", "2030-01-01T01:00:00.000+01:00", "2030-01-01T00:00:00.000000Z"] {
            assert_eq!(read(text).unwrap(), Some(midnight), "{text}");
        }
        for wrong in ["", "20300101", "2030-13-01", "tomorrow", "2030-01-01T00:00:00"] {
            assert_eq!(read(wrong).unwrap_err().code(), Code::MalformedXml, "{wrong}");
        }
    }
}
