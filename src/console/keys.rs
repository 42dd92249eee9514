//! The country keys and their versions.

use askama::Template;
use axum::Extension;

use super::{
    chrome::{Answer, Chrome, page as answer},
    filters, places,
    seat::Seat,
};
use crate::admin::{KeyView, Query};

#[derive(Template)]
#[template(path = "keys.html")]
struct KeysPage {
    chrome: Chrome,
    keys: Vec<KeyView>,
}

impl KeysPage {
    fn mood(&self, state: &str) -> &'static str {
        match state {
            "primary" => "ok",
            "destroying" => "warn",
            _ => "quiet",
        }
    }
}

pub(super) async fn page(Extension(seat): Extension<Seat>) -> Answer {
    let keys = seat.ask(Query::Keys).await?.keys().await?;
    answer(&KeysPage { chrome: Chrome::new(&seat, "Keys", Some(places::KEYS)), keys })
}
