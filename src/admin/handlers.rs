//! Queries, policies, ledger and health.

use axum::{
    Extension, Json,
    body::Body,
    extract::{
        Query as Parameters, State,
        rejection::{JsonRejection, QueryRejection},
    },
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use super::{
    PoliciesView, Problem, Query, openapi,
    query::{ProofParameters, RecordParameters, RecordsParameters},
    router::Api,
    views::{AccessView, ExplainRequest, RecordsPage, SummaryView},
};
use crate::audit::residence::Proof;
use crate::authn::TokenIdentity;
use crate::types::RequestId;

pub(super) type Answer<T> = Result<T, Problem>;

pub(super) async fn records(
    State(api): State<Api>,
    Extension(request): Extension<RequestId>,
    Extension(who): Extension<TokenIdentity>,
    parameters: Result<Parameters<RecordsParameters>, QueryRejection>,
) -> Answer<Json<RecordsPage>> {
    let query = parameters?.0.query()?;
    api.gateway.record_query(&request, &who, Query::Records(&query)).await?;
    Ok(Json(api.gateway.records(query).await?))
}

pub(super) async fn record(
    State(api): State<Api>,
    Extension(request): Extension<RequestId>,
    Extension(who): Extension<TokenIdentity>,
    parameters: Result<Parameters<RecordParameters>, QueryRejection>,
) -> Answer<Json<Value>> {
    let (bucket, key, version) = parameters?.0.parts()?;
    api.gateway.record_query(&request, &who, Query::Record(&bucket, &key, version)).await?;
    let versions = api.gateway.record(&bucket, &key, version).await?;
    if versions.is_empty() {
        return Err(Problem::not_found("there is no such record"));
    }
    Ok(Json(json!({ "bucket": bucket, "key": key, "versions": versions })))
}

pub(super) async fn proof(
    State(api): State<Api>,
    Extension(request): Extension<RequestId>,
    Extension(who): Extension<TokenIdentity>,
    parameters: Result<Parameters<ProofParameters>, QueryRejection>,
) -> Answer<Json<Proof>> {
    let (bucket, key, version, from) = parameters?.0.parts()?;
    let query = Query::Proof { bucket: &bucket, key: &key, version, from };
    api.gateway.record_query(&request, &who, query).await?;
    Ok(Json(api.gateway.proof(&bucket, &key, version, from).await?))
}

pub(super) async fn summary(
    State(api): State<Api>,
    Extension(request): Extension<RequestId>,
    Extension(who): Extension<TokenIdentity>,
) -> Answer<Json<SummaryView>> {
    api.gateway.record_query(&request, &who, Query::Summary).await?;
    Ok(Json(api.gateway.summary().await?))
}

pub(super) async fn explain(
    State(api): State<Api>,
    Extension(request): Extension<RequestId>,
    Extension(who): Extension<TokenIdentity>,
    body: Result<Json<ExplainRequest>, JsonRejection>,
) -> Answer<Json<Value>> {
    let Json(body) = body?;
    api.gateway.record_query(&request, &who, Query::Explain(&body)).await?;
    Ok(Json(api.gateway.explain(body).await?))
}

pub(super) async fn policies(
    State(api): State<Api>,
    Extension(request): Extension<RequestId>,
    Extension(who): Extension<TokenIdentity>,
) -> Answer<Json<PoliciesView>> {
    api.gateway.record_query(&request, &who, Query::Policies).await?;
    Ok(Json(api.gateway.policies()))
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

/// The file as it is read. One that breaks off breaks the connection off: it never looks whole.
pub(super) async fn export_index(
    State(api): State<Api>,
    Extension(request): Extension<RequestId>,
    Extension(who): Extension<TokenIdentity>,
) -> Answer<Response> {
    let bytes = api.gateway.export_index(&request, &who).await?;
    let kind = HeaderValue::from_static("application/octet-stream");
    Ok(([(header::CONTENT_TYPE, kind)], Body::from_stream(bytes)).into_response())
}

pub(super) async fn keys(
    State(api): State<Api>,
    Extension(request): Extension<RequestId>,
    Extension(who): Extension<TokenIdentity>,
) -> Answer<Json<Value>> {
    api.gateway.record_query(&request, &who, Query::Keys).await?;
    Ok(Json(json!({ "keys": api.gateway.keys().await? })))
}

/// Strangers learn whether, bearers of a token also why not.
pub(super) async fn ready(State(api): State<Api>, who: Option<Extension<TokenIdentity>>) -> Response {
    let mut readiness = api.gateway.readiness().await;
    if who.is_none() {
        readiness.components.clear();
    }
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
