//! What is known of subjects: one at a time, and many by import.

mod import;

use std::fmt;

use axum::{
    Extension, Json,
    extract::{Path, Query as Parameters, State, rejection::JsonRejection, rejection::QueryRejection},
    http::StatusCode,
};
use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, Visitor},
};

use super::{Problem, Query, router::Api, views::SubjectView};
use crate::authn::TokenIdentity;
use crate::index::Saying;
use crate::types::{Attributes, Country, PrincipalId, RequestId, SubjectId, Timestamp};

pub(super) use import::import;

const MAX_ATTRIBUTES: usize = 32;
const MAX_VALUE: usize = 256;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SubjectBody {
    #[serde(deserialize_with = "each_once")]
    attributes: Attributes,
    effective: Option<String>,
    reason: Option<String>,
}

/// `GET /v1/subjects/{id}`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct When {
    at: Option<String>,
    known_at: Option<String>,
}

/// `DELETE /v1/subjects/{id}`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Said {
    effective: Option<String>,
    reason: Option<String>,
}

pub(super) async fn get(
    State(api): State<Api>,
    Extension(request): Extension<RequestId>,
    Extension(who): Extension<TokenIdentity>,
    Path(id): Path<String>,
    when: Result<Parameters<When>, QueryRejection>,
) -> Result<Json<SubjectView>, Problem> {
    let subject = subject(&id)?;
    let Parameters(when) = when?;
    let at = moment("at", when.at.as_deref()).map_err(Problem::invalid)?;
    let known = moment("known-at", when.known_at.as_deref()).map_err(Problem::invalid)?;
    api.gateway.record_query(&request, &who, Query::Subject(&subject)).await?;
    found(&api, &subject, at, known, "nothing is known of this subject").await
}

pub(super) async fn put(
    State(api): State<Api>,
    Extension(request): Extension<RequestId>,
    Extension(who): Extension<TokenIdentity>,
    Path(id): Path<String>,
    body: Result<Json<SubjectBody>, JsonRejection>,
) -> Result<Json<SubjectView>, Problem> {
    let subject = subject(&id)?;
    let Json(SubjectBody { attributes, effective, reason }) = body?;
    let saying = saying(&who.id, Some(attributes), effective.as_deref(), reason).map_err(Problem::invalid)?;
    api.gateway.set_subject(&request, &who, &subject, saying).await?;
    found(&api, &subject, None, None, "the subject was forgotten meanwhile").await
}

pub(super) async fn delete(
    State(api): State<Api>,
    Extension(request): Extension<RequestId>,
    Extension(who): Extension<TokenIdentity>,
    Path(id): Path<String>,
    said: Result<Parameters<Said>, QueryRejection>,
) -> Result<StatusCode, Problem> {
    let subject = subject(&id)?;
    let Parameters(Said { effective, reason }) = said?;
    let saying = saying(&who.id, None, effective.as_deref(), reason).map_err(Problem::invalid)?;
    api.gateway.set_subject(&request, &who, &subject, saying).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn found(
    api: &Api,
    subject: &SubjectId,
    at: Option<Timestamp>,
    known: Option<Timestamp>,
    otherwise: &str,
) -> Result<Json<SubjectView>, Problem> {
    api.gateway.subject(subject, at, known).await?.map(Json).ok_or_else(|| Problem::not_found(otherwise))
}

fn subject(id: &str) -> Result<SubjectId, Problem> {
    SubjectId::new(id).map_err(|error| Problem::invalid(error.to_string()))
}

/// Attributes, none of them twice: JSON would take the last, and somebody who reads the line the first.
fn each_once<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Attributes, D::Error> {
    struct EachOnce;

    impl<'de> Visitor<'de> for EachOnce {
        type Value = Attributes;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("attributes with their values, each once")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Attributes, A::Error> {
            let mut attributes = Attributes::new();
            while let Some((name, value)) = map.next_entry::<String, String>()? {
                if attributes.insert(name, value).is_some() {
                    return Err(A::Error::custom("an attribute is there twice"));
                }
            }
            Ok(attributes)
        }
    }

    deserializer.deserialize_map(EachOnce)
}

/// What `who` says, checked. The message does not repeat what it is about.
fn saying(
    who: &PrincipalId,
    attributes: Option<Attributes>,
    effective: Option<&str>,
    reason: Option<String>,
) -> Result<Saying, String> {
    let attributes = attributes.map(checked).transpose()?;
    let effective = moment("effective", effective)?;
    if reason.as_ref().is_some_and(|reason| reason.len() > MAX_VALUE || reason.chars().any(char::is_control)) {
        return Err(format!("`reason` has at most {MAX_VALUE} bytes and no control characters"));
    }
    Ok(Saying { attributes, effective, by: Some(who.clone()), reason: reason.filter(|reason| !reason.is_empty()) })
}

fn moment(name: &str, text: Option<&str>) -> Result<Option<Timestamp>, String> {
    let wrong = || format!("`{name}` must be a day such as 2026-11-23, or an RFC 3339 time such as 2026-11-23T00:00:00Z");
    text.map(|text| Timestamp::parse_moment(text).ok_or_else(wrong)).transpose()
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
