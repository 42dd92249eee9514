//! What a commit can ask for, and what it brings.

use std::collections::BTreeSet;

use super::{
    Bucket, BucketId, CopyRow, EraseChange, EraseRecordChange, Erasure, ErasureStep, ExpireChange, Expires, Finding, GarbageKey,
    Part, PartEntry, PolicyChange, PolicyEntry, Record, SiteRow, SubjectChange, Summary, Upload, Version, WriteCondition,
};
use crate::{
    access::Acl,
    backend::{Receipt, Standing},
    bucket::{BucketSettings, Retention, Setting},
    kms::WrappedSubjectKey,
    residency::{Basis, Origin, PlacementRecord},
    types::{
        AccountId, AttemptId, BucketName, Country, Generation, ObjectKey, Pseudonym, RecordId, SiteId, Ticket, UploadId,
        VersionId,
    },
};

/// One change of the catalogue, committed whole with its ledger entry or not at all.
#[derive(Debug)]
pub enum Change {
    /// Creates a bucket; the index gives it its number and date.
    CreateBucket {
        /// The name.
        name: BucketName,
        /// Who creates it.
        owner: AccountId,
        /// The `LocationConstraint`.
        region: Option<String>,
        /// What it is configured to do from the start.
        settings: Box<BucketSettings>,
    },
    /// Changes what a bucket is configured to do.
    SetBucket {
        /// The name.
        name: BucketName,
        /// Which bucket of that name.
        id: BucketId,
        /// The change.
        setting: Box<Setting>,
    },
    /// Deletes a bucket that holds no record and no open upload.
    DeleteBucket {
        /// The name.
        name: BucketName,
        /// Which bucket of that name.
        id: BucketId,
    },
    /// Stores a record.
    Put(Box<PutChange>),
    /// Deletes a key or one of its versions. Without a version, what that means is decided by the bucket's versioning at commit: the
    /// record goes, or a delete marker comes. Of what is absent it removes nothing and succeeds.
    Delete(Box<DeleteChange>),
    /// Lets go of what the bucket's lifecycle rules let go of.
    Expire(Box<ExpireChange>),
    /// Changes what a version says of itself; its bytes stay.
    Update(Box<UpdateChange>),
    /// Opens an upload.
    CreateUpload {
        /// The upload, open.
        upload: Box<Upload>,
        /// What its placement depended on.
        basis: Basis,
    },
    /// Adds a part or replaces it.
    PutPart(Box<PutPartChange>),
    /// Turns an upload into a record.
    CompleteUpload {
        /// The record, with [`Layout::Parts`](super::Layout::Parts) naming the upload.
        put: Box<PutChange>,
        /// The upload.
        upload: UploadId,
        /// The parts it consists of, ascending.
        parts: Vec<PartEntry>,
        /// SHA-256 of the client's part list.
        parts_digest: [u8; 32],
    },
    /// Drops an upload with all its parts.
    AbortUpload {
        /// The bucket.
        bucket: BucketId,
        /// The key.
        key: ObjectKey,
        /// The upload.
        upload: UploadId,
    },
    /// Keeps a subject key: a new one, a higher generation, or the same at more sites (see [`CommitError::KeyExists`]).
    SubjectKey {
        /// The wrapped key.
        key: Box<WrappedSubjectKey>,
        /// What it takes the place of, such as the same key wrapped by an older version: it must be what is kept, to its last site. Its
        /// blobs are garbage then.
        replaces: Option<Box<WrappedSubjectKey>>,
    },
    /// Puts a new subject key in the place of the one in use, which must be of this generation and goes on to open what it wrapped.
    RotateSubjectKey(Box<WrappedSubjectKey>, Generation),
    /// Keeps a subject key as one of before, beside the one in use: of an owner that has another one.
    RetiredSubjectKey(Box<WrappedSubjectKey>),
    /// Says something of a subject.
    Subject(Box<SubjectChange>),
    /// Lets hold what was to come of a subject and whose time has come; a [`CommitError::Conflict`] when there is nothing.
    Due(Pseudonym),
    /// Brings a policy set into force, or a step nearer to it.
    Policy(Box<PolicyChange>),
    /// Records that a queued copy is begun or, once begun, that it is durable.
    AddCopy(Box<AddCopyChange>),
    /// Switches a record to other copies.
    Relocate(Box<RelocateChange>),
    /// Notes that everything of a subject is where its entry of that generation asks for it.
    Settled {
        /// The subject.
        subject: Pseudonym,
        /// The generation of its entry that the records were held against.
        generation: Generation,
    },
    /// Accepts the erasure of a subject: destroys its keys in every country and forgets what is known of it.
    Erase(Box<EraseChange>),
    /// Removes a version of an erased subject, whatever keeps it. What is not under a key that the erasure destroyed stays.
    EraseRecord(Box<EraseRecordChange>),
    /// Drops an upload of an erased subject, open or closed.
    EraseUpload {
        /// The erasure.
        erasure: u64,
        /// The bucket.
        bucket: BucketId,
        /// The key.
        key: ObjectKey,
        /// The upload.
        upload: UploadId,
    },
    /// Brings an erasure to its next step.
    Erasure {
        /// Which.
        id: u64,
        /// The step.
        step: ErasureStep,
    },
    /// Takes in a record that a rebuild found at the sites and that the journal does not know.
    Adopt(Box<AdoptChange>),
    /// Records a site's country and epoch. What stands at it stays as it is.
    Site(SiteRow),
    /// Records what a check found at a site, or that it finds it no more.
    SiteFinding {
        /// The site.
        site: SiteId,
        /// Its country.
        country: Country,
        /// What was found.
        finding: Standing,
        /// Whether it stands.
        stands: bool,
    },
    /// Forgets garbage whose blobs are gone.
    Collected {
        /// The rows.
        garbage: Vec<GarbageKey>,
    },
    /// Keeps what a scrub found.
    Found(Box<Finding>),
    /// What a scrub found is so no longer.
    Cleared(Box<Finding>),
    /// Forgets an attempt of an earlier run, once nothing of it is left at a site.
    Forgotten {
        /// The record.
        record: RecordId,
        /// The attempt.
        attempt: AttemptId,
    },
    /// Removes a version that is older than the policy in force lets it be: the one that is named with its record. Nothing older becomes
    /// current in its place: that gets a delete marker.
    Outlived(Box<DeleteChange>),
    /// Only the ledger entry.
    Note,
}

