//! Policy sets on their way into force.

use super::{journal::*, *};
use crate::{
    audit::{Actor, By, Kind},
    index::{FolderSet, MAX_POLICY_TEXTS, PolicyConflict, PolicyOrder, PolicyState, PolicyTexts},
    types::PrincipalId,
};

fn set(byte: u8) -> PolicyRevision {
    PolicyRevision::from_bytes([byte; 32])
}

fn texts(byte: u8) -> PolicyTexts {
    [("gateway.toml".to_owned(), format!("# {byte}"))].into()
}

fn token(id: &str) -> By {
    By::Token(PrincipalId::new(id).unwrap())
}

fn order(byte: u8, by: By, held_against: Option<u8>) -> PolicyOrder {
    PolicyOrder {
        revision: set(byte),
        texts: texts(byte),
        by,
        comment: Some(format!("because of {byte}")),
        held_against: held_against.map(set),
        allows_more: Some(true),
        rollback: false,
        passed_over: None,
    }
}

async fn step(index: &Index, kind: Kind, change: PolicyChange) -> Result<Committed, CommitError> {
    let event = Event { record_refusal: true, ..Event::new(kind, Actor::System) };
    index.commit(Change::Policy(Box::new(change)), event).await
}

async fn activate(index: &Index, order: PolicyOrder) -> Result<Committed, CommitError> {
    step(index, Kind::PolicyActivated, PolicyChange::Activate(order)).await
}

async fn propose(index: &Index, order: PolicyOrder) -> Result<Committed, CommitError> {
    step(index, Kind::PolicyProposed, PolicyChange::Propose(order)).await
}

async fn approve(index: &Index, byte: u8, by: By) -> Result<Committed, CommitError> {
    approve_as(index, byte, by, &[]).await
}

/// By somebody with other names besides.
async fn approve_as(index: &Index, byte: u8, by: By, names: &[&str]) -> Result<Committed, CommitError> {
    let names = names.iter().map(|name| PrincipalId::new(name).unwrap()).collect();
    step(index, Kind::PolicyApproved, PolicyChange::Approve(set(byte), by, names, Some("fine".to_owned()))).await
}

async fn reject(index: &Index, byte: u8, by: By) -> Result<Committed, CommitError> {
    step(index, Kind::PolicyRejected, PolicyChange::Reject(set(byte), by, None)).await
}

/// The sets and their states, the newest first.
async fn history(index: &Index) -> Vec<(u8, PolicyState)> {
    let entries = index.policy_history(None, 100).await.unwrap();
    entries.iter().map(|entry| (entry.revision.as_bytes()[0], entry.state)).collect()
}

/// Kind, code of refusal and number in the history of the ledger's entries about policies.
async fn told(index: &Index) -> Vec<(String, String, u64)> {
    let entries = index.ledger_entries(0, 1000).await.unwrap();
    let entries = entries.iter().map(|entry| serde_json::from_slice::<serde_json::Value>(entry).unwrap());
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let entry = |entry: serde_json::Value| {
        (text(&entry["kind"]), text(&entry["outcome"]["refused"]["code"]), entry["policy"]["number"].as_u64().unwrap_or_default())
    };
    entries.map(entry).filter(|(kind, _, _)| kind.starts_with("policy-")).collect()
}

