//! The compliance report of a period.

use std::collections::BTreeMap;

use axum::{
    Extension, Json,
    extract::{Query as Parameters, State, rejection::QueryRejection},
};
use serde::{Deserialize, Serialize};

use super::{CheckpointsOfPeriod, LedgerHeadView, Problem, Query, SummaryView, router::Api};
use crate::audit::period::Period;
use crate::authn::TokenIdentity;
use crate::types::{PolicyRevision, RequestId, Timestamp};

/// What happened in a period, and how things stand when the report is made.
#[derive(Debug, Clone, Serialize)]
pub struct ReportView {
    /// From this time on.
    pub since: String,
    /// Before this time.
    pub until: String,
    /// When it was made: what stands, stands then.
    pub made: String,
    /// The policy set in force then.
    pub revision: PolicyRevision,
    /// The population then.
    pub population: SummaryView,
    /// Findings that stand then, by class.
    pub standing: BTreeMap<&'static str, u64>,
    /// What happened, drawn from the ledger's entries.
    pub period: Period,
    /// The ledger's head then: entries and root that the report can be held against.
    pub ledger: LedgerHeadView,
    /// The checkpoints that were kept in the period. No entry tells of them.
    pub checkpoints: CheckpointsOfPeriod,
}

/// `GET /v1/report`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReportParameters {
    since: String,
    until: String,
}

pub(super) async fn get(
    State(api): State<Api>,
    Extension(request): Extension<RequestId>,
    Extension(who): Extension<TokenIdentity>,
    parameters: Result<Parameters<ReportParameters>, QueryRejection>,
) -> Result<Json<ReportView>, Problem> {
    let ReportParameters { since, until } = parameters?.0;
    let moment = |name: &str, text: &str| {
        let problem = || Problem::invalid(format!("`{name}` must be a day (2026-11-29) or an RFC 3339 time"));
        Timestamp::parse_moment(text).ok_or_else(problem)
    };
    let (since, until) = (moment("since", &since)?, moment("until", &until)?);
    if until <= since {
        return Err(Problem::invalid("`until` must be later than `since`"));
    }
    api.gateway.record_query(&request, &who, Query::Report { since, until }).await?;
    Ok(Json(api.gateway.report(since, until).await?))
}
