//! Bucket policies: the AWS policy language. IAM User Guide, "Grammar of the IAM JSON policy language".
//!
//! `read` turns a document into [`statement::Statement`]s, `check` holds them against the bucket, `public` says whether strangers
//! are let in, and [`BucketPolicy::decide`] asks every statement.

mod check;
mod condition;
mod ip;
mod json;
mod operator;
mod principal;
mod public;
mod read;
mod statement;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use self::statement::{Effect, Match, Statement};
use super::facts::Facts;
use crate::types::BucketName;

/// A bucket policy that has been checked. Keeps its text byte for byte and is stored as it. Cheap to clone.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BucketPolicy(Arc<Document>);

#[derive(Debug)]
struct Document {
    text: String,
    statements: Vec<Statement>,
    public: bool,
}

/// The document is no bucket policy, or not one of this bucket. S3 code `MalformedPolicy`, `400`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {problem}")]
pub struct MalformedPolicy {
    /// Where: `Statement[0].Condition`.
    pub place: String,
    /// What is wrong, and what would be right.
    pub problem: String,
}

/// What a policy says to one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Decision {
    /// A statement denies; the one that says so.
    Deny(String),
    /// Cannot be said without the object's tags.
    NeedsObject,
    /// A statement allows and none denies.
    Allow,
    /// No statement applies.
    Nothing,
}

impl BucketPolicy {
    /// The longest document, in bytes.
    pub const MAX_BYTES: usize = 20 * 1024;

    /// Takes the document that PutBucketPolicy sets on `bucket`.
    ///
    /// Stricter than reading a stored one: every resource has to cover the bucket or objects in it, and every action one of its
    /// statement's resources.
    ///
    /// # Errors
    /// [`MalformedPolicy`] says where and what.
    pub fn for_bucket(text: &str, bucket: &BucketName) -> Result<Self, MalformedPolicy> {
        let policy = Self::try_from(text.to_owned())?;
        check::against(&policy.0.statements, bucket)?;
        Ok(policy)
    }

    /// The document as it was set.
    pub fn text(&self) -> &str {
        &self.0.text
    }

    /// Whether it lets strangers in, by AWS's definition. Amazon S3 User Guide, "The meaning of 'public'".
    pub fn is_public(&self) -> bool {
        self.0.public
    }

    /// Asks every statement. A denial outweighs everything; an allowance does not hide that another statement needs the object.
    pub(super) fn decide(&self, facts: &Facts<'_>) -> Decision {
        let (mut allowed, mut needs_object) = (false, false);
        for statement in &self.0.statements {
            match (statement.applies(facts), statement.effect) {
                (Match::Yes, Effect::Deny) => return Decision::Deny(statement.name()),
                (Match::Yes, Effect::Allow) => allowed = true,
                (Match::NeedsObject, _) => needs_object = true,
                (Match::No, _) => {}
            }
        }
        match (needs_object, allowed) {
            (true, _) => Decision::NeedsObject,
            (false, true) => Decision::Allow,
            (false, false) => Decision::Nothing,
        }
    }
}

impl PartialEq for BucketPolicy {
    fn eq(&self, other: &Self) -> bool {
        self.0.text == other.0.text
    }
}

impl Eq for BucketPolicy {}

impl TryFrom<String> for BucketPolicy {
    type Error = MalformedPolicy;

    fn try_from(text: String) -> Result<Self, MalformedPolicy> {
        let statements = read::statements(&text)?;
        let public = public::is_public(&statements);
        Ok(Self(Arc::new(Document { text, statements, public })))
    }
}

impl From<BucketPolicy> for String {
    fn from(policy: BucketPolicy) -> Self {
        policy.text().to_owned()
    }
}

impl MalformedPolicy {
    fn at(place: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { place: place.into(), problem: problem.into() }
    }
}
