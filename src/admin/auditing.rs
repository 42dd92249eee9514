//! What auditors ask of the ledger and of records over time.

use axum::{
    Extension, Json,
    body::Body,
    extract::{Query as Parameters, State, rejection::QueryRejection},
    http::{HeaderName, HeaderValue, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    Problem, Query,
    handlers::Answer,
    query::{RecordsParameters, page, parse, time},
    router::Api,
};
use crate::audit::{Class, VersionStory};
use crate::authn::TokenIdentity;
use crate::index::{EntriesQuery, RecordsQuery};
use crate::types::{BucketName, ObjectKey, RequestId, SubjectId, Timestamp, VersionId};

/// The number of the ledger entry to go on with, as `from` or as `before`; absent when there are no more.
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
    /// Whose it was, where nothing is at the key any more and no key template of the policies says it.
    pub subject: Option<SubjectId>,
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

/// How rows of the population are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PopulationFormat {
    /// One JSON object a line; the totals are the last line.
    Ndjson,
    /// RFC 4180 with a header; the totals are the last row.
    Csv,
    /// Apache Parquet; the totals are in the file's metadata.
    Parquet,
}

impl PopulationFormat {
    /// All of them, the usual one first.
    pub const ALL: [Self; 3] = [Self::Ndjson, Self::Csv, Self::Parquet];

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ndjson => "ndjson",
            Self::Csv => "csv",
            Self::Parquet => "parquet",
        }
    }

    /// What an answer says that it is.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Ndjson => "application/x-ndjson",
            Self::Csv => "text/csv; charset=utf-8; header=present",
            Self::Parquet => "application/vnd.apache.parquet",
        }
    }
}

/// A sample of the population. The same seed draws the same records for everybody who has the population.
#[derive(Debug, Clone, Serialize)]
pub struct SampleView {
    /// What it was drawn by.
    pub seed: String,
    /// The records that it was drawn from.
    pub population: u64,
    /// When they were all so.
    pub taken: String,
    /// The ledger then: what the proofs prove against.
    pub ledger: Value,
    /// The records, in the order in which they were drawn.
    pub records: Vec<SampledView>,
}

impl SampleView {
    /// Whether a sample of `n` records can be drawn by this seed.
    ///
    /// # Errors
    /// The seed is empty or too long, or too few or too many are asked for.
    pub fn check(seed: &str, n: usize) -> Result<(), Problem> {
        if seed.is_empty() || seed.len() > 128 {
            return Err(Problem::invalid("`seed` has 1 to 128 bytes"));
        }
        if !(1..=MOST_SAMPLED).contains(&n) {
            return Err(Problem::invalid(format!("`n` must be 1 to {MOST_SAMPLED}")));
        }
        Ok(())
    }
}

/// A record of a sample.
#[derive(Debug, Clone, Serialize)]
pub struct SampledView {
    /// SHA-256 of the seed, a colon and the record's id: the least ones are drawn.
    pub place: String,
    /// Its row, as in an export.
    pub record: Value,
    /// The ledger's last entry that placed a copy of it.
    pub entry: Option<u64>,
    /// That entry as it is.
    pub leaf: Option<String>,
    /// That it is in the ledger: the hashes of an RFC 6962 inclusion proof, in hex.
    pub proof: Vec<String>,
}

/// `GET /v1/population`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PopulationParameters {
    format: Option<String>,
    bucket: Option<String>,
    prefix: Option<String>,
    subject: Option<String>,
    country: Option<String>,
    site: Option<String>,
    instrument: Option<String>,
    since: Option<String>,
    until: Option<String>,
}

/// `GET /v1/sample`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SampleParameters {
    seed: String,
    n: usize,
    bucket: Option<String>,
    prefix: Option<String>,
    subject: Option<String>,
    country: Option<String>,
    site: Option<String>,
    instrument: Option<String>,
    since: Option<String>,
    until: Option<String>,
}

/// Records of a sample at the most.
const MOST_SAMPLED: usize = 1000;

/// `GET /v1/ledger/entries`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EntriesParameters {
    #[serde(default)]
    from: u64,
    before: Option<u64>,
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
    subject: Option<String>,
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
            before: self.before,
            limit: page(self.limit)?,
            class: class.transpose()?,
            kind: self.kind,
            since: time("since", self.since)?,
            until: time("until", self.until)?,
            key,
            subject: parse("subject", self.subject)?,
            owners: Vec::new(),
        })
    }
}

impl PopulationParameters {
    fn question(self) -> Result<(RecordsQuery, PopulationFormat), Problem> {
        let format = self.format.as_deref().unwrap_or(PopulationFormat::Ndjson.as_str());
        let format = PopulationFormat::ALL.into_iter().find(|known| known.as_str() == format);
        let format = format.ok_or_else(|| Problem::invalid("`format` must be ndjson, csv or parquet"))?;
        let Self { format: _, bucket, prefix, subject, country, site, instrument, since, until } = self;
        let filter = RecordsParameters { bucket, prefix, subject, country, site, instrument, since, until, ..Default::default() };
        Ok((filter.query()?, format))
    }
}

impl SampleParameters {
    fn question(self) -> Result<(RecordsQuery, String), Problem> {
        let Self { seed, n, bucket, prefix, subject, country, site, instrument, since, until } = self;
        SampleView::check(&seed, n)?;
        let limit = Some(n);
        let filter = RecordsParameters { bucket, prefix, subject, country, site, instrument, since, until, limit, cursor: None };
        Ok((filter.query()?, seed))
    }
}

impl HistoryParameters {
    fn question(self) -> Result<HistoryQuestion, Problem> {
        Ok(HistoryQuestion {
            bucket: BucketName::new(self.bucket).map_err(|error| Problem::invalid(error.to_string()))?,
            key: ObjectKey::new(self.key).map_err(|error| Problem::invalid(error.to_string()))?,
            version: parse("version", self.version)?,
            at: time("at", self.at)?,
            subject: parse("subject", self.subject)?,
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

/// The rows as they are read. What breaks off breaks the connection off, and has no totals.
pub(super) async fn population(
    State(api): State<Api>,
    Extension(request): Extension<RequestId>,
    Extension(who): Extension<TokenIdentity>,
    parameters: Result<Parameters<PopulationParameters>, QueryRejection>,
) -> Answer<Response> {
    let (query, format) = parameters?.0.question()?;
    api.gateway.record_query(&request, &who, Query::Population(&query)).await?;
    let bytes = api.gateway.population(&request, &who, query, format).await?;
    let kind = HeaderValue::from_static(format.media_type());
    Ok(([(header::CONTENT_TYPE, kind)], Body::from_stream(bytes)).into_response())
}

pub(super) async fn sample(
    State(api): State<Api>,
    Extension(request): Extension<RequestId>,
    Extension(who): Extension<TokenIdentity>,
    parameters: Result<Parameters<SampleParameters>, QueryRejection>,
) -> Answer<Json<SampleView>> {
    let (query, seed) = parameters?.0.question()?;
    api.gateway.record_query(&request, &who, Query::Sample(&query)).await?;
    Ok(Json(api.gateway.sample(query, &seed).await?))
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
