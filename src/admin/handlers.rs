//! Queries, policies, ledger and health.

use axum::{
    Extension, Json,
    extract::{
        Query as Parameters, State,
        rejection::{JsonRejection, QueryRejection},
    },
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use super::{
    Problem, Query, openapi,
    query::{EntriesQuery, RecordQuery, RecordsQuery},
    router::Api,
    views::{AccessView, ExplainRequest, LedgerHeadView, PoliciesView, RecordsPage, SummaryView},
};
use crate::authn::TokenIdentity;
use crate::types::RequestId;

type Answer<T> = Result<T, Problem>;

pub(super) async fn records(
    State(api): State<Api>,
    Extension(request): Extension<RequestId>,
    Extension(who): Extension<TokenIdentity>,
    parameters: Result<Parameters<RecordsQuery>, QueryRejection>,
) -> Answer<Json<RecordsPage>> {
    let Parameters(query) = parameters?;
    let page = api.gateway.records(query.filter()?).await?;
    api.gateway.record_query(&request, &who, Query::Records, count(page.records.len())).await?;
    Ok(Json(page))
}

pub(super) async fn record(
    State(api): State<Api>,
    Extension(request): Extension<RequestId>,
    Extension(who): Extension<TokenIdentity>,
    parameters: Result<Parameters<RecordQuery>, QueryRejection>,
) -> Answer<Json<Value>> {
    let Parameters(query) = parameters?;
    let (bucket, key, version) = query.parts()?;
    let versions = api.gateway.record(&bucket, &key, version).await?;
    // That somebody asked is recorded also when there is nothing to tell.
    api.gateway.record_query(&request, &who, Query::Record, count(versions.len())).await?;
    if versions.is_empty() {
        return Err(Problem::not_found("there is no such record"));
    }
    Ok(Json(json!({ "bucket": bucket, "key": key, "versions": versions })))
}

pub(super) async fn summary(
    State(api): State<Api>,
    Extension(request): Extension<RequestId>,
    Extension(who): Extension<TokenIdentity>,
) -> Answer<Json<SummaryView>> {
    let summary = api.gateway.summary().await?;
    api.gateway.record_query(&request, &who, Query::Summary, count(summary.countries.len())).await?;
    Ok(Json(summary))
}

pub(super) async fn explain(
    State(api): State<Api>,
    Extension(request): Extension<RequestId>,
    Extension(who): Extension<TokenIdentity>,
    body: Result<Json<ExplainRequest>, JsonRejection>,
) -> Answer<Json<Value>> {
    let Json(body) = body?;
    let explanation = api.gateway.explain(body).await?;
    api.gateway.record_query(&request, &who, Query::Explain, 1).await?;
    Ok(Json(explanation))
}

pub(super) async fn policies(State(api): State<Api>) -> Json<PoliciesView> {
    Json(api.gateway.policies())
}

pub(super) async fn reload_policies(
    State(api): State<Api>,
    Extension(request): Extension<RequestId>,
    Extension(who): Extension<TokenIdentity>,
) -> Answer<Json<PoliciesView>> {
    Ok(Json(api.gateway.reload_policies(&request, &who).await?))
}

pub(super) async fn reload_config(
    State(api): State<Api>,
    Extension(request): Extension<RequestId>,
    Extension(who): Extension<TokenIdentity>,
) -> Answer<Json<AccessView>> {
    Ok(Json(api.gateway.reload_config(&request, &who).await?))
}

pub(super) async fn ledger_head(State(api): State<Api>) -> Answer<Json<LedgerHeadView>> {
    Ok(Json(api.gateway.ledger_head()?))
}

/// NDJSON, each entry exactly as it was hashed. The next page begins at `from` plus the number of lines.
pub(super) async fn ledger_entries(
    State(api): State<Api>,
    Extension(request): Extension<RequestId>,
    Extension(who): Extension<TokenIdentity>,
    parameters: Result<Parameters<EntriesQuery>, QueryRejection>,
) -> Answer<Response> {
    let Parameters(query) = parameters?;
    let entries = api.gateway.ledger_entries(query.from, query.limit()?).await?;
    api.gateway.record_query(&request, &who, Query::Ledger, count(entries.len())).await?;
    let mut body = String::with_capacity(entries.iter().map(|entry| entry.len() + 1).sum());
    for entry in &entries {
        body.push_str(entry);
        body.push('\n');
    }
    Ok(([(header::CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"))], body).into_response())
}

pub(super) async fn sites(State(api): State<Api>) -> Json<Value> {
    Json(json!({ "sites": api.gateway.sites().await }))
}

pub(super) async fn keys(State(api): State<Api>) -> Answer<Json<Value>> {
    Ok(Json(json!({ "keys": api.gateway.keys().await? })))
}

pub(super) async fn ready(State(api): State<Api>) -> Response {
    let readiness = api.gateway.readiness().await;
    let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(readiness)).into_response()
}

pub(super) async fn metrics(State(api): State<Api>) -> Response {
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    ([(header::CONTENT_TYPE, kind)], api.gateway.metrics()).into_response()
}

pub(super) async fn openapi() -> Json<Value> {
    Json(openapi::document())
}

/// A number of things for the ledger.
pub(super) fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
