//! One subject: what is known of it, what was said when, and where its records are.

use askama::Template;
use axum::{Extension, extract::Query as Parameters};
use serde::Deserialize;

use super::{
    chrome::{Answer, Chrome, page as answer},
    filters::{self, encoded},
    narrowing::moment,
    places,
    records::PAGE,
    seat::Seat,
};
use crate::admin::{Problem, Query, RecordView, SubjectView};
use crate::index::RecordsQuery;
use crate::types::SubjectId;

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(super) struct Asked {
    id: String,
    at: String,
    known_at: String,
}

#[derive(Template)]
#[template(path = "subject.html")]
struct SubjectPage {
    chrome: Chrome,
    form: Asked,
    subject: Option<SubjectView>,
    found: Option<Vec<RecordView>>,
    next: Option<String>,
}

pub(super) async fn page(Extension(seat): Extension<Seat>, Parameters(form): Parameters<Asked>) -> Answer {
    let chrome = Chrome::new(&seat, "Subjects", Some(places::SUBJECTS));
    if form.id.trim().is_empty() {
        return answer(&SubjectPage { chrome, form: Asked::default(), subject: None, found: None, next: None });
    }
    let id = SubjectId::new(form.id.trim()).map_err(|error| Problem::invalid(error.to_string()))?;
    let (at, known) = (moment("what held on", &form.at)?, moment("what was said until", &form.known_at)?);
    let subject = seat.ask(Query::Subject(&id)).await?.subject(&id, at, known).await?;
    let query = RecordsQuery { subject: Some(id.clone()), limit: PAGE, ..RecordsQuery::default() };
    let (found, more) = match seat.ask_if_allowed(Query::Records(&query)).await? {
        Some(gateway) => {
            let page = gateway.records(query).await?;
            (Some(page.records), page.cursor.is_some())
        }
        None => (None, false),
    };
    let next = more.then(|| format!("/console/records?subject={}", encoded(id.as_str())));
    answer(&SubjectPage { chrome, form, subject, found, next })
}
