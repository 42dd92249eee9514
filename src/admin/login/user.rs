//! Who comes with a session, and what they send.

use std::sync::Arc;

use axum::{
    body::to_bytes,
    extract::{FromRef, FromRequest, FromRequestParts, Request},
    http::{Method, header, request::Parts},
};
use serde::{Deserialize, de::DeserializeOwned};

use super::{Caller, Login, LoginRefused, cookie::CookieRules, sessions::SessionHash};
use crate::admin::{Route, Turn};
use crate::authn::TokenIdentity;
use crate::digest::constant_time_eq;

/// A form has at most so many bytes.
const FORM: usize = 64 << 10;

/// Somebody with a session. A handler that takes one is reached by nobody else, and, where it changes something, by no page of another
/// site. That a form was meant is for [`Posted`] to say.
#[derive(Debug, Clone)]
pub struct SessionUser {
    /// Who, and in which role: of this moment, not of when they signed in.
    pub identity: TokenIdentity,
    /// What each form of their pages has in its field `csrf`.
    pub csrf: String,
    pub(super) session: SessionHash,
    pub(super) cookies: CookieRules,
    /// Counts as a request under way for as long as anybody has this.
    pub(super) _turn: Arc<Turn>,
}

/// A form that somebody with a session has sent from one of our pages. Its field `csrf` is checked; the others are `form`.
#[derive(Debug)]
pub struct Posted<T> {
    /// Who.
    pub user: SessionUser,
    /// What.
    pub form: T,
}

#[derive(Deserialize)]
struct Checked {
    csrf: String,
}

impl SessionUser {
    /// Whether their role may use a route of the API, named as in [`crate::admin::ROUTES`]. A page does no more than these.
    pub fn may(&self, method: &str, path: &str) -> bool {
        Route::find(method, path).is_some_and(|route| route.admits(self.identity.role))
    }
}

impl<S> FromRequestParts<S> for SessionUser
where
    Login: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = LoginRefused;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, LoginRefused> {
        let (login, caller) = (Login::from_ref(state), caller(parts)?);
        if !matches!(parts.method, Method::GET | Method::HEAD) {
            login.same_origin(caller, &parts.headers)?;
        }
        login.user(caller, &parts.headers)
    }
}

impl<S, T> FromRequest<S> for Posted<T>
where
    Login: FromRef<S>,
    S: Send + Sync,
    T: DeserializeOwned,
{
    type Rejection = LoginRefused;

    async fn from_request(request: Request, state: &S) -> Result<Self, LoginRefused> {
        let (mut parts, body) = request.into_parts();
        let user = SessionUser::from_request_parts(&mut parts, state).await?;
        let body = read_form(&parts, body).await?;
        let Checked { csrf } = parse(&body)?;
        if !constant_time_eq(csrf.as_bytes(), user.csrf.as_bytes()) {
            return Err(LoginRefused::OldForm);
        }
        Ok(Self { user, form: parse(&body)? })
    }
}

pub(super) fn caller(parts: &Parts) -> Result<Caller, LoginRefused> {
    parts.extensions.get().copied().ok_or(LoginRefused::NotSignedIn)
}

/// The body of a form, which a `GET` has not.
pub(super) async fn read_form(parts: &Parts, body: axum::body::Body) -> Result<axum::body::Bytes, LoginRefused> {
    let kind = parts.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if parts.method != Method::POST || !kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return Err(LoginRefused::Invalid("send a form".to_owned()));
    }
    to_bytes(body, FORM).await.map_err(|_| LoginRefused::Invalid(format!("a form has at most {FORM} bytes")))
}

pub(super) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, LoginRefused> {
    serde_urlencoded::from_bytes(body).map_err(|_| LoginRefused::Invalid("a field of the form is missing or wrong".to_owned()))
}
