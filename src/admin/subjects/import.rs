//! Many subjects at once, a JSON object a line, as many lines as there are: they are taken as they come, a batch at a time. What bounds a
//! request holds for each batch, so a body of any length needs the memory of one.
//!
//! Good lines are set in order, bad ones reported by number and passed over. What fails on the gateway's side stops the import: the problem
//! says at which line and what was done before it. To send lines again is safe: what is known already changes nothing.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    time::Duration,
};

use axum::{
    Extension, Json,
    body::Body,
    extract::{Query as Parameters, State, rejection::QueryRejection},
};
use bytes::{Buf, Bytes, BytesMut};
use http_body_util::BodyExt;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout, timeout_at};

use super::{each_once, moment, saying};
use crate::admin::{GatewayError, ImportedSubject, Problem, router::Api};
use crate::authn::TokenIdentity;
use crate::index::Saying;
use crate::types::{Attributes, PrincipalId, RequestId, SubjectId};

/// Lines that are set together.
const BATCH: usize = 1000;
/// The longest line.
const MOST_LINE: usize = 64 << 10;
/// Within this time the next piece of the body is there.
const BODY_TIME: Duration = Duration::from_secs(60);
/// Within this time a batch is set.
const BATCH_TIME: Duration = Duration::from_secs(100);
/// Bad lines that an import reports; the rest is counted only.
const MAX_REPORTED: usize = 1000;

/// `POST /v1/subjects:import`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::admin) struct Ordered {
    /// Of lines that say no other.
    effective: Option<String>,
    /// Of lines that say no other.
    reason: Option<String>,
    #[serde(default)]
    dry_run: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    #[serde(alias = "subject")]
    id: SubjectId,
    #[serde(deserialize_with = "each_once")]
    attributes: Attributes,
    effective: Option<String>,
    reason: Option<String>,
}

pub(in crate::admin) async fn import(
    State(api): State<Api>,
    Extension(request): Extension<RequestId>,
    Extension(who): Extension<TokenIdentity>,
    ordered: Result<Parameters<Ordered>, QueryRejection>,
    mut body: Body,
) -> Result<Json<Value>, Problem> {
    let Parameters(ordered) = ordered?;
    moment("effective", ordered.effective.as_deref()).map_err(Problem::invalid)?;
    let dry_run = ordered.dry_run;
    let mut lines = Lines::default();
    let mut work = Work { api, request, who, ordered, done: Imported::default(), batch: Batch::default() };
    loop {
        let piece = match timeout(BODY_TIME, body.frame()).await {
            Ok(Some(Ok(frame))) => frame.into_data().unwrap_or_default(),
            Ok(None) => break,
            Ok(Some(Err(_))) => return Err(work.broken(lines.number, "the body broke off").await),
            Err(_) => return Err(work.broken(lines.number, "the body does not go on").await),
        };
        lines.add(piece);
        while let Some(line) = lines.next() {
            work.take(lines.number, line).await?;
        }
    }
    if let Some(line) = lines.last() {
        work.take(lines.number, line).await?;
    }
    work.flush().await?;
    let unasked = work.api.gateway.unasked(&work.done.attributes);
    let Imported { imported, unchanged, failed, errors, .. } = work.done;
    Ok(Json(json!({
        "imported": imported, "unchanged": unchanged, "failed": failed, "errors": errors, "dry_run": dry_run, "unasked": unasked,
    })))
}

/// Lines as they come; the content of one that is too long is let go.
#[derive(Debug, Default)]
struct Lines {
    waiting: BytesMut,
    /// Of the line that came last.
    number: u64,
    /// How far there is no end of a line.
    looked: usize,
    too_long: bool,
}

impl Lines {
    fn add(&mut self, piece: Bytes) {
        self.waiting.extend_from_slice(&piece);
    }

