//! What entries call people and their keys, and what is left of that when they are erased.

use std::ops::Bound;

use futures_util::future::LocalBoxFuture;
use parking_lot::{Condvar, Mutex};

use super::{
    exports::{exported, imported},
    journal::{Listener, Told, held, replays, retell},
    *,
};
use crate::{
    audit::{Asked, ProviderCalls},
    index::{
        engine::{Batch, Value, Visit},
        names::SaltRow,
    },
};

fn ayesha() -> SubjectId {
    SubjectId::new("ayesha").unwrap()
}

fn pseudonym() -> Pseudonym {
    index_keys().pseudonyms.subject(&ayesha())
}

/// A record of hers, under a key of hers.
fn hers(index: &Index) -> Record {
    let mut record = record(index, 1, SITES[0], "ayesha");
    record.detail.copies[0].owner = KeyOwner::Subject(pseudonym());
    record.detail.copies[0].sk_generation = Generation(1 + index.lookup(&ayesha()).unwrap().unwrap_or_default().generation.0);
    record.detail.placement.subject_generation = index.lookup(&ayesha()).unwrap().unwrap_or_default().generation;
    record
}

async fn put_hers(index: &Index, bucket: &Bucket, at: &str) {
    // Each life of hers has keys of its own: those of before are destroyed.
    let life = Generation(1 + index.lookup(&ayesha()).unwrap().unwrap_or_default().generation.0);
    let key = WrappedSubjectKey { owner: KeyOwner::Subject(pseudonym()), generation: life, ..wrapped(1) };
    index.commit(Change::SubjectKey { key: Box::new(key), replaces: None }, event()).await.unwrap();
    let record = hers(index);
    let basis = Basis { policy: POLICY, subject_generation: record.detail.placement.subject_generation, until: None };
    let put = PutChange { basis, ..put_change(bucket, at, record, WriteCondition::None) };
    index.commit(Change::Put(Box::new(put)), about(Kind::PutObject, bucket, at)).await.unwrap();
}

/// An event about a key of hers that names her, too.
fn about(kind: Kind, bucket: &Bucket, at: &str) -> Event {
    Event { subject: Some(pseudonym()), ..of_key(kind, bucket, at) }
}

fn of_key(kind: Kind, bucket: &Bucket, at: &str) -> Event {
    Event { key: Some(index_keys().pseudonyms.key(&bucket.name, &key(at))), ..Event::new(kind, Actor::System) }
}

fn erasing(index: &Index) -> (Change, Event) {
    let erase = EraseChange { subject: ayesha(), at_once: false, watch: index.watch_holds(&ayesha()) };
    let event = Event { subject: Some(pseudonym()), ..Event::new(Kind::ErasureAccepted, Actor::System) };
    (Change::Erase(Box::new(erase)), event)
}

async fn erase(index: &Index) -> Erasure {
    let (change, event) = erasing(index);
    index.commit(change, event).await.unwrap().erasure.unwrap()
}

/// Whatever stands in an entry as a name of somebody or something of theirs.
fn names(leaf: &serde_json::Value) -> Vec<String> {
    let calls =
        leaf["key-calls"].as_array().into_iter().flatten().flat_map(|line| line["subjects"].as_array().into_iter().flatten());
    let alone = [&leaf["subject"], &leaf["key"], &leaf["query"]["prefix"]];
    calls.chain(alone).filter_map(|name| name.as_str().map(str::to_owned)).collect()
}

async fn entries(index: &Index) -> Vec<serde_json::Value> {
    let leaves = index.ledger_entries(0, usize::MAX).await.unwrap();
    leaves.iter().map(|leaf| serde_json::from_slice(leaf).unwrap()).collect()
}

async fn last(index: &Index) -> serde_json::Value {
    entries(index).await.pop().unwrap()
}

