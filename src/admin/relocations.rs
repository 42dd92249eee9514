//! Relocations: ordered, watched and called off.

use axum::{
    Extension, Json,
    body::Bytes,
    extract::{Path, State},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Problem, Query, router::Api};
use crate::authn::TokenIdentity;
use crate::index::Stock;
use crate::objects::Pace;
use crate::relocation::{Job, Order};
use crate::types::{BucketName, RequestId, SubjectId};

/// What to move, and how fast.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct OrderBody {
    bucket: Option<BucketName>,
    prefix: Option<String>,
    subject: Option<SubjectId>,
    bytes_per_second: Option<u64>,
    requests_per_second: Option<u64>,
    dry_run: bool,
}

/// The body may be empty: everything, as fast as it goes.
pub(super) async fn order(
    State(api): State<Api>,
    Extension(request): Extension<RequestId>,
    Extension(who): Extension<TokenIdentity>,
    body: Bytes,
) -> Result<Json<Job>, Problem> {
    let body: OrderBody = match body.trim_ascii() {
        [] => OrderBody::default(),
        json => serde_json::from_slice(json).map_err(|_| {
            Problem::invalid(
                "the body is a JSON object with any of `bucket`, `prefix`, `subject`, `bytes_per_second`, `requests_per_second`, `dry_run`",
            )
        })?,
    };
    if body.prefix.is_some() && body.bucket.is_none() {
        return Err(Problem::invalid("`prefix` needs `bucket`"));
    }
    if body.bytes_per_second == Some(0) || body.requests_per_second == Some(0) {
        return Err(Problem::invalid("a rate must be 1 or more"));
    }
    let stock = Stock { bucket: body.bucket, prefix: body.prefix, subject: body.subject, ..Stock::default() };
    let pace = Pace { bytes_per_second: body.bytes_per_second, requests_per_second: body.requests_per_second };
    Ok(Json(api.gateway.order_relocation(&request, &who, Order { stock, pace, retries: Order::RETRIES }, body.dry_run).await?))
}

pub(super) async fn list(
    State(api): State<Api>,
    Extension(request): Extension<RequestId>,
    Extension(who): Extension<TokenIdentity>,
) -> Result<Json<Value>, Problem> {
    api.gateway.record_query(&request, &who, Query::Relocations).await?;
    Ok(Json(json!({ "relocations": api.gateway.relocations() })))
}

pub(super) async fn get(
    State(api): State<Api>,
    Extension(request): Extension<RequestId>,
    Extension(who): Extension<TokenIdentity>,
    Path(id): Path<String>,
) -> Result<Json<Job>, Problem> {
    api.gateway.record_query(&request, &who, Query::Relocation).await?;
    let job = id.parse().ok().and_then(|id| api.gateway.relocation(id));
    job.map(Json).ok_or_else(no_such)
}

pub(super) async fn cancel(
    State(api): State<Api>,
    Extension(request): Extension<RequestId>,
    Extension(who): Extension<TokenIdentity>,
    Path(id): Path<String>,
) -> Result<Json<Job>, Problem> {
    let id = id.parse().map_err(|_| no_such())?;
    api.gateway.cancel_relocation(&request, &who, id).await?.map(Json).ok_or_else(no_such)
}

fn no_such() -> Problem {
    Problem::not_found("there is no such relocation in this run of the gateway")
}
