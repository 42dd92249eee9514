//! The rules for tags of objects and of buckets.

use crate::bucket::SettingError;

/// Tags of one object.
pub const MAX_OBJECT_TAGS: usize = 10;
/// Tags of one bucket.
pub const MAX_BUCKET_TAGS: usize = 50;

/// Checks the tags of an object.
pub fn check_object_tags(tags: &[(String, String)]) -> Result<(), SettingError> {
    check(tags, MAX_OBJECT_TAGS)
}

/// Checks the tags of a bucket.
pub fn check_bucket_tags(tags: &[(String, String)]) -> Result<(), SettingError> {
    check(tags, MAX_BUCKET_TAGS)
}

fn check(_tags: &[(String, String)], _most: usize) -> Result<(), SettingError> {
    todo!()
}
