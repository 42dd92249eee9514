//! Logging in and out.

use std::sync::Arc;

use axum::{
    Form,
    extract::{Query as Parameters, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
};
use askama::Template;
use serde::Deserialize;

use super::{
    chrome::{Chrome, Theme, page},
    filters,
    router::Desk,
};
use crate::authn::{TokenIdentity, Tokens};
use crate::digest::sha256;

const COOKIE: &str = "domicile-session";

/// Who may come in.
pub(super) struct Door {
    tokens: Arc<Tokens>,
}

impl Door {
    pub(super) const fn new(tokens: Arc<Tokens>) -> Self {
        Self { tokens }
    }

    /// Who is logged in, and what goes with the forms of this session.
    pub(super) fn session(&self, headers: &HeaderMap) -> Option<(TokenIdentity, String)> {
        let lines = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
        let (_, token) = pairs.find(|(name, _)| *name == COOKIE)?;
        let who = self.tokens.verify(token)?;
        Some((who, hex::encode(sha256(format!("csrf {token}").as_bytes()))))
    }
}

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage {
    chrome: Chrome,
    next: String,
    trouble: Option<&'static str>,
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
pub(super) struct Leaving {
    csrf: String,
}

/// A path of the console, and nothing that leads elsewhere.
pub(super) fn inside(next: &str) -> &str {
    let is_inside = next == "/console" || next.starts_with("/console/") || next.starts_with("/console?");
    if is_inside && next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\') { next } else { "/console" }
}

pub(super) async fn form(headers: HeaderMap, Parameters(Next { next }): Parameters<Next>) -> Response {
    login_page(&headers, inside(&next), None)
}

fn login_page(headers: &HeaderMap, next: &str, trouble: Option<&'static str>) -> Response {
    let chrome = Chrome::of_strangers("Sign in", Theme::of(headers));
    page(&LoginPage { chrome, next: next.to_owned(), trouble }).into_response()
}

pub(super) async fn log_in(State(desk): State<Desk>, headers: HeaderMap, Form(credentials): Form<Credentials>) -> Response {
    let token = credentials.token.trim();
    let next = inside(&credentials.next);
    let cookie = format!("{COOKIE}={token}; Path=/console; HttpOnly; SameSite=Strict");
    match (desk.door.tokens.verify(token), HeaderValue::from_str(&cookie)) {
        (Some(_), Ok(cookie)) => ([(header::SET_COOKIE, cookie)], Redirect::to(next)).into_response(),
        _ => {
            let mut response = login_page(&headers, next, Some("This token is not known, or not any more."));
            *response.status_mut() = StatusCode::UNAUTHORIZED;
            response
        }
    }
}

pub(super) async fn log_out(State(desk): State<Desk>, headers: HeaderMap, Form(Leaving { csrf }): Form<Leaving>) -> Response {
    if desk.door.session(&headers).is_some_and(|(_, wanted)| wanted != csrf) {
        return StatusCode::FORBIDDEN.into_response();
    }
    let gone = HeaderValue::from_static("domicile-session=; Path=/console; HttpOnly; SameSite=Strict; Max-Age=0");
    ([(header::SET_COOKIE, gone)], Redirect::to("/console/login")).into_response()
}
