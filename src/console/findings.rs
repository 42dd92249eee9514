//! What verifications found, and what they looked at.

use askama::Template;
use axum::Extension;

use super::{
    chrome::{Answer, Chrome, page as answer},
    filters, places,
    relocations::{mood, word},
    seat::Seat,
};
use crate::admin::Query;
use crate::index::Finding;
use crate::jobs::JobState;
use crate::scrub::Job;

/// Findings that are shown; the API has the rest.
const MOST: usize = 500;

#[derive(Template)]
#[template(path = "findings.html")]
struct FindingsPage {
    chrome: Chrome,
    findings: Vec<Finding>,
    total: usize,
    scrubs: Option<Vec<Job>>,
}

impl FindingsPage {
    const fn job_mood(&self, state: &JobState) -> &'static str {
        mood(*state)
    }

    const fn job_word(&self, state: &JobState) -> &'static str {
        word(*state)
    }

    fn found(&self, job: &Job) -> u64 {
        job.view.progress.findings.values().sum()
    }
}

pub(super) async fn page(Extension(seat): Extension<Seat>) -> Answer {
    let mut findings = seat.ask(Query::Findings).await?.findings().await?;
    let total = findings.len();
    findings.truncate(MOST);
    let mut scrubs = seat.ask_if_allowed(Query::Scrubs).await?.map(|gateway| gateway.scrubs());
    if let Some(scrubs) = &mut scrubs {
        scrubs.reverse();
    }
    answer(&FindingsPage { chrome: Chrome::new(&seat, "Findings", Some(places::FINDINGS)), findings, total, scrubs })
}
