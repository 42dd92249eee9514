//! What is known of subjects.

use crate::types::{Attributes, Generation, SubjectId};

/// What the directory holds about one subject.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DirectoryEntry {
    /// What is known.
    pub attributes: Attributes,
    /// Counts the changes; a placement made under one generation does not commit under another without being decided again.
    pub generation: Generation,
}

/// The directory could not be read.
#[derive(Debug, thiserror::Error)]
#[error("the subject directory cannot be read")]
pub struct DirectoryError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// The subject directory. Looked up on every write, so it must answer from memory or from a local index.
pub trait Directory: Send + Sync + 'static {
    /// The entry of a subject; `None` when the directory does not know it.
    fn lookup(&self, subject: &SubjectId) -> Result<Option<DirectoryEntry>, DirectoryError>;
}
