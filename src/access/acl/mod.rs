//! Access control lists of buckets and objects. Amazon S3 User Guide, "Access control list (ACL) overview".

mod canned;
mod grants;
mod headers;

pub use canned::CannedAcl;
pub(super) use grants::Asker;
use serde::{Deserialize, Serialize};

use crate::{authn::Principals, types::AccountId};

/// Who owns a bucket or an object, and what the owner grants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acl {
    /// Whose it is.
    pub owner: AccountId,
    /// In the order they were given in; at most [`Acl::MAX_GRANTS`].
    pub grants: Vec<Grant>,
}

/// One permission to one grantee.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// To whom.
    pub grantee: Grantee,
    /// What.
    pub permission: Permission,
}

/// To whom a permission is granted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Grantee {
    /// An account, by its canonical user id.
    Account(AccountId),
    /// One of S3's groups.
    Group(Group),
}

/// The groups that S3 predefines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Group {
    /// Everybody, also without a signature.
    AllUsers,
    /// Everybody with a valid signature, of whatever account.
    AuthenticatedUsers,
    /// What writes access logs: nobody, here.
    LogDelivery,
}

/// What is granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Permission {
    /// All of the others.
    FullControl,
    /// List a bucket; read an object.
    Read,
    /// Write objects into a bucket; nothing on an object.
    Write,
    /// Read the ACL.
    ReadAcp,
    /// Replace the ACL.
    WriteAcp,
}

/// Which accounts there are.
pub trait Accounts {
    /// Whether there is an account of that canonical user id.
    fn exists(&self, account: &AccountId) -> bool;

    /// The account that goes by that e-mail address.
    fn by_email(&self, address: &str) -> Option<AccountId>;
}

impl Accounts for Principals {
    fn exists(&self, account: &AccountId) -> bool {
        self.has_account(account)
    }

    fn by_email(&self, address: &str) -> Option<AccountId> {
        self.account_by_email(address).cloned()
    }
}

/// Why an ACL cannot be set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAcl {
    /// No canned ACL has that name. S3 code `InvalidArgument`.
    #[error("`{0}` is not a canned ACL that can be set here")]
    Canned(String),
    /// A canned ACL beside explicit grants. S3 code `InvalidRequest`.
    #[error("specifying both canned ACLs and header grants is not allowed")]
    CannedAndGrants,
    /// A header is not a list of grantees. S3 code `InvalidArgument`.
    #[error("`{header}` is not a list of grantees such as `id=\"…\", uri=\"…\"`: {problem}")]
    Header {
        /// The header.
        header: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// No account has that id. S3 code `InvalidArgument`.
    #[error("invalid id: no account has this canonical user id")]
    NoSuchAccount,
    /// No account goes by that address. S3 code `UnresolvableGrantByEmailAddress`.
    #[error("the e-mail address you provided does not match any account on record")]
    UnresolvableEmail,
    /// No group has that URI. S3 code `InvalidArgument`.
    #[error("invalid group uri: use one of the groups that Amazon S3 predefines")]
    NoSuchGroup,
    /// No permission has that name. S3 code `MalformedACLError`.
    #[error("use FULL_CONTROL, READ, WRITE, READ_ACP or WRITE_ACP as permission")]
    NoSuchPermission,
    /// More grants than one ACL holds. S3 code `MalformedACLError`.
    #[error("an ACL has at most {} grants", Acl::MAX_GRANTS)]
    TooManyGrants,
}

impl InvalidAcl {
    /// The error code that S3 answers with; all of them are `400`.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Canned(_) | Self::Header { .. } | Self::NoSuchAccount | Self::NoSuchGroup => "InvalidArgument",
            Self::CannedAndGrants => "InvalidRequest",
            Self::UnresolvableEmail => "UnresolvableGrantByEmailAddress",
            Self::NoSuchPermission | Self::TooManyGrants => "MalformedACLError",
        }
    }
}
