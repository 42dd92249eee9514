//! Versions against a plain list of them, on both engines.

use super::{
    journal::{Listener, Told, replays, retell},
    *,
};
use crate::bucket::{LockMode, Retention, Setting, Versioning};

/// What a test does to a bucket.
#[derive(Debug, Clone)]
enum Step {
    /// A write; a late one took its ticket before the step that came before it.
    Put {
        key: usize,
        late: bool,
    },
    /// A delete of the key, late as a write can be.
    Delete {
        key: usize,
        late: bool,
    },
    /// A delete of the nth version of the key.
    DeleteVersion {
        key: usize,
        nth: usize,
    },
    Versioning(bool),
    List {
        limit: usize,
        delimiter: bool,
    },
    Reopen,
}

const KEYS: [&str; 4] = ["a", "a/b", "a/c\0", "b"];

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let key = 0..KEYS.len();
    let step = prop_oneof![
        6 => (key.clone(), prop::bool::weighted(0.2)).prop_map(|(key, late)| Step::Put { key, late }),
        3 => (key.clone(), prop::bool::weighted(0.2)).prop_map(|(key, late)| Step::Delete { key, late }),
        3 => (key, 0..6usize).prop_map(|(key, nth)| Step::DeleteVersion { key, nth }),
        2 => any::<bool>().prop_map(Step::Versioning),
        2 => (1..5usize, any::<bool>()).prop_map(|(limit, delimiter)| Step::List { limit, delimiter }),
        1 => Just(Step::Reopen),
    ];
    prop::collection::vec(step, 1..40)
}

#[derive(Debug, Clone, PartialEq)]
struct Expected {
    version: VersionId,
    ticket: Ticket,
    marker: bool,
}

