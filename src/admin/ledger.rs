//! The ledger as a transparency log: its checkpoint, the static resources below it, proofs, and the checkpoints that were kept.

use axum::{
    Extension, Json,
    extract::{Path, Query as Parameters, State, rejection::QueryRejection},
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{CheckpointsView, Problem, Query, router::Api};
use crate::audit::tile::Tile;
use crate::authn::TokenIdentity;
use crate::types::RequestId;

/// Checkpoints of one page, unless it is said.
const LIMIT: usize = 100;
/// At the most.
const MOST: usize = 1000;
/// What never changes may be kept for a year, by whoever asked.
const FOR_EVER: HeaderValue = HeaderValue::from_static("private, max-age=31536000, immutable");

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ProofParameters {
    entry: Option<u64>,
    size: Option<u64>,
    from: Option<u64>,
    to: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CheckpointsParameters {
    before: Option<u64>,
    limit: Option<usize>,
}

/// A signed note, or as JSON the head with it.
pub(super) async fn checkpoint(
    State(api): State<Api>,
    Extension(request): Extension<RequestId>,
    Extension(who): Extension<TokenIdentity>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    api.gateway.record_query(&request, &who, Query::LedgerHead).await?;
    let head = api.gateway.ledger_head()?;
    let accepts = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let as_json = accepts.flat_map(|value| value.split(',')).any(|kind| kind.trim().starts_with("application/json"));
    let uncached = (header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let varies = (header::VARY, HeaderValue::from_static("accept"));
    if as_json {
        return Ok(([uncached, varies], Json(head)).into_response());
    }
    let kind = (header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    Ok(([uncached, varies, kind], head.note).into_response())
}

/// Hashes, or a bundle of entries.
pub(super) async fn tile(
    State(api): State<Api>,
    Extension(request): Extension<RequestId>,
    Extension(who): Extension<TokenIdentity>,
    Path(path): Path<String>,
) -> Result<Response, Problem> {
    let tile: Tile = path.parse().map_err(|_| Problem::not_found("there is no such tile"))?;
    api.gateway.record_query(&request, &who, Query::LedgerTile(tile)).await?;
    let bytes = api.gateway.ledger_tile(tile).await?;
    let bytes = bytes.ok_or_else(|| Problem::not_found("the ledger has no such tile yet"))?;
    let kind = HeaderValue::from_static("application/octet-stream");
    Ok(([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, FOR_EVER)], bytes).into_response())
}

/// That an entry is in a tree, or that a tree continues an earlier one.
pub(super) async fn proof(
    State(api): State<Api>,
    Extension(request): Extension<RequestId>,
    Extension(who): Extension<TokenIdentity>,
    parameters: Result<Parameters<ProofParameters>, QueryRejection>,
) -> Result<Json<Value>, Problem> {
    let none = || Problem::not_found("the ledger has no such entry, or not so many");
    let wrong = || Problem::invalid("ask for `entry`, with the `size` of a tree or without, or for `from` and `to`");
    match parameters?.0 {
        ProofParameters { entry: Some(entry), size, from: None, to: None } => {
            api.gateway.record_query(&request, &who, Query::LedgerProof { from: entry, to: size }).await?;
            let proof = api.gateway.ledger_inclusion(entry, size).await?.ok_or_else(none)?;
            Ok(Json(json!(proof)))
        }
        ProofParameters { entry: None, size: None, from: Some(from), to: Some(to) } => {
            api.gateway.record_query(&request, &who, Query::LedgerProof { from, to: Some(to) }).await?;
            let proof = api.gateway.ledger_consistency(from, to).await?.ok_or_else(none)?;
            Ok(Json(json!(proof)))
        }
        _ => Err(wrong()),
    }
}

/// The checkpoints that were kept, the newest first, and how it stands with who vouches for them.
pub(super) async fn checkpoints(
    State(api): State<Api>,
    Extension(request): Extension<RequestId>,
    Extension(who): Extension<TokenIdentity>,
    parameters: Result<Parameters<CheckpointsParameters>, QueryRejection>,
) -> Result<Json<CheckpointsView>, Problem> {
    let CheckpointsParameters { before, limit } = parameters?.0;
    let limit = limit.unwrap_or(LIMIT);
    if !(1..=MOST).contains(&limit) {
        return Err(Problem::invalid(format!("`limit` must be 1 to {MOST}")));
    }
    api.gateway.record_query(&request, &who, Query::LedgerCheckpoints { before, limit }).await?;
    Ok(Json(api.gateway.ledger_checkpoints(before, limit).await?))
}
