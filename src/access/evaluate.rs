//! Whether a bucket's settings let a request through.

use super::{Acl, Action, BucketPolicy, Context, ObjectOwnership, PublicAccessBlock, acl::Asker, facts::Facts, policy::Decision};
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

/// Decides by the bucket's settings.
///
/// The policy of the bucket is asked first: what it denies is denied, whatever else allows it, save that the owner's account can
/// always get at the policy itself, and no other account ever can. What is left needs an allowance: of belonging to the account that owns what is asked for, of the
/// policy, or of an ACL.
///
/// For an object, call it first without `object`; on [`Verdict::NeedsObject`], again with it.
pub fn evaluate(
    request: &Request<'_>,
    bucket: &BucketAccess<'_>,
    object: Option<&ObjectAccess<'_>>,
    context: &dyn Context,
) -> Verdict {
    let own = request.caller.belongs_to(bucket.owner);
    if matches!(request.action, Action::GetBucketPolicy | Action::PutBucketPolicy | Action::DeleteBucketPolicy) {
        return granted(own);
    }
    let allowed = match bucket.policy {
        None => false,
        Some(policy) => {
            if !own && bucket.public_access.restrict_public_buckets && policy.is_public() {
                return Verdict::Deny(Denial::PublicAccessBlock);
            }
            match policy.decide(&Facts::new(request, bucket, object.is_some(), context)) {
                Decision::Deny(statement) => return Verdict::Deny(Denial::Policy { statement }),
                Decision::NeedsObject => return Verdict::NeedsObject,
                Decision::Allow => true,
                Decision::Nothing => false,
            }
        }
    };
    let asked = Asked { request, bucket, allowed_by_owner: own || allowed };
    match Authority::over(request.action) {
        Authority::Bucket => asked.of_bucket(),
        Authority::Upload => asked.of_bucket_or_owner(object),
        Authority::Tags if bucket.ownership.acls_enabled() => asked.of_bucket_or_owner(object),
        Authority::Object if bucket.ownership.acls_enabled() => asked.of_object(object),
        Authority::Deletion if bucket.ownership.acls_enabled() && asked.granted_by(bucket.acl) => {
            asked.of_bucket_or_owner(object)
        }
        Authority::Deletion | Authority::Tags | Authority::Object => granted(asked.allowed_by_owner),
    }
}

/// Who can grant an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Authority {
    /// The bucket's owner.
    Bucket,
    /// The bucket's owner, and the initiator of the upload for itself.
    Upload,
    /// The bucket's owner, and the object's owner who may write to the bucket.
    Deletion,
    /// The bucket's owner, and the object's owner for itself.
    Tags,
    /// The object's owner; the bucket's owner only if the object is its own.
    Object,
}

impl Authority {
    const fn over(action: Action) -> Self {
        match action {
            Action::AbortMultipartUpload | Action::ListMultipartUploadParts => Self::Upload,
            Action::DeleteObject | Action::DeleteObjectVersion => Self::Deletion,
            Action::GetObjectTagging
            | Action::GetObjectVersionTagging
            | Action::PutObjectTagging
            | Action::PutObjectVersionTagging
            | Action::DeleteObjectTagging
            | Action::DeleteObjectVersionTagging => Self::Tags,
            Action::GetObject
            | Action::GetObjectVersion
            | Action::GetObjectAcl
            | Action::GetObjectVersionAcl
            | Action::PutObjectAcl
            | Action::PutObjectVersionAcl
            | Action::GetObjectAttributes
            | Action::GetObjectVersionAttributes
            | Action::GetObjectTorrent
            | Action::GetObjectVersionTorrent => Self::Object,
            _ => Self::Bucket,
        }
    }
}

/// A request that nothing denies.
struct Asked<'a> {
    request: &'a Request<'a>,
    bucket: &'a BucketAccess<'a>,
    /// The bucket's owner asks, or its policy allows it.
    allowed_by_owner: bool,
}

impl Asked<'_> {
    fn of_bucket(&self) -> Verdict {
        granted(self.allowed_by_owner || (self.bucket.ownership.acls_enabled() && self.granted_by(self.bucket.acl)))
    }

    fn of_bucket_or_owner(&self, object: Option<&ObjectAccess<'_>>) -> Verdict {
        match object {
            _ if self.allowed_by_owner => Verdict::Allow,
            _ if *self.request.caller == Caller::Anonymous => Verdict::Deny(Denial::NotGranted),
            None => Verdict::NeedsObject,
            Some(object) => granted(self.request.caller.belongs_to(object.owner)),
        }
    }

    fn of_object(&self, object: Option<&ObjectAccess<'_>>) -> Verdict {
        let Some(object) = object else { return Verdict::NeedsObject };
        granted(
            self.request.caller.belongs_to(object.owner)
                || (self.allowed_by_owner && object.owner == self.bucket.owner)
                || self.granted_by(object.acl),
        )
    }

    fn granted_by(&self, acl: &Acl) -> bool {
        let asker = Asker { caller: self.request.caller, ignore_public: self.bucket.public_access.ignore_public_acls };
        acl.grants(asker, self.request.action)
    }
}

const fn granted(granted: bool) -> Verdict {
    if granted { Verdict::Allow } else { Verdict::Deny(Denial::NotGranted) }
}

impl Caller {
    /// A principal of an account, with its ARN.
    pub fn principal(account: AccountId, principal: PrincipalId) -> Self {
        let arn = format!("arn:aws:iam::{account}:user/{principal}");
        Self::Account { account, principal, arn }
    }

    /// Whether it is a principal of that account.
    pub fn belongs_to(&self, account: &AccountId) -> bool {
        matches!(self, Self::Account { account: own, .. } if own == account)
    }
}

impl BucketAccess<'_> {
    /// Whether its policy or, while ACLs are on, its ACL is public: what GetBucketPolicyStatus answers.
    pub fn is_public(&self) -> bool {
        self.policy.is_some_and(BucketPolicy::is_public) || (self.ownership.acls_enabled() && self.acl.is_public())
    }
}
