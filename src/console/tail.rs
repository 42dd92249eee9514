//! Entries from the ledger's end backwards, and the pages of refusals and exceptions, which are drawn from it.

use std::{collections::VecDeque, sync::Arc};

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
use crate::admin::{Gateway, Problem, Query};
use crate::audit::Class;
use crate::index::EntriesQuery;

/// Entries on a page.
const PAGE: usize = 100;
/// Entries that are read at once.
const READ: usize = 1000;
/// Numbers that are looked at first.
const STEP: u64 = 1000;

#[derive(Template)]
#[template(path = "entries.html")]
struct EntriesPage {
    chrome: Chrome,
    lead: &'static str,
    none: &'static str,
    entries: Vec<Entry>,
    older: Option<String>,
}

/// Entries that were found, the newest first, and the number before which to go on.
pub(super) struct Found {
    pub(super) entries: Vec<Entry>,
    pub(super) older: Option<u64>,
}

/// The last entries of `class`, or of all, before number `before` or the end. It is one question, however often the index is looked into:
/// what it looks at grows until there are enough.
pub(super) async fn back(seat: &Seat, class: Option<Class>, before: Option<u64>) -> Result<Found, Problem> {
    let size = seat.ask(Query::LedgerHead).await?.ledger_head()?.size;
    let end = before.unwrap_or(size).min(size);
    let query = EntriesQuery { limit: PAGE, class, ..EntriesQuery::default() };
    let gateway = seat.ask(Query::LedgerEntries(&query)).await?;
    let (mut entries, mut from, mut width) = (VecDeque::new(), end, STEP);
    while from > 0 && entries.len() < PAGE {
        let (begin, stop) = (from.saturating_sub(width), from);
        for entry in between(gateway, class, begin, stop).await?.into_iter().rev() {
            entries.push_front(entry);
        }
        (from, width) = (begin, width.saturating_mul(8));
    }
    let surplus = entries.len().saturating_sub(PAGE);
    entries.drain(..surplus);
    let first = entries.front().map(|entry| entry.seq);
    let older = if surplus > 0 || from > 0 { first.or(Some(from)) } else { None };
    Ok(Found { entries: entries.into_iter().rev().collect(), older: older.filter(|number| *number > 0) })
}

/// The entries of `class` from number `begin` on and before `stop`, the last [`PAGE`] and one of them.
async fn between(gateway: &Arc<dyn Gateway>, class: Option<Class>, begin: u64, stop: u64) -> Result<VecDeque<Entry>, Problem> {
    let mut found = VecDeque::new();
    let mut next = Some(begin);
    while let Some(from) = next.filter(|from| *from < stop) {
        let page = gateway.ledger_entries(EntriesQuery { from, limit: READ, class, ..EntriesQuery::default() }).await?;
        let read = page.entries.iter().filter_map(|line| Entry::read(line)).take_while(|entry| entry.seq < stop);
        for entry in read {
            found.push_back(entry);
            if found.len() > PAGE + 1 {
                found.pop_front();
            }
        }
        next = page.next.filter(|next| *next > from);
    }
    Ok(found)
}

async fn show(seat: &Seat, place: Place, class: Class, before: Option<u64>, lead: &'static str) -> Answer {
    let Found { entries, older } = back(seat, Some(class), before).await?;
    answer(&EntriesPage {
        chrome: Chrome::new(seat, place.label, Some(place)),
        lead,
        none: "There is none.",
        entries,
        older: older.map(|before| format!("{}?before={before}", place.path)),
    })
}

pub(super) async fn refusals(Extension(seat): Extension<Seat>, Parameters(Before { before }): Parameters<Before>) -> Answer {
    let lead = "What was asked for and not done, and why. Floods are counted, not listed one by one.";
    show(&seat, places::REFUSALS, Class::Refusals, before, lead).await
}

pub(super) async fn exceptions(Extension(seat): Extension<Seat>, Parameters(Before { before }): Parameters<Before>) -> Answer {
    let lead = "Placements that an instrument would not allow but for one of its exceptions, and where the proof of it is.";
    show(&seat, places::EXCEPTIONS, Class::Exceptions, before, lead).await
}
