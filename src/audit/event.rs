//! What happened, without naming anybody.

use serde::Serialize;

use super::{
    PolicyStep,
    details::{Asked, CountryKeyVersion, FromExport, KeyExport, LeantOn, ProviderCalls, Rebuilt, Scrubbed, SiteCheck, is_zero},
    told::{CollectedCopies, DecidedBy, PlacedCopy, PopulationGiven},
};
use crate::types::{
    Country, InstrumentId, PolicyRevision, PrincipalId, Pseudonym, RecordId, RequestId, SiteId, Ticket, VersionId,
};

/// One thing that happened. Names and subjects are pseudonyms; no text from outside gets in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Event {
    /// What.
    pub kind: Kind,
    /// The request that asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<RequestId>,
    /// Who asked.
    pub actor: Actor,
    /// The bucket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bucket: Option<Pseudonym>,
    /// The key, in its bucket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<Pseudonym>,
    /// Whose data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<Pseudonym>,
    /// The record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record: Option<RecordId>,
    /// Its version id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<VersionId>,
    /// Its ticket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ticket: Option<Ticket>,
    /// Plaintext bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// The countries concerned.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub countries: Vec<Country>,
    /// The sites concerned.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sites: Vec<SiteId>,
    /// The instruments that bound.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub instruments: Vec<InstrumentId>,
    /// The instruments in shadow that matched.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub shadow: Vec<InstrumentId>,
    /// The policy set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<PolicyRevision>,
    /// How it ended.
    pub outcome: Outcome,
    /// How many like it were not recorded one by one since the last ([`super::Throttle`]).
    #[serde(skip_serializing_if = "is_zero")]
    pub suppressed: u64,
    /// What was asked, of [`Kind::AuditQuery`] and [`Kind::SessionCreated`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query: Option<Box<Asked>>,
    /// The sites that a record has left, of [`Kind::Relocated`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub left: Vec<SiteId>,
    /// What a rebuild of the index found, of [`Kind::IndexRebuilt`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rebuilt: Option<Box<Rebuilt>>,
    /// What is wrong with a blob, of [`Kind::Found`], [`Kind::Cleared`] and [`Kind::Repaired`]: the class of the finding.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finding: Option<&'static str>,
    /// What a scrub came to, of [`Kind::Scrubbed`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scrubbed: Option<Box<Scrubbed>>,
    /// What was looked at, of [`Kind::SiteAlarm`] and [`Kind::SiteClear`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub check: Option<SiteCheck>,
    /// The erasure, of what belongs to one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub erasure: Option<u64>,
    /// The country key and its version, of [`Kind::KeyRotated`] and [`Kind::KeyDestroyed`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country_key: Option<Box<CountryKeyVersion>>,
    /// The export that the index was read from, of [`Kind::IndexImported`], and of [`Kind::Started`] where the index lacks what sites that
    /// were left out know since.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub export: Option<Box<FromExport>>,
    /// Calls to a country key's provider, of [`Kind::KeyUsed`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub key_calls: Vec<ProviderCalls>,
    /// The exceptions of instruments without which a record would not be where it was put.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exceptions: Vec<LeantOn>,
    /// The step of a policy set, of [`Kind::PolicyActivated`] and the kinds like it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<Box<PolicyStep>>,
    /// From when on it holds, RFC 3339, of [`Kind::SubjectSet`] and [`Kind::SubjectRemoved`] where that is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effective: Option<String>,
    /// Where who was let read processes, of [`Kind::GetObject`], as far as that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reader: Option<Country>,
    /// What left, of [`Kind::KeyExported`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_export: Option<Box<KeyExport>>,
    /// Where a record's bytes are to be, copy by copy, of what places one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub copies: Vec<PlacedCopy>,
    /// On whose word it was placed there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decided_by: Option<Box<DecidedBy>>,
    /// The records that are no version of their key any more: their bytes are garbage from then on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gone: Vec<RecordId>,
    /// The delete marker that was written: what it hides stays.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub marker: Option<VersionId>,
    /// Records of which nothing lies at these sites any more, of [`Kind::Collected`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub collected: Vec<CollectedCopies>,
    /// What was given out, of [`Kind::PopulationExported`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub population: Option<Box<PopulationGiven>>,
    /// How somebody showed who they are, of [`Kind::Login`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub login: Option<&'static str>,
    /// Whether a change that the index refuses leaves an entry, too.
    #[serde(skip)]
    pub record_refusal: bool,
    /// Whose the key or prefix is, where `subject` does not say it: the entry's names are made with the salt of that subject, and mean nothing
    /// any more once it is erased. The index puts them in the place of the pseudonyms that this event has.
    #[serde(skip)]
    pub whose: Option<Pseudonym>,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the names are the documentation")]