/// The versions of every key, the newest first.
#[derive(Default)]
struct Model(BTreeMap<&'static str, Vec<Expected>>);

impl Model {
    fn add(&mut self, key: &'static str, new: Expected) {
        let versions = self.0.entry(key).or_default();
        if new.version == VersionId::Null
            && let Some(at) = versions.iter().position(|old| old.version == VersionId::Null)
        {
            if versions[at].ticket > new.ticket {
                return;
            }
            versions.remove(at);
        }
        let at = versions.partition_point(|old| old.ticket > new.ticket);
        versions.insert(at, new);
    }

    fn all(&self) -> Vec<(String, Expected, bool)> {
        let of = |(key, versions): (&&str, &Vec<Expected>)| {
            let key = (*key).to_owned();
            versions.iter().enumerate().map(move |(at, version)| (key.clone(), version.clone(), at == 0)).collect::<Vec<_>>()
        };
        self.0.iter().flat_map(of).collect()
    }
}

async fn pages(
    index: &Index,
    bucket: &Bucket,
    limit: usize,
    delimiter: Option<&str>,
) -> (Vec<(String, Expected, bool)>, Vec<String>) {
    let (mut versions, mut prefixes) = (Vec::new(), Vec::new());
    let mut next = None;
    loop {
        let (key_marker, version_marker) = next.take().map_or((None, None), |(key, version)| (Some(key), version));
        let delimiter = delimiter.map(str::to_owned);
        let query = VersionsQuery { bucket: bucket.id, prefix: String::new(), delimiter, key_marker, version_marker, limit };
        let page = index.versions(query).await.unwrap();
        assert!(page.versions.len() + page.common_prefixes.len() <= limit);
        let item = |item: VersionItem| {
            let VersionItem { key, summary, is_latest, .. } = item;
            (key, Expected { version: summary.version, ticket: summary.ticket, marker: summary.delete_marker }, is_latest)
        };
        versions.extend(page.versions.into_iter().map(item));
        prefixes.extend(page.common_prefixes);
        next = page.next;
        assert_eq!(page.truncated, next.is_some());
        if next.is_none() {
            return (versions, prefixes);
        }
    }
}

async fn compare(index: &Index, bucket: &Bucket, model: &Model) {
    assert_eq!(pages(index, bucket, 1000, None).await.0, model.all());
    let live: Vec<&str> =
        model.0.iter().filter(|(_, all)| all.first().is_some_and(|new| !new.marker)).map(|(key, _)| *key).collect();
    let listed = list_all(index, bucket, "", None, 100).await;
    let listed: Vec<&str> = listed
        .iter()
        .filter_map(|item| if let ListItem::Object { key, .. } = item { Some(key.as_str()) } else { None })
        .collect();
    assert_eq!(listed, live);
    for (name, versions) in &model.0 {
        for expected in versions {
            let found = index.version(bucket, &key(name), expected.version).unwrap().expect("a version that was written");
            assert_eq!((found.summary().ticket, found.summary().delete_marker), (expected.ticket, expected.marker));
        }
        let latest = index.latest(bucket, &key(name)).unwrap();
        assert_eq!(latest.map(|latest| latest.summary().ticket), versions.first().map(|first| first.ticket));
    }
}

async fn run(engine: Arc<dyn Engine>, steps: Vec<Step>) {
    let (mut index, bucket) = prepared(Arc::clone(&engine)).await;
    let told = Told::default();
    let mut listener = Listener::of(&index, &told);
    // What was committed before there was a journal.
    retell(&index).await;
    let mut versioning = Versioning::Off;
    let mut model = Model::default();
    let mut early = index.ticket().unwrap();
    for step in steps {
        let spare = index.ticket().unwrap();
        match step {
            Step::Put { key, late } => {
                let mut new = record(&index, 10, SITES[key % 2], "ayesha");
                if late {
                    new.summary.ticket = early;
                }
                if versioning == Versioning::Enabled {
                    new.summary.version = VersionId::new(new.summary.ticket, [0; 8]);
                }
                let expected = Expected { version: new.summary.version, ticket: new.summary.ticket, marker: false };
                model.add(KEYS[key], expected);
                index.commit(put(&bucket, KEYS[key], new), event()).await.unwrap();
            }
            Step::Delete { key, late } => {
                let ticket = if late { early } else { index.ticket().unwrap() };
                let deletion = deletion(&bucket, KEYS[key], ticket);
                match versioning {
                    Versioning::Off => {
                        model.0.entry(KEYS[key]).or_default().retain(|old| old.ticket > ticket);
                    }
                    Versioning::Enabled => model.add(KEYS[key], Expected { version: deletion.marker, ticket, marker: true }),
                    Versioning::Suspended => model.add(KEYS[key], Expected { version: VersionId::Null, ticket, marker: true }),
                }
                index.commit(Change::Delete(Box::new(deletion)), event()).await.unwrap();
            }
            Step::DeleteVersion { key, nth } => {
                let versions = model.0.entry(KEYS[key]).or_default();
                let gone = if nth < versions.len() { versions.remove(nth).version } else { VersionId::new(Ticket(3), [9; 8]) };
                let deletion = DeleteChange { version: Some(gone), ..deletion(&bucket, KEYS[key], index.ticket().unwrap()) };
                index.commit(Change::Delete(Box::new(deletion)), event()).await.unwrap();
            }
            Step::Versioning(on) => {
                versioning = if on { Versioning::Enabled } else { Versioning::Suspended };
                let change = Change::SetBucket {
                    name: bucket.name.clone(),
                    id: bucket.id,
                    setting: Box::new(Setting::Versioning(versioning)),
                };
                index.commit(change, event()).await.unwrap();
            }
            Step::List { limit, delimiter: false } => assert_eq!(pages(&index, &bucket, limit, None).await.0, model.all()),
            Step::List { limit, delimiter: true } => {
                let (versions, prefixes) = pages(&index, &bucket, limit, Some("/")).await;
                let under = |key: &str| key.starts_with("a/");
                let expected: Vec<_> = model.all().into_iter().filter(|(key, ..)| !under(key)).collect();
                assert_eq!(versions, expected);
                assert_eq!(prefixes.is_empty(), !model.all().iter().any(|(key, ..)| under(key)));
                assert!(prefixes.len() <= 1);
            }
            Step::Reopen => {
                listener.stop().await;
                drop(index);
                index = open(Arc::clone(&engine));
                listener = Listener::of(&index, &told);
            }
        }
        early = spare;
    }
    compare(&index, &bucket, &model).await;
    check_whole(&index).await;
    replays(&index, &told).await;
    retell(&index).await;
    replays(&index, &told).await;
    listener.stop().await;
    let found = index
        .search(RecordsQuery { subject: Some(SubjectId::new("ayesha").unwrap()), limit: 1000, ..Default::default() })
        .await
        .unwrap();
    assert_eq!(found.records.len(), model.all().iter().filter(|(_, version, _)| !version.marker).count());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn versions_are_those_of_the_model(steps in steps()) {
        Runtime::new().unwrap().block_on(run(Arc::new(MemoryEngine::new()), steps));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20))]
    #[test]
    fn versions_are_those_of_the_model_on_disk(steps in steps()) {
        let dir = tempfile::tempdir().unwrap();
        let engine = SledEngine::open(dir.path(), 8 << 20).unwrap();
        Runtime::new().unwrap().block_on(run(Arc::new(engine), steps));
    }
}

