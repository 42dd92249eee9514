//! Who has to go when all places are taken: the connection that has had nothing to do for longest.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout},
};

/// A connection that was busy within this time stays.
const LEAST_IDLE: Duration = Duration::from_secs(1);
/// How often a newcomer looks for a connection that may go.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// The places for connections, and who has one.
#[derive(Clone)]
pub(super) struct Seats {
    free: Arc<Semaphore>,
    taken: Arc<Mutex<Vec<Arc<Standing>>>>,
    opened: Instant,
}

/// A connection's place, given back when dropped.
pub(super) struct Seat {
    _permit: Option<OwnedSemaphorePermit>,
    standing: Arc<Standing>,
    taken: Arc<Mutex<Vec<Arc<Standing>>>>,
}

/// What a connection does. Costs a request two stores and nobody a lock.
pub(super) struct Standing {
    /// Since when it has had no request, in milliseconds since the listener opened, counted from 1; 0 while it has one.
    idle_since: AtomicU64,
    leave: Notify,
    opened: Instant,
}

/// A request that a connection is busy with, until its answer has been handed over whole.
pub(super) struct Busy(Arc<Standing>);

impl Seats {
    pub(super) fn new(most: usize) -> Self {
        let free = Arc::new(Semaphore::new(most.clamp(1, Semaphore::MAX_PERMITS)));
        Self { free, taken: Arc::default(), opened: Instant::now() }
    }

    /// A place for one more connection. When there is none, the connection that has been idle for longest is asked to leave; when all
    /// are busy, this waits.
    pub(super) async fn take(&self) -> Seat {
        let permit = loop {
            if let Ok(permit) = Arc::clone(&self.free).try_acquire_owned() {
                break Some(permit);
            }
            self.make_room();
            if let Ok(permit) = timeout(LOOK_AGAIN, Arc::clone(&self.free).acquire_owned()).await {
                // The semaphore is never closed; without a permit the connection would merely not be counted.
                break permit.ok();
            }
        };
        let standing = Arc::new(Standing { idle_since: AtomicU64::new(0), leave: Notify::new(), opened: self.opened });
        standing.rest();
        self.taken.lock().push(Arc::clone(&standing));
        Seat { _permit: permit, standing, taken: Arc::clone(&self.taken) }
    }

    fn make_room(&self) {
        let taken = self.taken.lock();
        let idle = taken.iter().filter_map(|one| Some((one.idle_since()?, one)));
        if let Some((since, longest)) = idle.min_by_key(|(since, _)| *since)
            && self.opened.elapsed().saturating_sub(Duration::from_millis(since)) >= LEAST_IDLE
        {
            longest.leave.notify_one();
        }
    }
}

impl Seat {
    pub(super) fn standing(&self) -> Arc<Standing> {
        Arc::clone(&self.standing)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.taken.lock();
        if let Some(at) = taken.iter().position(|one| Arc::ptr_eq(one, &self.standing)) {
            taken.swap_remove(at);
        }
    }
}

impl Standing {
    /// Begins a request.
    pub(super) fn work(self: &Arc<Self>) -> Busy {
        self.idle_since.store(0, Relaxed);
        Busy(Arc::clone(self))
    }

    /// Whether a request is under way.
    pub(super) fn is_busy(&self) -> bool {
        self.idle_since().is_none()
    }

    /// Completes when somebody else needs the place. A connection that is busy by then may stay.
    pub(super) async fn asked_to_leave(&self) {
        self.leave.notified().await;
    }

    fn rest(&self) {
        let millis = u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.idle_since.store(millis.saturating_add(1), Relaxed);
    }

    fn idle_since(&self) -> Option<u64> {
        Some(self.idle_since.load(Relaxed)).filter(|since| *since > 0)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.rest();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::poll;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_longest_idle_is_asked_and_the_busy_stay() {
        let seats = Seats::new(3);
        let (first, second, third) = (seats.take().await, seats.take().await, seats.take().await);
        let busy = first.standing().work();
        tokio::time::advance(Duration::from_secs(2)).await;
        drop(third.standing().work());
        tokio::time::advance(Duration::from_secs(2)).await;

        let (one, two, three) = (first.standing(), second.standing(), third.standing());
        let mut newcomer = Box::pin(seats.take());
        assert!(poll!(newcomer.as_mut()).is_pending());
        two.asked_to_leave().await;
        assert!(poll!(Box::pin(one.asked_to_leave())).is_pending() && poll!(Box::pin(three.asked_to_leave())).is_pending());
        drop(second);
        let fourth = newcomer.await;
        assert!(one.is_busy() && !fourth.standing().is_busy());
        drop((busy, first, third, fourth));
        assert!(seats.taken.lock().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_is_asked_while_there_is_room_or_all_have_just_been_busy() {
        let seats = Seats::new(1);
        let first = seats.take().await;
        let standing = first.standing();
        tokio::time::advance(Duration::from_secs(9)).await;
        assert!(poll!(Box::pin(standing.asked_to_leave())).is_pending());
        drop(standing.work());
        let mut newcomer = Box::pin(seats.take());
        assert!(poll!(newcomer.as_mut()).is_pending());
        assert!(poll!(Box::pin(standing.asked_to_leave())).is_pending());
        tokio::time::advance(LEAST_IDLE * 2).await;
        assert!(poll!(newcomer.as_mut()).is_pending());
        standing.asked_to_leave().await;
    }
}