pub enum Kind {
    CreateBucket,
    DeleteBucket,
    ConfigureBucket,
    PutObject,
    CopyObject,
    /// A record was stored from an object of a foreign bucket.
    ImportObject,
    /// The object that a record was imported from is removed at its source: the record has been read back.
    SourceDeleted,
    DeleteObject,
    /// A version's tags, retention or legal hold changed.
    DescribeObject,
    /// Content was opened for whoever asked for it.
    GetObject,
    CreateUpload,
    UploadPart,
    CompleteUpload,
    AbortUpload,
    /// A request that was refused before it became any of the others.
    Refused,
    SubjectSet,
    SubjectRemoved,
    /// What was said of a subject for a later day has come to hold.
    SubjectDue,
    PolicyActivated,
    /// A policy set waits for somebody else's approval.
    PolicyProposed,
    /// Somebody else approved it.
    PolicyApproved,
    /// It will not come into force.
    PolicyRejected,
    /// An earlier set comes back into force.
    PolicyRolledBack,
    SiteSeen,
    /// A check found something at a site.
    SiteAlarm,
    /// It finds it no more.
    SiteClear,
    KeyCreated,
    KeyRewrapped,
    /// A subject key that was there is durable at one more site.
    KeyStored,
    /// The provider of a country's key is asked for a new version. Without a [`Kind::KeyRotated`] behind it nobody knows whether it made one.
    KeyRotating,
    /// A country's key has a new version.
    KeyRotated,
    /// A version of a country's key is destroyed, with all that only it wrapped.
    KeyDestroyed,
    /// The provider of a country's key was called.
    KeyUsed,
    /// Keys of a subject, a bucket or a record have left the installation.
    KeyExported,
    /// The keys of a subject are destroyed, or that is refused.
    ErasureAccepted,
    /// A version of an erased subject is gone from the index, or an upload.
    Erased,
    /// Nothing opens anything of an erased subject any more.
    ErasureComplete,
    /// A queued copy has keys and names; its bytes follow.
    CopyBegun,
    CopyStored,
    /// A record lives elsewhere now.
    Relocated,
    /// Everything of a subject has been held against its changed entry.
    SubjectSettled,
    Collected,
    /// A lifecycle rule let something go.
    Expired,
    AuditQuery,
    /// The index was lost and has been built anew from the sites.
    IndexRebuilt,
    /// A scrub found something wrong with what lies at a site.
    Found,
    /// What a scrub had found is so no longer.
    Cleared,
    /// A scrub put something right.
    Repaired,
    /// A scrub came to its end.
    Scrubbed,
    /// The index leaves the gateway as a sealed file.
    IndexExported,
    /// All records, or those of a question, were given out as rows.
    PopulationExported,
    /// The index was read from such a file, and from what the sites were told since.
    IndexImported,
    /// Temporary credentials were made.
    SessionCreated,
    AdminAction,
    Started,
    Stopped,
    /// Somebody signed in to the console, or was not let in.
    Login,
    /// Somebody signed out of it.
    Logout,
}

/// Who asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Actor {
    /// The gateway itself.
    System,
    /// Whoever may send the process a signal.
    Signal,
    /// Whoever holds the keyring and an identity that opens it.
    Keyholder,
    /// Nobody known.
    Anonymous,
    /// A principal.
    Principal(Pseudonym),
    /// An access key id that was named but not proven.
    AccessKey(Pseudonym),
    /// A token of the admin API.
    Token {
        /// Its role.
        role: &'static str,
        /// Its name in the configuration.
        id: PrincipalId,
    },
}

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It happened.
    Ok,
    /// It did not.
    Refused {
        /// The error code, one of the program's own.
        code: &'static str,
    },
}

impl Event {
    /// The same without what makes it long: owners of keys are counted instead of named, and references of exceptions are cut.
    pub fn lean(&self) -> Self {
        let mut event = self.clone();
        for calls in &mut event.key_calls {
            (calls.subjects, calls.buckets, calls.sites) = Default::default();
            calls.unnamed = calls.calls;
        }
        for exception in &mut event.exceptions {
            exception.reference = exception.reference.chars().take(40).collect();
        }
        event
    }

    /// Something that happened, with nothing further known.
    pub const fn new(kind: Kind, actor: Actor) -> Self {
        Self {
            kind,
            request: None,
            actor,
            bucket: None,
            key: None,
            subject: None,
            record: None,
            version: None,
            ticket: None,
            size: None,
            countries: Vec::new(),
            sites: Vec::new(),
            instruments: Vec::new(),
            shadow: Vec::new(),
            revision: None,
            outcome: Outcome::Ok,
            suppressed: 0,
            query: None,
            left: Vec::new(),
            rebuilt: None,
            finding: None,
            scrubbed: None,
            check: None,
            erasure: None,
            country_key: None,
            export: None,
            key_calls: Vec::new(),
            exceptions: Vec::new(),
            policy: None,
            effective: None,
            reader: None,
            key_export: None,
            copies: Vec::new(),
            decided_by: None,
            gone: Vec::new(),
            marker: None,
            collected: Vec::new(),
            population: None,
            login: None,
            record_refusal: false,
            whose: None,
        }
    }

    /// Whether it is a reason to name somebody anew who was erased: something of them is stored or said again, or asked for.
    pub fn begins(&self) -> bool {
        let stores =
            matches!(self.kind, Kind::PutObject | Kind::CopyObject | Kind::ImportObject | Kind::CreateUpload | Kind::SubjectSet);
        self.asks() || (stores && self.outcome == Outcome::Ok)
    }

    /// Whether somebody asks, or orders, what others do not see: nothing is stored or said by it.
    pub fn asks(&self) -> bool {
        self.outcome == Outcome::Ok && matches!(self.kind, Kind::AuditQuery | Kind::AdminAction)
    }

    /// The same, refused with `code`.
    #[must_use]
    pub fn refused(mut self, code: &'static str) -> Self {
        self.outcome = Outcome::Refused { code };
        self
    }
}
