//! ACLs that have a name.

use super::{Acl, Grant, Grantee, Group, InvalidAcl, Permission};
use crate::types::AccountId;

/// The canned ACLs of `x-amz-acl`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CannedAcl {
    /// Only the owner.
    Private,
    /// Everybody reads.
    PublicRead,
    /// Everybody reads and writes.
    PublicReadWrite,
    /// Everybody with a signature reads.
    AuthenticatedRead,
    /// Amazon EC2 reads: an AWS service, so here only the owner.
    AwsExecRead,
    /// The bucket's owner reads the object; on a bucket, as [`Self::Private`].
    BucketOwnerRead,
    /// The bucket's owner has full control of the object; on a bucket, as [`Self::Private`].
    BucketOwnerFullControl,
    /// What writes access logs may write; for buckets.
    LogDeliveryWrite,
}

impl CannedAcl {
    const ALL: [(&'static str, Self); 8] = [
        ("private", Self::Private),
        ("public-read", Self::PublicRead),
        ("public-read-write", Self::PublicReadWrite),
        ("authenticated-read", Self::AuthenticatedRead),
        ("aws-exec-read", Self::AwsExecRead),
        ("bucket-owner-read", Self::BucketOwnerRead),
        ("bucket-owner-full-control", Self::BucketOwnerFullControl),
        ("log-delivery-write", Self::LogDeliveryWrite),
    ];

    /// The one of that name, as it stands in `x-amz-acl`.
    ///
    /// # Errors
    /// [`InvalidAcl::Canned`].
    pub fn parse(text: &str) -> Result<Self, InvalidAcl> {
        let found = Self::ALL.iter().find(|(name, _)| *name == text).map(|(_, acl)| *acl);
        found.ok_or_else(|| InvalidAcl::Canned(text.chars().take(64).collect()))
    }

    /// The name, as it stands in `x-amz-acl`.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(_, acl)| *acl == self).map_or("private", |(name, _)| name)
    }

    /// The ACL of a bucket that it stands for.
    pub fn for_bucket(self, owner: &AccountId) -> Acl {
        self.grants(owner, None)
    }

    /// The ACL of an object that it stands for, in a bucket of `bucket_owner`.
    pub fn for_object(self, owner: &AccountId, bucket_owner: &AccountId) -> Acl {
        self.grants(owner, Some(bucket_owner))
    }

    /// Groups stand before the owner, as in S3's answers.
    fn grants(self, owner: &AccountId, bucket_owner: Option<&AccountId>) -> Acl {
        let group = |group, permission| Grant { grantee: Grantee::Group(group), permission };
        let account = |account: &AccountId, permission| Grant { grantee: Grantee::Account(account.clone()), permission };
        let others = bucket_owner.filter(|bucket_owner| *bucket_owner != owner);
        let mut grants = match self {
            Self::PublicRead => vec![group(Group::AllUsers, Permission::Read)],
            Self::PublicReadWrite => vec![group(Group::AllUsers, Permission::Read), group(Group::AllUsers, Permission::Write)],
            Self::AuthenticatedRead => vec![group(Group::AuthenticatedUsers, Permission::Read)],
            Self::LogDeliveryWrite if bucket_owner.is_none() => {
                vec![group(Group::LogDelivery, Permission::Write), group(Group::LogDelivery, Permission::ReadAcp)]
            }
            _ => Vec::new(),
        };
        grants.push(account(owner, Permission::FullControl));
        match self {
            Self::BucketOwnerRead => grants.extend(others.map(|other| account(other, Permission::Read))),
            Self::BucketOwnerFullControl => grants.extend(others.map(|other| account(other, Permission::FullControl))),
            _ => {}
        }
        Acl { owner: owner.clone(), grants }
    }
}
