//! Records by where they are and whose.

use askama::Template;
use axum::{Extension, extract::Query as Parameters};
use serde::Deserialize;

use super::{
    chrome::{Answer, Chrome, page as answer},
    filters,
    narrowing::Narrowing,
    places,
    seat::Seat,
};
use crate::admin::{Query, RecordView};
use crate::index::RecordsQuery;

/// Records on a page.
pub(super) const PAGE: usize = 50;

/// What is looked for, as it was typed.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Search {
    #[serde(flatten)]
    narrowing: Narrowing,
    all: String,
    cursor: String,
}

#[derive(Template)]
#[template(path = "records.html")]
struct RecordsPage {
    chrome: Chrome,
    narrowing: Narrowing,
    found: Option<Vec<RecordView>>,
    next: Option<String>,
    /// Asks for the same elsewhere.
    address: String,
}

pub(super) async fn page(Extension(seat): Extension<Seat>, Parameters(search): Parameters<Search>) -> Answer {
    let chrome = Chrome::new(&seat, "Records", Some(places::RECORDS));
    let Search { narrowing, all, cursor } = search;
    if narrowing.is_empty() && all.is_empty() {
        if !seat.sees(places::RECORDS) {
            return Err(seat.not_shown(places::RECORDS).into());
        }
        return answer(&RecordsPage { chrome, narrowing, found: None, next: None, address: String::new() });
    }
    let query = RecordsQuery { cursor: Some(cursor).filter(|cursor| !cursor.is_empty()), ..narrowing.query(PAGE)? };
    let page = seat.ask(Query::Records(&query)).await?.records(query).await?;
    let all: &[_] = if all.is_empty() { &[] } else { &[("all", all.as_str())] };
    let next = page.cursor.map(|cursor| {
        let first = [all, &[("cursor", cursor.as_str())]].concat();
        format!("/console/records?{}", narrowing.address(&first))
    });
    let address = narrowing.address(&[]);
    answer(&RecordsPage { chrome, narrowing, found: Some(page.records), next, address })
}