#[tokio::test]
async fn a_locked_version_stays() {
    let (index, bucket) = prepared(Arc::new(MemoryEngine::new())).await;
    let lock =
        |mode, seconds| Lock { retention: Some(Retention { mode, until: Timestamp::from_seconds(seconds) }), legal_hold: None };
    let mut kept = record(&index, 1, SITES[0], "s");
    kept.detail.lock = lock(LockMode::Governance, i64::MAX / 4000);
    let (ticket, id) = (kept.summary.ticket, kept.summary.id);
    index.commit(put(&bucket, "k", kept), event()).await.unwrap();
    // It is the null version of a bucket without versioning: neither a write nor a delete may take its place.
    let refused = index.commit(put(&bucket, "k", record(&index, 1, SITES[0], "s")), event()).await;
    assert!(matches!(refused, Err(CommitError::Locked)));
    let refused = index.commit(delete(&bucket, "k", index.ticket().unwrap()), event()).await;
    assert!(matches!(refused, Err(CommitError::Locked)));
    let update = |retention, bypass_governance| UpdateChange {
        bucket: bucket.id,
        key: key("k"),
        record: id,
        ticket,
        update: RecordUpdate::Retention { retention, bypass_governance },
        basis: None,
    };
    let refused = index.commit(Change::Update(Box::new(update(None, false))), event()).await;
    assert!(matches!(refused, Err(CommitError::Locked)));
    let hold = UpdateChange { update: RecordUpdate::LegalHold(true), ..update(None, false) };
    index.commit(Change::Update(Box::new(hold)), event()).await.unwrap();
    index.commit(Change::Update(Box::new(update(None, true))), event()).await.unwrap();
    let version = DeleteChange {
        version: Some(VersionId::Null),
        bypass_governance: true,
        ..deletion(&bucket, "k", index.ticket().unwrap())
    };
    let refused = index.commit(Change::Delete(Box::new(version.clone())), event()).await;
    assert!(matches!(refused, Err(CommitError::Locked)), "a legal hold knows no bypass");
    let release = UpdateChange { update: RecordUpdate::LegalHold(false), ..update(None, false) };
    index.commit(Change::Update(Box::new(release)), event()).await.unwrap();
    index.commit(Change::Delete(Box::new(version)), event()).await.unwrap();
    assert!(index.current(&bucket, &key("k")).unwrap().is_none());
    check_whole(&index).await;
}
