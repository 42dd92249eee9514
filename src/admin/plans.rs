//! What a policy set would move.

use std::collections::BTreeMap;

use axum::{Extension, Json, body::Bytes, extract::State};
use serde::Deserialize;

use super::{Problem, Query, router::Api};
use crate::authn::TokenIdentity;
use crate::policy::PolicyFile;
use crate::relocation::Plan;
use crate::types::RequestId;

/// What to plan for.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct PlanBody {
    /// The files of a policy folder by their paths in it; without, the set in force.
    policies: Option<BTreeMap<String, String>>,
}

/// The body may be empty.
pub(super) async fn plan(
    State(api): State<Api>,
    Extension(request): Extension<RequestId>,
    Extension(who): Extension<TokenIdentity>,
    body: Bytes,
) -> Result<Json<Plan>, Problem> {
    let body: PlanBody = match body.trim_ascii() {
        [] => PlanBody::default(),
        json => serde_json::from_slice(json)
            .map_err(|_| Problem::invalid("the body is a JSON object with `policies`, the texts of policy files by path"))?,
    };
    let files = body.policies.map(|files| files.into_iter().map(|(path, text)| PolicyFile { path, text }).collect());
    api.gateway.record_query(&request, &who, Query::Plan).await?;
    Ok(Json(api.gateway.plan(files).await?))
}
