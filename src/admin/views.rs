//! What the API takes and answers, as JSON. Times are RFC 3339, sizes are bytes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::index::{Erasure, ErasureStep};
use crate::policy::ExceptionBasis;
use crate::types::{
    AccountId, Attributes, BucketName, Country, InstrumentId, KeyId, ObjectKey, PolicyRevision, PrincipalId, RecordId, SiteId,
    SourceId, SubjectId, VersionId,
};

/// One page of records.
#[derive(Debug, Clone, Serialize)]
pub struct RecordsPage {
    /// The records found.
    pub records: Vec<RecordView>,
    /// Asks for the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// Where one record lives, and why.
#[derive(Debug, Clone, Serialize)]
pub struct RecordView {
    /// Its bucket.
    pub bucket: BucketName,
    /// Its key.
    pub key: ObjectKey,
    /// Its version.
    pub version: VersionId,
    /// Its identity in the ledger.
    pub record: RecordId,
    /// Bytes of the object.
    pub size: u64,
    /// Entity tag.
    pub etag: String,
    /// When it was written.
    pub modified: String,
    /// Who wrote it.
    pub owner: AccountId,
    /// Whether it is under a key of the client's own besides (SSE-C).
    pub customer_key: bool,
    /// Whose data it is.
    pub subject: Option<SubjectId>,
    /// What was known of the subject when it was placed.
    pub attributes: Attributes,
    /// Countries of its copies, the primary first.
    pub countries: Vec<Country>,
    /// Its copies, the primary first.
    pub copies: Vec<CopyView>,
    /// The instruments that placed it.
    pub instruments: Vec<InstrumentId>,
    /// The instruments in shadow that matched.
    pub shadow: Vec<InstrumentId>,
    /// The policy set that decided.
    pub revision: PolicyRevision,
    /// When it was decided.
    pub decided: String,
    /// On whose word.
    pub decided_by: DecidedByView,
    /// The exceptions of instruments without which it would not be where it is.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exceptions: Vec<ExceptionView>,
    /// The object of a foreign bucket that it was imported from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub imported: Option<ImportedView>,
}

/// On whose word a record was placed.
#[derive(Debug, Clone, Serialize)]
pub struct DecidedByView {
    /// `instruments`, `default`, `no-subject-bucket` or `no-subject-otherwise`.
    pub source: &'static str,
    /// What named the `subject` and what gave each attribute, in the words of the policy set; `assumed` where nothing did.
    pub signals: BTreeMap<String, Vec<String>>,
}

/// What a foreign bucket said of an object when it was imported.
#[derive(Debug, Clone, Serialize)]
pub struct ImportedView {
    /// The source, as the configuration named it.
    pub source: SourceId,
    /// The bucket there.
    pub bucket: String,
    /// The key there.
    pub key: String,
    /// The entity tag that it had there.
    pub etag: String,
    /// When it was written there.
    pub modified: String,
}

/// An exception of an instrument that lets a copy be where the instrument would not.
#[derive(Debug, Clone, Serialize)]
pub struct ExceptionView {
    /// The instrument.
    pub instrument: InstrumentId,
    /// What it rests on.
    pub basis: ExceptionBasis,
    /// Where the proof is.
    pub reference: String,
    /// The countries that only it lets in.
    pub countries: Vec<Country>,
}

/// One copy.
#[derive(Debug, Clone, Serialize)]
pub struct CopyView {
    /// Its site.
    pub site: SiteId,
    /// Its country.
    pub country: Country,
    /// The key that seals it.
    pub key: KeyId,
    /// The country of that key; unknown where the configuration has no such key any more.
    pub key_country: Option<Country>,
    /// `primary`, `required` or `queued`.
    pub role: String,
    /// When it became durable; absent while it is queued.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stored: Option<String>,
}

/// Objects and bytes. What is counted are records: each version of a key is one, however many copies it has.
#[derive(Debug, Clone, Default, Serialize)]
pub struct SummaryView {
    /// All records.
    pub total: CounterView,
    /// By country: those with a copy there.
    pub countries: BTreeMap<String, CounterView>,
    /// By site.
    pub sites: BTreeMap<String, CounterView>,
    /// By bucket.
    pub buckets: BTreeMap<String, CounterView>,
    /// By instrument.
    pub instruments: BTreeMap<String, CounterView>,
    /// By instrument: those that are where they are only by an exception of it.
    pub exceptions: BTreeMap<String, CounterView>,
    /// Those with copies that are still to follow.
    pub queued: CounterView,
    /// Of each country, by site.
    pub country_sites: BTreeMap<String, BTreeMap<String, CounterView>>,
    /// Of each country, by bucket.
    pub country_buckets: BTreeMap<String, BTreeMap<String, CounterView>>,
    /// Of each country, by instrument.
    pub country_instruments: BTreeMap<String, BTreeMap<String, CounterView>>,
    /// Of each site, by bucket.
    pub site_buckets: BTreeMap<String, BTreeMap<String, CounterView>>,
    /// Of each bucket, by instrument.
    pub bucket_instruments: BTreeMap<String, BTreeMap<String, CounterView>>,
}

/// Objects and bytes of one thing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct CounterView {
    /// How many objects have a copy there.
    pub objects: u64,
    /// Bytes of those objects.
    pub bytes: u64,
}

