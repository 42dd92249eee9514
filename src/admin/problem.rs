//! Errors as RFC 9457 problem documents.

use axum::{
    extract::rejection::{JsonRejection, QueryRejection},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Map, Value, json};

use super::GatewayError;

/// One problem document. Everything in it is safe to show.
#[derive(Debug)]
pub struct Problem {
    status: StatusCode,
    kind: &'static str,
    detail: String,
    extra: Map<String, Value>,
}

impl Problem {
    /// A problem of a kind: a stable word that programs can compare.
    pub fn new(status: StatusCode, kind: &'static str, detail: impl Into<String>) -> Self {
        Self { status, kind, detail: detail.into(), extra: Map::new() }
    }

    /// A parameter or body that cannot be used.
    pub fn invalid(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid-request", detail)
    }

    /// What the path names does not exist.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", detail)
    }

    /// The same with a field more.
    #[must_use]
    pub fn with(mut self, name: &str, value: Value) -> Self {
        self.extra.insert(name.to_owned(), value);
        self
    }

    /// The same with more said.
    #[must_use]
    pub fn explained(mut self, explain: impl FnOnce(&str) -> String) -> Self {
        self.detail = explain(&self.detail);
        self
    }

    /// What went wrong, for people.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// The status it answers with.
    pub const fn status(&self) -> StatusCode {
        self.status
    }
}

impl From<GatewayError> for Problem {
    fn from(error: GatewayError) -> Self {
        match error {
            GatewayError::Invalid(detail) => Self::invalid(detail),
            GatewayError::NotFound(detail) => Self::not_found(detail),
            GatewayError::Policies(mistakes) => {
                let detail = format!("the policies have {} mistakes; those in force stay", mistakes.len());
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid-policies", detail).with("diagnostics", json!(mistakes))
            }
            GatewayError::Config(mistakes) => {
                let detail = format!("mistakes in the configuration: {}; principals and tokens stay as they are", mistakes.len());
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid-configuration", detail).with("diagnostics", json!(mistakes))
            }
            GatewayError::Conflict(detail) => Self::new(StatusCode::CONFLICT, "conflict", detail),
            GatewayError::Unavailable(detail) => Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail),
            GatewayError::Internal(message) => {
                tracing::error!(message, "admin request failed");
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the gateway failed; its log says why")
            }
        }
    }
}

impl From<JsonRejection> for Problem {
    fn from(rejection: JsonRejection) -> Self {
        Self::new(rejection.status(), "invalid-request", rejection.body_text())
    }
}

impl From<QueryRejection> for Problem {
    fn from(rejection: QueryRejection) -> Self {
        Self::invalid(rejection.body_text())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut document = json!({
            "type": format!("urn:domicile:problem:{}", self.kind),
            "title": self.status.canonical_reason().unwrap_or("Error"),
            "status": self.status.as_u16(),
            "detail": self.detail,
        });
        if let Some(fields) = document.as_object_mut() {
            fields.extend(self.extra);
        }
        let mut response = (self.status, document.to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        match self.status {
            StatusCode::UNAUTHORIZED => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"domicile\""));
            }
            StatusCode::TOO_MANY_REQUESTS => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
            }
            _ => {}
        }
        response
    }
}