    /// The next whole line; `None` within where it is too long.
    fn next(&mut self) -> Option<Option<Bytes>> {
        let end = self.waiting.get(self.looked..).and_then(|rest| memchr::memchr(b'\n', rest));
        let Some(end) = end.map(|end| end + self.looked) else {
            self.looked = self.waiting.len();
            if self.looked > MOST_LINE {
                self.too_long = true;
                self.waiting.clear();
                self.looked = 0;
            }
            return None;
        };
        let line = self.waiting.split_to(end).freeze();
        self.waiting.advance(1);
        self.looked = 0;
        Some(self.whole(line))
    }

    /// What no end of a line follows.
    fn last(&mut self) -> Option<Option<Bytes>> {
        let rest = self.waiting.split().freeze();
        (self.too_long || !rest.is_empty()).then(|| self.whole(rest))
    }

    fn whole(&mut self, line: Bytes) -> Option<Bytes> {
        self.number += 1;
        let too_long = std::mem::take(&mut self.too_long) || line.len() > MOST_LINE;
        (!too_long).then_some(line)
    }
}

/// Lines that wait to be set together; none of a subject twice, so that each subject's come in order.
#[derive(Debug, Default)]
struct Batch {
    lines: Vec<u64>,
    sayings: Vec<(SubjectId, Saying)>,
    subjects: HashSet<SubjectId>,
    /// Bad lines among them.
    bad: Vec<(u64, String)>,
}

struct Work {
    api: Api,
    request: RequestId,
    who: TokenIdentity,
    ordered: Ordered,
    done: Imported,
    batch: Batch,
}

impl Work {
    async fn take(&mut self, number: u64, line: Option<Bytes>) -> Result<(), Problem> {
        let read = match line {
            Some(line) if line.trim_ascii().is_empty() => return Ok(()),
            Some(line) => read_line(&line, &self.who.id, &self.ordered),
            None => Err(format!("has more than {MOST_LINE} bytes")),
        };
        match read {
            Ok((subject, saying)) => {
                self.done.name(saying.attributes.iter().flat_map(BTreeMap::keys));
                if self.batch.lines.len() == BATCH || self.batch.subjects.contains(&subject) {
                    self.flush().await?;
                }
                self.batch.lines.push(number);
                self.batch.subjects.insert(subject.clone());
                self.batch.sayings.push((subject, saying));
            }
            Err(message) => {
                if self.batch.bad.len() == BATCH {
                    self.flush().await?;
                }
                self.batch.bad.push((number, message));
                // Many bad lines must not keep other requests waiting.
                tokio::task::consume_budget().await;
            }
        }
        Ok(())
    }

    /// Sets what waits.
    async fn flush(&mut self) -> Result<(), Problem> {
        let Batch { lines, sayings, mut bad, .. } = std::mem::take(&mut self.batch);
        let mut stopped = None;
        if let Some(first) = lines.first() {
            let set = self.api.gateway.import_subjects(&self.request, &self.who, sayings, self.ordered.dry_run);
            let outcomes = timeout_at(Instant::now() + BATCH_TIME, set).await.unwrap_or_else(|_| {
                stopped = Some((*first, GatewayError::Unavailable("the import takes too long")));
                Vec::new()
            });
            for (number, outcome) in lines.iter().zip(outcomes) {
                match outcome {
                    Ok(ImportedSubject::Set) => self.done.imported += 1,
                    Ok(ImportedSubject::Unchanged) => self.done.unchanged += 1,
                    Ok(ImportedSubject::Refused(why)) => bad.push((*number, why.to_owned())),
                    Err(error) => stopped = stopped.or(Some((*number, error))),
                }
            }
        }
        bad.sort_by_key(|(number, _)| *number);
        // What follows where it stopped is sent again, and told then.
        let before = stopped.as_ref().map_or(u64::MAX, |(line, _)| *line);
        bad.iter().filter(|(number, _)| *number < before).for_each(|(number, why)| self.done.refuse(*number, why));
        stopped.map_or(Ok(()), |(number, error)| Err(self.stopped_at(number, error)))
    }

