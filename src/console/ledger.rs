//! The ledger: its head, and what happened last.

use askama::Template;
use axum::{Extension, extract::Query as Parameters};

use super::{
    chrome::{Answer, Chrome, page as answer},
    entry::Entry,
    filters, places,
    policies::Before,
    seat::Seat,
    tail::{self, Found},
};
use crate::admin::{LedgerHeadView, Query};

#[derive(Template)]
#[template(path = "ledger.html")]
struct LedgerPage {
    chrome: Chrome,
    head: LedgerHeadView,
    entries: Vec<Entry>,
    none: &'static str,
    older: Option<String>,
}

pub(super) async fn page(Extension(seat): Extension<Seat>, Parameters(Before { before }): Parameters<Before>) -> Answer {
    let head = seat.ask(Query::LedgerHead).await?.ledger_head()?;
    let Found { entries, older } = tail::back(&seat, before, |_| true).await?;
    answer(&LedgerPage {
        chrome: Chrome::new(&seat, "Ledger", Some(places::LEDGER)),
        head,
        entries,
        none: "There is no entry.",
        older: older.map(|before| format!("/console/ledger?before={before}")),
    })
}
