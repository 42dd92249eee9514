//! The sites and how they are set up.

use askama::Template;
use axum::Extension;

use super::{
    chrome::{Answer, Chrome, page as answer},
    filters, places,
    seat::Seat,
};
use crate::admin::{Query, SiteView};

#[derive(Template)]
#[template(path = "sites.html")]
struct SitesPage {
    chrome: Chrome,
    sites: Vec<SiteView>,
}

impl SitesPage {
    fn mood(&self, state: &str) -> &'static str {
        match state {
            "ok" => "ok",
            "alarm" => "bad",
            "warning" => "warn",
            _ => "quiet",
        }
    }
}

pub(super) async fn page(Extension(seat): Extension<Seat>) -> Answer {
    let sites = seat.ask(Query::Sites).await?.sites().await;
    answer(&SitesPage { chrome: Chrome::new(&seat, "Sites", Some(places::SITES)), sites })
}
