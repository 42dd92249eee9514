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
use crate::audit::Class;
use crate::index::EntriesQuery;

/// How much is gone through for a page.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reach {
    /// Entries on a page.
    pub(super) page: usize,
    /// How often the index is looked into for one that is not full: each time it goes through twenty thousand entries.
    pub(super) looks: usize,
}

impl Reach {
    /// For a page of entries.
    pub(super) const USUAL: Self = Self { page: 100, looks: 10 };
}

#[derive(Template)]
#[template(path = "entries.html")]
struct EntriesPage {
    chrome: Chrome,
    lead: &'static str,
    none: &'static str,
    entries: Vec<Entry>,
    older: Option<String>,
}

/// What was found, the newest first, and the number before which to go on.
pub(super) struct Found<T> {
    pub(super) entries: Vec<T>,
    pub(super) older: Option<u64>,
}

/// Before which entry a page begins: that number, or the end.
pub(super) async fn end(seat: &Seat, before: Option<u64>) -> Result<u64, Problem> {
    let size = seat.ask(Query::LedgerHead).await?.ledger_head()?.size;
    Ok(before.unwrap_or(size).min(size))
}

/// The last entries that `filter` asks for, before number `end`, as `read` reads them. It is one question, however often the index is looked into.
pub(super) async fn back<T>(
    seat: &Seat,
    filter: EntriesQuery,
    end: u64,
    reach: Reach,
    read: fn(&str) -> Option<T>,
) -> Result<Found<T>, Problem> {
    let mut query = EntriesQuery { before: Some(end), limit: reach.page, ..filter };
    let gateway = seat.ask(Query::LedgerEntries(&query)).await?;
    let mut found = Found { entries: Vec::new(), older: Some(end) };
    for _ in 0..reach.looks {
        if found.older.is_none() || query.limit == 0 {
            break;
        }
        let page = gateway.ledger_entries(query.clone()).await?;
        query.limit = query.limit.saturating_sub(page.entries.len());
        found.entries.extend(page.entries.iter().filter_map(|line| read(line)));
        (query.before, found.older) = (page.next, page.next);
    }
    Ok(found)
}

async fn show(seat: &Seat, place: Place, class: Class, before: Option<u64>, lead: &'static str) -> Answer {
    let filter = EntriesQuery { class: Some(class), ..EntriesQuery::default() };
    let Found { entries, older } = back(seat, filter, end(seat, before).await?, Reach::USUAL, Entry::read).await?;
    answer(&EntriesPage {
        chrome: Chrome::new(seat, place.label, Some(place)),
        lead,
        none: if older.is_some() { "None among the entries that were looked at so far." } else { "There is none." },
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
