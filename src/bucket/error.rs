//! Why a setting cannot be taken.

use std::borrow::Cow;

use crate::bucket::InvalidTag;

/// A setting that breaks a rule of S3: what S3 answers, and why. Messages name no key and no subject.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SettingError {
    /// The setting is not one that S3's schema allows.
    #[error("{0}")]
    Malformed(Cow<'static, str>),
    /// A value is outside what it may be.
    #[error("{0}")]
    InvalidArgument(Cow<'static, str>),
    /// Values that exclude each other.
    #[error("{0}")]
    InvalidRequest(Cow<'static, str>),
    /// A default retention that is not a positive number of days or years.
    #[error("{0}")]
    InvalidRetentionPeriod(Cow<'static, str>),
    /// A tag breaks the rules for tags.
    #[error(transparent)]
    InvalidTag(#[from] InvalidTag),
    /// The bucket's other settings do not allow it.
    #[error("{0}")]
    InvalidBucketState(Cow<'static, str>),
    /// Versioning cannot be turned off, only suspended.
    #[error("{0}")]
    IllegalVersioning(Cow<'static, str>),
    /// The public access block refuses it.
    #[error("{0}")]
    AccessDenied(Cow<'static, str>),
    /// Object ownership has turned ACLs off.
    #[error("the bucket does not allow ACLs")]
    AclsOff,
    /// ACLs cannot be turned off while the bucket's ACL grants others something.
    #[error("the bucket's ACL grants others something, which object ownership `BucketOwnerEnforced` does not allow")]
    AclNotPrivate,
    /// S3 has it and the gateway has not.
    #[error("{0}")]
    NotImplemented(Cow<'static, str>),
}

impl SettingError {
    /// The code of S3's error document.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "MalformedXML",
            Self::InvalidArgument(_) => "InvalidArgument",
            Self::InvalidRequest(_) => "InvalidRequest",
            Self::InvalidRetentionPeriod(_) => "InvalidRetentionPeriod",
            Self::InvalidTag(_) => "InvalidTag",
            Self::InvalidBucketState(_) => "InvalidBucketState",
            Self::IllegalVersioning(_) => "IllegalVersioningConfigurationException",
            Self::AccessDenied(_) => "AccessDenied",
            Self::AclsOff => "AccessControlListNotSupported",
            Self::AclNotPrivate => "InvalidBucketAclWithObjectOwnership",
            Self::NotImplemented(_) => "NotImplemented",
        }
    }
}
