//! Which policy set a gateway starts with: the folder's, or the one that was last in force.
//!
//! A start is no way around an approval, nor around a rollback. So the folder's set comes into force by a mere start only when nobody has to
//! approve it and nobody has put it aside; otherwise the gateway serves what it served last, from the index. A folder that cannot be
//! read stops the start all the same: what its mistake was to forbid is not known, and whoever starts a gateway is there to mend it.

use super::{StartError, open::ReadSet};
use crate::audit::{By, Kind};
use crate::index::{FolderSet, Index, PolicyChange, PolicyEntry, PolicyOrder, PolicyTexts};
use crate::policy::{Approval, Available, PolicySet, diff};

/// The set to serve, and the steps that tell the index so, in their order.
#[derive(Debug)]
pub(super) struct Resumed {
    pub(super) set: PolicySet,
    pub(super) steps: Vec<(Kind, PolicyChange)>,
}

/// Decides it.
pub(super) fn resume(
    index: &Index,
    folder: ReadSet,
    available: &Available,
    approval: Approval,
    today: time::Date,
) -> Result<Resumed, StartError> {
    let standing = index.policy_standing();
    // The set in force is known also where its entry in the history is lost, as a rebuild from journals with a gap can lose it.
    let Some(last) = index.policy() else { return Ok(by_folder(index, folder)) };
    let passed_over = standing.in_force.as_ref().and_then(|entry| entry.passed_over);
    let put_aside = passed_over.is_some_and(|passed| passed.is_same(&folder.folder()));
    if last == folder.set.revision() || (approval == Approval::Never && !put_aside) {
        return Ok(by_folder(index, folder));
    }
    // An index of before sets were kept: there is nothing to hold the folder against.
    let Some(texts) = index.policy_texts(last)?.or(standing.in_force.is_some().then(PolicyTexts::new)) else {
        return Ok(by_folder(index, folder));
    };
    let kept = ReadSet::of(texts, available).map_err(|mistakes| StartError::KeptPolicies { revision: last, mistakes })?;
    // A later version of the program may call the same set otherwise.
    if kept.set.revision() == folder.set.revision() {
        return Ok(by_folder(index, folder));
    }
    if put_aside {
        tracing::warn!(in_force = %kept.set.revision(), folder = %folder.set.revision(), "the folder's policies were put aside and stay so");
        return Ok(by_index(index, kept, passed_over, None));
    }
    let difference = diff(&kept.set, &folder.set, today);
    if !approval.asks(Some(&difference)) {
        return Ok(by_folder(index, folder));
    }
    let waits = |entry: &PolicyEntry| entry.revision == folder.set.revision() && entry.before == Some(kept.set.revision());
    if standing.proposed.as_ref().is_some_and(waits) {
        return Ok(by_index(index, kept, passed_over, None));
    }
    tracing::warn!(in_force = %kept.set.revision(), proposed = %folder.set.revision(), "the folder's policies wait for approval");
    let proposal = PolicyOrder {
        held_against: Some(kept.set.revision()),
        allows_more: Some(difference.allows_more),
        ..order(folder.set.revision(), &folder)
    };
    Ok(by_index(index, kept, passed_over, Some(proposal)))
}

fn by_folder(index: &Index, folder: ReadSet) -> Resumed {
    let order = PolicyOrder { held_against: index.policy(), ..order(folder.set.revision(), &folder) };
    Resumed { set: folder.set, steps: vec![(Kind::PolicyActivated, PolicyChange::Activate(order))] }
}

fn by_index(index: &Index, kept: ReadSet, passed_over: Option<FolderSet>, proposal: Option<PolicyOrder>) -> Resumed {
    let again = PolicyOrder { held_against: index.policy(), passed_over, ..order(kept.set.revision(), &kept) };
    let mut steps = vec![(Kind::PolicyActivated, PolicyChange::Activate(again))];
    steps.extend(proposal.map(|proposal| (Kind::PolicyProposed, PolicyChange::Propose(proposal))));
    Resumed { set: kept.set, steps }
}

fn order(revision: crate::types::PolicyRevision, read: &ReadSet) -> PolicyOrder {
    PolicyOrder {
        revision,
        texts: read.texts.clone(),
        by: By::System,
        comment: None,
        held_against: None,
        allows_more: None,
        rollback: false,
        passed_over: None,
    }
}
