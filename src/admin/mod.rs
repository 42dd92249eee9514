//! The admin and audit API: where records live and why, policies, subjects, the ledger, health.
//!
//! Every route stands in [`ROUTES`] with the roles that may use it; the router refuses what is not there, and `/openapi.json` is made
//! from it. What the API asks of the gateway is the trait [`Gateway`].
//!
//! Architecture invariant: no route answers with a record's content. A query, also one that finds nothing, is recorded in the
//! ledger before it is evaluated; when it cannot be recorded, it is not answered.

mod access;
mod auditing;
mod erasures;
mod gateway;
mod guard;
mod handlers;
mod imports;
mod ledger;
mod ledger_views;
mod limits;
pub mod login;
mod openapi;
mod plans;
mod policies;
mod policy_views;
mod problem;
mod query;
mod quotas;
mod relocations;
mod report;
mod rotations;
mod router;
mod routes;
mod scrubs;
mod sessions;
mod sites;
mod subjects;
#[cfg(test)]
mod tests;
mod views;

pub use auditing::{HistoryQuestion, HistoryView, LedgerPage, PopulationFormat, SampleView, SampledView};
pub use gateway::{ExportBytes, Gateway, GatewayError, ImportedSubject, Query, Verdict};
pub use guard::Guard;
pub use imports::ImportOrder;
pub use ledger_views::{
    CheckpointView, CheckpointsOfPeriod, CheckpointsView, FailingView, LedgerHeadView, SignerView, TimeStampView, VouchedView,
    VoucherView,
};
pub use policy_views::{
    DecisionChangeView, PoliciesView, PolicyDiffView, PolicyEntryView, PolicyFolderView, PolicyRevisionView, SaidView,
    SetToCompare,
};
pub use problem::Problem;
pub use quotas::{Quotas, Turn};
pub use report::ReportView;
pub use router::{Routes, router};
pub use routes::{Access, ROUTES, Route};
pub use views::{
    AccessView, CheckView, ComponentView, CopyView, CounterView, DecidedByView, ErasureView, ExceptionView, ExplainRequest,
    ImportedView, KeyVersionView, KeyView, Readiness, RecordView, RecordsPage, SessionRequest, SessionView, SiteInitView,
    SiteView, StatementView, SubjectKeyView, SubjectView, SummaryView,
};
