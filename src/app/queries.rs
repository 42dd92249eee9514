//! What the ledger says of a question: names as pseudonyms, countries, times and numbers as they are.

use crate::admin::{HistoryQuestion, Query};
use crate::audit::{Asked, Class, Event, tile::Level};
use crate::index::{EntriesQuery, Index, IndexError, RecordsQuery};
use crate::kms::Pseudonyms;
use crate::types::Timestamp;
use crate::types::{BucketName, Pseudonym};

/// Adds to `event` what was asked.
pub(super) fn describe(pseudonyms: &Pseudonyms, query: Query<'_>, event: Event) -> Event {
    let mut asked = Asked { route: query.route(), ..Asked::default() };
    let event = match query {
        Query::Records(filter) | Query::Population(filter) | Query::Sample(filter) => {
            records(pseudonyms, filter, event, &mut asked)
        }
        Query::Record(bucket, key, version) => {
            Event { bucket: Some(pseudonyms.bucket(bucket)), key: Some(pseudonyms.key(bucket, key)), version, ..event }
        }
        Query::Proof { bucket, key, version, from } => {
            asked.from = from;
            Event { bucket: Some(pseudonyms.bucket(bucket)), key: Some(pseudonyms.key(bucket, key)), version, ..event }
        }
        Query::Explain(request) => {
            asked.principal = request.principal.as_ref().map(|id| pseudonyms.principal(id));
            let (bucket, key) = (pseudonyms.bucket(&request.bucket), pseudonyms.key(&request.bucket, &request.key));
            Event { bucket: Some(bucket), key: Some(key), ..event }
        }
        Query::Subject(subject) => Event { subject: Some(pseudonyms.subject(subject)), ..event },
        Query::LedgerEntries(query) => entries(pseudonyms, query, event, &mut asked),
        Query::History(question) => {
            let HistoryQuestion { bucket, key, version, at, subject } = question;
            asked.at = at.map(Timestamp::to_rfc3339);
            let subject = subject.as_ref().map(|subject| pseudonyms.subject(subject));
            let (named, key) = (pseudonyms.bucket(bucket), pseudonyms.key(bucket, key));
            Event { bucket: Some(named), key: Some(key), version: *version, subject, ..event }
        }
        Query::Erasures { before, limit } => {
            asked.from = before;
            asked.limit = u64::try_from(limit).ok();
            event
        }
        Query::PolicyHistory { before, limit } => {
            asked.from = before;
            asked.limit = u64::try_from(limit).ok();
            event
        }
        Query::Report { since, until } => {
            asked.since = Some(since.to_rfc3339());
            asked.until = Some(until.to_rfc3339());
            event
        }
        Query::Erasure(id) => Event { erasure: Some(id), ..event },
        Query::LedgerTile(tile) => {
            if tile.level == Level::Entries {
                (asked.from, asked.limit) = (Some(tile.start()), Some(tile.width));
            }
            event
        }
        Query::LedgerProof { from, .. } => {
            asked.from = Some(from);
            event
        }
        Query::LedgerCheckpoints { before, limit } => {
            asked.from = before;
            asked.limit = u64::try_from(limit).ok();
            event
        }
        Query::Rotations
        | Query::Rotation
        | Query::Summary
        | Query::Policies
        | Query::PolicyRevision
        | Query::PolicyDiff
        | Query::Plan
        | Query::Relocations
        | Query::Relocation
        | Query::Scrubs
        | Query::Scrub
        | Query::Findings
        | Query::Imports
        | Query::Import
        | Query::LedgerHead
        | Query::Sites
        | Query::Keys => event,
    };
    Event { query: Some(Box::new(asked)), ..event }
}

/// Whose the key or the prefix is that is asked for: its name in the entry means nothing any more once that subject is erased.
///
/// # Errors
/// Those of reading rows.
pub(super) fn whose(index: &Index, query: Query<'_>) -> Result<Option<Pseudonym>, IndexError> {
    match query {
        Query::Records(filter) => whose_prefix(index, filter.bucket.as_ref().zip(filter.prefix.as_ref())),
        Query::Record(bucket, key, _) => index.whose(bucket, key),
        Query::Proof { bucket, key, .. } => index.whose(bucket, key),
        Query::History(question) => index.whose(&question.bucket, &question.key),
        Query::LedgerEntries(EntriesQuery { key: Some((bucket, key)), .. }) => index.whose(bucket, key),
        Query::Population(filter) | Query::Sample(filter) => {
            whose_prefix(index, filter.bucket.as_ref().zip(filter.prefix.as_ref()))
        }
        Query::Explain(request) => index.whose(&request.bucket, &request.key),
        _ => Ok(None),
    }
}

