//! Bucket policies: the AWS policy language.

use serde::{Deserialize, Serialize};

use crate::types::BucketName;

/// A bucket policy that has been checked. Keeps its text byte for byte and is stored as it. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BucketPolicy(std::sync::Arc<str>);

/// The document is no bucket policy, or not one of this bucket. S3 code `MalformedPolicy`, `400`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {problem}")]
pub struct MalformedPolicy {
    /// Where: `Statement[0].Condition`.
    pub place: String,
    /// What is wrong, and what would be right.
    pub problem: String,
}

impl BucketPolicy {
    /// The longest document, in bytes.
    pub const MAX_BYTES: usize = 20 * 1024;

    /// Takes the document that PutBucketPolicy sets on `bucket`.
    ///
    /// # Errors
    /// [`MalformedPolicy`] says where and what.
    pub fn for_bucket(text: &str, bucket: &BucketName) -> Result<Self, MalformedPolicy> {
        todo!("{text} {bucket}")
    }

    /// The document as it was set.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// Whether it is public by AWS's definition. Amazon S3 User Guide, "The meaning of 'public'".
    pub fn is_public(&self) -> bool {
        todo!()
    }
}

impl TryFrom<String> for BucketPolicy {
    type Error = MalformedPolicy;

    fn try_from(_: String) -> Result<Self, MalformedPolicy> {
        todo!()
    }
}

impl From<BucketPolicy> for String {
    fn from(policy: BucketPolicy) -> Self {
        policy.text().to_owned()
    }
}
