//! The compliance report of a period, to read, to print and to keep.

use std::collections::BTreeMap;

use askama::Template;
use axum::{
    Extension, Json,
    extract::Query as Parameters,
    http::{HeaderValue, header},
    response::IntoResponse,
};
use serde::Deserialize;

use super::{
    chrome::{Answer, Chrome, page as answer},
    filters,
    narrowing::moment,
    places,
    seat::Seat,
    world,
};
use crate::admin::{Problem, Query, ReportView};
use crate::audit::period::Amount;
use crate::types::{Country, Timestamp};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    since: String,
    until: String,
}

#[derive(Template)]
#[template(path = "report.html")]
struct ReportPage {
    chrome: Chrome,
    form: Asked,
    periods: Vec<Suggested>,
    report: Option<ReportView>,
}

/// A period that is often asked for.
struct Suggested {
    label: &'static str,
    since: String,
    until: String,
}

impl ReportPage {
    fn country(&self, code: &str) -> String {
        code.parse::<Country>().map_or_else(|_| code.to_owned(), world::name)
    }

    /// Words of the program's own and how often, in one line.
    fn tally(&self, counts: &BTreeMap<String, u64>) -> String {
        let said: Vec<String> =
            counts.iter().map(|(word, count)| format!("{} {word}", filters::grouped(&count.to_string()))).collect();
        if said.is_empty() { "None".to_owned() } else { said.join(", ") }
    }

    fn amounts<'a>(&self, amounts: &'a BTreeMap<String, Amount>) -> Vec<(&'a String, &'a Amount)> {
        amounts.iter().collect()
    }

    fn standing(&self, report: &ReportView) -> String {
        self.tally(&report.standing.iter().map(|(class, count)| ((*class).to_owned(), *count)).collect())
    }
}

pub(super) async fn page(Extension(seat): Extension<Seat>, Parameters(form): Parameters<Asked>) -> Answer {
    let chrome = Chrome::new(&seat, "Compliance report", Some(places::REPORT));
    let periods = suggested(seat.now);
    if form.since.trim().is_empty() && form.until.trim().is_empty() {
        if !seat.sees(places::REPORT) {
            return Err(seat.not_shown(places::REPORT).into());
        }
        return answer(&ReportPage { chrome, form, periods, report: None });
    }
    let report = make(&seat, &form).await?;
    answer(&ReportPage { chrome, form, periods, report: Some(report) })
}

/// The same as the API's answer, for who has a session and no token at hand.
pub(super) async fn json(Extension(seat): Extension<Seat>, Parameters(form): Parameters<Asked>) -> Answer {
    let report = make(&seat, &form).await?;
    let name = HeaderValue::from_static("attachment; filename=\"domicile-report.json\"");
    Ok(([(header::CONTENT_DISPOSITION, name)], Json(report)).into_response())
}

async fn make(seat: &Seat, form: &Asked) -> Result<ReportView, Problem> {
    let both = || Problem::invalid("a period has a first day and a day at which it ends");
    let since = moment("from", &form.since)?.ok_or_else(both)?;
    let until = moment("until", &form.until)?.ok_or_else(both)?;
    if until <= since {
        return Err(Problem::invalid("a period ends later than it begins"));
    }
    Ok(seat.ask(Query::Report { since, until }).await?.report(since, until).await?)
}

fn suggested(now: Timestamp) -> Vec<Suggested> {
    let today = now.to_datetime().date();
    let month = |year: i32, month: u8| format!("{year:04}-{month:02}-01");
    let (year, this) = (today.year(), u8::from(today.month()));
    let after = |year: i32, this: u8| if this == 12 { month(year + 1, 1) } else { month(year, this + 1) };
    let (last_year, last) = if this == 1 { (year - 1, 12) } else { (year, this - 1) };
    let quarter = (this - 1) / 3 * 3 + 1;
    vec![
        Suggested { label: "This month", since: month(year, this), until: after(year, this) },
        Suggested { label: "Last month", since: month(last_year, last), until: month(year, this) },
        Suggested { label: "This quarter", since: month(year, quarter), until: after(year, quarter + 2) },
        Suggested { label: "This year", since: month(year, 1), until: month(year + 1, 1) },
        Suggested { label: "Last year", since: month(year - 1, 1), until: month(year, 1) },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_are_whole() {
        let of = |day: &str| {
            let periods = suggested(Timestamp::parse_rfc3339(&format!("{day}T12:00:00Z")).unwrap());
            periods.into_iter().map(|one| format!("{} {}", one.since, one.until)).collect::<Vec<_>>()
        };
        assert_eq!(
            of("2026-12-31"),
            [
                "2026-12-01 2027-01-01",
                "2026-11-01 2026-12-01",
                "2026-10-01 2027-01-01",
                "2026-01-01 2027-01-01",
                "2025-01-01 2026-01-01"
            ]
        );
        assert_eq!(of("2026-01-15")[1], "2025-12-01 2026-01-01");
    }
}
