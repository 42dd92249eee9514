//! Signing in and out.

use askama::Template;
use axum::{
    Extension, Form,
    extract::{Query as Parameters, State, rejection::FormRejection},
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;

use super::{
    chrome::{Chrome, Theme, page},
    filters,
    router::Desk,
};
use crate::admin::login::{Caller, HOME, LOGIN, LoginRefused, OIDC, Posted};
use crate::telemetry::next_request_id;

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage {
    chrome: Chrome,
    next: String,
    trouble: Option<(String, &'static str)>,
    /// Where signing in at an OpenID provider begins.
    provider: &'static str,
    /// Whether there is one.
    has_provider: bool,
}

#[derive(Deserialize)]
pub(super) struct Next {
    #[serde(default)]
    next: String,
}

#[derive(Deserialize)]
pub(super) struct Credentials {
    token: String,
    #[serde(default)]
    next: String,
}

#[derive(Deserialize)]
pub(super) struct Nothing {}

/// A path of the console, and nothing that leads elsewhere.
pub(super) fn inside(next: &str) -> &str {
    let below = next.strip_prefix(HOME).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']));
    if below && next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\') { next } else { HOME }
}

pub(super) async fn form(State(desk): State<Desk>, headers: HeaderMap, Parameters(Next { next }): Parameters<Next>) -> Response {
    login_page(&headers, inside(&next), None, desk.login.has_oidc())
}

fn login_page(headers: &HeaderMap, next: &str, trouble: Option<(String, &'static str)>, has_provider: bool) -> Response {
    let chrome = Chrome::of_strangers("Sign in", Theme::of(headers));
    page(&LoginPage { chrome, next: next.to_owned(), trouble, provider: OIDC, has_provider }).into_response()
}

/// Somebody has come back from the provider and is not let in.
pub(super) fn turned_away(reason: LoginRefused) -> Response {
    refused(&HeaderMap::new(), HOME, &reason)
}

/// The page to sign in with, and why that did not succeed.
pub(super) fn refused(headers: &HeaderMap, next: &str, refused: &LoginRefused) -> Response {
    let (said, help) = match refused {
        LoginRefused::WrongToken => {
            ("This token is not known, or not any more.".to_owned(), "Ask whoever runs the gateway for a new one.")
        }
        LoginRefused::TooMany(wait) => {
            (format!("There were too many tries. The next one is taken in {} seconds.", wait.as_secs().max(1)), "")
        }
        LoginRefused::Gateway(_) => (
            "The gateway cannot record that you sign in.".to_owned(),
            "Try again in some seconds; if it stays so, tell the operator.",
        ),
        LoginRefused::NotSignedIn => ("Your session is over.".to_owned(), "Sign in again."),
        other => (format!("{other}."), "Load this page again and sign in."),
    };
    let mut response = login_page(headers, inside(next), Some((said, help)), false);
    *response.status_mut() = refused.status();
    if let Some(wait) = refused.wait() {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)));
    }
    response
}

pub(super) async fn sign_in(
    State(desk): State<Desk>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    form: Result<Form<Credentials>, FormRejection>,
) -> Response {
    let Ok(Form(Credentials { token, next })) = form else {
        return refused(&headers, HOME, &LoginRefused::Invalid("this is not the form that it should be".to_owned()));
    };
    match desk.login.with_token(&next_request_id(), caller, &headers, token.trim()).await {
        Ok(cookie) => ([(header::SET_COOKIE, cookie)], Redirect::to(inside(&next))).into_response(),
        Err(reason) => refused(&headers, &next, &reason),
    }
}

pub(super) async fn sign_out(
    State(desk): State<Desk>,
    headers: HeaderMap,
    posted: Result<Posted<Nothing>, LoginRefused>,
) -> Response {
    let signed_out = async { desk.login.sign_out(&next_request_id(), &posted?.user).await };
    match signed_out.await {
        Ok(cookie) => ([(header::SET_COOKIE, cookie)], Redirect::to(LOGIN)).into_response(),
        Err(reason) => refused(&headers, HOME, &reason),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_led_elsewhere() {
        for next in ["/console", "/console/records?bucket=a&prefix=%2F%2Fb", "/console?x"] {
            assert_eq!(inside(next), next);
        }
        let elsewhere =
            ["", "//evil.example", "/consolation", "https://evil.example/console", "/console\\..", "/console/\r\nX: y", "/v1"];
        for next in elsewhere {
            assert_eq!(inside(next), "/console", "{next:?}");
        }
    }
}
