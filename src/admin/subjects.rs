//! What is known of subjects: one at a time, and many by import.

use axum::{
    Extension, Json,
    body::Bytes,
    extract::{Path, State, rejection::JsonRejection},
    http::StatusCode,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Problem, Query, router::Api, views::SubjectView};
use crate::authn::TokenIdentity;
use crate::types::{Attributes, Country, RequestId, SubjectId};

/// The largest import, in bytes. More than that goes in several.
pub(super) const MAX_IMPORT: usize = 32 << 20;

/// Bad lines that an import reports; the rest is counted only.
const MAX_REPORTED: usize = 100;

const MAX_ATTRIBUTES: usize = 32;
const MAX_VALUE: usize = 256;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SubjectBody {
    attributes: Attributes,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ImportLine {
    id: SubjectId,
    attributes: Attributes,
}

pub(super) async fn get(
    State(api): State<Api>,
    Extension(request): Extension<RequestId>,
    Extension(who): Extension<TokenIdentity>,
    Path(id): Path<String>,
) -> Result<Json<SubjectView>, Problem> {
    let subject = subject(&id)?;
    api.gateway.record_query(&request, &who, Query::Subject(&subject)).await?;
    api.gateway.subject(&subject).await?.map(Json).ok_or_else(|| Problem::not_found("nothing is known of this subject"))
}

pub(super) async fn put(
    State(api): State<Api>,
    Extension(request): Extension<RequestId>,
    Extension(who): Extension<TokenIdentity>,
    Path(id): Path<String>,
    body: Result<Json<SubjectBody>, JsonRejection>,
) -> Result<Json<SubjectView>, Problem> {
    let subject = subject(&id)?;
    let Json(body) = body?;
    let attributes = checked(body.attributes).map_err(Problem::invalid)?;
    api.gateway.set_subject(&request, &who, &subject, Some(attributes)).await?;
    api.gateway.subject(&subject).await?.map(Json).ok_or_else(|| Problem::not_found("the subject was forgotten meanwhile"))
}

pub(super) async fn delete(
    State(api): State<Api>,
    Extension(request): Extension<RequestId>,
    Extension(who): Extension<TokenIdentity>,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    api.gateway.set_subject(&request, &who, &subject(&id)?, None).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Good lines are set, bad ones reported by number; one bad line does not stop the others.
pub(super) async fn import(
    State(api): State<Api>,
    Extension(request): Extension<RequestId>,
    Extension(who): Extension<TokenIdentity>,
    body: Bytes,
) -> Result<Json<Value>, Problem> {
    let (mut imported, mut failed) = (0u64, 0u64);
    let mut errors = Vec::new();
    for (number, line) in (1u64..).zip(body.split(|byte| *byte == b'\n')) {
        if line.trim_ascii().is_empty() {
            continue;
        }
        match read_line(line) {
            Ok((subject, attributes)) => {
                api.gateway.set_subject(&request, &who, &subject, Some(attributes)).await?;
                imported += 1;
            }
            Err(message) => {
                failed += 1;
                if errors.len() < MAX_REPORTED {
                    errors.push(json!({ "line": number, "message": message }));
                }
            }
        }
    }
    Ok(Json(json!({ "imported": imported, "failed": failed, "errors": errors })))
}

fn read_line(line: &[u8]) -> Result<(SubjectId, Attributes), String> {
    // serde_json's own message may quote the value; its position and kind are enough.
    let line: ImportLine = serde_json::from_slice(line).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => "needs `id` (1 to 256 bytes) and `attributes` (strings), nothing else".to_owned(),
        _ => format!("not JSON at column {}", error.column()),
    })?;
    Ok((line.id, checked(line.attributes)?))
}

fn subject(id: &str) -> Result<SubjectId, Problem> {
    SubjectId::new(id).map_err(|error| Problem::invalid(error.to_string()))
}

/// Names are words; countries are countries, in capitals; nothing is boundless.
fn checked(attributes: Attributes) -> Result<Attributes, String> {
    let word = |name: &str| {
        (1..=64).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    if attributes.len() > MAX_ATTRIBUTES {
        return Err(format!("a subject has at most {MAX_ATTRIBUTES} attributes"));
    }
    attributes
        .into_iter()
        .map(|(name, value)| {
            if !word(&name) {
                return Err("an attribute's name has 1 to 64 of a-z, 0-9 and `-`".to_owned());
            }
            if value.len() > MAX_VALUE || value.chars().any(char::is_control) {
                return Err(format!("the value of `{name}` has at most {MAX_VALUE} bytes and no control characters"));
            }
            match name.as_str() {
                "residence" | "citizenship" => match value.parse::<Country>() {
                    Ok(country) => Ok((name, country.to_string())),
                    Err(_) => Err(format!("`{name}` must be an ISO 3166-1 alpha-2 country code such as PK")),
                },
                _ => Ok((name, value)),
            }
        })
        .collect()
}
