//! What a policy set would move.

use std::collections::BTreeMap;

use axum::{Extension, Json, body::Bytes, extract::State};
use serde::Deserialize;

use super::{Problem, Query, Route, router::Api};
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
    let plan = api.gateway.plan(files).await?;
    // Which records there are is for those to know who may list them: a plan can be thought of that refuses any of them.
    let lists = Route::find("GET", "/v1/records").is_some_and(|route| route.admits(who.role));
    Ok(Json(if lists { plan } else { plan.without_keys() }))
}
