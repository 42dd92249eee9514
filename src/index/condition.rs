//! Conditions of writes.

use super::{CommitError, Summary};
use crate::digest::ETag;

/// What must hold of the current record for a write to happen (RFC 9110 section 13.1).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum WriteCondition {
    /// Nothing.
    #[default]
    None,
    /// `If-None-Match: *`: there is none.
    IfAbsent,
    /// `If-None-Match`: none of these ETags is the current one.
    IfNoneMatch(Vec<ETag>),
    /// `If-Match: *`: there is one.
    IfPresent,
    /// `If-Match`: it has one of these ETags.
    IfMatch(Vec<ETag>),
}

impl WriteCondition {
    /// Whether it holds of what a write finds.
    pub(super) fn check(&self, found: Option<&Summary>) -> Result<(), CommitError> {
        let holds = match self {
            Self::None => true,
            Self::IfAbsent => found.is_none(),
            Self::IfNoneMatch(etags) => found.is_none_or(|summary| !etags.contains(&summary.etag)),
            Self::IfPresent => found.is_some(),
            Self::IfMatch(etags) => match found {
                Some(summary) => !summary.delete_marker && etags.contains(&summary.etag),
                // S3 answers 404 to If-Match on an absent key.
                None => return Err(CommitError::NoSuchKey),
            },
        };
        if holds { Ok(()) } else { Err(CommitError::PreconditionFailed) }
    }
}
