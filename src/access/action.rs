//! The actions of Amazon S3, as policies name them.

use std::fmt;

use crate::authn;

/// What kind of resource an action is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource {
    /// No bucket in particular; a bucket policy cannot speak of it.
    Account,
    /// A bucket: `arn:aws:s3:::bucket`.
    Bucket,
    /// An object: `arn:aws:s3:::bucket/key`.
    Object,
}

macro_rules! actions {
    ($($name:ident $resource:ident $class:ident,)*) => {
        /// An action of Amazon S3, by its name without `s3:`. Service Authorization Reference, "Actions, resources, and condition keys
        /// for Amazon S3".
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[expect(missing_docs, reason = "the names are those of the Service Authorization Reference")]
        pub enum Action {
            $($name,)*
        }

        impl Action {
            /// Every action.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The name as policies write it: `s3:GetObject`.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => concat!("s3:", stringify!($name)),)*
                }
            }

            /// What it is about.
            pub const fn resource(self) -> Resource {
                match self {
                    $(Self::$name => Resource::$resource,)*
                }
            }

            /// The word in a principal's `allow` that covers it.
            pub const fn class(self) -> authn::Action {
                match self {
                    $(Self::$name => authn::Action::$class,)*
                }
            }
        }
    };
}

impl Action {
    /// The action of that name, whose case does not count.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|action| action.name().eq_ignore_ascii_case(name))
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

actions! {
    AbortMultipartUpload Object Write,
    BypassGovernanceRetention Object Delete,
    CreateBucket Bucket Write,
    CreateBucketMetadataTableConfiguration Bucket Write,
    DeleteBucket Bucket Delete,
    DeleteBucketMetadataTableConfiguration Bucket Write,
    DeleteBucketPolicy Bucket Share,
    DeleteBucketWebsite Bucket Write,
    DeleteObject Object Delete,
    DeleteObjectTagging Object Write,
    DeleteObjectVersion Object Delete,
    DeleteObjectVersionTagging Object Write,
    GetAccelerateConfiguration Bucket Read,
    GetAnalyticsConfiguration Bucket Read,
    GetBucketAbac Bucket Read,
    GetBucketAcl Bucket Read,
    GetBucketCORS Bucket Read,
    GetBucketLocation Bucket Read,
    GetBucketLogging Bucket Read,
    GetBucketMetadataTableConfiguration Bucket Read,
    GetBucketNotification Bucket Read,
    GetBucketObjectLockConfiguration Bucket Read,
    GetBucketOwnershipControls Bucket Read,
    GetBucketPolicy Bucket Read,
    GetBucketPolicyStatus Bucket Read,
    GetBucketPublicAccessBlock Bucket Read,
    GetBucketRequestPayment Bucket Read,
    GetBucketTagging Bucket Read,
    GetBucketVersioning Bucket Read,
    GetBucketWebsite Bucket Read,
    GetEncryptionConfiguration Bucket Read,
    GetIntelligentTieringConfiguration Bucket Read,
    GetInventoryConfiguration Bucket Read,
    GetLifecycleConfiguration Bucket Read,
    GetMetricsConfiguration Bucket Read,
    GetObject Object Read,
    GetObjectAcl Object Read,
    GetObjectAttributes Object Read,
    GetObjectLegalHold Object Read,
    GetObjectRetention Object Read,
    GetObjectTagging Object Read,
    GetObjectTorrent Object Read,
    GetObjectVersion Object Read,
    GetObjectVersionAcl Object Read,
    GetObjectVersionAttributes Object Read,
    GetObjectVersionForReplication Object Read,
    GetObjectVersionTagging Object Read,
    GetObjectVersionTorrent Object Read,
    GetReplicationConfiguration Bucket Read,
    InitiateReplication Object Write,
    ListAllMyBuckets Account List,
    ListBucket Bucket List,
    ListBucketMultipartUploads Bucket List,
    ListBucketVersions Bucket List,
    ListMultipartUploadParts Object Write,
    ObjectOwnerOverrideToBucketOwner Object Write,
    PutAccelerateConfiguration Bucket Write,
    PutAnalyticsConfiguration Bucket Write,
    PutBucketAbac Bucket Write,
    PutBucketAcl Bucket Share,
    PutBucketCORS Bucket Write,
    PutBucketLogging Bucket Write,
    PutBucketNotification Bucket Write,
    PutBucketObjectLockConfiguration Bucket Write,
    PutBucketOwnershipControls Bucket Share,
    PutBucketPolicy Bucket Share,
    PutBucketPublicAccessBlock Bucket Share,
    PutBucketRequestPayment Bucket Write,
    PutBucketTagging Bucket Write,
    PutBucketVersioning Bucket Write,
    PutBucketWebsite Bucket Write,
    PutEncryptionConfiguration Bucket Write,
    PutIntelligentTieringConfiguration Bucket Write,
    PutInventoryConfiguration Bucket Write,
    PutLifecycleConfiguration Bucket Write,
    PutMetricsConfiguration Bucket Write,
    PutObject Object Write,
    PutObjectAcl Object Share,
    PutObjectLegalHold Object Write,
    PutObjectRetention Object Write,
    PutObjectTagging Object Write,
    PutObjectVersionAcl Object Share,
    PutObjectVersionTagging Object Write,
    PutReplicationConfiguration Bucket Write,
    ReplicateDelete Object Delete,
    ReplicateObject Object Write,
    ReplicateTags Object Write,
    RestoreObject Object Write,
    UpdateBucketMetadataInventoryTableConfiguration Bucket Write,
    UpdateBucketMetadataJournalTableConfiguration Bucket Write,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_are_sorted_and_found_whatever_their_case() {
        assert!(Action::ALL.windows(2).all(|pair| pair[0].name() < pair[1].name()));
        assert_eq!(Action::parse("S3:getobject"), Some(Action::GetObject));
        for unknown in ["GetObject", "s3:GetObjects", "s3:", ""] {
            assert_eq!(Action::parse(unknown), None, "{unknown}");
        }
        assert_eq!(Action::ListBucket.to_string(), "s3:ListBucket");
    }
}
