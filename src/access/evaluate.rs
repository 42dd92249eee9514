//! Whether a bucket's settings let a request through.

use super::{Acl, Action, BucketPolicy, Context, ObjectOwnership, PublicAccessBlock};
use crate::types::{AccountId, BucketName, ObjectKey, PrincipalId};

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// Nobody in particular: the request is not signed.
    Anonymous,
    /// A principal.
    Account {
        /// Whose principal it is.
        account: AccountId,
        /// The principal.
        principal: PrincipalId,
        /// Its ARN: `arn:aws:iam::<account>:user/<principal>`.
        arn: String,
    },
}

/// What is asked.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// Who asks.
    pub caller: &'a Caller,
    /// What for.
    pub action: Action,
    /// Of which bucket.
    pub bucket: &'a BucketName,
    /// Of which object in it; `None` for an action on the bucket.
    pub key: Option<&'a ObjectKey>,
}

/// What a bucket says about access to it.
#[derive(Debug, Clone, Copy)]
pub struct BucketAccess<'a> {
    /// Whose bucket it is.
    pub owner: &'a AccountId,
    /// Its policy, if it has one.
    pub policy: Option<&'a BucketPolicy>,
    /// Its ACL. Not asked while [`Self::ownership`] turns ACLs off.
    pub acl: &'a Acl,
    /// Its public access block; [`PublicAccessBlock::NONE`] if it has none.
    pub public_access: PublicAccessBlock,
    /// Its object ownership.
    pub ownership: ObjectOwnership,
}

/// What an object, or an unfinished upload, says about access to it.
#[derive(Debug, Clone, Copy)]
pub struct ObjectAccess<'a> {
    /// Whose it is; of an upload, its initiator's.
    pub owner: &'a AccountId,
    /// Its ACL. Not asked while the bucket turns ACLs off.
    pub acl: &'a Acl,
}

/// What comes of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It may pass.
    Allow,
    /// It may not.
    Deny(Denial),
    /// The object has to be asked: look it up and evaluate again with it. Only without an object. When there is none, who may
    /// `s3:ListBucket` (with `s3:prefix` the key) learns so, and all others are denied.
    NeedsObject,
}

/// Why a request may not pass. S3 code `AccessDenied`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Denial {
    /// A statement of the bucket policy denies it.
    #[error("the bucket policy denies it explicitly")]
    Policy {
        /// The statement's `Sid`, or its place in the policy.
        statement: String,
    },
    /// The bucket's policy is public, and the bucket restricts public access.
    #[error("the bucket's public access block lets in only the owner's account")]
    PublicAccessBlock,
    /// Nothing allows it.
    #[error("neither the bucket policy nor an ACL allows it")]
    NotGranted,
}

/// Decides.
pub fn evaluate(
    request: &Request<'_>,
    bucket: &BucketAccess<'_>,
    object: Option<&ObjectAccess<'_>>,
    context: &dyn Context,
) -> Verdict {
    todo!("{request:?} {bucket:?} {object:?} {}", context.now())
}
