//! What a bucket says about ACLs and public access as a whole.

use serde::{Deserialize, Serialize};

use super::{Acl, BucketPolicy, acl::CannedAcl};
use crate::types::AccountId;

/// Whose ACLs count, and who owns a new object. Amazon S3 User Guide, "Controlling ownership of objects".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum ObjectOwnership {
    /// ACLs are off; the bucket's owner owns every object.
    #[default]
    BucketOwnerEnforced,
    /// ACLs are on; an object written with the canned ACL `bucket-owner-full-control` is the bucket owner's, another the writer's.
    BucketOwnerPreferred,
    /// ACLs are on; an object is its writer's.
    ObjectWriter,
}

impl ObjectOwnership {
    /// The name in `x-amz-object-ownership` and in the OwnershipControls document.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BucketOwnerEnforced => "BucketOwnerEnforced",
            Self::BucketOwnerPreferred => "BucketOwnerPreferred",
            Self::ObjectWriter => "ObjectWriter",
        }
    }

    /// The one of that name.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::BucketOwnerEnforced, Self::BucketOwnerPreferred, Self::ObjectWriter].into_iter().find(|one| one.as_str() == text)
    }

    /// Whether ACLs can be set and are asked.
    pub const fn acls_enabled(self) -> bool {
        !matches!(self, Self::BucketOwnerEnforced)
    }

    /// Whether a write may carry this canned ACL: when ACLs are off, only the one that changes nothing. S3 code
    /// `AccessControlListNotSupported` otherwise.
    pub fn accepts_canned(self, acl: CannedAcl) -> bool {
        self.acls_enabled() || acl == CannedAcl::BucketOwnerFullControl
    }

    /// Who will own an object that `writer` writes with that canned ACL, if with any; `None` for an anonymous writer is the bucket's
    /// owner.
    pub fn owner_of_new_object<'a>(
        self,
        bucket_owner: &'a AccountId,
        writer: Option<&'a AccountId>,
        canned: Option<CannedAcl>,
    ) -> &'a AccountId {
        match self {
            Self::BucketOwnerEnforced => bucket_owner,
            Self::BucketOwnerPreferred if canned == Some(CannedAcl::BucketOwnerFullControl) => bucket_owner,
            Self::BucketOwnerPreferred | Self::ObjectWriter => writer.unwrap_or(bucket_owner),
        }
    }
}

/// Amazon S3 User Guide, "Blocking public access to your Amazon S3 storage". Each setting stands alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct PublicAccessBlock {
    /// Refuse to set an ACL that is public, on the bucket or an object.
    pub block_public_acls: bool,
    /// Ask ACLs as if they granted nothing to the public.
    pub ignore_public_acls: bool,
    /// Refuse to set a bucket policy that is public.
    pub block_public_policy: bool,
    /// While the bucket policy is public, let in only the bucket owner's account.
    pub restrict_public_buckets: bool,
}

impl PublicAccessBlock {
    /// Everything blocked: what a new bucket gets unless the configuration says otherwise.
    pub const ALL: Self =
        Self { block_public_acls: true, ignore_public_acls: true, block_public_policy: true, restrict_public_buckets: true };
    /// Nothing blocked: what a bucket without the setting has.
    pub const NONE: Self =
        Self { block_public_acls: false, ignore_public_acls: false, block_public_policy: false, restrict_public_buckets: false };

    /// Whether setting this ACL must be refused. S3 code `AccessDenied`.
    pub fn refuses_acl(&self, acl: &Acl) -> bool {
        self.block_public_acls && acl.is_public()
    }

    /// Whether setting this policy must be refused. S3 code `AccessDenied`.
    pub fn refuses_policy(&self, policy: &BucketPolicy) -> bool {
        self.block_public_policy && policy.is_public()
    }
}
