//! The admin and audit API: where records live and why, policies, subjects, the ledger, health.
//!
//! Every route stands in [`ROUTES`] with the roles that may use it; the router refuses what is not there, and `/openapi.json` is made
//! from it. What the API asks of the gateway is the trait [`Gateway`].
//!
//! Architecture invariant: no route answers with a record's content. A query, also one that finds nothing, is recorded in the
//! ledger before it is evaluated; when it cannot be recorded, it is not answered.

mod access;
mod gateway;
mod handlers;
mod limits;
mod openapi;
mod plans;
mod problem;
mod query;
mod relocations;
mod router;
mod routes;
mod sessions;
mod subjects;
#[cfg(test)]
mod tests;
mod views;

pub use gateway::{ExportBytes, Gateway, GatewayError, Query};
pub use problem::Problem;
pub use router::router;
pub use routes::{Access, ROUTES, Route};
pub use views::{
    AccessView, ComponentView, CopyView, CounterView, ExplainRequest, KeyVersionView, KeyView, LedgerHeadView, PoliciesView,
    Readiness, RecordView, RecordsPage, SessionRequest, SessionView, SiteView, SubjectView, SummaryView,
};