/// The numbers of the entries that somebody with keyring and index can tell to be about her or one of these keys of hers.
async fn told(index: &Index, bucket: &Bucket, keys: &[&str]) -> Vec<u64> {
    let mut computed: BTreeSet<String> =
        index.ledger_names_of_subject(&ayesha()).unwrap().iter().map(ToString::to_string).collect();
    for at in keys {
        let names = index.ledger_names_of_key(&bucket.name, &key(at), Some(&ayesha())).unwrap();
        computed.extend(names.iter().map(ToString::to_string));
        let prefix = index_keys().pseudonyms.prefix(&bucket.name, at);
        computed.insert(prefix.to_string());
        computed.extend(index.inner.salted(&pseudonym(), &prefix).unwrap().map(|name| name.to_string()));
    }
    let entries = entries(index).await;
    let told = entries.iter().filter(|leaf| names(leaf).iter().any(|name| computed.contains(name)));
    told.map(|leaf| leaf["seq"].as_u64().unwrap()).collect()
}

fn salt(index: &Index) -> Option<SaltRow> {
    index.inner.row(&keys::salt(&pseudonym())).unwrap()
}

#[tokio::test]
async fn the_names_of_a_person_and_her_keys_mean_nothing_once_she_is_erased() {
    let (index, bucket) = prepared(Arc::new(MemoryEngine::new())).await;
    put_hers(&index, &bucket, "hers/a").await;
    let put = last(&index).await;
    let plain = [pseudonym(), index_keys().pseudonyms.key(&bucket.name, &key("hers/a"))].map(|name| name.to_string());
    assert!(names(&put).len() == 2 && names(&put).iter().all(|name| !plain.contains(name)), "{put}");
    put_hers(&index, &bucket, "hers/b").await;
    assert_eq!(last(&index).await["subject"], put["subject"], "the same person, the same name");

    // A question about a key of hers, one about all of them, one about herself; a refusal; calls to a provider.
    let whose = index.whose(&bucket.name, &key("hers/a")).unwrap();
    assert_eq!((whose, index.whose_prefix(&bucket.name, "hers/").unwrap()), (Some(pseudonym()), Some(pseudonym())));
    let ask = async |event: Event| drop(index.commit(Change::Note, event).await.unwrap());
    ask(Event { whose, ..of_key(Kind::AuditQuery, &bucket, "hers/a") }).await;
    assert_eq!(last(&index).await["key"], put["key"], "the same key, the same name");
    let asked = Asked {
        route: "GET /v1/records",
        prefix: Some(index_keys().pseudonyms.prefix(&bucket.name, "hers/")),
        ..Asked::default()
    };
    ask(Event { whose, query: Some(Box::new(asked)), ..Event::new(Kind::AuditQuery, Actor::System) }).await;
    ask(Event { subject: Some(pseudonym()), ..Event::new(Kind::AuditQuery, Actor::System) }).await;
    ask(Event { whose, ..of_key(Kind::PutObject, &bucket, "hers/a") }.refused("AccessDenied")).await;
    let calls = |subjects: Vec<Pseudonym>| ProviderCalls {
        operation: "unwrap",
        outcome: "ok",
        calls: 2,
        versions: Vec::new(),
        subjects,
        buckets: Vec::new(),
        sites: Vec::new(),
        unnamed: 0,
    };
    let used = |subjects| Event { key_calls: vec![calls(subjects)], ..Event::new(Kind::KeyUsed, Actor::System) };
    ask(used(vec![pseudonym()])).await;
    assert_eq!(last(&index).await["key-calls"][0]["subjects"][0], put["subject"]);
    // What a delete removed is known in its commit alone.
    let change = delete(&bucket, "hers/a", index.ticket().unwrap());
    index.commit(change, of_key(Kind::DeleteObject, &bucket, "hers/a")).await.unwrap();
    assert_eq!(last(&index).await["key"], put["key"]);

    let keys = ["hers/a", "hers/b", "hers/"];
    assert_eq!(told(&index, &bucket, &keys).await.len(), 8);
    let before = index.ledger_head().size;
    let erasure = erase(&index).await;
    assert_eq!(salt(&index), None);
    let accepted = last(&index).await;
    assert!(names(&accepted).is_empty() && accepted["erasure"] == erasure.id, "{accepted}");

    // What was under way is told of late, while her rows are still there and after.
    ask(used(vec![pseudonym()])).await;
    assert_eq!(last(&index).await["key-calls"][0]["unnamed"], 1);
    let late = Event { subject: Some(pseudonym()), ..of_key(Kind::GetObject, &bucket, "hers/b") };
    ask(late.clone()).await;
    ask(Event { whose: Some(pseudonym()), subject: None, ..late }.refused("ResidencyUnavailable")).await;
    let settled = Change::Settled { subject: pseudonym(), generation: Generation(9) };
    index.commit(settled, Event { subject: Some(pseudonym()), ..Event::new(Kind::SubjectSettled, Actor::System) }).await.unwrap();
    assert_eq!(told(&index, &bucket, &keys).await, Vec::<u64>::new());
    assert_eq!(salt(&index), None);
    assert_eq!(index.ledger_head().size, before + 5, "none of it is silent");

    // If she comes back it is under another name.
    let now = index.lookup(&ayesha()).unwrap().unwrap().generation;
    assert_eq!(salt(&index), None);
    put_hers(&index, &bucket, "hers/a").await;
    assert_eq!(salt(&index).unwrap().generation, now);
    let again = last(&index).await;
    assert!(again["subject"] != put["subject"] && again["key"] != put["key"], "{again}");
    assert_eq!(told(&index, &bucket, &keys).await, [again["seq"].as_u64().unwrap()]);
    check_whole(&index).await;
}

