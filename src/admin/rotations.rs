//! Renewals of country keys: ordered and watched.

use axum::{
    Extension, Json,
    body::Bytes,
    extract::{Path, State},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Problem, Query, router::Api};
use crate::authn::TokenIdentity;
use crate::rotation::{Job, Rotation};
use crate::types::{KeyId, RequestId, SubjectId};

/// What becomes of the versions before.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RotateBody {
    destroy_old: bool,
    subject_keys: bool,
}

/// The body may be empty: the versions before stay.
pub(super) async fn order(
    State(api): State<Api>,
    Extension(request): Extension<RequestId>,
    Extension(who): Extension<TokenIdentity>,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Json<Job>, Problem> {
    let key = KeyId::new(id).map_err(|_| Problem::not_found("there is no such key"))?;
    let body: RotateBody = match body.trim_ascii() {
        [] => RotateBody::default(),
        json => serde_json::from_slice(json)
            .map_err(|_| Problem::invalid("the body is a JSON object, `{\"destroy_old\": true}` or `{}`"))?,
    };
    let order = Rotation { key, destroy_old: body.destroy_old, subject_keys: body.subject_keys };
    Ok(Json(api.gateway.rotate_key(&request, &who, order).await?))
}

/// A new generation of one subject's keys.
pub(super) async fn subject(
    State(api): State<Api>,
    Extension(request): Extension<RequestId>,
    Extension(who): Extension<TokenIdentity>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let subject = SubjectId::new(id).map_err(|error| Problem::invalid(error.to_string()))?;
    let keys = api.gateway.rotate_subject_key(&request, &who, &subject).await?;
    Ok(Json(json!({ "keys": keys })))
}

pub(super) async fn list(
    State(api): State<Api>,
    Extension(request): Extension<RequestId>,
    Extension(who): Extension<TokenIdentity>,
) -> Result<Json<Value>, Problem> {
    api.gateway.record_query(&request, &who, Query::Rotations).await?;
    Ok(Json(json!({ "rotations": api.gateway.rotations() })))
}

pub(super) async fn get(
    State(api): State<Api>,
    Extension(request): Extension<RequestId>,
    Extension(who): Extension<TokenIdentity>,
    Path(id): Path<String>,
) -> Result<Json<Job>, Problem> {
    api.gateway.record_query(&request, &who, Query::Rotation).await?;
    let job = id.parse().ok().and_then(|id| api.gateway.rotation(id));
    job.map(Json).ok_or_else(|| Problem::not_found("there is no such renewal in this run of the gateway"))
}
