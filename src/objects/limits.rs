//! The limits of S3 ("Amazon S3 objects, multipart upload limits" in the User Guide) and the checks that need nothing else.

use std::collections::BTreeMap;

use crate::objects::ObjectError;

/// The largest body of one PutObject, UploadPart or CopyObject, in bytes.
pub const MAX_BODY: u64 = 5 << 30;
/// The largest object that parts can make, in bytes.
pub const MAX_OBJECT: u64 = 50 << 40;
/// The smallest part but the last, in bytes.
pub const MIN_PART: u64 = 5 << 20;
/// The highest part number.
pub const MAX_PARTS: u32 = 10_000;
/// Names and values of user metadata together, in bytes.
pub const MAX_METADATA: usize = 2048;
/// Tags of one object.
pub const MAX_TAGS: usize = 10;
/// Keys of one DeleteObjects.
pub const MAX_DELETES: usize = 1000;

/// Checks the size of user metadata.
pub(super) fn check_metadata(metadata: &BTreeMap<String, String>) -> Result<(), ObjectError> {
    let size = metadata.iter().map(|(name, value)| name.len() + value.len()).sum();
    if size > MAX_METADATA {
        return Err(ObjectError::MetadataTooLarge { size, max: MAX_METADATA });
    }
    Ok(())
}

/// Checks number, length and uniqueness of tags. Lengths count UTF-16 code units, as S3 does.
pub(super) fn check_tags(tags: &[(String, String)]) -> Result<(), ObjectError> {
    let units = |text: &str| text.encode_utf16().count();
    if tags.len() > MAX_TAGS {
        return Err(ObjectError::InvalidTag { message: "an object has at most 10 tags" });
    }
    for (position, (name, value)) in tags.iter().enumerate() {
        if name.is_empty() || units(name) > 128 {
            return Err(ObjectError::InvalidTag { message: "a tag key has 1 to 128 characters" });
        }
        if units(value) > 256 {
            return Err(ObjectError::InvalidTag { message: "a tag value has at most 256 characters" });
        }
        if name.starts_with("aws:") {
            return Err(ObjectError::InvalidTag { message: "tag keys that begin with `aws:` are reserved" });
        }
        if tags[..position].iter().any(|(earlier, _)| earlier == name) {
            return Err(ObjectError::InvalidTag { message: "a tag key may be given only once" });
        }
    }
    Ok(())
}

/// Checks the declared length of a body.
pub(super) fn check_length(size: u64) -> Result<(), ObjectError> {
    if size > MAX_BODY { Err(ObjectError::EntityTooLarge { size, max: MAX_BODY }) } else { Ok(()) }
}

/// Checks a part's number.
pub(super) fn check_part_number(number: u32) -> Result<(), ObjectError> {
    if (1..=MAX_PARTS).contains(&number) {
        return Ok(());
    }
    Err(ObjectError::InvalidArgument { name: "partNumber", message: format!("{number} is not between 1 and {MAX_PARTS}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_counted_measured_and_unique() {
        let tag = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert!(check_tags(&[tag("a", ""), tag("b", &"گ".repeat(256))]).is_ok());
        let eleven: Vec<_> = (0..11).map(|n| tag(&n.to_string(), "")).collect();
        for wrong in [vec![tag("", "x")], vec![tag("a", "1"), tag("a", "2")], vec![tag("aws:x", "")], eleven] {
            assert!(matches!(check_tags(&wrong), Err(ObjectError::InvalidTag { .. })));
        }
    }

    #[test]
    fn metadata_counts_names_and_values() {
        let metadata = |bytes: usize| BTreeMap::from([("n".to_owned(), "v".repeat(bytes))]);
        assert!(check_metadata(&metadata(MAX_METADATA - 1)).is_ok());
        assert!(check_metadata(&metadata(MAX_METADATA)).is_err());
    }
}
