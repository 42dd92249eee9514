//! A request's body between the connection and its reader, and what becomes of one that nobody read.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, combinators::UnsyncBoxBody};
use parking_lot::Mutex;
use tokio::sync::Semaphore;

/// A body as the connection gives it.
pub(super) type RawBody = UnsyncBoxBody<Bytes, Box<dyn std::error::Error + Send + Sync>>;

/// Bytes of an unread body that are taken off the wire so that the client can read an early answer and keep its connection.
const DRAIN_BYTES: u64 = 1024 * 1024;

/// How long that may take.
const DRAIN_TIME: Duration = Duration::from_secs(3);

/// A body that has a reader, or waits for one. The service keeps a handle of it while the use case reads, and gets back what was not
/// read.
#[derive(Clone)]
pub(super) struct SharedBody(Arc<Mutex<Slot>>);

enum Slot {
    /// Nobody has asked for it: a client that expects `100 Continue` has not sent it.
    Untouched(RawBody),
    /// A reader has it.
    Lent,
    /// A reader gave it back before its end.
    Left(RawBody),
    /// Read to its end, or there was none.
    Done,
}

impl SharedBody {
    pub(super) fn new<B>(body: B) -> Self
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let slot = if body.is_end_stream() { Slot::Done } else { Slot::Untouched(body.map_err(Into::into).boxed_unsync()) };
        Self(Arc::new(Mutex::new(slot)))
    }

    /// Makes the connection fit for the next request, reading a bounded rest of the body. False when that cannot be: then the
    /// connection has to be closed behind the answer. A body that the client holds back until `100 Continue` is never asked for; `drains`
    /// says how many are read at a time.
    pub(super) async fn settle(self, expects_continue: bool, drains: &Semaphore) -> bool {
        let slot = std::mem::replace(&mut *self.0.lock(), Slot::Done);
        match slot {
            Slot::Done => true,
            Slot::Untouched(_) if expects_continue => false,
            Slot::Untouched(body) | Slot::Left(body) => match drains.try_acquire() {
                Ok(_turn) => drain(body).await,
                Err(_) => false,
            },
            // Still read elsewhere; it must not be waited for.
            Slot::Lent => false,
        }
    }

    /// Lends the body to a reader.
    pub(super) fn take(&self) -> Option<RawBody> {
        let mut slot = self.0.lock();
        match std::mem::replace(&mut *slot, Slot::Lent) {
            Slot::Untouched(body) | Slot::Left(body) => Some(body),
            Slot::Lent => None,
            Slot::Done => {
                *slot = Slot::Done;
                None
            }
        }
    }

    /// Takes back what a reader has not read.
    pub(super) fn leave(&self, rest: RawBody) {
        *self.0.lock() = Slot::Left(rest);
    }

    /// Notes that it was read to its end.
    pub(super) fn finish(&self) {
        *self.0.lock() = Slot::Done;
    }

    /// Whether it was, or there is none.
    pub(super) fn is_over(&self) -> bool {
        matches!(*self.0.lock(), Slot::Done)
    }
}

async fn drain(mut body: RawBody) -> bool {
    // A body known to be too long is not worth the wait.
    if http_body::Body::size_hint(&body).lower() > DRAIN_BYTES {
        return false;
    }
    let all = async {
        let mut taken = 0_u64;
        loop {
            match body.frame().await {
                None => return true,
                Some(Err(_)) => return false,
                Some(Ok(frame)) => taken = taken.saturating_add(frame.data_ref().map_or(0, |data| data.len() as u64)),
            }
            if taken > DRAIN_BYTES {
                return false;
            }
        }
    };
    tokio::time::timeout(DRAIN_TIME, all).await.unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use http_body_util::Full;

    use super::*;

    fn body(length: usize) -> SharedBody {
        SharedBody::new(Full::new(Bytes::from(vec![0; length])))
    }

    #[tokio::test]
    async fn a_body_that_nobody_read_is_drained_or_the_connection_closed() {
        assert!(body(5).settle(false, &Semaphore::new(1)).await);
        assert!(!body(5).settle(true, &Semaphore::new(1)).await);
        assert!(!body(5).settle(false, &Semaphore::new(0)).await, "as many are drained as there may be");
        assert!(!body(2 << 20).settle(false, &Semaphore::new(1)).await);
    }
}
