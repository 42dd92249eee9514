//! Query parameters, parsed once.

use std::{fmt::Display, str::FromStr};

use serde::Deserialize;

use super::Problem;
use crate::index::RecordsQuery;
use crate::types::{BucketName, ObjectKey, Timestamp, VersionId};

/// Records on a page when nothing is said.
const DEFAULT_LIMIT: usize = 100;
/// Records or entries on a page at the most.
const MAX_LIMIT: usize = 1000;

/// `GET /v1/records`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RecordsParameters {
    pub(super) bucket: Option<String>,
    pub(super) prefix: Option<String>,
    pub(super) subject: Option<String>,
    pub(super) country: Option<String>,
    pub(super) site: Option<String>,
    pub(super) instrument: Option<String>,
    pub(super) since: Option<String>,
    pub(super) until: Option<String>,
    pub(super) limit: Option<usize>,
    pub(super) cursor: Option<String>,
}

/// `GET /v1/record`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RecordParameters {
    bucket: String,
    key: String,
    version: Option<String>,
}

/// `GET /v1/proof`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ProofParameters {
    bucket: String,
    key: String,
    version: Option<String>,
    from: Option<u64>,
}
impl RecordsParameters {
    pub(super) fn query(self) -> Result<RecordsQuery, Problem> {
        if self.prefix.is_some() && self.bucket.is_none() {
            return Err(Problem::invalid("`prefix` needs `bucket`"));
        }
        Ok(RecordsQuery {
            bucket: parse("bucket", self.bucket)?,
            prefix: self.prefix,
            subject: parse("subject", self.subject)?,
            country: parse("country", self.country)?,
            site: parse("site", self.site)?,
            instrument: parse("instrument", self.instrument)?,
            since: time("since", self.since)?,
            until: time("until", self.until)?,
            limit: page(self.limit)?,
            cursor: self.cursor,
        })
    }
}

impl RecordParameters {
    pub(super) fn parts(self) -> Result<(BucketName, ObjectKey, Option<VersionId>), Problem> {
        let bucket = BucketName::new(self.bucket).map_err(|error| Problem::invalid(error.to_string()))?;
        let key = ObjectKey::new(self.key).map_err(|error| Problem::invalid(error.to_string()))?;
        Ok((bucket, key, parse("version", self.version)?))
    }
}

impl ProofParameters {
    pub(super) fn parts(self) -> Result<(BucketName, ObjectKey, Option<VersionId>, Option<u64>), Problem> {
        let Self { bucket, key, version, from } = self;
        let (bucket, key, version) = RecordParameters { bucket, key, version }.parts()?;
        Ok((bucket, key, version, from))
    }
}

pub(super) fn page(limit: Option<usize>) -> Result<usize, Problem> {
    match limit.unwrap_or(DEFAULT_LIMIT) {
        limit @ 1..=MAX_LIMIT => Ok(limit),
        _ => Err(Problem::invalid(format!("`limit` must be 1 to {MAX_LIMIT}"))),
    }
}

pub(super) fn parse<T: FromStr<Err: Display>>(name: &str, text: Option<String>) -> Result<Option<T>, Problem> {
    text.map(|text| text.parse().map_err(|error| Problem::invalid(format!("`{name}`: {error}")))).transpose()
}

pub(super) fn time(name: &str, text: Option<String>) -> Result<Option<Timestamp>, Problem> {
    let wrong = || Problem::invalid(format!("`{name}` must be an RFC 3339 time such as 2026-11-23T00:00:00Z"));
    text.map(|text| Timestamp::parse_rfc3339(&text).ok_or_else(wrong)).transpose()
}
