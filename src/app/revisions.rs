//! How a policy set comes into force: read again from its folder, approved by a second person where that is asked for, or put back.
//!
//! The index learns of a set first, in one commit with its files, its place in the history and the ledger's entry; the gateway decides by it
//! right after. In between no decision commits: those of the set before are stale, and nobody decides by the new one yet. Once begun,
//! both steps happen also when the caller goes away: a set in the index that is not in force here would refuse every write.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{OwnedMutexGuard, OwnedSemaphorePermit};

use super::{
    gateway::{AppGateway, internal},
    open::{self, ReadSet},
};
use crate::admin::GatewayError;
use crate::audit::{Actor, By, Event, Kind};
use crate::config::PolicySource;
use crate::index::{Change, CommitError, Committed, FolderSet, PolicyChange, PolicyConflict, PolicyOrder, PolicyState};
use crate::objects::Objects;
use crate::policy::{Approval, Available, PolicySet, diff};
use crate::residency;
use crate::types::{PolicyRevision, RequestId};

/// Where policy sets come from, and how they come into force.
pub(super) struct Revisions {
    pub(super) source: PolicySource,
    pub(super) available: Available,
    pub(super) approval: Approval,
    /// What the folder held when it was last read.
    seen: Mutex<FolderSet>,
}

/// What became of a set that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Brought {
    /// It decides.
    InForce(PolicyRevision),
    /// Somebody else has to approve it.
    Proposed(PolicyRevision),
}

/// A set that somebody wants in force.
struct Wanted {
    read: ReadSet,
    comment: Option<String>,
    rollback: bool,
    passed_over: Option<FolderSet>,
}

/// Who asks, and with which request.
#[derive(Clone)]
pub(super) struct Asker {
    pub(super) actor: Actor,
    pub(super) request: Option<RequestId>,
}

impl Revisions {
    pub(super) const fn new(source: PolicySource, available: Available, approval: Approval, seen: FolderSet) -> Self {
        Self { source, available, approval, seen: Mutex::new(seen) }
    }

    /// What the folder held when it was last read.
    pub(super) fn seen(&self) -> FolderSet {
        *self.seen.lock()
    }

    /// Reads it again.
    pub(super) async fn read_folder(&self) -> Result<ReadSet, GatewayError> {
        let (source, available) = (self.source.clone(), self.available.clone());
        let read = tokio::task::spawn_blocking(move || open::policy_set(&source, &available)).await.map_err(internal)?;
        let read = read.map_err(GatewayError::Policies)?;
        *self.seen.lock() = read.folder();
        Ok(read)
    }
}

impl AppGateway {
    /// Reads the folder again and brings its set into force, or before who has to approve it.
    pub(super) async fn reload(&self, actor: Actor, request: Option<RequestId>) -> Result<Brought, GatewayError> {
        let turn = self.turn().await;
        let read = self.revisions.read_folder().await?;
        let wanted = Wanted { read, comment: None, rollback: false, passed_over: None };
        self.bring(turn, Asker { actor, request }, wanted).await
    }

    /// Puts a set back that was in force before. The folder is put aside until it changes or a reload is ordered.
    pub(super) async fn roll_back(
        &self,
        asker: Asker,
        revision: PolicyRevision,
        comment: Option<String>,
    ) -> Result<Brought, GatewayError> {
        let turn = self.turn().await;
        if self.objects.policies.load().revision() == revision {
            return Err(GatewayError::Conflict("this set is in force".to_owned()));
        }
        if !self.was_in_force(revision).await? {
            return Err(GatewayError::Conflict("this set never was in force; only a reload can propose it".to_owned()));
        }
        let read = self.kept_set(revision).await?;
        // One that cannot be read is no set to come into force by a start, either.
        let folder = self.revisions.read_folder().await.ok().map(|folder| folder.folder());
        let passed_over = folder.filter(|folder| !folder.is_same(&read.folder()));
        self.bring(turn, asker, Wanted { read, comment, rollback: true, passed_over }).await
    }

    /// Puts in force what is proposed.
    pub(super) async fn approve(
        &self,
        asker: Asker,
        revision: PolicyRevision,
        comment: Option<String>,
    ) -> Result<(), GatewayError> {
        let turn = self.turn().await;
        let set = Arc::new(self.kept_set(revision).await?.set);
        let by = By::of(&asker.actor);
        let names = if let By::Token(name) = &by { self.access.tokens.names_of(name) } else { Default::default() };
        let change = PolicyChange::Approve(revision, by, names, comment);
        self.carry_out(turn, Kind::PolicyApproved, asker, change, Some(set)).await
    }

    /// Drops what is proposed.
    pub(super) async fn reject(
        &self,
        asker: Asker,
        revision: PolicyRevision,
        comment: Option<String>,
    ) -> Result<(), GatewayError> {
        let turn = self.turn().await;
        let change = PolicyChange::Reject(revision, By::of(&asker.actor), comment);
        self.carry_out(turn, Kind::PolicyRejected, asker, change, None).await
    }

    /// Holds a set against the one in force, and puts it in force or proposes it.
    async fn bring(&self, turn: OwnedMutexGuard<()>, asker: Asker, wanted: Wanted) -> Result<Brought, GatewayError> {
        let Wanted { read, comment, rollback, passed_over } = wanted;
        let current = self.objects.policies.load_full();
        let revision = read.set.revision();
        let approval = self.revisions.approval;
        let compares = approval != Approval::Never && revision != current.revision();
        let set = Arc::new(read.set);
        let difference = match compares {
            false => None,
            true => Some(self.difference(Arc::clone(&current), Arc::clone(&set), None).await?),
        };
        let waits = revision != current.revision() && approval.asks(difference.as_ref());
        let order = PolicyOrder {
            revision,
            texts: read.texts,
            by: By::of(&asker.actor),
            comment,
            held_against: Some(current.revision()),
            allows_more: difference.map(|difference| difference.allows_more),
            rollback,
            passed_over,
        };
        if waits {
            self.carry_out(turn, Kind::PolicyProposed, asker, PolicyChange::Propose(order), None).await?;
            return Ok(Brought::Proposed(revision));
        }
        let kind = if rollback { Kind::PolicyRolledBack } else { Kind::PolicyActivated };
        self.carry_out(turn, kind, asker, PolicyChange::Activate(order), Some(set)).await?;
        Ok(Brought::InForce(revision))
    }

