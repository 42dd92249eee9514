//! The pages' paths, behind the door.

use std::{sync::Arc, time::Duration};

use axum::{
    Form, Router,
    extract::{DefaultBodyLimit, FromRef, FromRequestParts, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use serde::Deserialize;
use tokio::time::timeout;

use super::{
    assets,
    backlog::Backlog,
    checkpoints,
    chrome::{Chrome, Theme, Trouble, problem_page},
    difference, door, erasures, filters, findings, forms, headers, keys, ledger, ledger_entry, overview, policies, population,
    record, records, relocations, report, sample,
    seat::Seat,
    sites, subjects, tail,
};
use crate::admin::{
    Gateway, Problem,
    login::{self, LOGIN, LOGOUT, Login, LoginRefused, SessionUser},
};
use crate::clock::Clock;
use crate::telemetry::next_request_id;

/// For an answer, a report's too.
const TIME: Duration = Duration::from_secs(110);

const REQUEST_ID: HeaderName = HeaderName::from_static("x-domicile-request-id");

/// What every page is made with.
#[derive(Clone)]
pub(super) struct Desk {
    pub(super) gateway: Arc<dyn Gateway>,
    pub(super) login: Login,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) backlog: Arc<Backlog>,
}

impl FromRef<Desk> for Login {
    fn from_ref(desk: &Desk) -> Self {
        desk.login.clone()
    }
}

/// The whole console in front of `gateway`, for whom `login` lets in.
pub fn router(gateway: Arc<dyn Gateway>, login: Login, clock: Arc<dyn Clock>) -> Router {
    let desk = Desk { gateway, login, clock, backlog: Arc::default() };
    let pages = Router::new()
        .route("/console", get(overview::page))
        .route("/console/", get(async || Redirect::permanent("/console")))
        .route("/console/backlog", get(overview::backlog))
        .route("/console/records", get(records::page))
        .route("/console/record", get(record::page))
        .route("/console/record/proof.json", get(record::proof))
        .route("/console/subject", get(subjects::page))
        .route("/console/policies", get(policies::page))
        .route("/console/policies/diff", get(difference::page))
        .route("/console/policies/{revision}", get(policies::revision))
        .route("/console/refusals", get(tail::refusals))
        .route("/console/exceptions", get(tail::exceptions))
        .route("/console/ledger", get(ledger::page))
        .route("/console/ledger/checkpoints", get(checkpoints::page))
        .route("/console/ledger/checkpoints/{size}/{file}", get(checkpoints::file))
        .route("/console/ledger/entries/{entry}", get(ledger_entry::page))
        .route("/console/ledger/entries/{entry}/proof.json", get(ledger_entry::proof))
        .route("/console/report", get(report::page))
        .route("/console/report.json", get(report::json))
        .route("/console/population", get(population::page))
        .route("/console/population/export", get(population::export))
        .route("/console/sample", get(sample::page))
        .route("/console/sample.json", get(sample::json))
        .route("/console/sites", get(sites::page))
        .route("/console/keys", get(keys::page))
        .route("/console/findings", get(findings::page))
        .route("/console/relocations", get(relocations::page))
        .route("/console/relocations/{id}", get(relocations::one))
        .route("/console/erasures", get(erasures::page))
        .route("/console/{*rest}", get(nowhere))
        .layer(middleware::from_fn_with_state(desk.clone(), enter));
    let open = Router::new()
        // Who has typed the address alone.
        .route("/", get(async || Redirect::temporary("/console")))
        .route(LOGIN, get(door::form).post(door::sign_in))
        .route(LOGOUT, post(door::sign_out))
        .route("/console/theme", post(set_theme))
        .route("/console/assets/{mark}/{name}", get(assets::get))
        // They have been read within limits of their own.
        .layer(DefaultBodyLimit::disable())
        .layer(middleware::from_fn_with_state(forms::places(), forms::read));
    let provider = login::provider(desk.login.clone(), door::turned_away);
    pages.merge(open).with_state(desk).merge(provider).layer(middleware::from_fn(headers::add))
}

async fn nowhere() -> Trouble {
    Trouble::from(Problem::not_found("the console has no such page"))
}

#[derive(Deserialize)]
struct Wanted {
    theme: String,
    #[serde(default)]
    next: String,
}

/// Keeps a theme for a year. Without a session: it says nothing of anybody, and pages of elsewhere are not heeded.
async fn set_theme(headers: HeaderMap, Form(Wanted { theme, next }): Form<Wanted>) -> Response {
    let elsewhere = headers.get("sec-fetch-site").is_some_and(|site| site != "same-origin");
    let Some(theme) = Theme::named(&theme).filter(|_| !elsewhere) else { return StatusCode::FORBIDDEN.into_response() };
    let cookie = format!("{}={}; Path=/console; SameSite=Strict; Max-Age=31536000", Theme::COOKIE, theme.as_str());
    match HeaderValue::from_str(&cookie) {
        Ok(cookie) => ([(header::SET_COOKIE, cookie)], Redirect::to(login::inside(&next))).into_response(),
        Err(_) => StatusCode::BAD_REQUEST.into_response(),
    }
}

/// Lets in whoever is logged in, and shows a problem as a page.
async fn enter(State(desk): State<Desk>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let user = SessionUser::from_request_parts(&mut parts, &desk).await;
    let mut request = Request::from_parts(parts, body);
    let user = match user {
        Ok(user) => user,
        Err(LoginRefused::NotSignedIn) => return to_the_door(&request),
        Err(refused) => return door::refused(request.headers(), "", &refused, desk.login.has_oidc()),
    };
    let id = next_request_id();
    let theme = Theme::of(request.headers());
    let path = request.uri().path_and_query().map_or("/console", |asked| asked.as_str()).to_owned();
    let seat = Seat::new(Arc::clone(&desk.gateway), (id.clone(), desk.clock.now()), user, (theme, path));
    request.extensions_mut().insert(seat.clone());
    let in_time = timeout(TIME, next.run(request)).await;
    let mut response = in_time.unwrap_or_else(|_| {
        let detail = format!("no answer within {} seconds", TIME.as_secs());
        Trouble::from(Problem::new(StatusCode::GATEWAY_TIMEOUT, "timeout", detail)).into_response()
    });
    if let Some(problem) = problem_of(&mut response) {
        response = problem_page(Chrome::new(&seat, "Problem", None), &problem, id.as_str());
    }
    if let Ok(value) = HeaderValue::from_str(id.as_str()) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response
}

/// What went wrong, where something did: with what a page says of it, or what the router says of a request that no page is made for.
fn problem_of(response: &mut Response) -> Option<Arc<Problem>> {
    let said = response.extensions_mut().remove::<Arc<Problem>>();
    said.or_else(|| {
        let status = response.status();
        // A page that says itself what is wrong with its form is one.
        let is_page = response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
        let failed = (status.is_client_error() || status.is_server_error()) && !is_page;
        failed.then(|| Arc::new(Problem::new(status, "invalid-request", "the address of this page is not as it should be")))
    })
}

/// Back to the page that was asked for afterwards.
fn to_the_door(request: &Request) -> Response {
    let asked = request.uri().path_and_query().map_or("/console", |asked| asked.as_str());
    Redirect::to(&format!("/console/login?next={}", filters::encoded(asked))).into_response()
}
