//! Who asks, and whether they may.

use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::{Access, Problem, Route, Turn, limits, login::OidcRefused, router::Api};
use crate::authn::{JwtRefused, TokenIdentity};
use crate::telemetry::{metric, next_request_id};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-domicile-request-id");

/// Lets a request through when the route's table entry says so. Handlers find the request id, and with a valid token the bearer's
/// identity, in the request's extensions.
pub(super) async fn check(State(api): State<Api>, mut request: Request, next: Next) -> Response {
    let id = next_request_id();
    request.extensions_mut().insert(id.clone());
    let matched = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    let route = matched.and_then(|path| Route::find(request.method().as_str(), path));
    let bearer = bearer(request.headers()).map(str::to_owned);
    let named = bearer.is_some();
    let mut response = match admit(&api, route, bearer).await {
        Ok(admitted) => {
            // Until the answer begins; what it streams after that is bounded by itself.
            let _turn = admitted.map(|(who, turn)| {
                request.extensions_mut().insert(who);
                turn
            });
            answer(&api, route, request, next).await
        }
        Err(problem) => {
            if named {
                turned_away(problem.status(), 1);
            }
            problem.into_response()
        }
    };
    let headers = response.headers_mut();
    // What a handler says of its own caching stays.
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Ok(value) = HeaderValue::from_str(id.as_str()) {
        headers.insert(REQUEST_ID, value);
    }
    response
}

async fn answer(api: &Api, route: Option<&'static Route>, request: Request, next: Next) -> Response {
    match route {
        // No body is waited for that anybody could send: its sender would keep a connection of others for that time.
        Some(route) if route.access == Access::Public => limits::in_time(route, next.run(request)).await,
        Some(route) if !route.streams => match limits::read_body(request, route, &api.room).await {
            Ok((request, _room)) => limits::in_time(route, next.run(request)).await,
            Err(refused) => refused,
        },
        // Without a route, the router says that there is none, to bearers of a token only.
        _ => next.run(request).await,
    }
}

/// Who asks, where that is known and they may; nobody where anybody may.
async fn admit(
    api: &Api,
    route: Option<&'static Route>,
    bearer: Option<String>,
) -> Result<Option<(TokenIdentity, Turn)>, Problem> {
    let access = route.map(|route| route.access);
    let identified = match &bearer {
        Some(token) => api.guard.identify(token).await,
        None => Ok(None),
    };
    let who = match identified {
        Ok(Some(who)) => who,
        _ if access == Some(Access::Public) => return Ok(None),
        Ok(None) => return Err(Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", "a valid bearer token is needed")),
        Err(refused) => return Err(not_taken(&refused)),
    };
    if let (Some(route), Some(Access::Roles(roles))) = (route, access)
        && !roles.contains(&who.role)
    {
        tracing::info!(actor = %who.id, role = %who.role, method = route.method, path = route.path, "not allowed");
        let detail = format!("the role `{}` may not use {} {}", who.role, route.method, route.path);
        return Err(Problem::new(StatusCode::FORBIDDEN, "forbidden", detail));
    }
    match api.guard.quotas.enter(&who.id) {
        Ok(turn) => Ok(Some((who, turn))),
        Err(_) => {
            let detail = "this token's requests come faster than they may, or too many at a time; try again more slowly";
            Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, "too-many-requests", detail))
        }
    }
}

/// Counts those who came with a token and were turned away. The ledger says nothing of them, since nothing was asked: many of them are somebody
/// who guesses, or looks for what their role may do.
pub(super) fn turned_away(status: StatusCode, times: u64) {
    let code = match status {
        StatusCode::UNAUTHORIZED => "unauthorized",
        StatusCode::FORBIDDEN => "forbidden",
        _ => return,
    };
    metrics::counter!(metric::ADMIN_REFUSED, "code" => code).increment(times);
}

fn not_taken(refused: &OidcRefused) -> Problem {
    match refused {
        OidcRefused::Unavailable => Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", refused.to_string()),
        OidcRefused::Token(JwtRefused::NoRole) => Problem::new(StatusCode::FORBIDDEN, "forbidden", refused.to_string()),
        _ => Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", refused.to_string()),
    }
}

/// The token of `Authorization: Bearer …` (RFC 6750 section 2.1); the scheme's case does not matter. Nothing when there are two such
/// headers: a proxy may have looked at the other one.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    let (only, None) = (given.next()?, given.next()) else { return None };
    let (scheme, token) = only.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}