/// A write that is only thought of.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExplainRequest {
    /// Where it would go.
    pub bucket: BucketName,
    /// Where it would go.
    pub key: ObjectKey,
    /// Who would write it; the gateway's only principal when absent.
    #[serde(default)]
    pub principal: Option<PrincipalId>,
    /// Its user metadata, names without `x-amz-meta-`.
    #[serde(default)]
    pub metadata: BTreeMap<String, String>,
    /// Its tags.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
}

/// How many may come in after credentials were read again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct AccessView {
    /// Principals.
    pub principals: usize,
    /// Their key pairs.
    pub access_keys: usize,
    /// Holders of tokens.
    pub tokens: usize,
}

/// Temporary credentials that somebody asks for.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionRequest {
    /// Whose rights.
    pub principal: PrincipalId,
    /// Only in these buckets, `*` for any run of characters; the principal's when absent.
    #[serde(default)]
    pub buckets: Option<Vec<String>>,
    /// Only keys that begin with one of these; the principal's when absent.
    #[serde(default)]
    pub prefixes: Option<Vec<String>>,
    /// Only these of `read`, `write`, `list`, `delete`; the principal's when absent.
    #[serde(default)]
    pub allow: Option<Vec<String>>,
    /// For how long.
    pub seconds: u64,
}

/// Temporary credentials. Not to be logged.
#[derive(Clone, Serialize)]
pub struct SessionView {
    /// The key pair's public half.
    pub access_key_id: String,
    /// Its secret half.
    pub secret_access_key: String,
    /// Goes with every request, as `x-amz-security-token`.
    pub session_token: String,
    /// From when on they are refused.
    pub expires: String,
}

/// What is known of a subject.
#[derive(Debug, Clone, Serialize)]
pub struct SubjectView {
    /// The subject.
    pub id: SubjectId,
    /// What is known, at the time that was asked for.
    pub attributes: Attributes,
    /// Counts the changes.
    pub generation: u64,
    /// When it was last changed.
    pub updated: String,
    /// Attributes for which no policy of the set in force asks: perhaps a slip.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unasked: Vec<String>,
    /// Whether anything was known at that time.
    pub known: bool,
    /// Since when that holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effective: Option<String>,
    /// All that was said of the subject, in order.
    pub history: Vec<StatementView>,
    /// What was said up to then is not kept any more, or only in part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub history_cut: Option<String>,
}

/// Something that was said of a subject.
#[derive(Debug, Clone, Serialize)]
pub struct StatementView {
    /// What is known; null: nothing any more.
    pub attributes: Option<Attributes>,
    /// From when on.
    pub effective: String,
    /// When it was said.
    pub recorded: String,
    /// By whose token.
    pub by: Option<PrincipalId>,
    /// Why.
    pub reason: Option<String>,
    /// The generation that began with it.
    pub generation: u64,
    /// `holds`, `coming`, or `past`: it held before, or another word took its place.
    pub state: &'static str,
}