#[tokio::test]
async fn who_was_only_asked_about_can_be_erased_and_a_failed_erasure_names_nobody() {
    let (index, _) = prepared(Arc::new(MemoryEngine::new())).await;
    assert!(!index.knows(&ayesha()).await.unwrap());
    let asked = Event { subject: Some(pseudonym()), ..Event::new(Kind::AuditQuery, Actor::System) };
    index.commit(Change::Note, asked).await.unwrap();
    assert!(index.knows(&ayesha()).await.unwrap());
    erase(&index).await;
    assert!(!index.knows(&ayesha()).await.unwrap());
}

/// Whoever asks whether everything is gone must not be the one who gives what is told late a name again, beside the number of a record.
#[tokio::test]
async fn a_question_after_an_erasure_names_nothing_of_before() {
    let engine = Arc::new(MemoryEngine::new());
    let (index, bucket) = prepared(Arc::clone(&engine) as _).await;
    put_hers(&index, &bucket, "hers").await;
    erase(&index).await;
    let asked = || Event { subject: Some(pseudonym()), ..Event::new(Kind::AuditQuery, Actor::System) };
    index.commit(Change::Note, asked()).await.unwrap();
    let question = last(&index).await;
    assert_eq!(names(&question).len(), 1);
    drop(index);
    let index = open(engine);
    let ask = async |event: Event| drop(index.commit(Change::Note, event).await.unwrap());
    // While her rows are still there, and after.
    ask(about(Kind::GetObject, &bucket, "hers")).await;
    assert_eq!(names(&last(&index).await), Vec::<String>::new());
    let change = delete(&bucket, "hers", index.ticket().unwrap());
    index.commit(change, of_key(Kind::DeleteObject, &bucket, "hers")).await.unwrap();
    let deleted = last(&index).await;
    assert!(names(&deleted).is_empty() && deleted["record"].is_string(), "{deleted}");
    assert_eq!(told(&index, &bucket, &["hers"]).await, [question["seq"].as_u64().unwrap()]);
    // Asked for again she has the same name, and keeps it when she comes back.
    ask(asked()).await;
    assert_eq!(last(&index).await["subject"], question["subject"]);
    put_hers(&index, &bucket, "hers").await;
    assert_eq!(last(&index).await["subject"], question["subject"]);
    ask(about(Kind::GetObject, &bucket, "hers")).await;
    assert_eq!(names(&last(&index).await).len(), 2);
    check_whole(&index).await;
}

