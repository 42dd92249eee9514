//! Entries from the ledger's end backwards, and the pages of refusals and exceptions, which are drawn from it.

use askama::Template;
use axum::{Extension, extract::Query as Parameters};

use super::{
    chrome::{Answer, Chrome, page as answer},
    entry::Entry,
    filters,
    places::{self, Place},
    policies::Before,
    seat::Seat,
};
use crate::admin::{Problem, Query};

/// Entries on a page.
const PAGE: usize = 100;
/// Entries that are read at once.
const STEP: u64 = 1000;
/// Entries that are looked at for one page.
const MOST: u64 = 5000;

#[derive(Template)]
#[template(path = "entries.html")]
struct EntriesPage {
    chrome: Chrome,
    lead: &'static str,
    none: String,
    entries: Vec<Entry>,
    older: Option<String>,
}

/// Entries that were found, the newest first, and the number before which to go on.
pub(super) struct Found {
    pub(super) entries: Vec<Entry>,
    pub(super) older: Option<u64>,
}

/// Entries before number `before`, or from the end, that `wanted` takes.
pub(super) async fn back(seat: &Seat, before: Option<u64>, wanted: impl Fn(&Entry) -> bool) -> Result<Found, Problem> {
    let size = seat.ask(Query::LedgerHead).await?.ledger_head()?.size;
    let mut end = before.unwrap_or(size).min(size);
    let stop = end.saturating_sub(MOST);
    let mut entries = Vec::new();
    while end > stop && entries.len() < PAGE {
        let from = end.saturating_sub(STEP).max(stop);
        let limit = usize::try_from(end - from).unwrap_or(usize::MAX);
        let lines = seat.ask(Query::LedgerEntries { from, limit }).await?.ledger_entries(from, limit).await?;
        for entry in lines.iter().rev().filter_map(|line| Entry::read(line)) {
            if entries.len() == PAGE {
                break;
            }
            end = entry.seq;
            if wanted(&entry) {
                entries.push(entry);
            }
        }
        if entries.len() < PAGE {
            end = from;
        }
    }
    Ok(Found { entries, older: (end > 0).then_some(end) })
}

async fn show(seat: &Seat, place: Place, before: Option<u64>, lead: &'static str, wanted: impl Fn(&Entry) -> bool) -> Answer {
    let Found { entries, older } = back(seat, before, wanted).await?;
    let none = if older.is_some() { "None among the newest entries; older ones may have some." } else { "There is none." };
    answer(&EntriesPage {
        chrome: Chrome::new(seat, place.label, Some(place)),
        lead,
        none: none.to_owned(),
        entries,
        older: older.map(|before| format!("{}?before={before}", place.path)),
    })
}

pub(super) async fn refusals(Extension(seat): Extension<Seat>, Parameters(Before { before }): Parameters<Before>) -> Answer {
    let lead = "What was asked for and not done, and why. Floods are counted, not listed one by one.";
    show(&seat, places::REFUSALS, before, lead, |entry| entry.refused.is_some()).await
}

pub(super) async fn exceptions(Extension(seat): Extension<Seat>, Parameters(Before { before }): Parameters<Before>) -> Answer {
    let lead = "Placements that an instrument would not allow but for one of its exceptions, and where the proof of it is.";
    show(&seat, places::EXCEPTIONS, before, lead, |entry| !entry.exceptions.is_empty()).await
}