/// A record to be stored.
#[derive(Debug, Clone)]
pub struct PutChange {
    /// The bucket.
    pub bucket: BucketId,
    /// The key.
    pub key: ObjectKey,
    /// The record.
    pub record: Record,
    /// Proof for the manifest blob of every primary and required copy.
    pub receipts: Vec<Receipt>,
    /// What the placement depended on.
    pub basis: Basis,
    /// What must hold.
    pub condition: WriteCondition,
}

/// A record that was found at the sites. Nothing of it is decided again: it lives where it was found.
#[derive(Debug, Clone)]
pub struct AdoptChange {
    /// The bucket.
    pub bucket: BucketId,
    /// The key.
    pub key: ObjectKey,
    /// The record; its copies are durable.
    pub record: Record,
    /// Its part table, for [`Layout::Parts`](super::Layout::Parts).
    pub parts: Vec<PartEntry>,
}

/// A key or version to be deleted.
#[derive(Debug, Clone)]
pub struct DeleteChange {
    /// The bucket.
    pub bucket: BucketId,
    /// The key.
    pub key: ObjectKey,
    /// The version; `None` deletes the key.
    pub version: Option<VersionId>,
    /// Only this record: what else has that key or version by now stays.
    pub record: Option<RecordId>,
    /// Who asks: the owner of the delete marker.
    pub owner: AccountId,
    /// The delete's place among the changes of the key: a record with a higher ticket stays.
    pub ticket: Ticket,
    /// The version id of the delete marker where the bucket's versioning is on.
    pub marker: VersionId,
    /// What must hold of the version, or of the current record.
    pub condition: WriteCondition,
    /// What the caller's right to delete was judged by. When one of it is different by now, the change is a
    /// [`CommitError::Conflict`]: judge again.
    pub seen: Vec<Seen>,
    /// Whether a retention in governance mode is to be overridden.
    pub bypass_governance: bool,
}

/// A version of a key as somebody found it.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// Which was looked up; `None` for the newest.
    pub version: Option<VersionId>,
    /// What was found; `None` when there was none.
    pub found: Option<Version>,
}

/// A version's new description.
#[derive(Debug, Clone)]
pub struct UpdateChange {
    /// The bucket.
    pub bucket: BucketId,
    /// The key.
    pub key: ObjectKey,
    /// The record; when it is neither current nor among the versions, the change is refused.
    pub record: RecordId,
    /// Its place among the versions of the key.
    pub ticket: Ticket,
    /// The change.
    pub update: RecordUpdate,
    /// What the caller's decision depended on, when there was one.
    pub basis: Option<Basis>,
}

