//! What goes by itself: a deletion or an abort that holds only while everything it was found due by still stands.

use std::sync::Arc;

use super::{BucketId, DeleteChange};
use crate::{
    bucket::Lifecycle,
    types::{ObjectKey, Ticket, UploadId},
};

/// Lets something go because its bucket's rules say so. Other rules by then, or another standing, and it is a
/// [`CommitError::Conflict`](super::CommitError::Conflict).
#[derive(Debug)]
pub struct ExpireChange {
    /// The rules by which it was found due: they must be the bucket's at the commit.
    pub rules: Arc<Lifecycle>,
    /// What goes.
    pub what: Expires,
}

/// What goes.
#[derive(Debug)]
pub enum Expires {
    /// A version, a delete marker, or what is current.
    Version {
        /// The deletion.
        delete: Box<DeleteChange>,
        /// What it is to its key.
        beside: Beside,
    },
    /// An open upload.
    Upload {
        /// The bucket.
        bucket: BucketId,
        /// The key.
        key: ObjectKey,
        /// The upload.
        upload: UploadId,
    },
}

/// What has to stand beside a version for it to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Beside {
    /// Nothing in particular: that it is current is what its deletion says.
    Anything,
    /// It is noncurrent.
    Behind {
        /// The version right before it in age, or its delete marker. While that stands it has been noncurrent since that was written.
        newer: Ticket,
        /// The noncurrent versions with bytes that are kept in its place.
        kept: Vec<Ticket>,
    },
    /// It is all there is of its key.
    Nothing,
}

impl Expires {
    /// The bucket and the key.
    pub(super) fn place(&self) -> (BucketId, &ObjectKey) {
        match self {
            Self::Version { delete, .. } => (delete.bucket, &delete.key),
            Self::Upload { bucket, key, .. } => (*bucket, key),
        }
    }
}
