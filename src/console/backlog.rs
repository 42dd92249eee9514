//! What the policies in force want elsewhere, counted anew now and then: it takes a walk through all records, so no page waits for it long.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::admin::Gateway;
use crate::relocation::Plan;
use crate::types::{PolicyRevision, Timestamp};

/// A count is shown for so long before the next page asks for another.
const FRESH_MILLIS: i64 = 60_000;
/// A page waits for a count at the most so long; that is enough for some ten thousand records.
const PATIENCE: Duration = Duration::from_millis(300);

/// The last count, and whether one is going on.
#[derive(Default)]
pub(super) struct Backlog {
    state: Mutex<State>,
    counted: Notify,
}

#[derive(Default)]
struct State {
    last: Option<Counted>,
    counting: bool,
    failed: bool,
}

/// A count.
#[derive(Clone)]
pub(super) struct Counted {
    /// What would move.
    pub(super) plan: Arc<Plan>,
    /// When it was counted.
    pub(super) at: Timestamp,
}

/// What is known now.
#[derive(Clone)]
pub(super) enum Known {
    /// A count, of the policies in force.
    Counted(Counted),
    /// The first one goes on.
    Counting,
    /// It broke off.
    Failed,
}

impl Backlog {
    /// The last count for `revision`; begins another where that is old.
    pub(super) async fn known(self: &Arc<Self>, gateway: &Arc<dyn Gateway>, revision: PolicyRevision, now: Timestamp) -> Known {
        let mut counted = std::pin::pin!(self.counted.notified());
        counted.as_mut().enable();
        if self.begin(revision, now) {
            let (backlog, gateway) = (Arc::clone(self), Arc::clone(gateway));
            tokio::spawn(async move { backlog.count(&*gateway, now).await });
        }
        if let known @ Known::Counted(_) = self.last(revision) {
            return known;
        }
        let _ = tokio::time::timeout(PATIENCE, counted).await;
        self.last(revision)
    }

    /// Whether a count has to begin, which is so once until it ends.
    fn begin(&self, revision: PolicyRevision, now: Timestamp) -> bool {
        let mut state = self.state.lock();
        let fresh = |last: &Counted| last.plan.revision == revision && now.millis() - last.at.millis() < FRESH_MILLIS;
        let begin = !state.counting && !state.last.as_ref().is_some_and(fresh);
        state.counting |= begin;
        begin
    }

    async fn count(&self, gateway: &dyn Gateway, at: Timestamp) {
        let plan = gateway.plan(None).await;
        let mut state = self.state.lock();
        state.counting = false;
        state.failed = plan.is_err();
        match plan {
            Ok(plan) => state.last = Some(Counted { plan: Arc::new(plan), at }),
            Err(error) => tracing::error!(%error, "the backlog could not be counted"),
        }
        drop(state);
        self.counted.notify_waiters();
    }

    fn last(&self, revision: PolicyRevision) -> Known {
        let state = self.state.lock();
        match &state.last {
            Some(last) if last.plan.revision == revision => Known::Counted(last.clone()),
            _ if state.failed && !state.counting => Known::Failed,
            _ => Known::Counting,
        }
    }
}
