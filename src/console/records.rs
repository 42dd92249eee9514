//! Records by where they are and whose.

use askama::Template;
use axum::{Extension, extract::Query as Parameters};
use serde::Deserialize;

use super::{
    chrome::{Answer, Chrome, page as answer},
    filters::{self, encoded},
    places,
    seat::Seat,
};
use crate::admin::{Problem, Query, RecordView};
use crate::index::RecordsQuery;
use crate::types::Timestamp;

/// Records on a page.
pub(super) const PAGE: usize = 50;

/// What is looked for, as it was typed.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Search {
    bucket: String,
    prefix: String,
    subject: String,
    country: String,
    site: String,
    instrument: String,
    since: String,
    until: String,
    all: String,
    cursor: String,
}

#[derive(Template)]
#[template(path = "records.html")]
struct RecordsPage {
    chrome: Chrome,
    form: Search,
    found: Option<Vec<RecordView>>,
    next: Option<String>,
}

impl Search {
    /// What narrows it, by the names of the form.
    fn fields(&self) -> [(&'static str, &str); 9] {
        [
            ("bucket", &self.bucket),
            ("prefix", &self.prefix),
            ("subject", &self.subject),
            ("country", &self.country),
            ("site", &self.site),
            ("instrument", &self.instrument),
            ("since", &self.since),
            ("until", &self.until),
            ("all", &self.all),
        ]
    }

    fn is_empty(&self) -> bool {
        self.fields().iter().all(|(_, value)| value.trim().is_empty())
    }

    fn query(&self) -> Result<RecordsQuery, Problem> {
        if !self.prefix.is_empty() && self.bucket.trim().is_empty() {
            return Err(Problem::invalid("to say how keys begin, name their bucket as well"));
        }
        Ok(RecordsQuery {
            bucket: parse("bucket", &self.bucket)?,
            prefix: Some(self.prefix.clone()).filter(|prefix| !prefix.is_empty()),
            subject: parse("subject", &self.subject)?,
            country: parse("country", &self.country)?,
            site: parse("site", &self.site)?,
            instrument: parse("instrument", &self.instrument)?,
            since: moment("written from", &self.since)?,
            until: moment("written before", &self.until)?,
            limit: PAGE,
            cursor: Some(self.cursor.clone()).filter(|cursor| !cursor.is_empty()),
        })
    }

    fn with(&self, cursor: &str) -> String {
        let given = self.fields().into_iter().filter(|(_, value)| !value.trim().is_empty());
        let pairs: Vec<String> =
            given.chain([("cursor", cursor)]).map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        format!("/console/records?{}", pairs.join("&"))
    }
}

/// A field that names something, or nothing where it is left empty.
pub(super) fn parse<T: std::str::FromStr<Err: std::fmt::Display>>(name: &str, text: &str) -> Result<Option<T>, Problem> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|error| Problem::invalid(format!("{name}: {error}")))
}

/// A day or a moment.
pub(super) fn moment(name: &str, text: &str) -> Result<Option<Timestamp>, Problem> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let problem = || Problem::invalid(format!("{name}: write a day as 2026-11-29, or an RFC 3339 time"));
    Timestamp::parse_moment(text).map(Some).ok_or_else(problem)
}

pub(super) async fn page(Extension(seat): Extension<Seat>, Parameters(form): Parameters<Search>) -> Answer {
    let chrome = Chrome::new(&seat, "Records", Some(places::RECORDS));
    if form.is_empty() {
        if !seat.sees(places::RECORDS) {
            return Err(seat.not_shown(places::RECORDS).into());
        }
        return answer(&RecordsPage { chrome, form, found: None, next: None });
    }
    let query = form.query()?;
    let page = seat.ask(Query::Records(&query)).await?.records(query).await?;
    let next = page.cursor.map(|cursor| form.with(&cursor));
    answer(&RecordsPage { chrome, form, found: Some(page.records), next })
}
