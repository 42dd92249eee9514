//! Policy sets that fail on their way into force: the set that decides, its files, its place in the history and the ledger's entries are
//! there together or not at all.

use domicile::{
    audit::{Actor, By, Event, Kind},
    index::{Change, CommitError, Committed, Index, PolicyChange, PolicyOrder, PolicyState, PolicyTexts},
    types::{PolicyRevision, PrincipalId},
};
use fail::FailScenario;

use crate::{STEPS, Survives, gateway::POINTS, open};

fn set(byte: u8) -> PolicyRevision {
    PolicyRevision::from_bytes([byte; 32])
}

fn order(byte: u8, held_against: Option<u8>) -> PolicyOrder {
    PolicyOrder {
        revision: set(byte),
        texts: PolicyTexts::from([("gateway.toml".to_owned(), format!("# {byte}"))]),
        by: By::Signal,
        comment: None,
        held_against: held_against.map(set),
        allows_more: Some(true),
        rollback: false,
        passed_over: None,
    }
}

async fn step(index: &Index, kind: Kind, change: PolicyChange) -> Result<Committed, CommitError> {
    index.commit(Change::Policy(Box::new(change)), Event::new(kind, Actor::Signal)).await
}

/// What is in force, what is proposed, how many entries there are, and whether the files of the second set are kept.
async fn found(index: &Index) -> (Option<PolicyRevision>, Option<PolicyRevision>, usize, bool) {
    let standing = index.policy_standing();
    let in_force = standing.in_force.as_ref().map(|entry| entry.revision);
    assert_eq!(in_force, index.policy(), "what decides is what the history says");
    let history = index.policy_history(None, 100).await.unwrap();
    assert_eq!(history.iter().filter(|entry| entry.state == PolicyState::InForce).count(), 1);
    let proposed = standing.proposed.as_ref().map(|entry| entry.revision);
    (in_force, proposed, history.len(), index.policy_texts(set(2)).unwrap().is_some())
}

#[test]
fn a_policy_set_that_fails_on_its_way_into_force_is_whole_or_absent() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let _alone = POINTS.blocking_write();
    for (point, action, survives) in STEPS {
        for approves in [false, true] {
            let case = format!("{point}, {}", if approves { "an approval" } else { "a reload" });
            let folder = tempfile::tempdir().unwrap();
            let scenario = FailScenario::setup();
            let index = open(folder.path());
            runtime.block_on(step(&index, Kind::PolicyActivated, PolicyChange::Activate(order(1, None)))).unwrap();
            if approves {
                runtime.block_on(step(&index, Kind::PolicyProposed, PolicyChange::Propose(order(2, Some(1))))).unwrap();
            }
            let (before, entries) = (runtime.block_on(found(&index)), index.ledger_head().size);

            fail::cfg(point, action).unwrap();
            let (kind, change) = match approves {
                false => (Kind::PolicyActivated, PolicyChange::Activate(order(2, Some(1)))),
                true => {
                    let by = By::Token(PrincipalId::new("ann").unwrap());
                    (Kind::PolicyApproved, PolicyChange::Approve(set(2), by, Default::default(), None))
                }
            };
            assert!(runtime.block_on(step(&index, kind, change)).is_err(), "{case}: acknowledged");
            fail::remove(point);
            drop(index);
            scenario.teardown();

            let index = open(folder.path());
            let after = runtime.block_on(found(&index));
            let happened = after.0 == Some(set(2));
            assert!(survives == Survives::Either || happened == (survives == Survives::Always), "{case}: {after:?}");
            if happened {
                assert_eq!(after, (Some(set(2)), None, 2, true), "{case}");
            } else {
                assert_eq!(after, before, "{case}");
            }
            // An approval and the activation are two entries of one commit.
            let told = if approves { 2 } else { 1 };
            assert_eq!(index.ledger_head().size, entries + if happened { told } else { 0 }, "{case}");
        }
    }
}