    /// What two sets decide differently from today on. Long work, away from the async threads; it keeps `place` to its end, also when the
    /// caller goes away.
    pub(super) async fn difference(
        &self,
        from: Arc<PolicySet>,
        to: Arc<PolicySet>,
        place: Option<OwnedSemaphorePermit>,
    ) -> Result<crate::policy::PolicyDiff, GatewayError> {
        let today = residency::today(self.objects.clock.now());
        let compare = move || {
            let _place = place;
            diff(&from, &to, today)
        };
        tokio::task::spawn_blocking(compare).await.map_err(internal)
    }

    /// Commits a step and, when it puts `set` in force, decides by that from then on.
    async fn carry_out(
        &self,
        turn: OwnedMutexGuard<()>,
        kind: Kind,
        asker: Asker,
        change: PolicyChange,
        set: Option<Arc<PolicySet>>,
    ) -> Result<(), GatewayError> {
        let event = Event { request: asker.request, record_refusal: true, ..Event::new(kind, asker.actor) };
        let objects = self.objects.clone();
        let committed = tokio::spawn(async move {
            let _turn = turn;
            step(&objects, event, change, set).await
        });
        let committed = committed.await.map_err(internal)?.map_err(refusal)?;
        self.objects.index.confirmed(committed).await.map_err(refusal)?;
        Ok(())
    }

    /// A set that the index keeps, read again.
    pub(super) async fn kept_set(&self, revision: PolicyRevision) -> Result<ReadSet, GatewayError> {
        let texts = self.objects.index.policy_texts(revision)?.ok_or(NO_SUCH_SET)?;
        let available = self.revisions.available.clone();
        let read = tokio::task::spawn_blocking(move || ReadSet::of(texts, &available)).await.map_err(internal)?;
        let read = read.map_err(GatewayError::Policies)?;
        if read.set.revision() != revision {
            let message = "an earlier version of the gateway called this set so, and this one reads it otherwise; write its files to \
                           the folder and reload";
            return Err(GatewayError::Conflict(message.to_owned()));
        }
        Ok(read)
    }

    async fn was_in_force(&self, revision: PolicyRevision) -> Result<bool, GatewayError> {
        let mut before = None;
        loop {
            let page = self.objects.index.policy_history(before, 100).await?;
            let Some(last) = page.last() else { return Ok(false) };
            before = Some(last.number);
            if page.iter().any(|entry| entry.revision == revision && entry.in_force.is_some()) {
                return Ok(true);
            }
        }
    }

    /// A kept set by its name, or by so many digits of it that there is only one.
    pub(super) fn named_set(&self, name: &str) -> Result<PolicyRevision, GatewayError> {
        let name = name.to_ascii_lowercase();
        if name.len() < SHORTEST_NAME || !name.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            let message =
                format!("a policy set is named by its revision, or by at least {SHORTEST_NAME} hexadecimal digits of it");
            return Err(GatewayError::Invalid(message));
        }
        match self.objects.index.policies_named(&name)?.as_slice() {
            [] => Err(NO_SUCH_SET),
            [one] => Ok(*one),
            _ => Err(GatewayError::Conflict("more than one policy set begins so".to_owned())),
        }
    }

    /// In words, how the folder stands to what is in force.
    pub(super) fn policies_detail(&self) -> String {
        let (standing, seen) = (self.objects.index.policy_standing(), self.revisions.seen());
        let in_force = self.objects.policies.load().revision();
        let mut detail = format!("in force: {in_force}");
        if let Some(proposed) = &standing.proposed {
            detail.push_str(&format!("; {} waits for approval", proposed.revision));
        }
        if seen.revision != in_force {
            let aside = standing.in_force.as_ref().is_some_and(|entry| entry.passed_over.is_some_and(|one| one.is_same(&seen)));
            let why = if aside { " and is put aside" } else { "" };
            detail.push_str(&format!("; the folder holds {}{why}", seen.revision));
        }
        detail
    }
}

/// Digits that tell sets apart, at the least.
const SHORTEST_NAME: usize = 8;
const NO_SUCH_SET: GatewayError = GatewayError::NotFound("there is no such policy set");

async fn step(
    objects: &Objects,
    event: Event,
    change: PolicyChange,
    set: Option<Arc<PolicySet>>,
) -> Result<Committed, CommitError> {
    let committed = objects.index.commit(Change::Policy(Box::new(change)), event).await?;
    let in_force = committed.policy.as_ref().is_some_and(|entry| entry.state == PolicyState::InForce);
    if let Some(set) = set.filter(|_| in_force) {
        objects.policies.store(set);
    }
    Ok(committed)
}

fn refusal(error: CommitError) -> GatewayError {
    match error {
        CommitError::Policy(PolicyConflict::NotProposed) => GatewayError::NotFound("there is no such proposal"),
        CommitError::Policy(conflict) => GatewayError::Conflict(conflict.to_string()),
        CommitError::NotJournalled => GatewayError::Unavailable("it stands, but no site has confirmed it in time"),
        other => internal(other),
    }
}