#[tokio::test]
async fn what_is_nobodys_keeps_the_name_that_the_keyring_makes() {
    let (index, bucket) = prepared(Arc::new(MemoryEngine::new())).await;
    index.commit(Change::Note, of_key(Kind::Refused, &bucket, "k").refused("AccessDenied")).await.unwrap();
    let names = index.ledger_names_of_key(&bucket.name, &key("k"), None).unwrap();
    assert_eq!((names.salted.len(), last(&index).await["key"].as_str()), (0, Some(&*names.plain.to_string())));
    assert_eq!((index.whose(&bucket.name, &key("k")).unwrap(), index.whose_prefix(&bucket.name, "").unwrap()), (None, None));
    // Keys of two people begin so: it is nobody's beginning.
    put_hers(&index, &bucket, "shared/a").await;
    index.commit(put(&bucket, "shared/b", record(&index, 1, SITES[0], "bilal")), event()).await.unwrap();
    assert_eq!(index.whose_prefix(&bucket.name, "shared/").unwrap(), None);
    assert_eq!(index.whose_prefix(&bucket.name, "shared/a").unwrap(), Some(pseudonym()));
}

#[tokio::test]
async fn a_salt_is_told_exported_and_gone_with_the_erasure_whatever_the_sites_give_back() {
    let (index, bucket) = prepared(Arc::new(MemoryEngine::new())).await;
    let told_all = Told::default();
    let listener = Listener::of(&index, &told_all);
    retell(&index).await;
    put_hers(&index, &bucket, "hers").await;
    assert!(salt(&index).is_some());
    replays(&index, &told_all).await;
    let (again, _) = imported(Arc::new(MemoryEngine::new()), &exported(&index).await);
    assert_eq!(salt(&again), salt(&index));
    let file = exported(&index).await;
    held(&index).await;
    let before = told_all.lock().clone();

    erase(&index).await;
    replays(&index, &told_all).await;
    // The journal is told again what is left, and nobody that a row is gone: the pieces of before are removed. Somebody puts them back.
    told_all.lock().clear();
    retell(&index).await;
    held(&index).await;
    let after = told_all.lock().clone();
    for order in [[&before, &after], [&after, &before]] {
        let engine: Arc<dyn Engine> = Arc::new(MemoryEngine::new());
        let mut replay = Replay::begin(Arc::clone(&engine), index_keys()).unwrap();
        order.into_iter().flatten().for_each(|group| replay.take(group).unwrap());
        replay.finish(Timestamp::from_seconds(9), &BTreeSet::new()).unwrap();
        let rebuilt = open(engine);
        assert_eq!((salt(&rebuilt), told(&rebuilt, &bucket, &["hers"]).await.len()), (None, 0));
    }
    // The same with an export of before.
    let engine: Arc<dyn Engine> = Arc::new(MemoryEngine::new());
    let mut replay = Replay::begin(Arc::clone(&engine), index_keys()).unwrap();
    replay.load(&file[..], [4; 16], |_| {}).unwrap();
    after.iter().for_each(|group| replay.take(group).unwrap());
    replay.finish(Timestamp::from_seconds(9), &BTreeSet::new()).unwrap();
    assert_eq!(salt(&open(engine)), None);

    // One of after comes back as any row does.
    put_hers(&index, &bucket, "hers").await;
    let (again, _) = imported(Arc::new(MemoryEngine::new()), &exported(&index).await);
    assert!(salt(&index).is_some() && salt(&again) == salt(&index));
    listener.stop().await;
}

/// Holds up a batch until it is told to go on.
#[derive(Default)]
struct Held {
    inner: MemoryEngine,
    closed: Mutex<bool>,
    opened: Condvar,
    batches: std::sync::atomic::AtomicUsize,
}

