//! Answers that are kept as files.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::IntoResponse,
};

use super::chrome::Answer;
use crate::admin::Problem;

/// `body` under a file name of letters, digits, dots and hyphens.
pub(super) fn file(name: &str, kind: &'static str, body: impl IntoResponse) -> Answer {
    let unusable = |_| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the file has no usable name");
    let name = HeaderValue::try_from(format!("attachment; filename=\"{name}\"")).map_err(unusable)?;
    let mut response = body.into_response();
    response.headers_mut().insert(header::CONTENT_DISPOSITION, name);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    Ok(response)
}
