//! What the API asks of the gateway behind it.

use std::collections::BTreeSet;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use serde_json::Value;

use super::views::{
    AccessView, ErasureView, ExplainRequest, KeyView, Readiness, RecordView, RecordsPage, SessionRequest, SessionView,
    SiteInitView, SiteView, SubjectKeyView, SubjectView, SummaryView,
};
use super::{
    CheckpointsView, HistoryQuestion, HistoryView, ImportOrder, LedgerHeadView, LedgerPage, PoliciesView, PolicyDiffView,
    PolicyEntryView, PolicyRevisionView, PopulationFormat, SampleView, SetToCompare, report::ReportView,
};
use crate::audit::{
    proof::{ConsistencyProof, InclusionProof},
    residence::Proof,
    tile::Tile,
};
use crate::authn::TokenIdentity;
use crate::diagnostics::Diagnostic;
use crate::import::{self, SubjectMap};
use crate::index::{EntriesQuery, Finding, RecordsQuery, Saying};
use crate::policy::PolicyFile;
use crate::relocation::{Job, Order, Plan};
use crate::rotation;
use crate::scrub;
use crate::types::{BucketName, ObjectKey, RequestId, SiteId, SubjectId, Timestamp, VersionId};

/// A question for metadata, for the ledger.
#[derive(Debug, Clone, Copy)]
pub enum Query<'a> {
    /// Records by filter.
    Records(&'a RecordsQuery),
    /// One key, or one version of it.
    Record(&'a BucketName, &'a ObjectKey, Option<VersionId>),
    /// A residency proof of a version.
    Proof {
        /// The bucket.
        bucket: &'a BucketName,
        /// The key.
        key: &'a ObjectKey,
        /// The version; the current one when none is named.
        version: Option<VersionId>,
        /// The entries of the checkpoint that it is to continue.
        from: Option<u64>,
    },
    /// The counters.
    Summary,
    /// What would be decided.
    Explain(&'a ExplainRequest),
    /// The policies in force.
    Policies,
    /// How policy sets came into force.
    PolicyHistory {
        /// Before this entry.
        before: Option<u64>,
        /// At most so many.
        limit: usize,
    },
    /// The files of a policy set.
    PolicyRevision,
    /// What two policy sets decide differently.
    PolicyDiff,
    /// What a policy set would move.
    Plan,
    /// The relocations.
    Relocations,
    /// One relocation.
    Relocation,
    /// The scrubs.
    Scrubs,
    /// One scrub.
    Scrub,
    /// What scrubs have found.
    Findings,
    /// The imports.
    Imports,
    /// One import.
    Import,
    /// A subject's attributes.
    Subject(&'a SubjectId),
    /// The ledger's head.
    LedgerHead,
    /// Ledger entries.
    LedgerEntries(&'a EntriesQuery),
    /// The sites and their states.
    Sites,
    /// The country keys.
    Keys,
    /// The renewals of country keys.
    Rotations,
    /// One renewal.
    Rotation,
    /// The erasures.
    Erasures {
        /// Before this one.
        before: Option<u64>,
        /// At most so many.
        limit: usize,
    },
    /// One erasure.
    Erasure(u64),
    /// A tile of the ledger.
    LedgerTile(Tile),
    /// A proof of the ledger's tree.
    LedgerProof {
        /// The entry, or the earlier size.
        from: u64,
        /// The later size.
        to: Option<u64>,
    },
    /// Checkpoints that were kept.
    LedgerCheckpoints {
        /// Below this size.
        before: Option<u64>,
        /// At most so many.
        limit: usize,
    },
    /// What happened in a period, and how things stand.
    Report {
        /// From this time on.
        since: Timestamp,
        /// Before this time.
        until: Timestamp,
    },
    /// The story of a key.
    History(&'a HistoryQuestion),
    /// The population.
    Population(&'a RecordsQuery),
    /// A sample of it.
    Sample(&'a RecordsQuery),
}

impl Query<'_> {
    /// The route that asks it, as in [`super::ROUTES`].
    pub const fn route(&self) -> &'static str {
        match self {
            Self::Records(_) => "GET /v1/records",
            Self::Record(..) => "GET /v1/record",
            Self::Proof { .. } => "GET /v1/proof",
            Self::Summary => "GET /v1/summary",
            Self::Explain(_) => "POST /v1/explain",
            Self::Policies => "GET /v1/policies",
            Self::PolicyHistory { .. } => "GET /v1/policies/history",
            Self::PolicyRevision => "GET /v1/policies/revisions/{id}",
            Self::PolicyDiff => "POST /v1/policies/diff",
            Self::Plan => "POST /v1/policies/plan",
            Self::Relocations => "GET /v1/relocations",
            Self::Relocation => "GET /v1/relocations/{id}",
            Self::Scrubs => "GET /v1/scrubs",
            Self::Scrub => "GET /v1/scrubs/{id}",
            Self::Findings => "GET /v1/findings",
            Self::Imports => "GET /v1/imports",
            Self::Import => "GET /v1/imports/{id}",
            Self::Subject(_) => "GET /v1/subjects/{id}",
            Self::LedgerHead => "GET /v1/ledger/checkpoint",
            Self::LedgerEntries(_) => "GET /v1/ledger/entries",
            Self::Sites => "GET /v1/sites",
            Self::Keys => "GET /v1/keys",
            Self::Rotations => "GET /v1/rotations",
            Self::Rotation => "GET /v1/rotations/{id}",
            Self::Erasures { .. } => "GET /v1/erasures",
            Self::Erasure(_) => "GET /v1/erasures/{id}",
            Self::LedgerTile(_) => "GET /v1/ledger/tile/{*path}",
            Self::LedgerProof { .. } => "GET /v1/ledger/proof",
            Self::LedgerCheckpoints { .. } => "GET /v1/ledger/checkpoints",
            Self::Report { .. } => "GET /v1/report",
            Self::History(_) => "GET /v1/record/history",
            Self::Population(_) => "GET /v1/population",
            Self::Sample(_) => "GET /v1/sample",
        }
    }
}

/// What becomes of a proposal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It comes into force.
    Approve,
    /// It does not.
    Reject,
}

/// What came of a line of an import.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImportedSubject {
    /// It changed something.
    Set,
    /// It was known before.
    Unchanged,
    /// It cannot be taken.
    Refused(&'static str),
}

/// A file as it comes.
pub type ExportBytes = BoxStream<'static, Result<Bytes, GatewayError>>;

/// Why the gateway has no answer.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// The request names something that cannot be.
    #[error("{0}")]
    Invalid(String),
    /// What the request names does not exist.
    #[error("{0}")]
    NotFound(&'static str),
    /// The new policies are wrong; the old ones stay in force.
    #[error("the policies have {} mistakes; those in force stay", .0.len())]
    Policies(Vec<Diagnostic>),
    /// The configuration is wrong; principals and tokens stay as they are.
    #[error("mistakes in the configuration, principals and tokens stay as they are:\n{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Config(Vec<Diagnostic>),
    /// What stands in the way has to be changed first.
    #[error("{0}")]
    Conflict(String),
    /// The same request can succeed later.
    #[error("{0}")]
    Unavailable(&'static str),
    /// A defect or a failing disk; the message is for the log only.
    #[error("internal error: {0}")]
    Internal(String),
}

/// The gateway as the API sees it.
#[async_trait]
pub trait Gateway: Send + Sync + 'static {
    /// Records the query in the ledger. The API evaluates it only after this has succeeded.
    async fn record_query(&self, request: &RequestId, who: &TokenIdentity, query: Query<'_>) -> Result<(), GatewayError>;

    /// Finds records.
    async fn records(&self, query: RecordsQuery) -> Result<RecordsPage, GatewayError>;
    /// Every version of a key, newest first, or the one asked for.
    async fn record(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        version: Option<VersionId>,
    ) -> Result<Vec<RecordView>, GatewayError>;
    /// A residency proof of a version, of the current one when none is named; with `from`, that its checkpoint continues the ledger of so
    /// many entries. Its sites are looked at now.
    async fn proof(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        version: Option<VersionId>,
        from: Option<u64>,
    ) -> Result<Proof, GatewayError>;
    /// The counters.
    async fn summary(&self) -> Result<SummaryView, GatewayError>;
    /// What would be decided, and why.
    async fn explain(&self, request: ExplainRequest) -> Result<Value, GatewayError>;

    /// The policies in force.
    fn policies(&self) -> PoliciesView;
    /// What would move under the policy set of these files, or under the one in force.
    async fn plan(&self, files: Option<Vec<PolicyFile>>) -> Result<Plan, GatewayError>;
    /// Orders a relocation, in the ledger before it begins.
    async fn order_relocation(
        &self,
        request: &RequestId,
        who: &TokenIdentity,
        order: Order,
        dry_run: bool,
    ) -> Result<Job, GatewayError>;
    /// Every relocation of this run of the gateway.
    fn relocations(&self) -> Vec<Job>;
    /// One of them.
    fn relocation(&self, id: u64) -> Option<Job>;
    /// Calls one off, in the ledger before.
    async fn cancel_relocation(&self, request: &RequestId, who: &TokenIdentity, id: u64) -> Result<Option<Job>, GatewayError>;
    /// Orders a scrub, in the ledger before it begins.
    async fn order_scrub(
        &self,
        request: &RequestId,
        who: &TokenIdentity,
        order: scrub::Order,
    ) -> Result<scrub::Job, GatewayError>;
    /// Every scrub of this run of the gateway.
    fn scrubs(&self) -> Vec<scrub::Job>;
    /// One of them.
    fn scrub(&self, id: u64) -> Option<scrub::Job>;
    /// Calls one off, in the ledger before.
    async fn cancel_scrub(&self, request: &RequestId, who: &TokenIdentity, id: u64) -> Result<Option<scrub::Job>, GatewayError>;
    /// What scrubs found and is not put right.
    async fn findings(&self) -> Result<Vec<Finding>, GatewayError>;

    /// Orders an import, in the ledger before it begins.
    async fn order_import(
        &self,
        request: &RequestId,
        who: &TokenIdentity,
        order: ImportOrder,
        map: SubjectMap,
    ) -> Result<import::Job, GatewayError>;
    /// Every import of this run of the gateway.
    fn imports(&self) -> Vec<import::Job>;
    /// One of them.
    fn import(&self, id: u64) -> Option<import::Job>;
    /// Calls one off, in the ledger before.
    async fn cancel_import(&self, request: &RequestId, who: &TokenIdentity, id: u64)
    -> Result<Option<import::Job>, GatewayError>;
    /// Up to `limit` entries of the history of policy sets before `before`, the newest first.
    async fn policy_history(&self, before: Option<u64>, limit: usize) -> Result<Vec<PolicyEntryView>, GatewayError>;
    /// A kept policy set, by its revision or the beginning of it.
    async fn policy_revision(&self, name: &str) -> Result<PolicyRevisionView, GatewayError>;
    /// What two policy sets decide differently: without `from` the one in force, without `to` what is proposed, else the folder's.
    async fn policy_diff(&self, from: Option<SetToCompare>, to: Option<SetToCompare>) -> Result<PolicyDiffView, GatewayError>;
    /// Puts an earlier set back in force, or proposes it where that has to be approved.
    async fn roll_back_policies(
        &self,
        request: &RequestId,
        who: &TokenIdentity,
        name: &str,
        comment: Option<String>,
    ) -> Result<PoliciesView, GatewayError>;
    /// Approves or rejects what is proposed. [`GatewayError::Conflict`] when the same person proposed it, or another set is in force
    /// by now; both are recorded.
    async fn decide_policies(
        &self,
        request: &RequestId,
        who: &TokenIdentity,
        name: &str,
        verdict: Verdict,
        comment: Option<String>,
    ) -> Result<PoliciesView, GatewayError>;
    /// Reads the policies again; the old ones stay when the new ones are wrong, and when somebody else has to approve them.
    async fn reload_policies(&self, request: &RequestId, who: &TokenIdentity) -> Result<PoliciesView, GatewayError>;

    /// Reads principals and tokens again from the configuration; the old ones stay when it is wrong.
    async fn reload_config(&self, request: &RequestId, who: &TokenIdentity) -> Result<AccessView, GatewayError>;

    /// Makes temporary credentials, in the ledger before they are given out.
    async fn create_session(
        &self,
        request: &RequestId,
        who: &TokenIdentity,
        session: SessionRequest,
    ) -> Result<SessionView, GatewayError>;

    /// What is known of a subject, now or at `at`, by what had been said until `known`.
    async fn subject(
        &self,
        subject: &SubjectId,
        at: Option<Timestamp>,
        known: Option<Timestamp>,
    ) -> Result<Option<SubjectView>, GatewayError>;
    /// Those of these names of attributes for which no policy of the set in force asks.
    fn unasked(&self, attributes: &BTreeSet<String>) -> Vec<String>;
    /// Takes what is said of a subject. Forgetting a subject of whom nothing is known is recorded, and [`GatewayError::NotFound`].
    async fn set_subject(
        &self,
        request: &RequestId,
        who: &TokenIdentity,
        subject: &SubjectId,
        saying: Saying,
    ) -> Result<(), GatewayError>;
    /// Takes what is said of subjects, of each one thing, together; a dry run only looks. What comes back is in their order and can
    /// end behind the first error: what is later in order may be set or not then.
    async fn import_subjects(
        &self,
        request: &RequestId,
        who: &TokenIdentity,
        sayings: Vec<(SubjectId, Saying)>,
        dry_run: bool,
    ) -> Vec<Result<ImportedSubject, GatewayError>>;

    /// Erases a subject. [`GatewayError::Conflict`] while something keeps a version of it, [`GatewayError::NotFound`] where there is
    /// nothing of it; both are recorded.
    async fn erase_subject(
        &self,
        request: &RequestId,
        who: &TokenIdentity,
        subject: &SubjectId,
        now: bool,
    ) -> Result<ErasureView, GatewayError>;
    /// Up to `limit` erasures before `before`, the newest first.
    async fn erasures(&self, before: Option<u64>, limit: usize) -> Result<Vec<ErasureView>, GatewayError>;
    /// One of them.
    async fn erasure(&self, id: u64) -> Result<Option<ErasureView>, GatewayError>;

    /// Orders the renewal of a country's key, in the ledger before it begins.
    async fn rotate_key(
        &self,
        request: &RequestId,
        who: &TokenIdentity,
        order: rotation::Rotation,
    ) -> Result<rotation::Job, GatewayError>;
    /// Gives a subject's keys a new generation in every country, in the ledger before it is done.
    async fn rotate_subject_key(
        &self,
        request: &RequestId,
        who: &TokenIdentity,
        subject: &SubjectId,
    ) -> Result<Vec<SubjectKeyView>, GatewayError>;
    /// Every renewal of this run of the gateway.
    fn rotations(&self) -> Vec<rotation::Job>;
    /// One of them.
    fn rotation(&self, id: u64) -> Option<rotation::Job>;

    /// The ledger's head.
    fn ledger_head(&self) -> Result<LedgerHeadView, GatewayError>;
    /// The entries of a question.
    async fn ledger_entries(&self, query: EntriesQuery) -> Result<LedgerPage, GatewayError>;
    /// The story of a key, told by the ledger.
    async fn history(&self, question: HistoryQuestion) -> Result<HistoryView, GatewayError>;
    /// Gives out the records of a question, as they are at one moment. The totals are in the ledger before they are sent.
    async fn population(
        &self,
        request: &RequestId,
        who: &TokenIdentity,
        query: RecordsQuery,
        format: PopulationFormat,
    ) -> Result<ExportBytes, GatewayError>;
    /// Draws as many of them as the question's limit says.
    async fn sample(&self, query: RecordsQuery, seed: &str) -> Result<SampleView, GatewayError>;

    /// A tile or bundle; `None` while there is none such.
    async fn ledger_tile(&self, tile: Tile) -> Result<Option<Vec<u8>>, GatewayError>;
    /// That an entry is in the tree of `size`, or of all entries.
    async fn ledger_inclusion(&self, entry: u64, size: Option<u64>) -> Result<Option<InclusionProof>, GatewayError>;
    /// That the first `to` entries begin with the first `from`.
    async fn ledger_consistency(&self, from: u64, to: u64) -> Result<Option<ConsistencyProof>, GatewayError>;
    /// The checkpoints that were kept, the newest first, from below the size `before` on, and how it stands with who vouches for them.
    async fn ledger_checkpoints(&self, before: Option<u64>, limit: usize) -> Result<CheckpointsView, GatewayError>;

    /// What happened from `since` on and before `until`, and how things stand.
    async fn report(&self, since: Timestamp, until: Timestamp) -> Result<ReportView, GatewayError>;

    /// Begins an export of the index, in the ledger before. The file's bytes follow; an error among them means that it is none.
    async fn export_index(&self, request: &RequestId, who: &TokenIdentity) -> Result<ExportBytes, GatewayError>;

    /// The sites and their states.
    async fn sites(&self) -> Vec<SiteView>;
    /// Looks at every site now, in the ledger before: their states after that.
    async fn check_sites(&self, request: &RequestId, who: &TokenIdentity) -> Result<Vec<SiteView>, GatewayError>;
    /// Takes a site into service now, in the ledger before; makes its marker where it was never in use.
    async fn init_site(&self, request: &RequestId, who: &TokenIdentity, site: &SiteId) -> Result<SiteInitView, GatewayError>;
    /// The country keys.
    async fn keys(&self) -> Result<Vec<KeyView>, GatewayError>;
    /// Whether the gateway can do its work.
    async fn readiness(&self) -> Readiness;
    /// Metrics in Prometheus's text format.
    fn metrics(&self) -> String;
}
