//! The whole story of one key: every version, its copies, why they are where they are.

use askama::Template;
use axum::{Extension, extract::Query as Parameters};
use serde::Deserialize;

use super::{
    chrome::{Answer, Chrome, page as answer},
    filters, places,
    records::parse,
    seat::Seat,
};
use crate::admin::{Problem, Query, RecordView};
use crate::types::{BucketName, ObjectKey};

#[derive(Debug, Deserialize)]
pub(super) struct Named {
    bucket: String,
    key: String,
    #[serde(default)]
    version: String,
}

#[derive(Template)]
#[template(path = "record.html")]
struct RecordPage {
    chrome: Chrome,
    bucket: BucketName,
    key: ObjectKey,
    versions: Vec<RecordView>,
}

pub(super) async fn page(Extension(seat): Extension<Seat>, Parameters(named): Parameters<Named>) -> Answer {
    let bucket = BucketName::new(named.bucket).map_err(|error| Problem::invalid(error.to_string()))?;
    let key = ObjectKey::new(named.key).map_err(|error| Problem::invalid(error.to_string()))?;
    let version = parse("version", &named.version)?;
    let versions = seat.ask(Query::Record(&bucket, &key, version)).await?.record(&bucket, &key, version).await?;
    if versions.is_empty() {
        return Err(Problem::not_found("there is no such record").into());
    }
    answer(&RecordPage { chrome: Chrome::new(&seat, key.as_str(), Some(places::RECORDS)), bucket, key, versions })
}
