//! What auditors ask of the ledger and of records over time.

use axum::{
    Extension, Json,
    extract::{Query as Parameters, State, rejection::QueryRejection},
    http::{HeaderName, HeaderValue, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    Problem, Query,
    handlers::Answer,
    query::{page, parse, time},
    router::Api,
};
use crate::audit::{Class, VersionStory};
use crate::authn::TokenIdentity;
use crate::index::EntriesQuery;
use crate::types::{BucketName, ObjectKey, RequestId, Timestamp, VersionId};

/// The number of the ledger entry to go on with; absent when the ledger ends here.
const NEXT: HeaderName = HeaderName::from_static("x-domicile-next");

/// Entries of the ledger.
#[derive(Debug, Clone, Default)]
pub struct LedgerPage {
    /// Each as its line of JSON, exactly as it was hashed.
    pub entries: Vec<String>,
    /// The number to go on with.
    pub next: Option<u64>,
}

/// Whose story is asked for.
#[derive(Debug, Clone)]
pub struct HistoryQuestion {
    /// The bucket.
    pub bucket: BucketName,
    /// The key.
    pub key: ObjectKey,
    /// One version of it.
    pub version: Option<VersionId>,
    /// As of then: what was there at that moment.
    pub at: Option<Timestamp>,
}

/// The story of a key, or where it was at a time. It is told by the ledger alone.
#[derive(Debug, Clone, Serialize)]
pub struct HistoryView {
    /// The bucket.
    pub bucket: BucketName,
    /// The key.
    pub key: ObjectKey,
    /// The time that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// How many ledger entries there were when it was told: it is told by those before this number.
    pub ledger: u64,
    /// The records; with `at`, those of which something was there then.
    pub versions: Vec<VersionStory>,
    /// The ledger's entries about the key up to then, as they are, refusals included; without questions and reads.
    pub entries: Vec<Value>,
    /// Whether there are more entries than are shown.
    pub more_entries: bool,
}

/// `GET /v1/ledger/entries`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EntriesParameters {
    #[serde(default)]
    from: u64,
    limit: Option<usize>,
    class: Option<String>,
    kind: Option<String>,
    since: Option<String>,
    until: Option<String>,
    bucket: Option<String>,
    key: Option<String>,
    subject: Option<String>,
}

/// `GET /v1/record/history`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HistoryParameters {
    bucket: String,
    key: String,
    version: Option<String>,
    at: Option<String>,
}

impl EntriesParameters {
    fn query(self) -> Result<EntriesQuery, Problem> {
        let key = match (parse("bucket", self.bucket)?, parse("key", self.key)?) {
            (Some(bucket), Some(key)) => Some((bucket, key)),
            (None, None) => None,
            _ => return Err(Problem::invalid("`bucket` and `key` go together")),
        };
        let class = self.class.map(|name| {
            let words = || Class::ALL.iter().map(|class| class.as_str()).collect::<Vec<_>>().join(", ");
            Class::from_name(&name).ok_or_else(|| Problem::invalid(format!("`class` must be one of {}", words())))
        });
        if self.kind.as_ref().is_some_and(|kind| kind.len() > 64) {
            return Err(Problem::invalid("`kind` is a word such as `put-object`"));
        }
        Ok(EntriesQuery {
            from: self.from,
            limit: page(self.limit)?,
            class: class.transpose()?,
            kind: self.kind,
            since: time("since", self.since)?,
            until: time("until", self.until)?,
            key,
            subject: parse("subject", self.subject)?,
        })
    }
}

impl HistoryParameters {
    fn question(self) -> Result<HistoryQuestion, Problem> {
        Ok(HistoryQuestion {
            bucket: BucketName::new(self.bucket).map_err(|error| Problem::invalid(error.to_string()))?,
            key: ObjectKey::new(self.key).map_err(|error| Problem::invalid(error.to_string()))?,
            version: parse("version", self.version)?,
            at: time("at", self.at)?,
        })
    }
}

/// NDJSON, each entry exactly as it was hashed. The next page begins at the number that the answer's `x-domicile-next` has.
pub(super) async fn entries(
    State(api): State<Api>,
    Extension(request): Extension<RequestId>,
    Extension(who): Extension<TokenIdentity>,
    parameters: Result<Parameters<EntriesParameters>, QueryRejection>,
) -> Answer<Response> {
    let query = parameters?.0.query()?;
    api.gateway.record_query(&request, &who, Query::LedgerEntries(&query)).await?;
    let LedgerPage { entries, next } = api.gateway.ledger_entries(query).await?;
    let mut body = String::with_capacity(entries.iter().map(|entry| entry.len() + 1).sum());
    for entry in &entries {
        body.push_str(entry);
        body.push('\n');
    }
    let mut response = ([(header::CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"))], body).into_response();
    if let Some(next) = next {
        response.headers_mut().insert(NEXT, HeaderValue::from(next));
    }
    Ok(response)
}

pub(super) async fn history(
    State(api): State<Api>,
    Extension(request): Extension<RequestId>,
    Extension(who): Extension<TokenIdentity>,
    parameters: Result<Parameters<HistoryParameters>, QueryRejection>,
) -> Answer<Json<HistoryView>> {
    let question = parameters?.0.question()?;
    api.gateway.record_query(&request, &who, Query::History(&question)).await?;
    Ok(Json(api.gateway.history(question).await?))
}
