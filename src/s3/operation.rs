//! Every operation of the S3 API by name, and which of them the gateway has built.

/// Declares [`Operation`] and its table from one list.
macro_rules! operations {
    ($($name:ident $status:ident,)*) => {
        /// An operation of the S3 API.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[expect(missing_docs, reason = "the names are those of the Amazon S3 API Reference")]
        pub enum Operation {
            $($name,)*
        }

        impl Operation {
            /// Every operation, sorted by name.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The name that the Amazon S3 API Reference gives it.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                }
            }

            /// Whether it is built.
            pub const fn status(self) -> Status {
                match self {
                    $(Self::$name => Status::$status,)*
                }
            }
        }
    };
}

/// How much of an operation there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Does what S3 does.
    Built,
    /// Answers truthfully that the feature is off.
    Off,
    /// Answers `501 NotImplemented` and names itself.
    NotBuilt,
}

operations! {
    AbortMultipartUpload Built,
    CompleteMultipartUpload Built,
    CopyObject Built,
    CreateBucket Built,
    CreateBucketMetadataConfiguration NotBuilt,
    CreateBucketMetadataTableConfiguration NotBuilt,
    CreateMultipartUpload Built,
    CreateSession NotBuilt,
    DeleteBucket Built,
    DeleteBucketAnalyticsConfiguration NotBuilt,
    DeleteBucketCors Built,
    DeleteBucketEncryption Built,
    DeleteBucketIntelligentTieringConfiguration NotBuilt,
    DeleteBucketInventoryConfiguration NotBuilt,
    DeleteBucketLifecycle Built,
    DeleteBucketMetadataConfiguration NotBuilt,
    DeleteBucketMetadataTableConfiguration NotBuilt,
    DeleteBucketMetricsConfiguration NotBuilt,
    DeleteBucketOwnershipControls Built,
    DeleteBucketPolicy Built,
    DeleteBucketReplication NotBuilt,
    DeleteBucketTagging Built,
    DeleteBucketWebsite NotBuilt,
    DeleteObject Built,
    DeleteObjectTagging Built,
    DeleteObjects Built,
    DeletePublicAccessBlock Built,
    GetBucketAbac NotBuilt,
    GetBucketAccelerateConfiguration NotBuilt,
    GetBucketAcl Built,
    GetBucketAnalyticsConfiguration NotBuilt,
    GetBucketCors Built,
    GetBucketEncryption Built,
    GetBucketIntelligentTieringConfiguration NotBuilt,
    GetBucketInventoryConfiguration NotBuilt,
    GetBucketLifecycleConfiguration Built,
    GetBucketLocation Built,
    GetBucketLogging NotBuilt,
    GetBucketMetadataConfiguration NotBuilt,
    GetBucketMetadataTableConfiguration NotBuilt,
    GetBucketMetricsConfiguration NotBuilt,
    GetBucketNotificationConfiguration NotBuilt,
    GetBucketOwnershipControls Built,
    GetBucketPolicy Built,
    GetBucketPolicyStatus Built,
    GetBucketReplication NotBuilt,
    GetBucketRequestPayment NotBuilt,
    GetBucketTagging Built,
    GetBucketVersioning Built,
    GetBucketWebsite NotBuilt,
    GetObject Built,
    GetObjectAcl Built,
    GetObjectAttributes Built,
    GetObjectLegalHold Built,
    GetObjectLockConfiguration Built,
    GetObjectRetention Built,
    GetObjectTagging Built,
    GetObjectTorrent NotBuilt,
    GetPublicAccessBlock Built,
    HeadBucket Built,
    HeadObject Built,
    ListBucketAnalyticsConfigurations NotBuilt,
    ListBucketIntelligentTieringConfigurations NotBuilt,
    ListBucketInventoryConfigurations NotBuilt,
    ListBucketMetricsConfigurations NotBuilt,
    ListBuckets Built,
    ListMultipartUploads Built,
    ListObjectVersions Built,
    ListObjects Built,
    ListObjectsV2 Built,
    ListParts Built,
    PostObject Built,
    PutBucketAbac NotBuilt,
    PutBucketAccelerateConfiguration NotBuilt,
    PutBucketAcl Built,
    PutBucketAnalyticsConfiguration NotBuilt,
    PutBucketCors Built,
    PutBucketEncryption Built,
    PutBucketIntelligentTieringConfiguration NotBuilt,
    PutBucketInventoryConfiguration NotBuilt,
    PutBucketLifecycleConfiguration Built,
    PutBucketLogging NotBuilt,
    PutBucketMetricsConfiguration NotBuilt,
    PutBucketNotificationConfiguration NotBuilt,
    PutBucketOwnershipControls Built,
    PutBucketPolicy Built,
    PutBucketReplication NotBuilt,
    PutBucketRequestPayment NotBuilt,
    PutBucketTagging Built,
    PutBucketVersioning Built,
    PutBucketWebsite NotBuilt,
    PutObject Built,
    PutObjectAcl Built,
    PutObjectLegalHold Built,
    PutObjectLockConfiguration Built,
    PutObjectRetention Built,
    PutObjectTagging Built,
    PutPublicAccessBlock Built,
    RenameObject NotBuilt,
    RestoreObject NotBuilt,
    SelectObjectContent NotBuilt,
    UpdateBucketMetadataInventoryTableConfiguration NotBuilt,
    UpdateBucketMetadataJournalTableConfiguration NotBuilt,
    UploadPart Built,
    UploadPartCopy Built,
    WriteGetObjectResponse NotBuilt,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_names_each_operation_once() {
        assert!(Operation::ALL.windows(2).all(|pair| pair[0].name() < pair[1].name()));
        assert_eq!(Operation::PutObject.name(), "PutObject");
    }
}
