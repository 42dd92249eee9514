//! Erasures of subjects: ordered and watched.

use axum::{
    Extension, Json,
    body::Bytes,
    extract::{Path, Query as Parameters, State, rejection::QueryRejection},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Problem, Query, router::Api, views::ErasureView};
use crate::authn::TokenIdentity;
use crate::types::{RequestId, SubjectId};

/// Erasures of one page, unless it is said.
const LIMIT: usize = 100;
/// At the most.
const MOST: usize = 1000;

/// How a subject is erased.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct EraseBody {
    now: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ErasuresParameters {
    before: Option<u64>,
    limit: Option<usize>,
}

/// The body may be empty: the country keys wait for other erasures.
pub(super) async fn erase(
    State(api): State<Api>,
    Extension(request): Extension<RequestId>,
    Extension(who): Extension<TokenIdentity>,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Json<ErasureView>, Problem> {
    let subject = SubjectId::new(id).map_err(|error| Problem::invalid(error.to_string()))?;
    let body: EraseBody = match body.trim_ascii() {
        [] => EraseBody::default(),
        json => {
            serde_json::from_slice(json).map_err(|_| Problem::invalid("the body is a JSON object, `{\"now\": true}` or `{}`"))?
        }
    };
    Ok(Json(api.gateway.erase_subject(&request, &who, &subject, body.now).await?))
}

pub(super) async fn list(
    State(api): State<Api>,
    Extension(request): Extension<RequestId>,
    Extension(who): Extension<TokenIdentity>,
    parameters: Result<Parameters<ErasuresParameters>, QueryRejection>,
) -> Result<Json<Value>, Problem> {
    let Parameters(ErasuresParameters { before, limit }) = parameters?;
    let limit = limit.unwrap_or(LIMIT);
    if !(1..=MOST).contains(&limit) {
        return Err(Problem::invalid(format!("`limit` must be 1 to {MOST}")));
    }
    api.gateway.record_query(&request, &who, Query::Erasures { before, limit }).await?;
    Ok(Json(json!({ "erasures": api.gateway.erasures(before, limit).await? })))
}

pub(super) async fn get(
    State(api): State<Api>,
    Extension(request): Extension<RequestId>,
    Extension(who): Extension<TokenIdentity>,
    Path(id): Path<String>,
) -> Result<Json<ErasureView>, Problem> {
    let no_such = || Problem::not_found("there is no such erasure");
    let id = id.parse().map_err(|_| no_such())?;
    api.gateway.record_query(&request, &who, Query::Erasure(id)).await?;
    api.gateway.erasure(id).await?.map(Json).ok_or_else(no_such)
}
