//! Brings every call to a key provider into the ledger, without the call waiting for it.
//!
//! What is told is gathered for a second and written as one entry for each key: bounded in memory and in the ledger, since what repeats is
//! counted. A crash can lose the last second; a stop does not.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use parking_lot::Mutex;

use crate::audit::{Actor, Event, Kind, ProviderCalls};
use crate::kms::{KeyObserver, KeyOperation, KeyOutcome, KeyOwner, KeyUse};
use crate::objects::Objects;
use crate::types::{Country, KeyId, Pseudonym, SiteId};

/// How long calls are gathered.
const GATHER: Duration = Duration::from_secs(1);
/// Owners that one line names; of more, the number.
const NAMED: usize = 200;
/// Versions that one line names.
const VERSIONS: usize = 16;

/// The calls that are in no entry yet.
#[derive(Default)]
pub(super) struct KeyUses(Mutex<BTreeMap<KeyId, Gathered>>);

#[derive(Default)]
struct Gathered {
    country: Option<Country>,
    lines: BTreeMap<(KeyOperation, KeyOutcome), Line>,
}

/// Calls of one kind that ended alike.
#[derive(Default)]
struct Line {
    calls: u64,
    versions: BTreeSet<u32>,
    subjects: BTreeSet<Pseudonym>,
    buckets: BTreeSet<Pseudonym>,
    sites: BTreeSet<SiteId>,
    unnamed: u64,
}

impl KeyObserver for KeyUses {
    fn used(&self, used: KeyUse) {
        let mut waiting = self.0.lock();
        let gathered = waiting.entry(used.key).or_default();
        gathered.country = Some(used.country);
        gathered.lines.entry((used.operation, used.outcome)).or_default().add(used.version, used.owner);
    }
}

impl Line {
    fn add(&mut self, version: Option<u32>, owner: Option<KeyOwner>) {
        self.calls = self.calls.saturating_add(1);
        if self.versions.len() < VERSIONS {
            self.versions.extend(version);
        }
        let room = self.subjects.len() + self.buckets.len() + self.sites.len() < NAMED;
        let named = match owner {
            Some(KeyOwner::Subject(subject)) => keep(&mut self.subjects, subject, room),
            Some(KeyOwner::Bucket(bucket)) => keep(&mut self.buckets, bucket, room),
            Some(KeyOwner::Site(site)) => keep(&mut self.sites, site, room),
            None => true,
        };
        self.unnamed = self.unnamed.saturating_add(u64::from(!named));
    }

    fn entry(self, (operation, outcome): (KeyOperation, KeyOutcome)) -> ProviderCalls {
        ProviderCalls {
            operation: operation.as_str(),
            outcome: outcome.as_str(),
            calls: self.calls,
            versions: self.versions.into_iter().collect(),
            subjects: self.subjects.into_iter().collect(),
            buckets: self.buckets.into_iter().collect(),
            sites: self.sites.into_iter().collect(),
            unnamed: self.unnamed,
        }
    }
}

/// Whether `owner` is named, now or before.
fn keep<T: Ord>(known: &mut BTreeSet<T>, owner: T, room: bool) -> bool {
    known.contains(&owner) || (room && known.insert(owner))
}

impl KeyUses {
    /// Writes what was gathered, again and again. Does not end.
    pub(super) async fn record(&self, objects: &Objects) {
        loop {
            tokio::time::sleep(GATHER).await;
            self.flush(objects).await;
        }
    }

    /// Writes what was gathered so far.
    pub(super) async fn flush(&self, objects: &Objects) {
        for event in self.take() {
            if let Err(error) = objects.record(event).await {
                // Only an index that has stopped takes none; the gateway stops with it.
                tracing::error!(%error, "calls to a key provider are not in the ledger");
            }
        }
    }

    /// Entries for what was gathered so far: whoever takes them writes them.
    pub(super) fn take(&self) -> Vec<Event> {
        let waiting = std::mem::take(&mut *self.0.lock());
        waiting.into_iter().map(|(key, gathered)| event(key, gathered)).collect()
    }
}

fn event(key: KeyId, gathered: Gathered) -> Event {
    let calls = gathered.lines.into_iter().map(|(kind, line)| line.entry(kind)).collect();
    Event {
        countries: gathered.country.into_iter().collect(),
        country_key: Some(Box::new(crate::audit::CountryKeyVersion { key, version: None })),
        key_calls: calls,
        ..Event::new(Kind::KeyUsed, Actor::System)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(owner: Option<KeyOwner>, outcome: KeyOutcome) -> KeyUse {
        KeyUse {
            key: "pk".parse().unwrap(),
            country: "PK".parse().unwrap(),
            operation: KeyOperation::Unwrap,
            version: Some(3),
            owner,
            outcome,
            took: Duration::ZERO,
        }
    }

    fn subject(number: u64) -> Option<KeyOwner> {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&number.to_be_bytes());
        Some(KeyOwner::Subject(Pseudonym::from_bytes(bytes)))
    }

    #[test]
    fn every_call_is_counted_and_no_flood_makes_an_entry_large() {
        let uses = KeyUses::default();
        for number in 0..10_000 {
            uses.used(used(subject(number), KeyOutcome::Done));
        }
        uses.used(used(subject(3), KeyOutcome::Done));
        uses.used(used(subject(9_999), KeyOutcome::Failed("KeyRefused")));
        uses.used(used(Some(KeyOwner::Site("pk-khi".parse().unwrap())), KeyOutcome::Abandoned));
        let events = uses.take();
        let [event] = events.as_slice() else { panic!("{events:?}") };
        assert!(uses.take().is_empty());
        let calls: Vec<(&str, u64, usize, u64)> =
            event.key_calls.iter().map(|line| (line.outcome, line.calls, line.subjects.len(), line.unnamed)).collect();
        assert_eq!(calls, [("ok", 10_001, NAMED, 9_800), ("KeyRefused", 1, 1, 0), ("Abandoned", 1, 0, 0)]);
        assert_eq!(event.key_calls[0].versions, [3]);
        assert!(serde_json::to_vec(event).unwrap().len() < 10_000);
    }
}
