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
use crate::admin::login::{Caller, HOME, LOGIN, LoginRefused, OIDC, Posted, inside};
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

pub(super) async fn form(State(desk): State<Desk>, headers: HeaderMap, Parameters(Next { next }): Parameters<Next>) -> Response {
    login_page(&headers, inside(&next), None, desk.login.has_oidc())
}

fn login_page(headers: &HeaderMap, next: &str, trouble: Option<(String, &'static str)>, has_provider: bool) -> Response {
    let chrome = Chrome::of_strangers("Sign in", Theme::of(headers));
    page(&LoginPage { chrome, next: next.to_owned(), trouble, provider: OIDC, has_provider }).into_response()
}

/// Somebody has come back from the provider, or could not go there, and is not let in. They may try again.
pub(super) fn turned_away(reason: LoginRefused) -> Response {
    refused(&HeaderMap::new(), HOME, &reason, !matches!(reason, LoginRefused::NoOidc))
}

/// The page to sign in with, and why that did not succeed.
pub(super) fn refused(headers: &HeaderMap, next: &str, refused: &LoginRefused, has_provider: bool) -> Response {
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
    let mut response = login_page(headers, inside(next), Some((said, help)), has_provider);
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
        let reason = LoginRefused::Invalid("this is not the form that it should be".to_owned());
        return refused(&headers, HOME, &reason, desk.login.has_oidc());
    };
    match desk.login.with_token(&next_request_id(), caller, &headers, token.trim()).await {
        Ok(cookie) => ([(header::SET_COOKIE, cookie)], Redirect::to(inside(&next))).into_response(),
        Err(reason) => refused(&headers, &next, &reason, desk.login.has_oidc()),
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
        Err(reason) => refused(&headers, HOME, &reason, desk.login.has_oidc()),
    }
}