    fn stopped_at(&mut self, line: u64, error: GatewayError) -> Problem {
        let done = std::mem::take(&mut self.done);
        let set = done.imported;
        let stopped = Problem::from(error).explained(|why| {
            format!("stopped at line {line} of this request, which may be set or not: {why}; {set} lines are set")
        });
        done.told(stopped.with("line", line.into()))
    }

    /// The client is at fault: what came whole is set all the same.
    async fn broken(mut self, line: u64, why: &str) -> Problem {
        match self.flush().await {
            Ok(()) => self.done.told(Problem::invalid(why).with("line", (line + 1).into())),
            Err(stopped) => stopped,
        }
    }
}

/// How far an import has come.
#[derive(Debug, Default)]
struct Imported {
    imported: u64,
    unchanged: u64,
    failed: u64,
    errors: Vec<Value>,
    /// The first names of attributes in it.
    attributes: BTreeSet<String>,
}

impl Imported {
    fn name<'a>(&mut self, attributes: impl Iterator<Item = &'a String>) {
        for name in attributes {
            if self.attributes.len() < MAX_REPORTED && !self.attributes.contains(name) {
                self.attributes.insert(name.clone());
            }
        }
    }

    fn refuse(&mut self, line: u64, message: &str) {
        self.failed += 1;
        if self.errors.len() < MAX_REPORTED {
            self.errors.push(json!({ "line": line, "message": message }));
        }
    }

    fn told(self, problem: Problem) -> Problem {
        problem
            .with("imported", self.imported.into())
            .with("unchanged", self.unchanged.into())
            .with("failed", self.failed.into())
            .with("errors", self.errors.into())
    }
}

fn read_line(line: &[u8], who: &PrincipalId, ordered: &Ordered) -> Result<(SubjectId, Saying), String> {
    // serde_json's own message may quote the value; its position and kind are enough.
    let line: Line = serde_json::from_slice(line).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => {
            "needs `id` (1 to 256 bytes) and `attributes` (strings, each once), may have `effective` and `reason`, nothing else"
                .to_owned()
        }
        _ => format!("not JSON at column {}", error.column()),
    })?;
    let effective = line.effective.as_deref().or(ordered.effective.as_deref());
    let reason = line.reason.or_else(|| ordered.reason.clone());
    Ok((line.id, saying(who, Some(line.attributes), effective, reason)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_says_two_things_is_refused() {
        let read = |line: &str| read_line(line.as_bytes(), &PrincipalId::new("clerk").unwrap(), &Ordered::default());
        assert!(read(r#"{"id":"a","attributes":{"residence":"PK","citizenship":"SG"}}"#).is_ok());
        for twice in [
            r#"{"id":"a","attributes":{"residence":"PK","residence":"SG"}}"#,
            r#"{"id":"a","attributes":{"residence":"PK","residence":"PK"}}"#,
            r#"{"id":"a","subject":"b","attributes":{}}"#,
            r#"{"id":"a","attributes":{"residence":"PK"},"attributes":{}}"#,
        ] {
            assert!(read(twice).unwrap_err().contains("each once"), "{twice}");
        }
    }

    #[test]
    fn lines_come_whole_however_the_body_is_cut() {
        let long = "x".repeat(MOST_LINE + 1);
        let text = format!("a\n\n{long}\nb\r\n{}\nlast", "y".repeat(MOST_LINE));
        for size in [1, 7, 1000, text.len()] {
            let (mut lines, mut found) = (Lines::default(), Vec::new());
            for piece in text.as_bytes().chunks(size) {
                lines.add(Bytes::copy_from_slice(piece));
                while let Some(line) = lines.next() {
                    found.push((lines.number, line.map(|line| line.len())));
                }
                assert!(lines.waiting.len() <= MOST_LINE + size);
            }
            let last = lines.last().map(|line| line.map(|line| line.len()));
            found.extend(last.map(|line| (lines.number, line)));
            let expected = [(1, Some(1)), (2, Some(0)), (3, None), (4, Some(2)), (5, Some(MOST_LINE)), (6, Some(4))];
            assert_eq!(found, expected, "in pieces of {size}");
            assert!(lines.last().is_none());
        }
    }
}
