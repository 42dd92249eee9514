//! What is left of a commit when the process fails at each of its steps: all of it or none of it, never a part.
#![expect(clippy::unwrap_used, reason = "helpers of tests, outside a test function")]

use std::{path::Path, sync::Arc};

use domicile::{
    audit::{self, Actor, Event, Kind},
    clock::SystemClock,
    index::{Change, Index, IndexKeys, SledEngine, read_ledger},
    kms::{Pseudonyms, SecretKey},
    types::{BucketName, PrincipalId},
};
use fail::FailScenario;

/// A change is in the catalogue after the restart if, and only if, its batch had reached the engine.
const STEPS: [(&str, &str, Survives); 3] = [
    ("index::before-apply", "panic", Survives::Never),
    ("index::after-apply", "return", Survives::Either),
    ("index::after-sync", "panic", Survives::Always),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Survives {
    Never,
    Either,
    Always,
}

fn open(folder: &Path) -> Index {
    let key = |byte| SecretKey::from_slice(&[byte; 32]).unwrap();
    let keys = IndexKeys { index_key: key(1), ledger_key: key(2), pseudonyms: Arc::new(Pseudonyms::new(key(3))) };
    let engine = Arc::new(SledEngine::open(folder, 16 << 20).unwrap());
    Index::open(engine, keys, Arc::new(SystemClock)).unwrap()
}

fn create(name: &str) -> (Change, Event) {
    let name = BucketName::new(name).unwrap();
    let change = Change::CreateBucket { name, owner: PrincipalId::new("tests").unwrap(), region: None, settings: Box::default() };
    (change, Event::new(Kind::CreateBucket, Actor::System))
}

fn bucket(index: &Index, name: &str) -> bool {
    index.bucket(&BucketName::new(name).unwrap()).unwrap().is_some()
}

/// One test for all steps: failpoints are of the whole process.
#[test]
fn a_commit_that_fails_at_any_step_is_whole_or_absent() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    for (step, action, survives) in STEPS {
        let folder = tempfile::tempdir().unwrap();
        let scenario = FailScenario::setup();
        let index = open(folder.path());
        let (change, event) = create("before");
        runtime.block_on(index.commit(change, event)).unwrap();
        let entries = index.ledger_head().size;

        fail::cfg(step, action).unwrap();
        let (change, event) = create("during");
        assert!(runtime.block_on(index.commit(change, event)).is_err(), "{step}: acknowledged");
        fail::remove(step);
        let (change, event) = create("after");
        assert!(runtime.block_on(index.commit(change, event)).is_err(), "{step}: a failed index takes commits");
        drop(index);
        scenario.teardown();

        let index = open(folder.path());
        assert!(bucket(&index, "before"), "{step}: lost what was acknowledged");
        assert!(!bucket(&index, "after"), "{step}: kept what came after the failure");
        let there = bucket(&index, "during");
        assert!(survives == Survives::Either || there == (survives == Survives::Always), "{step}: there is {there}");
        assert_eq!(index.ledger_head().size, entries + u64::from(there), "{step}: the ledger entry goes with the change");
        assert_eq!(runtime.block_on(index.recount()).unwrap(), index.summary(), "{step}: counters");
        drop(index);

        let engine = SledEngine::open(folder.path(), 16 << 20).unwrap();
        let ledger = read_ledger(&engine).unwrap();
        audit::verify(&ledger.entries, &ledger.head.into_iter().collect::<Vec<_>>()).unwrap();
    }
}
