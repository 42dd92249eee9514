//! A backend in memory that fails on demand, for tests.

use std::{
    collections::BTreeMap,
    ops::{Bound, Range},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, stream};
use parking_lot::Mutex;

use super::{Backend, BackendError, BlobInfo, BlobRead, Check, Listing, Posture, Verdict, contract::cut_range};
use crate::{
    clock::{Clock, SystemClock},
    seal::BlobName,
    types::{SiteId, Timestamp},
};

/// Streams are cut into pieces of this size, so that readers meet more than one.
const CHUNK: usize = 64 * 1024;

/// Blobs in memory. A clone shares them.
#[derive(Clone)]
pub struct MemoryBackend {
    site: SiteId,
    blobs: Arc<Mutex<BTreeMap<BlobName, (Bytes, Timestamp)>>>,
    faults: Faults,
}

/// What shall go wrong at a [`MemoryBackend`]. A clone controls the same backend.
#[derive(Debug, Clone, Default)]
pub struct Faults(Arc<Mutex<Plan>>);

#[derive(Debug, Default)]
struct Plan {
    failing_puts: usize,
    failing_gets: usize,
    unanswered_puts: usize,
    cut_streams: usize,
    unavailable: bool,
    delay: Duration,
    verdicts: BTreeMap<Check, Verdict>,
}

impl Faults {
    /// The next `count` puts fail as [`BackendError::Busy`] and store nothing.
    pub fn fail_puts(&self, count: usize) {
        self.0.lock().failing_puts = count;
    }

    /// The next `count` gets fail as [`BackendError::Busy`].
    pub fn fail_gets(&self, count: usize) {
        self.0.lock().failing_gets = count;
    }

    /// The next `count` puts store their blob, but answer [`BackendError::UnknownOutcome`].
    pub fn lose_put_answers(&self, count: usize) {
        self.0.lock().unanswered_puts = count;
    }

    /// The streams of the next `count` gets break off half-way.
    pub fn cut_streams(&self, count: usize) {
        self.0.lock().cut_streams = count;
    }

    /// From now on nothing can be reached, or everything again.
    pub fn set_unavailable(&self, unavailable: bool) {
        self.0.lock().unavailable = unavailable;
    }

    /// From now on every operation takes this long to begin.
    pub fn set_delay(&self, delay: Duration) {
        self.0.lock().delay = delay;
    }

    /// From now on an inspection says this of one of [`Check::OF_BUCKETS`]; at first all is fine.
    pub fn set_verdict(&self, check: Check, verdict: Verdict) {
        self.0.lock().verdicts.insert(check, verdict);
    }

    fn take(&self, pick: impl FnOnce(&mut Plan) -> &mut usize) -> bool {
        let mut plan = self.0.lock();
        let left = pick(&mut plan);
        let due = *left > 0;
        *left = left.saturating_sub(1);
        due
    }
}

impl MemoryBackend {
    /// An empty backend.
    pub fn new(site: SiteId) -> Self {
        Self { site, blobs: Arc::default(), faults: Faults::default() }
    }

    /// The switches that make it fail.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// Every stored blob with its bytes, in byte order of the names.
    pub fn blobs(&self) -> Vec<(BlobName, Bytes)> {
        self.blobs.lock().iter().map(|(name, (bytes, _))| (*name, bytes.clone())).collect()
    }

    /// Flips the byte at `offset` of a stored blob. `false` when there is no such byte.
    pub fn corrupt(&self, name: &BlobName, offset: usize) -> bool {
        self.replace(name, |bytes| {
            let Some(byte) = bytes.get_mut(offset) else { return false };
            *byte ^= 1;
            true
        })
    }

    /// Cuts a stored blob to `len` bytes. `false` when it isn't longer.
    pub fn truncate(&self, name: &BlobName, len: usize) -> bool {
        self.replace(name, |bytes| {
            let longer = bytes.len() > len;
            bytes.truncate(len);
            longer
        })
    }

    fn replace(&self, name: &BlobName, change: impl FnOnce(&mut BytesMut) -> bool) -> bool {
        let mut blobs = self.blobs.lock();
        let Some((bytes, _)) = blobs.get_mut(name) else { return false };
        let mut changed = BytesMut::from(&bytes[..]);
        let done = change(&mut changed);
        *bytes = changed.freeze();
        done
    }

    async fn enter(&self) -> Result<(), BackendError> {
        let (delay, unavailable) = {
            let plan = self.faults.0.lock();
            (plan.delay, plan.unavailable)
        };
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        if unavailable { Err(self.unavailable()) } else { Ok(()) }
    }

    fn unavailable(&self) -> BackendError {
        BackendError::Unavailable { site: self.site.clone(), reason: "switched off by a test".to_owned(), cause: None }
    }

