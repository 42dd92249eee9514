//! The routes' handlers, behind the access check.

use std::sync::Arc;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::StatusCode,
    middleware,
    routing::{get, post},
};

use super::{
    Gateway, Guard, Problem, access, auditing, erasures, handlers, imports, ledger, limits::Room, plans, policies, relocations,
    report, rotations, scrubs, sessions, sites, subjects,
};

/// What every handler works with.
#[derive(Clone)]
pub(super) struct Api {
    pub(super) gateway: Arc<dyn Gateway>,
    pub(super) guard: Guard,
    pub(super) room: Room,
}

/// What a listener serves.
pub type Routes = Router;

/// The whole API in front of `gateway`, for whomever `guard` knows.
pub fn router(gateway: Arc<dyn Gateway>, guard: impl Into<Guard>) -> Routes {
    // A dashboard finds both from the start.
    for status in [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN] {
        access::turned_away(status, 0);
    }
    let api = Api { gateway, guard: guard.into(), room: Room::default() };
    Router::new()
        .route("/v1/records", get(handlers::records))
        .route("/v1/record", get(handlers::record))
        .route("/v1/record/history", get(auditing::history))
        .route("/v1/population", get(auditing::population))
        .route("/v1/sample", get(auditing::sample))
        .route("/v1/proof", get(handlers::proof))
        .route("/v1/summary", get(handlers::summary))
        .route("/v1/explain", post(handlers::explain))
        .route("/v1/policies", get(handlers::policies))
        .route("/v1/policies/plan", post(plans::plan))
        .route("/v1/policies/history", get(policies::history))
        .route("/v1/policies/revisions/{id}", get(policies::revision))
        .route("/v1/policies/diff", post(policies::diff))
        .route("/v1/policies/rollback", post(policies::roll_back))
        .route("/v1/policies/proposals/{id}/approve", post(policies::approve))
        .route("/v1/policies/proposals/{id}/reject", post(policies::reject))
        .route("/v1/policies/reload", post(handlers::reload_policies))
        .route("/v1/relocations", get(relocations::list).post(relocations::order))
        .route("/v1/relocations/{id}", get(relocations::get).delete(relocations::cancel))
        .route("/v1/scrubs", get(scrubs::list).post(scrubs::order))
        .route("/v1/scrubs/{id}", get(scrubs::get).delete(scrubs::cancel))
        .route("/v1/findings", get(scrubs::findings))
        .route("/v1/imports", get(imports::list).post(imports::order))
        .route("/v1/imports/{id}", get(imports::get).delete(imports::cancel))
        .route("/v1/config/reload", post(handlers::reload_config))
        .route("/v1/sessions", post(sessions::create))
        .route("/v1/subjects/{id}", get(subjects::get).put(subjects::put).delete(subjects::delete))
        .route("/v1/subjects:import", post(subjects::import))
        .route("/v1/subjects/{id}/erase", post(erasures::erase))
        .route("/v1/subjects/{id}/rotate-key", post(rotations::subject))
        .route("/v1/erasures", get(erasures::list))
        .route("/v1/erasures/{id}", get(erasures::get))
        .route("/v1/keys/{id}/rotate", post(rotations::order))
        .route("/v1/rotations", get(rotations::list))
        .route("/v1/rotations/{id}", get(rotations::get))
        .route("/v1/ledger/checkpoint", get(ledger::checkpoint))
        .route("/v1/ledger/checkpoints", get(ledger::checkpoints))
        .route("/v1/ledger/proof", get(ledger::proof))
        .route("/v1/ledger/tile/{*path}", get(ledger::tile))
        .route("/v1/report", get(report::get))
        .route("/v1/ledger/entries", get(auditing::entries))
        .route("/v1/index/export", get(handlers::export_index))
        .route("/v1/sites", get(sites::list))
        .route("/v1/sites/check", post(sites::check))
        .route("/v1/sites/{id}/init", post(sites::init))
        .route("/v1/keys", get(handlers::keys))
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(handlers::ready))
        .route("/metrics", get(handlers::metrics))
        .route("/openapi.json", get(handlers::openapi))
        .method_not_allowed_fallback(async || {
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "this path has other methods; see /openapi.json")
        })
        .fallback(async || Problem::not_found("there is no such path; see /openapi.json"))
        // Bodies have been read within the limits of the table of routes.
        .layer(DefaultBodyLimit::disable())
        .layer(middleware::from_fn_with_state(api.clone(), access::check))
        .with_state(api)
}
