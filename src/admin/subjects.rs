//! What is known of subjects: one at a time, and many by import.

use std::time::Duration;

use axum::{
    Extension, Json,
    body::Bytes,
    extract::{Path, State, rejection::JsonRejection},
    http::StatusCode,
};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};

use super::{GatewayError, Problem, Query, router::Api, views::SubjectView};
use crate::authn::TokenIdentity;
use crate::types::{Attributes, Country, RequestId, SubjectId};

/// Before this is over an import stops by itself, in time to say how far it came.
const IMPORT_TIME: Duration = Duration::from_secs(100);

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

/// Good lines are set in order, bad ones reported by number and passed over. What fails on the gateway's side stops the import: the problem
/// says at which line and what was done before it. Lines that are sent again change nothing but the subject's generation.
pub(super) async fn import(
    State(api): State<Api>,
    Extension(request): Extension<RequestId>,
    Extension(who): Extension<TokenIdentity>,
    body: Bytes,
) -> Result<Json<Value>, Problem> {
    let mut done = Imported::default();
    let deadline = Instant::now() + IMPORT_TIME;
    for (number, line) in (1u64..).zip(body.split(|byte| *byte == b'\n')) {
        if line.trim_ascii().is_empty() {
            continue;
        }
        match read_line(line) {
            Ok((subject, attributes)) => {
                let set = api.gateway.set_subject(&request, &who, &subject, Some(attributes));
                let too_long = || Err(GatewayError::Unavailable("the import takes too long"));
                match timeout_at(deadline, set).await.unwrap_or_else(|_| too_long()) {
                    Ok(()) => done.imported += 1,
                    Err(error) => return Err(done.stopped_at(number, error)),
                }
            }
            Err(message) => {
                done.refuse(number, &message);
                // Many bad lines must not keep other requests waiting.
                tokio::task::consume_budget().await;
            }
        }
    }
    Ok(Json(json!({ "imported": done.imported, "failed": done.failed, "errors": done.errors })))
}

/// How far an import has come.
#[derive(Debug, Default)]
struct Imported {
    imported: u64,
    failed: u64,
    errors: Vec<Value>,
}

impl Imported {
    fn refuse(&mut self, line: u64, message: &str) {
        self.failed += 1;
        if self.errors.len() < MAX_REPORTED {
            self.errors.push(json!({ "line": line, "message": message }));
        }
    }

    fn stopped_at(self, line: u64, error: GatewayError) -> Problem {
        let set = self.imported;
        Problem::from(error)
            .explained(|why| {
                format!(
                    "stopped at line {line} of this request, which may be set or not: {why}; {set} subjects before it are set"
                )
            })
            .with("line", line.into())
            .with("imported", set.into())
            .with("failed", self.failed.into())
            .with("errors", self.errors.into())
    }
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