/// Whose the keys are that begin so.
///
/// # Errors
/// Those of reading rows.
pub(super) fn whose_prefix(index: &Index, prefix: Option<(&BucketName, &String)>) -> Result<Option<Pseudonym>, IndexError> {
    prefix.map_or(Ok(None), |(bucket, prefix)| index.whose_prefix(bucket, prefix))
}

fn entries(pseudonyms: &Pseudonyms, query: &EntriesQuery, event: Event, asked: &mut Asked) -> Event {
    let EntriesQuery { from, before, limit, class, kind, since, until, key, subject, owners: _ } = query;
    asked.from = Some(*from).filter(|from| *from > 0 || before.is_none());
    asked.before = *before;
    asked.limit = u64::try_from(*limit).ok();
    asked.class = class.map(Class::as_str);
    // The word itself is text from outside.
    asked.kind = kind.is_some();
    asked.since = since.map(Timestamp::to_rfc3339);
    asked.until = until.map(Timestamp::to_rfc3339);
    Event {
        bucket: key.as_ref().map(|(bucket, _)| pseudonyms.bucket(bucket)),
        key: key.as_ref().map(|(bucket, key)| pseudonyms.key(bucket, key)),
        subject: subject.as_ref().map(|subject| pseudonyms.subject(subject)),
        ..event
    }
}

fn records(pseudonyms: &Pseudonyms, filter: &RecordsQuery, event: Event, asked: &mut Asked) -> Event {
    let RecordsQuery { bucket, prefix, subject, country, site, instrument, since, until, limit, cursor } = filter;
    asked.prefix = bucket.as_ref().zip(prefix.as_ref()).map(|(bucket, prefix)| pseudonyms.prefix(bucket, prefix));
    asked.site = site.as_ref().map(|site| pseudonyms.site(site));
    asked.instrument = instrument.as_ref().map(|instrument| pseudonyms.instrument(instrument));
    asked.since = since.map(|since| since.to_rfc3339());
    asked.until = until.map(|until| until.to_rfc3339());
    asked.limit = u64::try_from(*limit).ok();
    asked.continued = cursor.is_some();
    Event {
        bucket: bucket.as_ref().map(|bucket| pseudonyms.bucket(bucket)),
        subject: subject.as_ref().map(|subject| pseudonyms.subject(subject)),
        countries: country.iter().copied().collect(),
        ..event
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::{Actor, Kind};
    use crate::kms::SecretKey;
    use crate::types::{BucketName, ObjectKey, SiteId, SubjectId};

    fn line(pseudonyms: &Pseudonyms, query: Query<'_>) -> String {
        serde_json::to_string(&describe(pseudonyms, query, Event::new(Kind::AuditQuery, Actor::System))).unwrap()
    }

    #[test]
    fn an_entry_says_what_was_asked_and_names_nobody() {
        let pseudonyms = Pseudonyms::new(SecretKey::random());
        let bucket = BucketName::new("media").unwrap();
        let key = ObjectKey::new("holiday.jpg").unwrap();
        let subject = SubjectId::new("ayesha").unwrap();
        let site = SiteId::new("pk-khi").unwrap();
        let filter = RecordsQuery {
            bucket: Some(bucket.clone()),
            prefix: Some("holiday".to_owned()),
            subject: Some(subject.clone()),
            country: Some("PK".parse().unwrap()),
            site: Some(site.clone()),
            since: Some(Timestamp::from_seconds(0)),
            limit: 7,
            cursor: Some("00".to_owned()),
            ..RecordsQuery::default()
        };
        let records = line(&pseudonyms, Query::Records(&filter));
        for part in [
            format!("\"bucket\":\"{}\"", pseudonyms.bucket(&bucket)),
            format!("\"subject\":\"{}\"", pseudonyms.subject(&subject)),
            format!("\"prefix\":\"{}\"", pseudonyms.prefix(&bucket, "holiday")),
            format!("\"site\":\"{}\"", pseudonyms.site(&site)),
            "\"countries\":[\"PK\"]".to_owned(),
            "\"route\":\"GET /v1/records\"".to_owned(),
            "\"since\":\"1970-01-01T00:00:00.000Z\",\"limit\":7,\"continued\":true".to_owned(),
        ] {
            assert!(records.contains(&part), "{part} in {records}");
        }
        let record = line(&pseudonyms, Query::Record(&bucket, &key, None));
        assert!(record.contains(&pseudonyms.key(&bucket, &key).to_string()), "{record}");
        let one = line(&pseudonyms, Query::Subject(&subject));
        assert!(one.contains(&pseudonyms.subject(&subject).to_string()), "{one}");
        for name in ["media", "holiday", "ayesha", "khi"] {
            assert!([&records, &record, &one].iter().all(|line| !line.contains(name)), "{name}");
        }
    }
}
