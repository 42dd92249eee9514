//! Who asks, and whether they may.

use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::{Access, Problem, Route, limits, router::Api};
use crate::telemetry::next_request_id;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-domicile-request-id");

/// Lets a request through when the route's table entry says so. Handlers find the request id, and with a valid token the bearer's
/// identity, in the request's extensions.
pub(super) async fn check(State(api): State<Api>, mut request: Request, next: Next) -> Response {
    let id = next_request_id();
    request.extensions_mut().insert(id.clone());
    let mut response = match admit(&api, &mut request) {
        Ok(Some(route)) if route.streams => next.run(request).await,
        Ok(Some(route)) => match limits::read_body(request, route).await {
            Ok(request) => limits::in_time(route, next.run(request)).await,
            Err(refused) => refused,
        },
        Ok(None) => next.run(request).await,
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

/// The route, when it is there.
fn admit(api: &Api, request: &mut Request) -> Result<Option<&'static Route>, Problem> {
    let path = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    let route = path.and_then(|path| Route::find(request.method().as_str(), path));
    let who = bearer(request.headers()).and_then(|token| api.tokens.verify(token));
    let access = route.map(|route| route.access);
    let Some(who) = who else {
        let unauthorized = || Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", "a valid bearer token is needed");
        return if access == Some(Access::Public) { Ok(route) } else { Err(unauthorized()) };
    };
    if let (Some(route), Some(Access::Roles(roles))) = (route, access)
        && !roles.contains(&who.role)
    {
        let detail = format!("the role `{}` may not use {} {}", who.role, route.method, route.path);
        return Err(Problem::new(StatusCode::FORBIDDEN, "forbidden", detail));
    }
    request.extensions_mut().insert(who);
    // Without a route, the router says that there is none, to bearers of a token only.
    Ok(route)
}

/// The token of `Authorization: Bearer …` (RFC 6750 section 2.1); the scheme's case does not matter.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}