/// One site and its state.
#[derive(Debug, Clone, Serialize)]
pub struct SiteView {
    /// Its name.
    pub id: SiteId,
    /// Where it stands.
    pub country: Country,
    /// The key that seals what it holds.
    pub key: KeyId,
    /// Whether it answers.
    pub up: bool,
    /// Whether new records go there.
    pub takes_records: bool,
    /// What was last seen of it.
    pub detail: String,
    /// When it was last looked at how it is set up; absent until then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checked: Option<String>,
    /// What was found.
    pub checks: Vec<CheckView>,
}

/// What one check says of a site.
#[derive(Debug, Clone, Serialize)]
pub struct CheckView {
    /// Its name.
    pub check: &'static str,
    /// `ok`, `warning`, `alarm`, `accepted` or `unknown`.
    pub state: &'static str,
    /// What was found, or why nothing could be; empty when all is well.
    pub detail: String,
}

/// A site taken into service.
#[derive(Debug, Clone, Serialize)]
pub struct SiteInitView {
    /// The site.
    pub site: SiteId,
    /// Whether its first marker has been made now.
    pub created: bool,
    /// How often it has been taken into service.
    pub epoch: u64,
}

/// One country key and its versions.
#[derive(Debug, Clone, Serialize)]
pub struct KeyView {
    /// Its name.
    pub id: KeyId,
    /// Its country.
    pub country: Country,
    /// What kind of provider holds it.
    pub provider: &'static str,
    /// Whether it can be used.
    pub up: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    /// Its versions, newest first.
    pub versions: Vec<KeyVersionView>,
}

/// One version of a country key.
#[derive(Debug, Clone, Serialize)]
pub struct KeyVersionView {
    /// The version's identity.
    pub id: String,
    /// `primary`, `decrypt-only`, `destroying` or `destroyed`.
    pub state: String,
    /// When it was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// Whole days since.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age_days: Option<i64>,
    /// How many subject keys it wraps, as of the last count; unknown when the index could not be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wraps: Option<u64>,
}

/// A new generation of a subject's key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SubjectKeyView {
    /// The country's key that wraps it.
    pub key: KeyId,
    /// What tells it from the owner's others.
    pub generation: u64,
}

/// An erasure of a subject. It does not say of whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ErasureView {
    /// Its number.
    pub id: u64,
    /// `pending` or `complete`.
    pub state: &'static str,
    /// Of a pending one, what it waits for: `sweep`, its rows go, or `keys`, old versions of country keys have to be destroyed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<&'static str>,
    /// When it was accepted, RFC 3339.
    pub accepted: String,
    /// When it was complete.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completed: Option<String>,
}

impl From<&Erasure> for ErasureView {
    fn from(erasure: &Erasure) -> Self {
        let (state, step, completed) = match &erasure.step {
            ErasureStep::Sweep => ("pending", Some("sweep"), None),
            ErasureStep::Keys { .. } => ("pending", Some("keys"), None),
            ErasureStep::Complete { at } => ("complete", None, Some(at.to_rfc3339())),
        };
        Self { id: erasure.id, state, step, accepted: erasure.accepted.to_rfc3339(), completed }
    }
}

/// Whether the gateway can do its work.
#[derive(Debug, Clone, Serialize)]
pub struct Readiness {
    /// Whether everything that every request needs is there. One site being down does not make a gateway unready: the countries
    /// that can be served are.
    pub ready: bool,
    /// Part by part, for bearers of a token.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub components: Vec<ComponentView>,
}

/// One part of the gateway.
#[derive(Debug, Clone, Serialize)]
pub struct ComponentView {
    /// `index`, `site:pk-khi`, `key:pk`.
    pub name: String,
    /// Whether it works.
    pub up: bool,
    /// What was last seen of it.
    pub detail: String,
}
