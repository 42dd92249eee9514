//! What the API asks of the gateway behind it.

use async_trait::async_trait;
use serde_json::Value;

use super::views::{
    AccessView, ExplainRequest, KeyView, LedgerHeadView, PoliciesView, Readiness, RecordFilter, RecordView, RecordsPage,
    SiteView, SubjectView, SummaryView,
};
use crate::authn::TokenIdentity;
use crate::diagnostics::Diagnostic;
use crate::types::{Attributes, BucketName, ObjectKey, RequestId, SubjectId, VersionId};

/// A question for metadata, as the ledger names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Query {
    /// Records by filter.
    Records,
    /// The versions of one key.
    Record,
    /// The counters.
    Summary,
    /// A subject's attributes.
    Subject,
    /// What would be decided.
    Explain,
    /// Ledger entries.
    Ledger,
}

impl Query {
    /// A stable word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Records => "records",
            Self::Record => "record",
            Self::Summary => "summary",
            Self::Subject => "subject",
            Self::Explain => "explain",
            Self::Ledger => "ledger",
        }
    }
}

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
    /// Records the query in the ledger. The API answers only after this has succeeded.
    async fn record_query(&self, request: &RequestId, who: &TokenIdentity, query: Query, found: u64) -> Result<(), GatewayError>;

    /// Finds records.
    async fn records(&self, filter: RecordFilter) -> Result<RecordsPage, GatewayError>;
    /// Every version of a key, newest first, or the one asked for.
    async fn record(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        version: Option<VersionId>,
    ) -> Result<Vec<RecordView>, GatewayError>;
    /// The counters.
    async fn summary(&self) -> Result<SummaryView, GatewayError>;
    /// What would be decided, and why.
    async fn explain(&self, request: ExplainRequest) -> Result<Value, GatewayError>;

    /// The policies in force.
    fn policies(&self) -> PoliciesView;
    /// Reads the policies again; the old ones stay when the new ones are wrong.
    async fn reload_policies(&self, request: &RequestId, who: &TokenIdentity) -> Result<PoliciesView, GatewayError>;

    /// Reads principals and tokens again from the configuration; the old ones stay when it is wrong.
    async fn reload_config(&self, request: &RequestId, who: &TokenIdentity) -> Result<AccessView, GatewayError>;

    /// What is known of a subject.
    async fn subject(&self, subject: &SubjectId) -> Result<Option<SubjectView>, GatewayError>;
    /// Replaces what is known of a subject; `None` forgets it.
    async fn set_subject(
        &self,
        request: &RequestId,
        who: &TokenIdentity,
        subject: &SubjectId,
        attributes: Option<Attributes>,
    ) -> Result<(), GatewayError>;

    /// The ledger's head.
    fn ledger_head(&self) -> Result<LedgerHeadView, GatewayError>;
    /// Entries from number `from` on, each as its line of JSON.
    async fn ledger_entries(&self, from: u64, limit: usize) -> Result<Vec<String>, GatewayError>;

    /// The sites and their states.
    async fn sites(&self) -> Vec<SiteView>;
    /// The country keys.
    async fn keys(&self) -> Result<Vec<KeyView>, GatewayError>;
    /// Whether the gateway can do its work.
    async fn readiness(&self) -> Readiness;
    /// Metrics in Prometheus's text format.
    fn metrics(&self) -> String;
}
