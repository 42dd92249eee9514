//! Policy sets on their way into force. The set that decides, its entry in the history and its files are rows of one batch: no write is ever
//! decided by a set that the index does not know.

use std::collections::BTreeSet;

use super::{
    group::{Group, sealed},
    plan::{Draft, Planned},
};
use crate::{
    audit::{By, Kind, PolicyStep},
    index::{
        CommitError, FolderSet, MAX_POLICY_TEXTS, PolicyChange, PolicyConflict, PolicyEntry, PolicyOrder, PolicyStanding,
        PolicyState, PolicyTexts, Said, keys,
    },
    types::{PolicyRevision, PrincipalId},
};

/// What a set asks for.
fn refuse<T>(conflict: PolicyConflict) -> Result<T, CommitError> {
    Err(CommitError::Policy(conflict))
}

impl Group<'_> {
    pub(super) fn policy(&self, change: PolicyChange) -> Planned {
        match change {
            PolicyChange::Activate(order) => self.activate(order),
            PolicyChange::Propose(order) => self.propose(order),
            PolicyChange::Approve(revision, by, names, comment) => self.approve(revision, by, &names, comment),
            PolicyChange::Reject(revision, by, comment) => self.reject(revision, by, comment),
        }
    }

    fn activate(&self, order: PolicyOrder) -> Planned {
        self.still_stands(order.held_against)?;
        let standing = self.state.policies.as_ref();
        let mut draft = Draft::default();
        keep_texts(&mut draft, order.revision, &order.texts)?;
        if order.rollback {
            draft.also.push(Kind::PolicyActivated);
        }
        let current = standing.in_force.as_ref().filter(|entry| entry.revision == order.revision);
        if let Some(current) = current {
            // Nothing else comes into force; at the most, what the folder holds is looked at otherwise from now on.
            let entry = PolicyEntry { passed_over: order.passed_over, ..current.clone() };
            let standing = PolicyStanding { in_force: Some(entry.clone()), ..standing.clone() };
            return self.standing(draft, standing, &[&entry]);
        }
        let entry = match standing.proposed.as_ref().filter(|entry| entry.revision == order.revision) {
            // What waited need not wait any more.
            Some(proposed) => PolicyEntry { passed_over: order.passed_over, ..proposed.clone() },
            None => self.entry(order, standing.last + 1),
        };
        self.put_in_force(draft, entry)
    }

    fn propose(&self, order: PolicyOrder) -> Planned {
        self.still_stands(order.held_against)?;
        let standing = self.state.policies.as_ref();
        let mut draft = Draft::default();
        keep_texts(&mut draft, order.revision, &order.texts)?;
        let same = |entry: &&PolicyEntry| {
            entry.revision == order.revision && entry.rollback == order.rollback && entry.before == self.state.policy
        };
        if let Some(same) = standing.proposed.as_ref().filter(same) {
            // Whoever proposed it first did.
            draft.committed.policy = Some(Box::new(same.clone()));
            return Ok(draft);
        }
        let entry = PolicyEntry { state: PolicyState::Proposed, ..self.entry(order, standing.last + 1) };
        let replaced = standing.proposed.as_ref().map(|old| self.ended(old, PolicyState::Superseded));
        let rows: Vec<&PolicyEntry> = replaced.iter().chain([&entry]).collect();
        let standing = PolicyStanding { proposed: Some(entry.clone()), last: entry.number, ..standing.clone() };
        self.standing(draft, standing, &rows)
    }

    fn approve(&self, revision: PolicyRevision, by: By, names: &BTreeSet<PrincipalId>, comment: Option<String>) -> Planned {
        let proposed = self.proposed(revision)?;
        if proposed.before != self.state.policy {
            return refuse(PolicyConflict::OtherInForce);
        }
        if let By::Token(proposer) = &proposed.asked.by
            && (proposed.asked.by == by || names.contains(proposer))
        {
            return refuse(PolicyConflict::SamePerson);
        }
        let mut draft = Draft::default();
        if proposed.rollback {
            draft.also.push(Kind::PolicyRolledBack);
        }
        draft.also.push(Kind::PolicyActivated);
        let decided = Some(Said { at: self.now, by, comment });
        self.put_in_force(draft, PolicyEntry { decided, ..proposed })
    }

    fn reject(&self, revision: PolicyRevision, by: By, comment: Option<String>) -> Planned {
        let proposed = self.proposed(revision)?;
        let decided = Some(Said { at: self.now, by, comment });
        let rejected = PolicyEntry { decided, ..self.ended(&proposed, PolicyState::Rejected) };
        let mut standing = PolicyStanding { proposed: None, ..self.state.policies.as_ref().clone() };
        // What was rejected is not proposed again by a mere start.
        if let Some(in_force) = standing.in_force.as_mut().filter(|_| !rejected.rollback) {
            let texts: Option<PolicyTexts> = self.row(&keys::policy_texts(&revision))?;
            in_force.passed_over = Some(FolderSet::of(revision, &texts.unwrap_or_default()));
        }
        let in_force = standing.in_force.clone();
        let rows: Vec<&PolicyEntry> = [&rejected].into_iter().chain(&in_force).collect();
        let mut draft = self.standing(Draft::default(), standing, &rows)?;
        draft.committed.policy = Some(Box::new(rejected));
        Ok(draft)
    }

    /// The end of every way into force.
    fn put_in_force(&self, mut draft: Draft, entry: PolicyEntry) -> Planned {
        let standing = self.state.policies.as_ref();
        let entry = PolicyEntry { state: PolicyState::InForce, in_force: Some(self.now), ..entry };
        let left = if entry.rollback { PolicyState::RolledBack } else { PolicyState::Superseded };
        let before = standing.in_force.as_ref().map(|old| self.ended(old, left));
        let other = standing.proposed.as_ref().filter(|proposed| proposed.number != entry.number);
        let dropped = other.map(|old| self.ended(old, PolicyState::Superseded));
        draft.put(keys::POLICY.to_vec(), sealed(&entry.revision)?);
        draft.policy = Some(entry.revision);
        let rows: Vec<&PolicyEntry> = before.iter().chain(&dropped).chain([&entry]).collect();
        let last = standing.last.max(entry.number);
        self.standing(draft, PolicyStanding { in_force: Some(entry.clone()), proposed: None, last }, &rows)
    }

    /// Writes entries, the last of which is the one that the change is about.
    fn standing(&self, mut draft: Draft, standing: PolicyStanding, rows: &[&PolicyEntry]) -> Planned {
        for entry in rows {
            draft.put(keys::policy_entry(entry.number), sealed(entry)?);
        }
        draft.committed.policy = rows.last().map(|entry| Box::new((*entry).clone()));
        draft.policies = Some(standing);
        Ok(draft)
    }

    fn entry(&self, order: PolicyOrder, number: u64) -> PolicyEntry {
        PolicyEntry {
            number,
            revision: order.revision,
            state: PolicyState::InForce,
            before: self.state.policy,
            asked: Said { at: self.now, by: order.by, comment: order.comment },
            decided: None,
            in_force: None,
            ended: None,
            rollback: order.rollback,
            allows_more: order.allows_more,
            passed_over: order.passed_over,
        }
    }

    fn ended(&self, entry: &PolicyEntry, state: PolicyState) -> PolicyEntry {
        PolicyEntry { state, ended: Some(self.now), ..entry.clone() }
    }

    fn proposed(&self, revision: PolicyRevision) -> Result<PolicyEntry, CommitError> {
        let proposed = self.state.policies.proposed.as_ref().filter(|entry| entry.revision == revision);
        proposed.cloned().ok_or(CommitError::Policy(PolicyConflict::NotProposed))
    }

    fn still_stands(&self, held_against: Option<PolicyRevision>) -> Result<(), CommitError> {
        if held_against.is_some() && held_against != self.state.policy {
            return refuse(PolicyConflict::OtherInForce);
        }
        Ok(())
    }
}

fn keep_texts(draft: &mut Draft, revision: PolicyRevision, texts: &PolicyTexts) -> Result<(), CommitError> {
    if texts.is_empty() {
        return Ok(());
    }
    if texts.iter().map(|(path, text)| path.len() + text.len()).sum::<usize>() > MAX_POLICY_TEXTS {
        return refuse(PolicyConflict::TooLarge);
    }
    draft.put(keys::policy_texts(&revision), sealed(texts)?);
    Ok(())
}

/// What the ledger says of an entry.
pub(super) fn step(entry: &PolicyEntry) -> PolicyStep {
    PolicyStep {
        number: entry.number,
        before: entry.before,
        proposed_by: Some(entry.asked.by.clone()),
        allows_more: entry.allows_more,
        rollback: entry.rollback,
    }
}