    fn busy(&self) -> BackendError {
        BackendError::Busy { site: self.site.clone(), reason: "asked by a test to fail".to_owned(), cause: None }
    }
}

#[async_trait]
impl Backend for MemoryBackend {
    async fn put(&self, name: &BlobName, pieces: &[Bytes]) -> Result<(), BackendError> {
        self.enter().await?;
        if self.faults.take(|plan| &mut plan.failing_puts) {
            return Err(self.busy());
        }
        self.blobs.lock().insert(*name, (pieces.concat().into(), SystemClock.now()));
        if self.faults.take(|plan| &mut plan.unanswered_puts) {
            return Err(self.busy().with_unknown_outcome());
        }
        Ok(())
    }

    async fn get(&self, name: &BlobName, range: Option<Range<u64>>) -> Result<BlobRead, BackendError> {
        self.enter().await?;
        if self.faults.take(|plan| &mut plan.failing_gets) {
            return Err(self.busy());
        }
        let found = self.blobs.lock().get(name).map(|(bytes, _)| bytes.clone());
        let Some(bytes) = found else {
            return Err(BackendError::NotFound { site: self.site.clone(), name: name.to_string() });
        };
        let total_len = bytes.len() as u64;
        let range = cut_range(range, total_len).ok_or_else(|| BackendError::Corrupt {
            site: self.site.clone(),
            reason: format!("`{name}` has only {total_len} bytes"),
        })?;
        let mut wanted = bytes.slice(range.start as usize..range.end as usize);
        let broken = self.faults.take(|plan| &mut plan.cut_streams).then(|| self.unavailable());
        if broken.is_some() {
            wanted.truncate(wanted.len() / 2);
        }
        let pieces = std::iter::from_fn(move || (!wanted.is_empty()).then(|| wanted.split_to(CHUNK.min(wanted.len()))));
        let body = stream::iter(pieces.map(Ok).chain(broken.map(Err))).boxed();
        Ok(BlobRead { total_len, range, body })
    }

    async fn delete(&self, name: &BlobName) -> Result<(), BackendError> {
        self.enter().await?;
        self.blobs.lock().remove(name);
        Ok(())
    }

    async fn list(&self, after: Option<&BlobName>, limit: usize) -> Result<Listing, BackendError> {
        self.enter().await?;
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let blobs = self.blobs.lock();
        let rows = blobs.range((start, Bound::Unbounded)).take(limit);
        let info = |(name, (bytes, modified)): (&BlobName, &(Bytes, Timestamp))| BlobInfo {
            name: *name,
            len: bytes.len() as u64,
            modified: *modified,
        };
        Ok(Listing { blobs: rows.map(info).collect(), strangers: Vec::new() })
    }

    async fn probe(&self) -> Result<(), BackendError> {
        self.enter().await
    }

    fn checks(&self) -> &'static [Check] {
        Check::OF_BUCKETS
    }

    async fn inspect(&self) -> Result<Posture, BackendError> {
        self.enter().await?;
        let plan = self.faults.0.lock();
        let verdict = |check: &Check| (*check, plan.verdicts.get(check).cloned().unwrap_or(Verdict::Fine));
        Ok(Posture(Check::OF_BUCKETS.iter().map(verdict).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::conformance;

    #[tokio::test]
    async fn conforms() {
        conformance::run(&MemoryBackend::new(SiteId::new("memory").unwrap())).await.unwrap();
    }

    #[tokio::test]
    async fn faults_strike_as_often_as_asked() {
        let backend = MemoryBackend::new(SiteId::new("memory").unwrap());
        let name = conformance::name(1);
        backend.faults().fail_puts(1);
        assert!(matches!(backend.put(&name, &[]).await, Err(BackendError::Busy { .. })));
        assert!(backend.blobs().is_empty());
        backend.faults().lose_put_answers(1);
        assert!(matches!(backend.put(&name, &[]).await, Err(BackendError::UnknownOutcome { .. })));
        assert_eq!(backend.blobs().len(), 1);
        backend.faults().set_unavailable(true);
        assert!(backend.probe().await.unwrap_err().is_connection_failure());
        backend.faults().set_unavailable(false);
        backend.put(&name, &[Bytes::from_static(b"abcd")]).await.unwrap();
        assert!(backend.corrupt(&name, 3) && !backend.corrupt(&name, 4));
        assert_eq!(&backend.blobs()[0].1[..], b"abce");
        backend.faults().cut_streams(1);
        let read = backend.get(&name, None).await.unwrap();
        assert!(read.body.collect::<Vec<_>>().await.last().unwrap().is_err());
    }
}
