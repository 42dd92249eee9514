//! What is left when the process, or one step, fails at each point of a commit and of the ways to it: all of a write or none of it,
//! never a part, and nothing that was acknowledged is lost.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests, outside a test function")]

#[path = "failpoints/acts.rs"]
mod acts;
#[path = "failpoints/gateway.rs"]
mod gateway;
#[path = "failpoints/harness.rs"]
mod harness;
#[path = "failpoints/inventory.rs"]
mod inventory;
#[path = "failpoints/policies.rs"]
mod policies;
#[path = "failpoints/stock.rs"]
mod stock;

use std::{path::Path, sync::Arc};

use domicile::{
    audit::{Actor, Event, Kind, note::Signer},
    clock::SystemClock,
    index::{Change, Index, IndexKeys, SledEngine, StoredLedger},
    kms::{Pseudonyms, SecretKey},
    types::{AccountId, BucketName},
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
    let keys = IndexKeys {
        index_key: key(1),
        ledger_key: key(2),
        log: Signer::new("domicile/test", &[2; 32]).unwrap(),
        pseudonyms: Arc::new(Pseudonyms::new(key(3))),
    };
    let engine = Arc::new(SledEngine::open(folder, 16 << 20).unwrap());
    Index::open(engine, keys, Arc::new(SystemClock)).unwrap()
}

fn create(name: &str) -> (Change, Event) {
    let name = BucketName::new(name).unwrap();
    let change = Change::CreateBucket { name, owner: AccountId::new("tests").unwrap(), region: None, settings: Box::default() };
    (change, Event::new(Kind::CreateBucket, Actor::System))
}

fn bucket(index: &Index, name: &str) -> bool {
    index.bucket(&BucketName::new(name).unwrap()).unwrap().is_some()
}

/// The process in which a gateway fails; the other tests start it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "started by the tests of gateways"]
async fn child() {
    if std::env::var_os(harness::ACT).is_some() {
        harness::child().await;
    }
}

/// One test for all steps: failpoints are of the whole process, and no gateway may be in it meanwhile.
#[test]
fn a_commit_that_fails_at_any_step_is_whole_or_absent() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let _alone = gateway::POINTS.blocking_write();
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
        StoredLedger::open(&engine).unwrap().verify(&[], true).unwrap().unwrap();
    }
}
