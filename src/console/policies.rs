//! The policies in force, what waits for approval, and every set that there ever was.

use askama::Template;
use axum::{
    Extension,
    extract::{Path, Query as Parameters},
};
use serde::Deserialize;

use super::{
    chrome::{Answer, Chrome, page as answer},
    filters,
    instruments::{self, Instrument},
    lines::legible,
    places,
    seat::Seat,
};
use crate::admin::{GatewayError, PoliciesView, PolicyEntryView, PolicyRevisionView, Query};
use crate::audit::By;
use crate::index::PolicyState;

/// Entries of the history on a page.
const PAGE: usize = 25;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Before {
    pub(super) before: Option<u64>,
}

#[derive(Template)]
#[template(path = "policies.html")]
struct PoliciesPage {
    chrome: Chrome,
    policies: PoliciesView,
    instruments: Vec<Instrument>,
    history: Vec<PolicyEntryView>,
    older: Option<u64>,
}

#[derive(Template)]
#[template(path = "revision.html")]
struct RevisionPage {
    chrome: Chrome,
    set: PolicyRevisionView,
    instruments: Vec<Instrument>,
}

impl PoliciesPage {
    fn by(&self, who: &By) -> String {
        by(who)
    }

    fn state(&self, state_of: &PolicyState) -> &'static str {
        state(*state_of)
    }
}

impl RevisionPage {
    fn legible(&self, text: &str) -> String {
        legible(text)
    }
}

/// Who did a step.
pub(super) fn by(by: &By) -> String {
    match by {
        By::System => "the gateway".to_owned(),
        By::Signal => "a signal".to_owned(),
        By::Token(id) => id.to_string(),
    }
}

/// The word for where a set stands.
pub(super) const fn state(state: PolicyState) -> &'static str {
    match state {
        PolicyState::Proposed => "Proposed",
        PolicyState::InForce => "In force",
        PolicyState::Superseded => "Superseded",
        PolicyState::Rejected => "Rejected",
        PolicyState::RolledBack => "Rolled back",
    }
}

pub(super) async fn page(Extension(seat): Extension<Seat>, Parameters(Before { before }): Parameters<Before>) -> Answer {
    let policies = seat.ask(Query::Policies).await?.policies();
    let query = Query::PolicyHistory { before, limit: PAGE };
    let history = seat.ask(query).await?.policy_history(before, PAGE).await?;
    let instruments = match seat.ask(Query::PolicyRevision).await?.policy_revision(&policies.revision.to_string()).await {
        Ok(set) => instruments::of(&set.files),
        Err(GatewayError::NotFound(_)) => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    let older = history.last().filter(|last| history.len() == PAGE && last.number > 0).map(|last| last.number);
    let chrome = Chrome::new(&seat, "Policies", Some(places::POLICIES));
    answer(&PoliciesPage { chrome, policies, instruments, history, older })
}

pub(super) async fn revision(Extension(seat): Extension<Seat>, Path(name): Path<String>) -> Answer {
    let set = seat.ask(Query::PolicyRevision).await?.policy_revision(&name).await?;
    let instruments = instruments::of(&set.files);
    answer(&RevisionPage { chrome: Chrome::new(&seat, "Policy set", Some(places::POLICIES)), set, instruments })
}
