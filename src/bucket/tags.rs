//! The rules for tags of objects and of buckets.

/// Tags of one object.
pub const MAX_OBJECT_TAGS: usize = 10;
/// Tags of one bucket.
pub const MAX_BUCKET_TAGS: usize = 50;

/// The rule that a tag, or their number, breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidTag(pub &'static str);

/// Checks the tags of an object.
pub fn check_object_tags(tags: &[(String, String)]) -> Result<(), InvalidTag> {
    if tags.len() > MAX_OBJECT_TAGS {
        return Err(InvalidTag("an object has at most 10 tags"));
    }
    check(tags)
}

/// Checks the tags of a bucket.
pub fn check_bucket_tags(tags: &[(String, String)]) -> Result<(), InvalidTag> {
    if tags.len() > MAX_BUCKET_TAGS {
        return Err(InvalidTag("a bucket has at most 50 tags"));
    }
    check(tags)
}

/// Checks tags whose number does not matter. Lengths count UTF-16 code units, as S3 does.
pub(super) fn check(tags: &[(String, String)]) -> Result<(), InvalidTag> {
    let units = |text: &str| text.encode_utf16().count();
    for (position, (key, value)) in tags.iter().enumerate() {
        if key.is_empty() || units(key) > 128 {
            return Err(InvalidTag("a tag key has 1 to 128 characters"));
        }
        if units(value) > 256 {
            return Err(InvalidTag("a tag value has at most 256 characters"));
        }
        if key.starts_with("aws:") {
            return Err(InvalidTag("tag keys that begin with `aws:` are reserved"));
        }
        if !key.chars().chain(value.chars()).all(allowed) {
            return Err(InvalidTag("a tag has letters, digits, spaces and `+ - = . _ : / @`"));
        }
        if tags[..position].iter().any(|(earlier, _)| earlier == key) {
            return Err(InvalidTag("a tag key may be given only once"));
        }
    }
    Ok(())
}

/// Letters and digits of any script, separators, and a few signs.
fn allowed(character: char) -> bool {
    let separator = character.is_whitespace() && !character.is_control();
    character.is_alphanumeric() || separator || "+-=._:/@".contains(character)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(key: &str, value: &str) -> (String, String) {
        (key.to_owned(), value.to_owned())
    }

    fn numbered(count: usize) -> Vec<(String, String)> {
        (0..count).map(|n| tag(&n.to_string(), "")).collect()
    }

    #[test]
    fn objects_have_ten_and_buckets_fifty() {
        assert!(check_object_tags(&numbered(10)).is_ok());
        assert!(check_object_tags(&numbered(11)).is_err());
        assert!(check_bucket_tags(&numbered(50)).is_ok());
        assert!(check_bucket_tags(&numbered(51)).is_err());
    }

    #[test]
    fn keys_and_values_are_measured_in_what_s3_counts() {
        let wide = "\u{10400}"; // one letter, two UTF-16 code units
        for (key, value, fits) in [
            ("k".repeat(128), "v".repeat(256), true),
            ("گ".repeat(128), "گ".repeat(256), true),
            (wide.repeat(64), wide.repeat(128), true),
            (String::new(), String::new(), false),
            ("k".repeat(129), String::new(), false),
            ("k".to_owned(), "v".repeat(257), false),
            (wide.repeat(65), String::new(), false),
        ] {
            assert_eq!(check_object_tags(&[tag(&key, &value)]).is_ok(), fits, "{key} {value}");
        }
    }

    #[test]
    fn keys_are_unique_and_aws_has_its_own() {
        assert!(check_object_tags(&[tag("a", "1"), tag("A", "1")]).is_ok());
        assert!(check_object_tags(&[tag("a", "1"), tag("a", "2")]).is_err());
        assert!(check_object_tags(&[tag("aws:cloudformation", "x")]).is_err());
        assert!(check_object_tags(&[tag("my-aws:x", "aws:")]).is_ok());
    }

    #[test]
    fn characters_are_letters_digits_spaces_and_some_signs() {
        assert!(check_object_tags(&[tag("Größe 1+2-3=a.b_c:d/e@f", "データ ۱۲")]).is_ok());
        for wrong in ["a&b", "a<b", "a\tb", "a\nb", "a#b", "a\u{0}", "💩"] {
            assert!(check_object_tags(&[tag("k", wrong)]).is_err(), "{wrong:?}");
            assert!(check_object_tags(&[tag(wrong, "v")]).is_err(), "{wrong:?}");
        }
    }
}
