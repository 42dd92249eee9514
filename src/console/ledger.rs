//! The ledger: its head, and what happened last.

use askama::Template;
use axum::{Extension, extract::Query as Parameters};
use serde::Deserialize;

use super::{
    chrome::{Answer, Chrome, page as answer},
    entry::Entry,
    filters, places,
    seat::Seat,
    tail::{self, Found},
};
use crate::admin::{LedgerHeadView, Problem, Query};
use crate::audit::Class;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    class: String,
    before: Option<u64>,
}

#[derive(Template)]
#[template(path = "ledger.html")]
struct LedgerPage {
    chrome: Chrome,
    head: LedgerHeadView,
    entries: Vec<Entry>,
    none: &'static str,
    classes: Vec<(&'static str, bool)>,
    older: Option<String>,
}

pub(super) async fn page(Extension(seat): Extension<Seat>, Parameters(asked): Parameters<Asked>) -> Answer {
    let class = match asked.class.as_str() {
        "" => None,
        name => Some(Class::from_name(name).ok_or_else(|| Problem::invalid("there is no such class of entries"))?),
    };
    let head = seat.ask(Query::LedgerHead).await?.ledger_head()?;
    let Found { entries, older } = tail::back(&seat, class, asked.before).await?;
    answer(&LedgerPage {
        chrome: Chrome::new(&seat, "Ledger", Some(places::LEDGER)),
        head,
        entries,
        none: "There is no such entry.",
        classes: Class::ALL.iter().map(|one| (one.as_str(), Some(*one) == class)).collect(),
        older: older.map(|before| format!("/console/ledger?class={}&before={before}", asked.class)),
    })
}
