//! The limits of S3 ("Amazon S3 objects, multipart upload limits" in the User Guide) and the checks that need nothing else.

use std::collections::BTreeMap;

use crate::bucket;
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

/// Checks the tags of an object.
pub(super) fn check_tags(tags: &[(String, String)]) -> Result<(), ObjectError> {
    bucket::check_object_tags(tags).map_err(|bucket::InvalidTag(message)| ObjectError::InvalidTag { message })
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
    fn metadata_counts_names_and_values() {
        let metadata = |bytes: usize| BTreeMap::from([("n".to_owned(), "v".repeat(bytes))]);
        assert!(check_metadata(&metadata(MAX_METADATA - 1)).is_ok());
        assert!(check_metadata(&metadata(MAX_METADATA)).is_err());
    }
}
