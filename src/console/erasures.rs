//! Erasures, which say of nobody.

use askama::Template;
use axum::{Extension, extract::Query as Parameters};

use super::{
    chrome::{Answer, Chrome, page as answer},
    filters, places,
    policies::Before,
    seat::Seat,
};
use crate::admin::{ErasureView, Query};

const PAGE: usize = 100;

#[derive(Template)]
#[template(path = "erasures.html")]
struct ErasuresPage {
    chrome: Chrome,
    erasures: Vec<ErasureView>,
    older: Option<u64>,
}

pub(super) async fn page(Extension(seat): Extension<Seat>, Parameters(Before { before }): Parameters<Before>) -> Answer {
    let erasures = seat.ask(Query::Erasures { before, limit: PAGE }).await?.erasures(before, PAGE).await?;
    let older = erasures.last().filter(|_| erasures.len() == PAGE).map(|last| last.id);
    answer(&ErasuresPage { chrome: Chrome::new(&seat, "Erasures", Some(places::ERASURES)), erasures, older })
}
