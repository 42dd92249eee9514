//! What a proof says. The order of the fields is that of the line that is signed; verifiers read the line as it is.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::super::proof::{ConsistencyProof, InclusionProof};
use crate::types::{
    BucketName, Country, InstrumentId, KeyId, ObjectKey, PolicyRevision, Pseudonym, RecordId, SiteId, Ticket, VersionId,
};

/// The version that is written.
pub(super) const VERSION: u8 = 1;

/// What the gateway says of one version of a record, as of `made`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    /// The form's version.
    pub v: u8,
    /// When it was made, RFC 3339.
    pub made: String,
    /// The ledger's name, which is the key's.
    pub origin: String,
    /// Which version of which record.
    pub record: RecordStatement,
    /// What the ledger calls it.
    pub names: Names,
    /// Why it lives where it does.
    pub decision: DecisionStatement,
    /// Where it lives, and copies that are still to come.
    pub copies: Vec<CopyStatement>,
    /// The ledger's entries about it.
    pub ledger: LedgerStatement,
    /// What the proof does not prove, in words.
    pub limits: Vec<String>,
}

/// A version of a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordStatement {
    /// The bucket.
    pub bucket: BucketName,
    /// The key.
    pub key: ObjectKey,
    /// The version's id.
    pub version: VersionId,
    /// The record's id.
    pub record: RecordId,
    /// Its place among the writes.
    pub ticket: Ticket,
    /// Plaintext bytes.
    pub size: u64,
    /// The entity tag, without quotes.
    pub etag: String,
    /// The checksum as S3 writes it, behind its algorithm's name and a colon.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checksum: Option<String>,
    /// When it was written, RFC 3339.
    pub modified: String,
    /// Whether a key of the client's own is needed to read it.
    pub customer_key: bool,
}

/// What the entry that placed the record calls it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Names {
    /// The bucket.
    pub bucket: Option<Pseudonym>,
    /// The key.
    pub key: Option<Pseudonym>,
    /// Whose data it is; none where it is nobody's.
    pub subject: Option<Pseudonym>,
}

/// The decision that placed a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DecisionStatement {
    /// The policy set: SHA-256 of what it means.
    pub revision: PolicyRevision,
    /// SHA-256 of its files, where the gateway keeps them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<String>,
    /// When, RFC 3339.
    pub decided: String,
    /// On whose word: `instruments`, `default`, `no-subject-bucket`, `no-subject-otherwise`.
    pub by: String,
    /// The signals that decided: what was known of the subject.
    pub attributes: BTreeMap<String, String>,
    /// Those of them that nobody said, and that the gateway's rules assumed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub assumed: Vec<String>,
    /// The instruments that bound.
    pub instruments: Vec<InstrumentStatement>,
    /// Those that matched and did not bind.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shadow: Vec<InstrumentStatement>,
    /// The exceptions that it leans on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exceptions: Vec<ExceptionStatement>,
    /// The ledger's entry that committed it; none when the gateway knows of none.
    pub entry: Option<u64>,
}

/// An instrument, as the set that decided has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InstrumentStatement {
    /// Its id.
    pub id: InstrumentId,
    /// What people call it. This and what follows is left out where the gateway does not have the set's files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The section that asks for this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub section: Option<String>,
    /// Its force in law, as configured: `in-force`, `draft`, `superseded`, `disputed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub legal_status: Option<String>,
    /// The reading that was chosen, and what is uncertain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// An exception of an instrument that lets a copy be where it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExceptionStatement {
    /// The instrument.
    pub instrument: InstrumentId,
    /// What it rests on.
    pub basis: String,
    /// Where the proof of that is.
    pub reference: String,
    /// The countries that only it lets in.
    pub countries: Vec<Country>,
}

/// A copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CopyStatement {
    /// Where.
    pub site: SiteId,
    /// The site's country, as configured.
    pub country: Country,
    /// The country key that seals it.
    pub key: KeyId,
    /// The country of that key; none when the configuration does not have it any more.
    pub key_country: Option<Country>,
    /// `primary`, `required` or `queued`.
    pub role: String,
    /// Whether it is there.
    pub state: CopyState,
    /// Since when, RFC 3339; none of one that is awaited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// The ledger's entry that committed it as durable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<u64>,
    /// Its blobs at the site.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blobs: Option<Blobs>,
    /// What a look at the site found when the proof was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<CheckedCopy>,
}

/// Whether a copy is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CopyState {
    /// Durable.
    Stored,
    /// Still to be written.
    Awaited,
}

/// The blobs of a copy, in the order of its parts and extents, the manifest last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Blobs {
    /// How many.
    pub count: u64,
    /// Their bytes, as far as the index knows them: of a record of several blobs, without the manifest's.
    pub sealed: u64,
    /// SHA-256 over all names, each with a line end behind it.
    pub sha256: String,
    /// The names; the first ones when there are many.
    pub names: Vec<String>,
}

/// What a look at one copy found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckedCopy {
    /// When, RFC 3339.
    pub at: String,
    /// What came of it.
    pub outcome: Outcome,
    /// In words, where it is not simply sound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// How many of its blobs were looked at: head and length of each. All, or the manifest and others spread evenly.
    pub looked_at: u64,
    /// What is wrong with some of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<BlobFault>,
    /// What the site's checks say, the marker and the region as the service names it among them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub site: Vec<SiteVerdict>,
}

/// What came of a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The site carries its marker, and what was looked at is as it was stored.
    Sound,
    /// Something is wrong with a blob or with the site.
    Faulty,
    /// The site or a key could not be had: nothing is said.
    NotReached,
}

/// Something wrong with a blob.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlobFault {
    /// Its name.
    pub blob: String,
    /// What, in words.
    pub fault: String,
}

/// What one check says of a site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SiteVerdict {
    /// Its name.
    pub check: String,
    /// `ok`, `warning`, `alarm`, `accepted`, `unknown`.
    pub state: String,
    /// In words.
    pub detail: String,
}

/// The ledger's part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LedgerStatement {
    /// The checkpoint that the entries are proven against: a signed note.
    pub checkpoint: String,
    /// The entries that committed the decision and the copies, ascending.
    pub entries: Vec<EntryStatement>,
    /// That the checkpoint continues an earlier one, where that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consistency: Option<ConsistencyProof>,
}

/// An entry of the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EntryStatement {
    /// Exactly as it was hashed.
    pub leaf: String,
    /// That it is in the checkpoint's tree.
    pub inclusion: InclusionProof,
}
