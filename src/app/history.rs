//! The story of a key, from the ledger's entries alone.

use std::collections::BTreeMap;

use super::gateway::internal;
use crate::admin::{GatewayError, HistoryQuestion, HistoryView};
use crate::audit::{Class, Facets, Story};
use crate::index::{EntriesQuery, Index};
use crate::policy::{PolicySet, SubjectSource};
use crate::types::{ObjectKey, SubjectId, Timestamp};

/// Entries that are asked for at a time.
const PAGE: usize = 1000;
/// Entries that are shown at the most; the story is told from all of them.
const SHOWN: usize = 1000;

/// Entries that a story is told from at the most.
const MOST: usize = if cfg!(test) { 50 } else { 100_000 };

/// Tells it, as of the time that was asked for.
pub(super) async fn tell(index: &Index, policies: &PolicySet, question: HistoryQuestion) -> Result<HistoryView, GatewayError> {
    let ledger = index.ledger_head().size;
    let until = question.at.map(|at| at.plus_millis(1));
    let key = Some((question.bucket.clone(), question.key.clone()));
    let owners = question.subject.clone().into_iter().chain(owners(policies, &question.key)).collect();
    let named = everything(index, EntriesQuery { key, until, owners, ..EntriesQuery::default() }).await?;
    if named.is_empty() {
        return Err(GatewayError::NotFound("the ledger says nothing of such a key"));
    }
    let mut leaves = named.clone();
    let scrubs =
        EntriesQuery { class: Some(Class::Findings), kind: Some("scrubbed".to_owned()), until, ..EntriesQuery::default() };
    leaves.extend(everything(index, scrubs).await?);
    // Which records there were has to be known before it can be asked what was removed of them.
    let mut first = Story::default();
    leaves.values().for_each(|leaf| first.tell(leaf));
    for version in first.versions() {
        for leaf in index.collections_of(version.record).await? {
            if let Some((seq, time)) = place(&leaf)
                && until.is_none_or(|until| time < until)
            {
                leaves.insert(seq, leaf);
            }
        }
    }
    let mut story = Story::default();
    leaves.values().for_each(|leaf| story.tell(leaf));
    let mut versions = match question.at {
        Some(_) => story.standing(),
        None => story.versions().to_vec(),
    };
    versions.retain(|found| question.version.is_none_or(|version| found.version == Some(version)));
    let entries = named.values().take(SHOWN).map(|leaf| serde_json::from_slice(leaf)).collect::<Result<_, _>>();
    Ok(HistoryView {
        bucket: question.bucket,
        key: question.key,
        at: question.at.map(Timestamp::to_rfc3339),
        ledger,
        versions,
        entries: entries.map_err(internal)?,
        more_entries: named.len() > SHOWN,
    })
}

/// Whose a key is by the key templates of the policies in force: what was there may be gone.
pub(super) fn owners(policies: &PolicySet, key: &ObjectKey) -> Vec<SubjectId> {
    let of = |source: &SubjectSource| match source {
        SubjectSource::Key(template) => SubjectId::new(template.subject(key.as_str())?).ok(),
        _ => None,
    };
    policies.gateway().subject.iter().filter_map(of).collect()
}

/// All entries of a question, by number, but for those of who asks and reads: the question itself names the key by now, and no number of reads
/// is too much to be told of the record.
async fn everything(index: &Index, mut query: EntriesQuery) -> Result<BTreeMap<u64, Vec<u8>>, GatewayError> {
    let mut found = BTreeMap::new();
    query.limit = PAGE;
    loop {
        let page = index.ledger_search(query.clone()).await?;
        if found.len() > MOST {
            let why = "the ledger says too much of this key for one answer: ask `at` an earlier time, or for its entries";
            return Err(GatewayError::Invalid(why.to_owned()));
        }
        found.extend(page.leaves.into_iter().filter(|leaf| !is_aside(leaf)).filter_map(|leaf| Some((place(&leaf)?.0, leaf))));
        match page.next {
            Some(next) => query.from = next,
            None => return Ok(found),
        }
    }
}

/// What tells of those who ask and read, not of the record.
fn is_aside(leaf: &[u8]) -> bool {
    let classes = Facets::of(leaf).classes;
    classes.contains(&Class::Queries) || classes.contains(&Class::Reads)
}

fn place(leaf: &[u8]) -> Option<(u64, Timestamp)> {
    #[derive(serde::Deserialize)]
    struct Place<'a> {
        seq: u64,
        time: &'a str,
    }
    let place: Place<'_> = serde_json::from_slice(leaf).ok()?;
    Some((place.seq, Timestamp::parse_rfc3339(place.time)?))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::app::policies::files;
    use crate::audit::{Actor, Event, Kind};
    use crate::clock::SystemClock;
    use crate::config::PolicySource;
    use crate::index::{Change, MemoryEngine, tests::index_keys};
    use crate::types::{BucketName, RecordId};

    #[tokio::test]
    async fn no_number_of_reads_and_questions_keeps_a_story_from_being_told() {
        let keys = index_keys();
        let pseudonyms = Arc::clone(&keys.pseudonyms);
        let index = Index::open(Arc::new(MemoryEngine::default()), keys, Arc::new(SystemClock)).unwrap();
        let policies = PolicySet::parse(&files(&PolicySource::Bundled).unwrap()).unwrap();
        let (bucket, key) = (BucketName::new("media").unwrap(), ObjectKey::new("k").unwrap());
        let question = HistoryQuestion { bucket: bucket.clone(), key: key.clone(), version: None, at: None, subject: None };
        let note = async |kind| {
            let record = Some(RecordId::from_bytes([1; 16]));
            let event = Event { key: Some(pseudonyms.key(&bucket, &key)), record, ..Event::new(kind, Actor::System) };
            index.commit(Change::Note, event).await.unwrap();
        };
        note(Kind::AuditQuery).await;
        let nothing = tell(&index, &policies, question.clone()).await;
        assert!(matches!(nothing, Err(GatewayError::NotFound(_))), "a question alone is no story");
        note(Kind::PutObject).await;
        for _ in 0..MOST {
            note(Kind::GetObject).await;
            note(Kind::AuditQuery).await;
        }
        note(Kind::DeleteObject).await;
        let told = tell(&index, &policies, question).await.unwrap();
        assert_eq!((told.versions.len(), told.versions[0].state, told.entries.len()), (1, "gone", 2));
    }
}
