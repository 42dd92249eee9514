//! The whole story of one key: its versions as they are now, and what the ledger tells of those that were.

use askama::Template;
use axum::{Extension, Json, extract::Query as Parameters};
use serde::Deserialize;
use serde_json::Value;

use super::{
    chrome::{Answer, Chrome, page as answer},
    download,
    entry::{self, Entry},
    filters,
    narrowing::{moment, parse},
    places,
    seat::Seat,
};
use crate::admin::{GatewayError, HistoryQuestion, HistoryView, Problem, Query, RecordView};
use crate::audit::{CopyStanding, VersionStory};
use crate::types::{BucketName, ObjectKey, VersionId};

#[derive(Debug, Deserialize)]
pub(super) struct Named {
    bucket: String,
    key: String,
    #[serde(default)]
    version: String,
    #[serde(default)]
    at: String,
}

#[derive(Template)]
#[template(path = "record.html")]
struct RecordPage {
    chrome: Chrome,
    bucket: BucketName,
    key: ObjectKey,
    at: String,
    versions: Vec<RecordView>,
    history: HistoryView,
    entries: Vec<Entry>,
    none: &'static str,
}

impl RecordPage {
    fn proof(&self, version: &RecordView) -> String {
        entry::proof_of(version)
    }

    const fn copy_mood(&self, state: &CopyStanding) -> &'static str {
        match state {
            CopyStanding::Pending => "warn",
            CopyStanding::Stored => "ok",
            CopyStanding::Left | CopyStanding::Removed => "quiet",
        }
    }

    const fn copy_word(&self, state: &CopyStanding) -> &'static str {
        match state {
            CopyStanding::Pending => "To follow",
            CopyStanding::Stored => "Stored",
            CopyStanding::Left => "Left",
            CopyStanding::Removed => "Removed",
        }
    }

    /// On whose word: the source and its signals, in one line.
    fn signals(&self, story: &VersionStory) -> Option<String> {
        let decided = story.placed.last()?.decided_by.as_ref()?;
        let source = decided["source"].as_str().unwrap_or_default();
        let signals = decided["signals"].as_object().into_iter().flatten().map(|(name, words)| {
            let words: Vec<&str> = words.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            format!("{name} from {}", words.join(", "))
        });
        Some([source.to_owned()].into_iter().chain(signals).collect::<Vec<_>>().join("; "))
    }
}

pub(super) async fn page(Extension(seat): Extension<Seat>, Parameters(named): Parameters<Named>) -> Answer {
    let bucket = BucketName::new(named.bucket).map_err(|error| Problem::invalid(error.to_string()))?;
    let key = ObjectKey::new(named.key).map_err(|error| Problem::invalid(error.to_string()))?;
    let version = parse("version", &named.version)?;
    let at = moment("at", &named.at)?;
    let versions = match seat.ask(Query::Record(&bucket, &key, version)).await?.record(&bucket, &key, version).await {
        Ok(versions) => versions,
        // The ledger can know of a bucket that is gone.
        Err(GatewayError::NotFound(_)) => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    let question = HistoryQuestion { bucket: bucket.clone(), key: key.clone(), version, at, subject: None };
    let history = match seat.ask(Query::History(&question)).await?.history(question).await {
        Ok(history) => history,
        Err(GatewayError::NotFound(_)) if versions.is_empty() => return Err(no_such_record()),
        Err(error) => return Err(error.into()),
    };
    if versions.is_empty() && history.versions.is_empty() && history.entries.is_empty() {
        return Err(no_such_record());
    }
    let mut entries: Vec<Entry> = history.entries.iter().rev().filter_map(Entry::of).collect();
    entries.iter_mut().for_each(|entry| entry.prove_by(&versions));
    answer(&RecordPage {
        chrome: Chrome::new(&seat, key.as_str(), Some(places::RECORDS)),
        bucket,
        key,
        at: named.at,
        versions: if at.is_some() { Vec::new() } else { versions },
        history,
        entries,
        none: "The ledger has no entry about this key up to then.",
    })
}

/// The residency proof of a version, of the current one when none is named: the same file as the API's.
pub(super) async fn proof(Extension(seat): Extension<Seat>, Parameters(named): Parameters<Named>) -> Answer {
    let bucket = BucketName::new(named.bucket).map_err(|error| Problem::invalid(error.to_string()))?;
    let key = ObjectKey::new(named.key).map_err(|error| Problem::invalid(error.to_string()))?;
    let version: Option<VersionId> = parse("version", &named.version)?;
    let question = Query::Proof { bucket: &bucket, key: &key, version, from: None };
    let proof = seat.ask(question).await?.proof(&bucket, &key, version, None).await?;
    let name = version.map_or_else(|| "domicile-proof.json".to_owned(), |version| format!("domicile-proof-{version}.json"));
    download::file(&name, "application/json", Json(proof))
}

fn no_such_record() -> super::chrome::Trouble {
    Problem::not_found("there is no such record, and the ledger tells of none").into()
}
