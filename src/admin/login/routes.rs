//! The routes that sign people in and out. What they look like is the console's.

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderName, HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{Html, IntoResponse, Response},
    routing::{get, post},
};
use serde::Deserialize;

use super::{
    Login, LoginRefused, Posted,
    user::{caller, parse, read_form},
};
use crate::telemetry::next_request_id;

/// Where the form to sign in is sent.
pub const LOGIN: &str = "/console/login";
/// Where the form to sign out is sent.
pub const LOGOUT: &str = "/console/logout";
/// Where signing in at an OpenID provider begins.
pub const OIDC: &str = "/console/login/oidc";
/// Where the provider sends browsers back to.
pub const OIDC_BACK: &str = "/console/login/oidc/callback";
/// Where who has signed in gets to.
pub const HOME: &str = "/console";

/// Shows somebody why they are not let in.
pub type ShowRefused = fn(LoginRefused) -> Response;

#[derive(Clone)]
struct Context {
    login: Login,
    show: ShowRefused,
}

impl axum::extract::FromRef<Context> for Login {
    fn from_ref(context: &Context) -> Self {
        context.login.clone()
    }
}

#[derive(Deserialize)]
struct TokenForm {
    token: String,
}

#[derive(Deserialize)]
struct Nothing {}

#[derive(Default, Deserialize)]
struct Wanted {
    #[serde(default)]
    next: String,
}

/// A page's address is as long as this at the most, to be gone on to: it goes along in a cookie.
const LONGEST: usize = 2048;

/// The path of a page of the console, and of nothing elsewhere.
pub fn inside(next: &str) -> &str {
    let below = next.strip_prefix(HOME).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']));
    let plain = next.len() <= LONGEST && next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if below && plain { next } else { HOME }
}

/// `POST` [`LOGIN`] with the field `token`, `POST` [`LOGOUT`] with `csrf`, `GET` [`OIDC`] with the page `next` to go on to, and
/// [`OIDC_BACK`]. Whoever is not let in sees what `show` makes of the reason.
pub fn router(login: Login, show: ShowRefused) -> Router {
    Router::new()
        .route(LOGIN, post(sign_in))
        .route(LOGOUT, post(sign_out))
        .merge(by_provider())
        .layer(middleware::from_fn(unkept))
        .with_state(Context { login, show })
}

/// Only the ways to a provider and back, for who has forms of their own.
pub fn provider(login: Login, show: ShowRefused) -> Router {
    by_provider().layer(middleware::from_fn(unkept)).with_state(Context { login, show })
}

fn by_provider() -> Router<Context> {
    Router::new().route(OIDC, get(go_to_provider)).route(OIDC_BACK, get(come_back))
}

async fn sign_in(State(context): State<Context>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let signed_in = async {
        let caller = caller(&parts)?;
        let form: TokenForm = parse(&read_form(&parts, body).await?)?;
        context.login.with_token(&next_request_id(), caller, &parts.headers, &form.token).await
    };
    match signed_in.await {
        Ok(cookie) => go(HOME, cookie),
        Err(refused) => (context.show)(refused),
    }
}

async fn sign_out(State(context): State<Context>, posted: Result<Posted<Nothing>, LoginRefused>) -> Response {
    let signed_out = async { context.login.sign_out(&next_request_id(), &posted?.user).await };
    match signed_out.await {
        Ok(cookie) => go(LOGIN, cookie),
        Err(refused) => (context.show)(refused),
    }
}

async fn go_to_provider(State(context): State<Context>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let wanted: Wanted = serde_urlencoded::from_str(parts.uri.query().unwrap_or_default()).unwrap_or_default();
    let begun = async { context.login.begin_oidc(&next_request_id(), caller(&parts)?, inside(&wanted.next)).await };
    match begun.await {
        Ok((to, cookie)) => (StatusCode::SEE_OTHER, [(header::LOCATION, to), (header::SET_COOKIE, cookie)]).into_response(),
        Err(refused) => (context.show)(refused),
    }
}

/// A page, and no redirect: the browser has come from another site, and would leave a strict cookie out of where a redirect leads.
async fn come_back(State(context): State<Context>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let query = parts.uri.query().unwrap_or_default();
    let come = async { context.login.finish_oidc(&next_request_id(), caller(&parts)?, &parts.headers, query).await };
    match come.await {
        Ok((cookies, next)) => {
            let mut response = Html(signed_in(inside(&next))).into_response();
            for cookie in cookies {
                response.headers_mut().append(header::SET_COOKIE, cookie);
            }
            let policy = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
            response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
            response
        }
        Err(refused) => (context.show)(refused),
    }
}

fn signed_in(next: &str) -> String {
    let next = next.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;");
    format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Signed in</title>\
         <meta http-equiv=\"refresh\" content=\"0; url={next}\"><p><a href=\"{next}\">Go on to the console</a></p></html>"
    )
}

fn go(to: &'static str, cookie: HeaderValue) -> Response {
    let to = HeaderValue::from_static(to);
    (StatusCode::SEE_OTHER, [(header::LOCATION, to), (header::SET_COOKIE, cookie)]).into_response()
}

/// No cache keeps what has a cookie in it.
async fn unkept(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(HeaderName::from_static("referrer-policy"), HeaderValue::from_static("same-origin"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_led_elsewhere() {
        for next in ["/console", "/console/records?bucket=a&prefix=%2F%2Fb", "/console?x"] {
            assert_eq!(inside(next), next);
        }
        let long = format!("/console?{}", "x".repeat(LONGEST));
        let elsewhere = [
            "",
            "//evil.example",
            "/consolation",
            "https://evil.example/console",
            "/console\\..",
            "/console/\r\nX: y",
            "/v1",
            &long,
        ];
        for next in elsewhere {
            assert_eq!(inside(next), "/console", "{next:?}");
        }
    }

    #[test]
    fn an_address_stays_one_in_the_page() {
        let page = signed_in("/console/records?prefix=\"><script>&bucket=a");
        assert!(page.contains("url=/console/records?prefix=&quot;>&lt;script>&amp;bucket=a\""), "{page}");
    }
}