impl Engine for Held {
    fn get(&self, key: &[u8]) -> Result<Option<Value>, EngineError> {
        self.inner.get(key)
    }
    fn scan(&self, from: Bound<&[u8]>, to: Bound<&[u8]>, visit: Visit<'_>) -> Result<(), EngineError> {
        self.inner.scan(from, to, visit)
    }
    fn scan_back(&self, from: Bound<&[u8]>, to: Bound<&[u8]>, visit: Visit<'_>) -> Result<(), EngineError> {
        self.inner.scan_back(from, to, visit)
    }
    fn apply(&self, batch: Batch) -> Result<(), EngineError> {
        let mut closed = self.closed.lock();
        self.opened.wait_while(&mut closed, |closed| *closed);
        self.batches.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        self.inner.apply(batch)
    }
    fn is_resident(&self) -> bool {
        true
    }
    fn stats(&self) -> EngineStats {
        self.inner.stats()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_said_of_her_in_the_batch_of_her_erasure_is_of_before_or_of_after() {
    let engine = Arc::new(Held::default());
    let (index, bucket) = prepared(Arc::clone(&engine) as _).await;
    let bucket = &*bucket;
    let note = |event: Event| index.commit(Change::Note, event);
    let asked = || Event { subject: Some(pseudonym()), ..Event::new(Kind::AuditQuery, Actor::System) };
    let read = || about(Kind::GetObject, bucket, "hers");
    let before = engine.batches.load(std::sync::atomic::Ordering::SeqCst);
    *engine.closed.lock() = true;
    let mut first = Box::pin(note(event()));
    assert!(futures_util::poll!(&mut first).is_pending());
    // In the queue in this order, while the first is being applied: one batch.
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    let (change, event) = erasing(&index);
    let mut queued: Vec<LocalBoxFuture<'_, Result<Committed, CommitError>>> = vec![
        Box::pin(note(asked())),
        Box::pin(note(read())),
        Box::pin(index.commit(change, event)),
        Box::pin(note(read())),
        Box::pin(note(read().refused("AccessDenied"))),
        Box::pin(note(asked())),
        Box::pin(note(read())),
    ];
    for commit in &mut queued {
        assert!(futures_util::poll!(commit).is_pending());
    }
    *engine.closed.lock() = false;
    engine.opened.notify_all();
    first.await.unwrap();
    let committed: Vec<u64> =
        futures_util::future::join_all(queued).await.into_iter().map(|committed| committed.unwrap().ledger).collect();
    assert_eq!(engine.batches.load(std::sync::atomic::Ordering::SeqCst), before + 2, "all of it in one batch");
    let entries = entries(&index).await;
    let named: Vec<Vec<String>> = committed.iter().map(|seq| names(&entries[usize::try_from(*seq).unwrap()])).collect();
    assert_eq!(named.iter().map(Vec::len).collect::<Vec<_>>(), [1, 2, 0, 0, 0, 1, 0]);
    assert!(named[0][0] == named[1][0] && named[0] != named[5], "{named:?}");
    assert_eq!(told(&index, bucket, &["hers"]).await, committed[5..6]);
}

#[tokio::test]
async fn an_erasure_stands_with_its_salt_gone_across_a_restart() {
    let engine = Arc::new(MemoryEngine::new());
    let (index, bucket) = prepared(Arc::clone(&engine) as _).await;
    put_hers(&index, &bucket, "hers").await;
    assert_eq!(told(&index, &bucket, &["hers"]).await.len(), 1);
    erase(&index).await;
    drop(index);
    let index = open(engine);
    assert_eq!((salt(&index), index.pending_erasures().len()), (None, 1));
    assert_eq!(told(&index, &bucket, &["hers"]).await, Vec::<u64>::new());
    // What the restart finds to do names nobody.
    index.commit(Change::Note, about(Kind::GetObject, &bucket, "hers")).await.unwrap();
    assert_eq!((names(&last(&index).await), salt(&index)), (Vec::new(), None));
}
