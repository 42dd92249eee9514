//! Why somebody is not let in, or may not do what they ask.

use std::time::Duration;

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

use super::OidcRefused;
use crate::admin::{GatewayError, Problem};

/// Why somebody is not let in. What it says is safe to show.
#[derive(Debug, thiserror::Error)]
pub enum LoginRefused {
    /// No session, or one that is over.
    #[error("sign in first")]
    NotSignedIn,
    /// Nobody bears this token.
    #[error("no such token")]
    WrongToken,
    /// Too many tries from this address, or altogether.
    #[error("too many tries to sign in; try again in {} s", .0.as_secs())]
    TooMany(Duration),
    /// What was sent did not come from a page of the console.
    #[error(
        "this did not come from a page of the console; behind a proxy, `external-url` has to say where the console is reached"
    )]
    CrossOrigin,
    /// The form is not of this session.
    #[error("this form is of another session; load the page again")]
    OldForm,
    /// What was sent is not the form that it should be.
    #[error("{0}")]
    Invalid(String),
    /// Somebody's requests come faster than they may, or too many at a time.
    #[error("requests come faster than they may; try again in {} s", .0.as_secs())]
    TooFast(Duration),
    /// The OpenID provider's word is not taken, or cannot be had.
    #[error(transparent)]
    Oidc(#[from] OidcRefused),
    /// There is no OpenID provider, or the gateway does not know where browsers reach it.
    #[error("signing in with an OpenID provider is not set up: `[oidc]` and `external-url` of `[admin]` are needed")]
    NoOidc,
    /// The gateway cannot say or record it.
    #[error("the gateway failed")]
    Gateway(#[from] GatewayError),
}

impl LoginRefused {
    /// The word for [`LoginRefused::TooMany`].
    pub const TOO_MANY: &'static str = "too-many-logins";

    /// A stable word for it: for the ledger, and for pages that show it in their own words.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotSignedIn => "not-signed-in",
            Self::WrongToken => "wrong-token",
            Self::TooMany(_) => Self::TOO_MANY,
            Self::CrossOrigin => "cross-origin",
            Self::OldForm => "old-form",
            Self::Invalid(_) => "invalid-request",
            Self::TooFast(_) => "too-many-requests",
            Self::Oidc(refused) => refused.code(),
            Self::NoOidc => "no-oidc",
            Self::Gateway(_) => "unavailable",
        }
    }

    /// As a problem document. Pages show it in their own words.
    pub fn shown(self) -> Response {
        self.into_response()
    }

    /// The status that fits it.
    pub const fn status(&self) -> StatusCode {
        match self {
            Self::NotSignedIn | Self::WrongToken => StatusCode::UNAUTHORIZED,
            Self::Oidc(OidcRefused::Unavailable) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Oidc(_) => StatusCode::FORBIDDEN,
            Self::NoOidc => StatusCode::NOT_FOUND,
            Self::TooMany(_) | Self::TooFast(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::CrossOrigin | Self::OldForm => StatusCode::FORBIDDEN,
            Self::Invalid(_) => StatusCode::BAD_REQUEST,
            Self::Gateway(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl IntoResponse for LoginRefused {
    fn into_response(self) -> Response {
        let (status, code, wait) = (self.status(), self.code(), self.wait());
        let problem = match self {
            Self::Gateway(error) => error.into(),
            other => Problem::new(status, code, other.to_string()),
        };
        let mut response = problem.into_response();
        if let Some(wait) = wait {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)));
        }
        response
    }
}

impl LoginRefused {
    /// After how long it can succeed, where that is known.
    pub const fn wait(&self) -> Option<Duration> {
        match self {
            Self::TooMany(wait) | Self::TooFast(wait) => Some(*wait),
            _ => None,
        }
    }
}
