//! Scrubs: ordered, watched and called off; and what they found.

use axum::{
    Extension, Json,
    body::Bytes,
    extract::{Path, State},
    http::StatusCode,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Problem, Query, router::Api};
use crate::authn::{Role, TokenIdentity};
use crate::index::Stock;
use crate::objects::{Depth, Pace};
use crate::scrub::{Job, Order, Sample};
use crate::types::{BucketName, RequestId, SubjectId};

/// What to look at, how closely and how fast.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct OrderBody {
    bucket: Option<BucketName>,
    prefix: Option<String>,
    subject: Option<SubjectId>,
    deep: bool,
    repair: bool,
    sample: Option<Sample>,
    bytes_per_second: Option<u64>,
    requests_per_second: Option<u64>,
}

/// The body may be empty: everything, by its heads, as fast as it goes.
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
                "the body is a JSON object with any of `bucket`, `prefix`, `subject`, `deep`, `repair`, `sample` (`seed`, `one_in`), \
                 `bytes_per_second`, `requests_per_second`",
            )
        })?,
    };
    if body.repair && who.role != Role::Operator {
        return Err(Problem::new(StatusCode::FORBIDDEN, "forbidden", "only an operator may have what is found put right"));
    }
    if body.prefix.is_some() && body.bucket.is_none() {
        return Err(Problem::invalid("`prefix` needs `bucket`"));
    }
    if body.sample.is_some_and(|sample| sample.one_in == 0) {
        return Err(Problem::invalid("`one_in` must be 1 or more"));
    }
    if body.bytes_per_second == Some(0) || body.requests_per_second == Some(0) {
        return Err(Problem::invalid("a rate must be 1 or more"));
    }
    let order = Order {
        stock: Stock { bucket: body.bucket, prefix: body.prefix, subject: body.subject, ..Stock::default() },
        depth: if body.deep { Depth::Whole } else { Depth::Head },
        repair: body.repair,
        sample: body.sample,
        pace: Pace { bytes_per_second: body.bytes_per_second, requests_per_second: body.requests_per_second },
    };
    Ok(Json(api.gateway.order_scrub(&request, &who, order).await?))
}

pub(super) async fn list(
    State(api): State<Api>,
    Extension(request): Extension<RequestId>,
    Extension(who): Extension<TokenIdentity>,
) -> Result<Json<Value>, Problem> {
    api.gateway.record_query(&request, &who, Query::Scrubs).await?;
    Ok(Json(json!({ "scrubs": api.gateway.scrubs() })))
}

pub(super) async fn get(
    State(api): State<Api>,
    Extension(request): Extension<RequestId>,
    Extension(who): Extension<TokenIdentity>,
    Path(id): Path<String>,
) -> Result<Json<Job>, Problem> {
    api.gateway.record_query(&request, &who, Query::Scrub).await?;
    let job = id.parse().ok().and_then(|id| api.gateway.scrub(id));
    job.map(Json).ok_or_else(no_such)
}

pub(super) async fn cancel(
    State(api): State<Api>,
    Extension(request): Extension<RequestId>,
    Extension(who): Extension<TokenIdentity>,
    Path(id): Path<String>,
) -> Result<Json<Job>, Problem> {
    let id = id.parse().map_err(|_| no_such())?;
    api.gateway.cancel_scrub(&request, &who, id).await?.map(Json).ok_or_else(no_such)
}

/// What stands, whichever scrub found it.
pub(super) async fn findings(
    State(api): State<Api>,
    Extension(request): Extension<RequestId>,
    Extension(who): Extension<TokenIdentity>,
) -> Result<Json<Value>, Problem> {
    api.gateway.record_query(&request, &who, Query::Findings).await?;
    Ok(Json(json!({ "findings": api.gateway.findings().await? })))
}

fn no_such() -> Problem {
    Problem::not_found("there is no such scrub in this run of the gateway")
}