fn refused(result: Result<Committed, CommitError>) -> PolicyConflict {
    match result {
        Err(CommitError::Policy(conflict)) => conflict,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_set_comes_into_force_with_its_files_its_entry_and_the_ledgers() {
    let index = open(Arc::new(MemoryEngine::new()));
    activate(&index, order(1, By::System, None)).await.unwrap();
    activate(&index, order(2, token("ann"), Some(1))).await.unwrap();
    // The same again is no new entry, but the files with its comments and cases as they are now.
    let again = PolicyOrder { texts: texts(9), ..order(2, By::Signal, Some(2)) };
    activate(&index, again).await.unwrap();
    assert_eq!(index.policy(), Some(set(2)));
    assert_eq!(history(&index).await, [(2, PolicyState::InForce), (1, PolicyState::Superseded)]);
    assert_eq!(index.policy_texts(set(1)).unwrap(), Some(texts(1)));
    assert_eq!(index.policy_texts(set(2)).unwrap(), Some(texts(9)));
    assert_eq!(index.policy_texts(set(3)).unwrap(), None);
    let entry = index.policy_standing().in_force.clone().unwrap();
    assert_eq!(
        (entry.before, entry.asked.by, entry.asked.comment.as_deref()),
        (Some(set(1)), token("ann"), Some("because of 2"))
    );
    let kinds: Vec<_> = told(&index).await.into_iter().map(|(kind, _, number)| (kind, number)).collect();
    let activated = |number| ("policy-activated".to_owned(), number);
    assert_eq!(kinds, [activated(1), activated(2), activated(2)]);
    assert_eq!(index.policies_named("0202").unwrap(), [set(2)]);
    assert_eq!(index.policies_named("0").unwrap().len(), 2);
}

#[tokio::test]
async fn one_person_with_two_names_is_not_two() {
    let index = open(Arc::new(MemoryEngine::new()));
    activate(&index, order(1, By::System, None)).await.unwrap();
    propose(&index, order(2, token("ann"), Some(1))).await.unwrap();
    let again = approve_as(&index, 2, token("oidc.ann"), &["ann", "ann-2", "oidc.ann"]).await;
    assert_eq!(refused(again), PolicyConflict::SamePerson);
    approve_as(&index, 2, token("oidc.ben"), &["ben", "oidc.ben"]).await.unwrap();
    assert_eq!(index.policy(), Some(set(2)));
}

#[tokio::test]
async fn a_proposal_takes_two_and_the_set_that_it_was_held_against() {
    let index = open(Arc::new(MemoryEngine::new()));
    activate(&index, order(1, By::System, None)).await.unwrap();
    assert_eq!(refused(propose(&index, order(2, token("ann"), Some(7))).await), PolicyConflict::OtherInForce);
    propose(&index, order(2, token("ann"), Some(1))).await.unwrap();
    assert_eq!(index.policy(), Some(set(1)), "the old set stays");
    assert_eq!(refused(approve(&index, 3, token("ben")).await), PolicyConflict::NotProposed);
    assert_eq!(refused(approve(&index, 2, token("ann")).await), PolicyConflict::SamePerson);
    // Asked for again by another, it is still the first one's.
    propose(&index, order(2, token("ben"), Some(1))).await.unwrap();
    assert_eq!(refused(approve(&index, 2, token("ann")).await), PolicyConflict::SamePerson);
    approve(&index, 2, token("ben")).await.unwrap();
    assert_eq!(index.policy(), Some(set(2)));
    let entry = index.policy_standing().in_force.clone().unwrap();
    assert_eq!((entry.asked.by, entry.decided.unwrap().by), (token("ann"), token("ben")));
    assert_eq!(history(&index).await, [(2, PolicyState::InForce), (1, PolicyState::Superseded)]);

    // Something else comes into force meanwhile.
    propose(&index, order(3, By::Signal, Some(2))).await.unwrap();
    activate(&index, order(4, token("ann"), Some(2))).await.unwrap();
    assert_eq!(refused(approve(&index, 3, token("ann")).await), PolicyConflict::NotProposed);
    let entries = told(&index).await;
    let refusals: Vec<_> = entries.iter().filter(|(_, code, _)| !code.is_empty()).map(|(_, code, _)| code.as_str()).collect();
    assert_eq!(refusals, ["other-in-force", "not-proposed", "same-person", "same-person", "not-proposed"]);
    let approved = entries.iter().position(|(kind, code, _)| kind == "policy-approved" && code.is_empty()).unwrap();
    assert_eq!((entries[approved].2, entries[approved + 1].0.as_str(), entries[approved + 1].2), (2, "policy-activated", 2));
    assert_eq!(entries[approved + 1].1, "");
}

#[tokio::test]
async fn a_newer_proposal_replaces_an_older_and_what_is_rejected_is_put_aside() {
    let index = open(Arc::new(MemoryEngine::new()));
    activate(&index, order(1, By::System, None)).await.unwrap();
    propose(&index, order(2, By::Signal, Some(1))).await.unwrap();
    propose(&index, order(3, By::Signal, Some(1))).await.unwrap();
    assert_eq!(refused(approve(&index, 2, token("ann")).await), PolicyConflict::NotProposed);
    reject(&index, 3, token("ann")).await.unwrap();
    assert_eq!(refused(reject(&index, 3, token("ann")).await), PolicyConflict::NotProposed);
    let expected = [(3, PolicyState::Rejected), (2, PolicyState::Superseded), (1, PolicyState::InForce)];
    assert_eq!(history(&index).await, expected);
    let passed_over = index.policy_standing().in_force.clone().unwrap().passed_over.unwrap();
    assert!(passed_over.is_same(&FolderSet::of(set(3), &texts(3))));
    assert!(passed_over.is_same(&FolderSet::of(set(8), &texts(3))), "the same files under another name");
    assert!(!passed_over.is_same(&FolderSet::of(set(2), &texts(2))));
    // What comes into force next forgets it.
    activate(&index, order(4, By::System, Some(1))).await.unwrap();
    assert_eq!(index.policy_standing().in_force.clone().unwrap().passed_over, None);
}

#[tokio::test]
async fn a_rollback_says_so_in_the_history_and_the_ledger_also_when_it_is_approved() {
    let index = open(Arc::new(MemoryEngine::new()));
    activate(&index, order(1, By::System, None)).await.unwrap();
    activate(&index, order(2, By::System, Some(1))).await.unwrap();
    let back = |byte, against| PolicyOrder { rollback: true, ..order(byte, token("ann"), Some(against)) };
    step(&index, Kind::PolicyRolledBack, PolicyChange::Activate(back(1, 2))).await.unwrap();
    assert_eq!(history(&index).await, [(1, PolicyState::InForce), (2, PolicyState::RolledBack), (1, PolicyState::Superseded)]);
    propose(&index, back(2, 1)).await.unwrap();
    approve(&index, 2, token("ben")).await.unwrap();
    assert_eq!(history(&index).await[..2], [(2, PolicyState::InForce), (1, PolicyState::RolledBack)]);
    let kinds: Vec<String> = told(&index).await.into_iter().map(|(kind, _, _)| kind).collect();
    let expected = [
        "policy-activated",
        "policy-activated",
        "policy-rolled-back",
        "policy-activated",
        "policy-proposed",
        "policy-approved",
        "policy-rolled-back",
        "policy-activated",
    ];
    assert_eq!(kinds, expected);
    // A rollback that was rejected says nothing of the folder.
    propose(&index, back(1, 2)).await.unwrap();
    reject(&index, 1, token("ann")).await.unwrap();
    assert_eq!(index.policy_standing().in_force.clone().unwrap().passed_over, None);
}

#[tokio::test]
async fn a_set_that_is_too_large_to_keep_does_not_come_into_force() {
    let index = open(Arc::new(MemoryEngine::new()));
    activate(&index, order(1, By::System, None)).await.unwrap();
    let large = PolicyTexts::from([("gateway.toml".to_owned(), "#".repeat(MAX_POLICY_TEXTS))]);
    let order = PolicyOrder { texts: large, ..order(2, By::System, Some(1)) };
    assert_eq!(refused(activate(&index, order).await), PolicyConflict::TooLarge);
    assert_eq!(index.policy(), Some(set(1)));
}

#[tokio::test]
async fn sets_and_history_outlive_a_restart_and_a_rebuild() {
    let engine: Arc<dyn Engine> = Arc::new(MemoryEngine::new());
    let index = open(Arc::clone(&engine));
    let told = Told::default();
    let listener = Listener::of(&index, &told);
    activate(&index, order(1, By::System, None)).await.unwrap();
    propose(&index, order(2, token("ann"), Some(1))).await.unwrap();
    approve(&index, 2, token("ben")).await.unwrap();
    propose(&index, order(3, By::Signal, Some(2))).await.unwrap();
    replays(&index, &told).await;
    let standing = index.policy_standing();
    assert_eq!(standing.proposed.as_ref().map(|entry| entry.revision), Some(set(3)));
    let entries = index.policy_history(None, 100).await.unwrap();
    listener.stop().await;
    drop(index);
    let index = open(engine);
    assert_eq!(index.policy_standing(), standing);
    assert_eq!(index.policy_history(None, 100).await.unwrap(), entries);
    assert_eq!(index.policy_history(Some(3), 1).await.unwrap(), entries[1..2]);
    approve(&index, 3, token("ann")).await.unwrap();
    assert_eq!(index.policy(), Some(set(3)));
}
