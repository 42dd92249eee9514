//! Who asks, and whether they may.

use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::{Access, Problem, Route, router::Api};
use crate::authn::TokenIdentity;
use crate::telemetry::next_request_id;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-domicile-request-id");

/// Lets a request through when the route's table entry says so. Handlers find the request id, and with a valid token the bearer's
/// identity, in the request's extensions.
pub(super) async fn check(State(api): State<Api>, mut request: Request, next: Next) -> Response {
    let id = next_request_id();
    request.extensions_mut().insert(id.clone());
    let mut response = match admit(&api, &request) {
        Ok(None) => next.run(request).await,
        Ok(Some(who)) => {
            request.extensions_mut().insert(who);
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Ok(value) = HeaderValue::from_str(id.as_str()) {
        headers.insert(REQUEST_ID, value);
    }
    response
}

fn admit(api: &Api, request: &Request) -> Result<Option<TokenIdentity>, Problem> {
    let path = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    let route = path.and_then(|path| Route::find(request.method().as_str(), path));
    let who = bearer(request.headers()).and_then(|token| api.tokens.verify(token));
    if route.is_some_and(|route| route.access == Access::Public) {
        return Ok(who);
    }
    let who = who.ok_or_else(|| Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", "a valid bearer token is needed"))?;
    // A known path with another method: the router says so, to bearers of a token only.
    let Some(route) = route else { return Ok(Some(who)) };
    match route.access {
        Access::Roles(roles) if !roles.contains(&who.role) => {
            let detail = format!("the role `{}` may not use {} {}", who.role, route.method, route.path);
            Err(Problem::new(StatusCode::FORBIDDEN, "forbidden", detail))
        }
        _ => Ok(Some(who)),
    }
}

/// The token of `Authorization: Bearer …` (RFC 6750 section 2.1); the scheme's case does not matter.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}
