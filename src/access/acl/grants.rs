//! What an ACL lets whom do.

use super::{Acl, Grant, Grantee, Group, InvalidAcl, Permission};
use crate::{
    access::{Action, Caller},
    types::AccountId,
};

/// Who asks an ACL, and whether grants to the public count.
#[derive(Debug, Clone, Copy)]
pub(in crate::access) struct Asker<'a> {
    pub(in crate::access) caller: &'a Caller,
    /// See [`crate::access::PublicAccessBlock::ignore_public_acls`].
    pub(in crate::access) ignore_public: bool,
}

impl Acl {
    /// The most grants that one ACL holds.
    pub const MAX_GRANTS: usize = 100;

    /// Takes an owner and grants.
    ///
    /// # Errors
    /// [`InvalidAcl::TooManyGrants`].
    pub fn new(owner: AccountId, grants: Vec<Grant>) -> Result<Self, InvalidAcl> {
        if grants.len() > Self::MAX_GRANTS {
            return Err(InvalidAcl::TooManyGrants);
        }
        Ok(Self { owner, grants })
    }

    /// Full control to the owner and nothing to anybody else: what a bucket or object has unless it says otherwise.
    pub fn private(owner: AccountId) -> Self {
        let grants = vec![Grant { grantee: Grantee::Account(owner.clone()), permission: Permission::FullControl }];
        Self { owner, grants }
    }

    /// Whether it grants anything to everybody, or to everybody with a signature: what AWS calls a public ACL.
    pub fn is_public(&self) -> bool {
        self.grants.iter().any(|grant| grant.grantee.is_public())
    }

    /// Whether it grants nothing to anybody but the owner. Only such a bucket ACL lets ACLs be turned off; S3 code
    /// `InvalidBucketAclWithObjectOwnership` otherwise.
    pub fn is_private(&self) -> bool {
        self.grants.iter().all(|grant| grant.grantee == Grantee::Account(self.owner.clone()))
    }

    /// Whether a grant lets the caller do this. The owner's own rights do not come from grants.
    pub(in crate::access) fn grants(&self, asker: Asker<'_>, action: Action) -> bool {
        self.grants.iter().any(|grant| grant.permission.allows(action) && grant.grantee.is(asker))
    }
}

impl Permission {
    /// Whether it lets a grantee do this. Listing, writing and deleting ask the bucket's ACL, reading an object the object's. "Mapping of
    /// ACL permissions and access policy permissions" in the Amazon S3 User Guide.
    pub fn allows(self, action: Action) -> bool {
        let needed = match action {
            Action::ListBucket | Action::ListBucketVersions | Action::ListBucketMultipartUploads => Self::Read,
            // Deleting takes owning the object besides; the evaluation asks for that.
            Action::PutObject | Action::DeleteObject | Action::DeleteObjectVersion => Self::Write,
            Action::GetBucketAcl => Self::ReadAcp,
            Action::PutBucketAcl => Self::WriteAcp,
            Action::GetObject | Action::GetObjectVersion | Action::GetObjectTorrent | Action::GetObjectVersionTorrent => {
                Self::Read
            }
            Action::GetObjectAcl | Action::GetObjectVersionAcl => Self::ReadAcp,
            Action::PutObjectAcl | Action::PutObjectVersionAcl => Self::WriteAcp,
            _ => return false,
        };
        self == needed || self == Self::FullControl
    }
}

impl Grantee {
    /// Whether it is a group that anybody can be in.
    pub const fn is_public(&self) -> bool {
        matches!(self, Self::Group(Group::AllUsers | Group::AuthenticatedUsers))
    }

    fn is(&self, asker: Asker<'_>) -> bool {
        if asker.ignore_public && self.is_public() {
            return false;
        }
        match (self, asker.caller) {
            (Self::Group(Group::AllUsers), _) | (Self::Group(Group::AuthenticatedUsers), Caller::Account { .. }) => true,
            (Self::Account(account), Caller::Account { account: asking, .. }) => account == asking,
            _ => false,
        }
    }
}
