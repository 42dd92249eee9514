//! The history of policy sets, and the steps on their way into force.

use axum::{
    Extension, Json,
    body::Bytes,
    extract::{Path, Query as Parameters, State, rejection::QueryRejection},
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::{PoliciesView, PolicyDiffView, PolicyRevisionView, Problem, Query, SetToCompare, gateway::Verdict, router::Api};
use crate::authn::TokenIdentity;
use crate::types::RequestId;

/// Entries of one page, unless it is said.
const LIMIT: usize = 100;
/// At the most.
const MOST: usize = 1000;
/// Characters of a comment.
const COMMENT: usize = 1000;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HistoryParameters {
    before: Option<u64>,
    limit: Option<usize>,
}

/// What somebody says of a proposal.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct CommentBody {
    comment: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RollbackBody {
    revision: String,
    comment: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct DiffBody {
    from: Option<SetToCompare>,
    to: Option<SetToCompare>,
}

pub(super) async fn history(
    State(api): State<Api>,
    Extension(request): Extension<RequestId>,
    Extension(who): Extension<TokenIdentity>,
    parameters: Result<Parameters<HistoryParameters>, QueryRejection>,
) -> Result<Json<Value>, Problem> {
    let Parameters(HistoryParameters { before, limit }) = parameters?;
    let limit = limit.unwrap_or(LIMIT);
    if !(1..=MOST).contains(&limit) {
        return Err(Problem::invalid(format!("`limit` must be 1 to {MOST}")));
    }
    api.gateway.record_query(&request, &who, Query::PolicyHistory { before, limit }).await?;
    Ok(Json(json!({ "entries": api.gateway.policy_history(before, limit).await? })))
}

pub(super) async fn revision(
    State(api): State<Api>,
    Extension(request): Extension<RequestId>,
    Extension(who): Extension<TokenIdentity>,
    Path(name): Path<String>,
) -> Result<Json<PolicyRevisionView>, Problem> {
    api.gateway.record_query(&request, &who, Query::PolicyRevision).await?;
    Ok(Json(api.gateway.policy_revision(&name).await?))
}

/// The body may be empty: what is in force against what is proposed, or else against the folder.
pub(super) async fn diff(
    State(api): State<Api>,
    Extension(request): Extension<RequestId>,
    Extension(who): Extension<TokenIdentity>,
    body: Bytes,
) -> Result<Json<PolicyDiffView>, Problem> {
    let body: DiffBody = match body.trim_ascii() {
        [] => DiffBody::default(),
        json => read(json, "`from` and `to`, each a revision or the texts of policy files by path")?,
    };
    api.gateway.record_query(&request, &who, Query::PolicyDiff).await?;
    Ok(Json(api.gateway.policy_diff(body.from, body.to).await?))
}

pub(super) async fn roll_back(
    State(api): State<Api>,
    Extension(request): Extension<RequestId>,
    Extension(who): Extension<TokenIdentity>,
    body: Bytes,
) -> Result<Json<PoliciesView>, Problem> {
    let body: RollbackBody = read(&body, "`revision` and, if you like, `comment`")?;
    let comment = checked(body.comment)?;
    Ok(Json(api.gateway.roll_back_policies(&request, &who, &body.revision, comment).await?))
}

pub(super) async fn approve(
    State(api): State<Api>,
    Extension(request): Extension<RequestId>,
    Extension(who): Extension<TokenIdentity>,
    Path(name): Path<String>,
    body: Bytes,
) -> Result<Json<PoliciesView>, Problem> {
    Ok(Json(api.gateway.decide_policies(&request, &who, &name, Verdict::Approve, comment(&body)?).await?))
}

pub(super) async fn reject(
    State(api): State<Api>,
    Extension(request): Extension<RequestId>,
    Extension(who): Extension<TokenIdentity>,
    Path(name): Path<String>,
    body: Bytes,
) -> Result<Json<PoliciesView>, Problem> {
    Ok(Json(api.gateway.decide_policies(&request, &who, &name, Verdict::Reject, comment(&body)?).await?))
}

fn comment(body: &[u8]) -> Result<Option<String>, Problem> {
    match body.trim_ascii() {
        [] => Ok(None),
        json => checked(read::<CommentBody>(json, "`comment`")?.comment),
    }
}

fn checked(comment: Option<String>) -> Result<Option<String>, Problem> {
    if comment.as_ref().is_some_and(|comment| comment.chars().count() > COMMENT) {
        return Err(Problem::invalid(format!("a comment has at most {COMMENT} characters")));
    }
    Ok(comment.filter(|comment| !comment.trim().is_empty()))
}

fn read<T: DeserializeOwned>(json: &[u8], fields: &str) -> Result<T, Problem> {
    serde_json::from_slice(json).map_err(|_| Problem::invalid(format!("the body is a JSON object with {fields}")))
}
