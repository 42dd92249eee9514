//! The sites as the admin API shows them, and what it may have done to them.

use std::sync::Arc;

use crate::admin::{CheckView, ComponentView, GatewayError, SiteInitView, SiteView};
use crate::audit::{Actor, Asked, Event, Kind};
use crate::backend::{Finding, Site, SiteState};
use crate::objects::Objects;
use crate::types::{RequestId, SiteId};

/// Every site.
pub(super) fn views(objects: &Objects) -> Vec<SiteView> {
    objects.sites.iter().map(view).collect()
}

/// Every site as a part of the gateway: what was found there stands in the detail.
pub(super) fn components(objects: &Objects) -> impl Iterator<Item = ComponentView> {
    let component = |site: &Arc<Site>| {
        let view = view(site);
        let found = site.findings().into_iter().filter(|finding| finding.check != crate::backend::Check::Marker);
        let found = found.filter(|finding| matches!(finding.state(), "alarm" | "warning"));
        let found = found.map(|finding| format!("; {} {}: {}", finding.state(), finding.check, finding.detail()));
        let closed = if view.up && !view.takes_records { "; takes no new records" } else { "" };
        let detail = format!("{}{closed}{}", view.detail, found.collect::<String>());
        ComponentView { name: format!("site:{}", view.id), up: view.up, detail }
    };
    objects.sites.iter().map(component)
}

/// Looks at every site.
pub(super) async fn check(objects: &Objects, request: &RequestId, actor: Actor) -> Result<Vec<SiteView>, GatewayError> {
    record(objects, request, actor, Asked { route: "POST /v1/sites/check", ..Asked::default() }).await?;
    objects.sites.examine().await;
    Ok(views(objects))
}

/// Takes a site into service. Goes on also when the caller goes away: a marker that is half made would be another's.
pub(super) async fn init(
    objects: &Objects,
    request: &RequestId,
    actor: Actor,
    site: &SiteId,
) -> Result<SiteInitView, GatewayError> {
    let named = Some(objects.pseudonyms.site(site));
    record(objects, request, actor, Asked { route: "POST /v1/sites/{id}/init", site: named, ..Asked::default() }).await?;
    let (sites, id) = (Arc::clone(&objects.sites), site.clone());
    let outcome = tokio::spawn(async move { sites.init(&id).await }).await;
    match outcome.map_err(|error| GatewayError::Internal(error.to_string()))? {
        None => Err(GatewayError::NotFound("there is no such site in the configuration")),
        Some(Ok(claim)) => Ok(SiteInitView { site: site.clone(), created: claim.created, epoch: claim.epoch }),
        Some(Err(error)) => Err(GatewayError::Conflict(error.to_string())),
    }
}

async fn record(objects: &Objects, request: &RequestId, actor: Actor, asked: Asked) -> Result<(), GatewayError> {
    let event = Event { request: Some(request.clone()), query: Some(Box::new(asked)), ..Event::new(Kind::AdminAction, actor) };
    Ok(objects.record(event).await?)
}

fn view(site: &Arc<Site>) -> SiteView {
    let (spec, state) = (site.spec(), site.state());
    let check = |finding: Finding| CheckView { check: finding.check.as_str(), state: finding.state(), detail: finding.detail() };
    SiteView {
        id: spec.id.clone(),
        country: spec.country,
        key: spec.key.clone(),
        up: state == SiteState::Up,
        takes_records: site.takes_records(),
        detail: detail(&state),
        checked: site.inspected().map(|at| at.to_rfc3339()),
        checks: site.findings().into_iter().map(check).collect(),
    }
}

fn detail(state: &SiteState) -> String {
    match state {
        SiteState::Refused { reason } => format!("refused: {reason}"),
        other => other.label().to_owned(),
    }
}
