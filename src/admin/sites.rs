//! Sites: shown, looked at and taken into service.

use axum::{
    Extension, Json,
    extract::{Path, State},
};
use serde_json::{Value, json};

use super::{Problem, Query, router::Api, views::SiteInitView};
use crate::authn::TokenIdentity;
use crate::types::{RequestId, SiteId};

pub(super) async fn list(
    State(api): State<Api>,
    Extension(request): Extension<RequestId>,
    Extension(who): Extension<TokenIdentity>,
) -> Result<Json<Value>, Problem> {
    api.gateway.record_query(&request, &who, Query::Sites).await?;
    Ok(Json(json!({ "sites": api.gateway.sites().await })))
}

pub(super) async fn check(
    State(api): State<Api>,
    Extension(request): Extension<RequestId>,
    Extension(who): Extension<TokenIdentity>,
) -> Result<Json<Value>, Problem> {
    Ok(Json(json!({ "sites": api.gateway.check_sites(&request, &who).await? })))
}

pub(super) async fn init(
    State(api): State<Api>,
    Extension(request): Extension<RequestId>,
    Extension(who): Extension<TokenIdentity>,
    Path(id): Path<String>,
) -> Result<Json<SiteInitView>, Problem> {
    let site = SiteId::new(&id).map_err(|_| Problem::not_found("there is no such site in the configuration"))?;
    Ok(Json(api.gateway.init_site(&request, &who, &site).await?))
}
