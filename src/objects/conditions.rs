//! The conditions of reads, in the order of RFC 9110 section 13.2.2.

use crate::digest::ETag;
use crate::index::Summary;
use crate::objects::{ETagList, ObjectError, ReadCondition};

impl ETagList {
    fn contains(&self, etag: &ETag) -> bool {
        match self {
            Self::Any => true,
            Self::Tags(tags) => {
                let text = etag.to_string();
                tags.contains(&text)
            }
        }
    }
}

impl ReadCondition {
    /// Holds the conditions against an existing version.
    ///
    /// # Errors
    /// [`ObjectError::PreconditionFailed`] or [`ObjectError::NotModified`].
    pub(super) fn check(&self, found: &Summary) -> Result<(), ObjectError> {
        match (&self.if_match, self.if_unmodified_since) {
            (Some(tags), _) if !tags.contains(&found.etag) => {
                return Err(ObjectError::PreconditionFailed { condition: "If-Match" });
            }
            (None, Some(since)) if found.modified.seconds() > since.seconds() => {
                return Err(ObjectError::PreconditionFailed { condition: "If-Unmodified-Since" });
            }
            _ => {}
        }
        let unchanged = match (&self.if_none_match, self.if_modified_since) {
            (Some(tags), _) => tags.contains(&found.etag),
            (None, Some(since)) => found.modified.seconds() <= since.seconds(),
            (None, None) => false,
        };
        if unchanged {
            return Err(ObjectError::NotModified { etag: found.etag, modified: found.modified });
        }
        Ok(())
    }

    /// As [`ReadCondition::check`], for the source of a copy: S3 answers every failure with 412.
    pub(super) fn check_source(&self, found: &Summary) -> Result<(), ObjectError> {
        self.check(found).map_err(|error| match error {
            ObjectError::NotModified { .. } => ObjectError::PreconditionFailed {
                condition: "x-amz-copy-source-if-none-match or x-amz-copy-source-if-modified-since",
            },
            other => other,
        })
    }
}
