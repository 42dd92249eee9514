//! Why a change is not committed.

use super::{CompletedUpload, IndexError, PolicyConflict};
use crate::{
    bucket::SettingError,
    kms::WrappedSubjectKey,
    types::{AccountId, SiteId, Timestamp},
};

/// What has changed between decision and commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stale {
    /// The policy set in force.
    Policy,
    /// What is known of the subject.
    Subject,
    /// The bucket.
    Bucket,
    /// A subject key.
    Key,
    /// Whether there is anything of the subject: it was erased.
    Erased,
    /// Where the parts of an upload come from.
    Upload,
}

/// Why a change was not committed. Nothing of it is in the catalogue, but for [`CommitError::Fatal`], where it is unknown.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CommitError {
    /// The decision no longer stands: decide again.
    #[error("the {0:?} that the decision depended on has changed")]
    Stale(Stale),
    /// The write's condition does not hold.
    #[error("the condition of the write does not hold")]
    PreconditionFailed,
    /// Another write came between: try again.
    #[error("another write of the same key came between")]
    Conflict,
    /// No such bucket.
    #[error("no such bucket")]
    NoSuchBucket,
    /// The bucket still holds records or uploads.
    #[error("the bucket is not empty")]
    BucketNotEmpty,
    /// The name is taken.
    #[error("the bucket exists")]
    BucketExists {
        /// By whom.
        owner: AccountId,
    },
    /// No such open upload.
    #[error("no such upload")]
    NoSuchUpload,
    /// The upload was completed before.
    #[error("the upload is already complete")]
    UploadCompleted(Box<CompletedUpload>),
    /// A part of the list is not there with that ETag.
    #[error("part {0} is not there or not the one named")]
    InvalidPart(u32),
    /// No such record.
    #[error("no such record")]
    NoSuchKey,
    /// No such erasure, or it is complete.
    #[error("no such erasure is under way")]
    NoSuchErasure,
    /// More is to come of a subject than its entry takes.
    #[error("too many changes of this subject are still to come")]
    TooMuchToCome,
    /// A retention or a legal hold keeps the version.
    #[error("a retention or a legal hold keeps the version")]
    Locked,
    /// The policy in force keeps the version.
    #[error("the policy in force keeps the version until {until}")]
    Kept {
        /// The first moment at which it may be removed.
        until: Timestamp,
    },
    /// The bucket cannot be configured so.
    #[error(transparent)]
    Setting(SettingError),
    /// The owner already has a key of that generation: use it.
    #[error("the owner has a subject key of that generation")]
    KeyExists(Box<WrappedSubjectKey>),
    /// A policy set cannot take that step.
    #[error(transparent)]
    Policy(PolicyConflict),
    /// A site is known under another country, or its epoch went back.
    #[error("the site is known with another country or a later epoch")]
    SiteConflict,
    /// A required copy has no receipt.
    #[error("a required copy at site `{site}` has no receipt")]
    NotStored {
        /// The site.
        site: SiteId,
    },
    /// The change is committed, but no site could be told in time: a rebuild of the index could undo it.
    #[error("the change is made, but the journal could not be written in time")]
    NotJournalled,
    /// The index failed. Whether the change is durable is unknown; nothing is committed after it.
    #[error("the index failed; the gateway has to be restarted")]
    Fatal(#[source] IndexError),
}

impl CommitError {
    /// A short code for the ledger.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Stale(_) => "stale",
            Self::PreconditionFailed => "precondition-failed",
            Self::Conflict => "conflict",
            Self::NoSuchBucket => "no-such-bucket",
            Self::BucketNotEmpty => "bucket-not-empty",
            Self::BucketExists { .. } => "bucket-exists",
            Self::NoSuchUpload => "no-such-upload",
            Self::UploadCompleted(_) => "upload-completed",
            Self::InvalidPart(_) => "invalid-part",
            Self::NoSuchKey => "no-such-key",
            Self::NoSuchErasure => "no-such-erasure",
            Self::TooMuchToCome => "too-much-to-come",
            Self::Locked => "locked",
            Self::Kept { .. } => "kept",
            Self::Setting(_) => "invalid-bucket-state",
            Self::KeyExists(_) => "key-exists",
            Self::Policy(conflict) => conflict.code(),
            Self::SiteConflict => "site-conflict",
            Self::NotStored { .. } => "not-stored",
            Self::NotJournalled => "not-journalled",
            Self::Fatal(_) => "index-failed",
        }
    }
}