/// What of a version can be changed.
#[derive(Debug, Clone)]
pub enum RecordUpdate {
    /// Its tags.
    Tags(Vec<(String, String)>),
    /// Its ACL.
    Acl(Acl),
    /// How long it is kept.
    Retention {
        /// `None` ends it.
        retention: Option<Retention>,
        /// Whether a retention in governance mode may be shortened.
        bypass_governance: bool,
    },
    /// Whether it is kept until further notice.
    LegalHold(bool),
}

/// A part to be stored.
#[derive(Debug, Clone)]
pub struct PutPartChange {
    /// The bucket.
    pub bucket: BucketId,
    /// The key.
    pub key: ObjectKey,
    /// The upload.
    pub upload: UploadId,
    /// The part.
    pub part: Part,
    /// Proof for the part's extents at every primary and required copy.
    pub receipts: Vec<Receipt>,
    /// Where the part's bytes have been: the upload keeps it, so that whatever is decided about it later counts it.
    pub origins: Vec<Origin>,
    /// What the placement depended on.
    pub basis: Basis,
}

/// A step of a queued copy. A pending row goes before its first byte: whatever becomes of the record then, its blobs have a name. The
/// stored row that follows has the same keys and attempts.
#[derive(Debug)]
pub struct AddCopyChange {
    /// The bucket.
    pub bucket: BucketId,
    /// The key.
    pub key: ObjectKey,
    /// The record; when it is neither current nor among the versions, the change is refused.
    pub record: RecordId,
    /// Its place among the versions of the key.
    pub ticket: Ticket,
    /// The copy, pending or stored.
    pub copy: CopyRow,
    /// Proof for its manifest blob; none for a pending copy.
    pub receipts: Vec<Receipt>,
    /// What its placement depended on.
    pub basis: Basis,
}

/// Other copies for a record, which stays the same version: its bytes, date, ticket and description do not change.
#[derive(Debug)]
pub struct RelocateChange {
    /// The bucket.
    pub bucket: BucketId,
    /// The key.
    pub key: ObjectKey,
    /// The record; when it is neither current nor among the versions, the change is refused.
    pub record: RecordId,
    /// Its place among the versions of the key.
    pub ticket: Ticket,
    /// The copies that were found; when it has others by now, the change is refused.
    pub before: Vec<CopyRow>,
    /// The copies from now on. Those that are not among the ones before are durable; what is missing becomes garbage.
    pub after: Vec<CopyRow>,
    /// Why it lives there.
    pub placement: PlacementRecord,
    /// Proof for the manifest blob of every new copy.
    pub receipts: Vec<Receipt>,
    /// What the placement depended on.
    pub basis: Basis,
}

/// What a commit did.
#[derive(Debug, Clone, Default)]
pub struct Committed {
    /// The number of the ledger entry.
    pub ledger: u64,
    /// The version that a put replaced or a delete removed.
    pub replaced: Option<Summary>,
    /// The delete marker that a delete wrote.
    pub marker: Option<Summary>,
    /// The bucket that was created.
    pub bucket: Option<std::sync::Arc<Bucket>>,
    /// Whether a newer record was already there: the put counts as having happened before it.
    pub superseded: bool,
    /// The erasure that was accepted or has come to another step.
    pub erasure: Option<Erasure>,
    /// The entry of the policy set, as it is from now on.
    pub policy: Option<Box<PolicyEntry>>,
    /// Whether nothing had to be changed, of [`Change::Subject`].
    pub unchanged: bool,
    /// The number under which the journal is told of it, when there is a journal.
    pub journal: Option<u64>,
    /// Of each of these sets of countries one has to hold it, when somebody waits for the journal: nobody else is told what became of a
    /// version.
    pub held_by: BTreeSet<BTreeSet<Country>>,
}

impl Change {
    /// Whether nobody is told that it happened before the journal says so: what was deleted, held or closed must not come back
    /// differently from a rebuild.
    pub(super) const fn waits_for_the_journal(&self) -> bool {
        match self {
            Self::CreateBucket { .. }
            | Self::SetBucket { .. }
            | Self::DeleteBucket { .. }
            | Self::Delete(_)
            | Self::Outlived(_) => true,
            Self::Expire(change) => matches!(change.what, Expires::Version { .. }),
            Self::Erase(_) => true,
            Self::Update(change) => {
                matches!(change.update, RecordUpdate::Retention { .. } | RecordUpdate::LegalHold(_) | RecordUpdate::Acl(_))
            }
            _ => false,
        }
    }
}
