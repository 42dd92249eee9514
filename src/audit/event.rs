//! What happened, without naming anybody.

use std::collections::BTreeMap;

use serde::Serialize;

use super::PolicyStep;
use crate::types::{
    Country, InstrumentId, KeyId, PolicyRevision, PrincipalId, Pseudonym, RecordId, RequestId, SiteId, Ticket, VersionId,
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
    /// Whether a change that the index refuses leaves an entry, too.
    #[serde(skip)]
    pub record_refusal: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// A question that the admin API was asked, or what a session was made for. Bucket, key, subject, version and countries that it names stand in the entry's own fields.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Asked {
    /// Method and path, as the API's description writes them.
    pub route: &'static str,
    /// How the keys begin, in the bucket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<Pseudonym>,
    /// The site.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub site: Option<Pseudonym>,
    /// The instrument.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instrument: Option<Pseudonym>,
    /// Who would write; whose session it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub principal: Option<Pseudonym>,
    /// From this time on, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// Before this time, RFC 3339; the end of a session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// From this ledger entry on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<u64>,
    /// At most so many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// Whether it is a later page of an earlier question.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub continued: bool,
}

/// An exception of an instrument that lets a copy be where the instrument would not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct LeantOn {
    /// The instrument.
    pub instrument: InstrumentId,
    /// What the exception rests on, as policy files name it.
    pub basis: &'static str,
    /// Where the proof is, in the words of the policy file.
    pub reference: String,
    /// The countries that only it lets in.
    pub countries: Vec<Country>,
}

/// What a check found at a site.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct SiteCheck {
    /// Its name.
    pub name: &'static str,
    /// `alarm` or `warning`.
    pub severity: &'static str,
    /// Whether the configuration accepts it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub accepted: bool,
}

/// What a rebuild of the index found at the sites.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Rebuilt {
    /// Versions with bytes.
    pub records: u64,
    /// Those of them that no site's journal knew: they were written in the last moment.
    pub adopted: u64,
    /// Countries whose journal ends before the last commit that others know of.
    pub behind: Vec<Country>,
    /// Ledger entries that are known of, and missing or behind a missing one.
    pub entries_lost: u64,
    /// Pieces of the journal that do not open.
    pub unreadable: u64,
}

/// What a scrub came to.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Scrubbed {
    /// Whether every byte was opened, not the heads alone.
    pub deep: bool,
    /// Whether only some records were looked at: those of a bucket, a prefix, a subject, or a sample.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub partial: bool,
    /// Of a sample, the seed that it was drawn by and one record in how many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sample: Option<(u64, u64)>,
    /// Records that were looked at.
    pub records: u64,
    /// Blobs that were.
    pub blobs: u64,
    /// What was found, by class; what was put right is not counted.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub findings: BTreeMap<&'static str, u64>,
    /// What was put right.
    #[serde(skip_serializing_if = "is_zero")]
    pub repaired: u64,
    /// What could not be looked at: its site or key could not be had.
    #[serde(skip_serializing_if = "is_zero")]
    pub unchecked: u64,
}

/// A version of a country's key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct CountryKeyVersion {
    /// The key, as the configuration names it.
    pub key: KeyId,
    /// The version; none where only the key is known yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
}

/// Calls to a key provider that were alike in what was asked and how it ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct ProviderCalls {
    /// What was asked: `wrap`, `unwrap`, `rewrap`, `describe`, `rotate`, `destroy`; `health` where the answer became another.
    pub operation: &'static str,
    /// `ok`, or the code of the failure.
    pub outcome: &'static str,
    /// How many.
    pub calls: u64,
    /// The versions concerned.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub versions: Vec<u32>,
    /// Whose keys.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub subjects: Vec<Pseudonym>,
    /// The buckets whose keys.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub buckets: Vec<Pseudonym>,
    /// The sites whose keys.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sites: Vec<SiteId>,
    /// Calls whose owner is not named, because there were too many.
    #[serde(skip_serializing_if = "is_zero")]
    pub unnamed: u64,
}

/// An export of the index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct FromExport {
    /// The commit that it is of.
    pub number: u64,
    /// When it was made, RFC 3339.
    pub ended: String,
    /// How many ledger entries it holds.
    pub entries: u64,
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
    /// A country's key has a new version.
    KeyRotated,
    /// A version of a country's key is destroyed, with all that only it wrapped.
    KeyDestroyed,
    /// The provider of a country's key was called.
    KeyUsed,
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
    /// The index was read from such a file, and from what the sites were told since.
    IndexImported,
    /// Temporary credentials were made.
    SessionCreated,
    AdminAction,
    Started,
    Stopped,
}

/// Who asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Actor {
    /// The gateway itself.
    System,
    /// Whoever may send the process a signal.
    Signal,
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
            record_refusal: false,
        }
    }

    /// The same, refused with `code`.
    #[must_use]
    pub fn refused(mut self, code: &'static str) -> Self {
        self.outcome = Outcome::Refused { code };
        self
    }
}
