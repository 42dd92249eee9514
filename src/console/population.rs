//! The population: all records, or those of a question, to take along; and what was taken so far.

use askama::Template;
use axum::{
    Extension,
    body::Body,
    extract::Query as Parameters,
    http::{HeaderValue, header},
    response::IntoResponse,
};
use serde::Deserialize;
use serde_json::Value;

use super::{
    chrome::{Answer, Chrome, page as answer},
    entry::Entry,
    filters,
    narrowing::Narrowing,
    places,
    seat::Seat,
    tail::{self, Found, Reach},
};
use crate::admin::{PopulationFormat, Problem, Query};
use crate::audit::Class;
use crate::index::EntriesQuery;
use crate::types::Timestamp;

/// Exports are few and questions can be many: half a million of them are gone through for a page, and not a ledger of years.
const REACH: Reach = Reach { page: 20, looks: 25 };

/// Which records, and how they are written.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Wanted {
    format: String,
    before: Option<u64>,
    #[serde(flatten)]
    narrowing: Narrowing,
}

#[derive(Template)]
#[template(path = "population.html")]
struct PopulationPage {
    chrome: Chrome,
    narrowing: Narrowing,
    formats: Vec<(PopulationFormat, bool)>,
    exports: Vec<Export>,
    older: Option<String>,
}

/// An export, as the ledger tells of it.
#[derive(Debug)]
struct Export {
    entry: Entry,
    given: Given,
}

#[derive(Debug, Deserialize)]
struct Given {
    format: String,
    rows: u64,
    bytes: u64,
    root: String,
    ledger: u64,
}

impl PopulationPage {
    const fn about(&self, format: &PopulationFormat) -> &'static str {
        match format {
            PopulationFormat::Ndjson => "NDJSON, a line each",
            PopulationFormat::Csv => "CSV, for a spreadsheet",
            PopulationFormat::Parquet => "Parquet, for a database",
        }
    }
}

impl Export {
    fn read(line: &str) -> Option<Self> {
        let value: Value = serde_json::from_str(line).ok()?;
        Some(Self { given: Given::deserialize(value.get("population")?).ok()?, entry: Entry::of(&value)? })
    }
}

pub(super) async fn page(Extension(seat): Extension<Seat>, Parameters(wanted): Parameters<Wanted>) -> Answer {
    if !seat.sees(places::POPULATION) {
        return Err(seat.not_shown(places::POPULATION).into());
    }
    let chosen = format(&wanted.format)?;
    let Found { entries: exports, older } = exports(&seat, wanted.before).await?;
    answer(&PopulationPage {
        chrome: Chrome::new(&seat, "Population", Some(places::POPULATION)),
        formats: PopulationFormat::ALL.into_iter().map(|format| (format, format == chosen)).collect(),
        older: older.map(|number| wanted.narrowing.address(&[("before", &number.to_string())])),
        narrowing: wanted.narrowing,
        exports,
    })
}

/// The file as its rows are read. What breaks off breaks the connection off, and has no totals.
pub(super) async fn export(Extension(seat): Extension<Seat>, Parameters(wanted): Parameters<Wanted>) -> Answer {
    let (format, query) = (format(&wanted.format)?, wanted.narrowing.query(0)?);
    let gateway = seat.ask(Query::Population(&query)).await?;
    let bytes = gateway.population(seat.request(), seat.who(), query, format).await?;
    let mut response = Body::from_stream(bytes).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(format.media_type()));
    headers.insert(header::CONTENT_DISPOSITION, kept_as(seat.now, format)?);
    Ok(response)
}

/// As what the browser keeps it: with the time, so that none takes the place of another.
fn kept_as(now: Timestamp, format: PopulationFormat) -> Result<HeaderValue, Problem> {
    let time: String = now.to_rfc3339().chars().take(19).filter(|letter| *letter != ':').collect();
    let name = format!("attachment; filename=\"domicile-population-{time}Z.{}\"", format.as_str());
    HeaderValue::try_from(name).map_err(|error| Problem::invalid(error.to_string()))
}

fn format(name: &str) -> Result<PopulationFormat, Problem> {
    let mut known = PopulationFormat::ALL.into_iter();
    let found = if name.is_empty() { known.next() } else { known.find(|format| format.as_str() == name) };
    found.ok_or_else(|| Problem::invalid("an export is written as ndjson, csv or parquet"))
}

/// The last exports before entry `before` or the end.
async fn exports(seat: &Seat, before: Option<u64>) -> Result<Found<Export>, Problem> {
    let kind = Some("population-exported".to_owned());
    let filter = EntriesQuery { class: Some(Class::Queries), kind, ..EntriesQuery::default() };
    tail::back(seat, filter, tail::end(seat, before).await?, REACH, Export::read).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::chrome::Theme;

    const LINE: &str = r#"{"v":1,"seq":1234,"time":"2026-11-29T08:00:00.000Z","kind":"population-exported","actor":{"token":{"role":"auditor","id":"auditor-1"}},"outcome":"ok","population":{"format":"csv","rows":1234567,"bytes":2048,"root":"ab12","ledger":1230}}"#;

    #[test]
    fn exports_are_shown_with_what_they_came_to() {
        let export = Export::read(LINE).unwrap();
        let page = PopulationPage {
            chrome: Chrome::of_strangers("Population", Theme::Auto),
            narrowing: Narrowing { bucket: "a\"<b>".to_owned(), ..Narrowing::default() },
            formats: PopulationFormat::ALL.into_iter().map(|one| (one, one == PopulationFormat::Csv)).collect(),
            exports: vec![export],
            older: Some("before=7".to_owned()),
        };
        let html = page.render().unwrap();
        for part in ["1,234,567", "2.0 KiB", "ab12", "auditor-1 (auditor)", "before=7", "value=\"csv\" selected"] {
            assert!(html.contains(part), "{part} in {html}");
        }
        assert!(!html.contains("<b>"));
        assert!(Export::read(r#"{"seq":1,"kind":"audit-query","actor":"system","outcome":"ok"}"#).is_none());
    }

    #[test]
    fn a_file_is_named_by_its_time_and_format() {
        let now = Timestamp::parse_rfc3339("2026-11-29T08:24:47.123Z").unwrap();
        let name = kept_as(now, PopulationFormat::Parquet).unwrap();
        assert_eq!(name, "attachment; filename=\"domicile-population-2026-11-29T082447Z.parquet\"");
        assert_eq!(format("").unwrap(), PopulationFormat::Ndjson);
        assert!(format("xlsx").is_err());
    }
}
