//! One walk through a source, object after object, several at a time.

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use futures_util::{
    FutureExt, StreamExt, TryStreamExt,
    future::BoxFuture,
    stream::{self, BoxStream},
};

use super::{Counting, Order, SubjectMap};
use crate::{
    authn::Principals,
    backend::{Source, SourceEntry, SourceError},
    objects::{Gate, ObjectError, Objects},
    seal::BlobName,
};

/// The pause before the second try of anything; each later one is twice as long.
pub(super) const PAUSE: Duration = Duration::from_secs(1);

/// An import at work.
pub(super) struct Walk<'w> {
    pub(super) objects: &'w Objects,
    pub(super) order: &'w Order,
    pub(super) source: Arc<dyn Source>,
    pub(super) principals: &'w ArcSwap<Principals>,
    pub(super) map: Arc<SubjectMap>,
    pub(super) counting: &'w Counting,
    pub(super) gate: Gate,
}

impl Walk<'_> {
    /// Goes through the source to its end.
    ///
    /// # Errors
    /// When the source cannot be listed; what is wrong with single objects is counted.
    pub(super) async fn run(&self) -> Result<(), ObjectError> {
        let walked = match self.refuse_site().await {
            Ok(()) => self.entries().try_for_each_concurrent(self.order.concurrency, |entry| self.counted(entry)).await,
            Err(error) => Err(error),
        };
        walked.map_err(|error| {
            self.counting.stopped(error.to_string());
            ObjectError::Internal(format!("listing source `{}`: {error}", self.order.source))
        })
    }

    /// What the source lists, page after page.
    fn entries(&self) -> BoxStream<'_, Result<SourceEntry, SourceError>> {
        let pages = stream::try_unfold(None, |after| self.page(after));
        pages.map_ok(|page| stream::iter(page.into_iter().map(Ok))).try_flatten().boxed()
    }

    fn counted(&self, entry: SourceEntry) -> BoxFuture<'_, Result<(), SourceError>> {
        async move {
            self.object(&entry).await;
            Ok(())
        }
        .boxed()
    }

    /// A bucket that is a site holds sealed blobs: to import these would be to seal them again, under names that mean nothing, and to delete them
    /// to lose what they hold.
    async fn refuse_site(&self) -> Result<(), SourceError> {
        let marker = BlobName::marker().to_string();
        match self.listed(&marker, None).await {
            Ok(entries) if entries.iter().any(|entry| entry.key == marker) => {
                Err(SourceError::Refused("the bucket is a site of an installation, this one or another".to_owned()))
            }
            // Whoever may not list there may list under the prefix.
            Ok(_) | Err(SourceError::Refused(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The entries of the next page, and the key behind which the one after it begins.
    async fn page(&self, after: Option<String>) -> Result<Option<(Vec<SourceEntry>, Option<String>)>, SourceError> {
        let page = self.listed(&self.order.prefix, after.as_deref()).await?;
        let last = page.last().map(|entry| entry.key.clone());
        Ok(last.map(|last| (page, Some(last))))
    }

    /// Lists, again and again where that can help.
    async fn listed(&self, prefix: &str, after: Option<&str>) -> Result<Vec<SourceEntry>, SourceError> {
        let mut pause = PAUSE;
        let mut left = self.order.retries;
        loop {
            match self.source.list(prefix, after).await {
                Err(error) if error.is_retryable() && left > 0 => {
                    tracing::warn!(%error, source = %self.order.source, "a source cannot be listed; trying again");
                    tokio::time::sleep(pause).await;
                    pause = pause.saturating_mul(2);
                    left -= 1;
                }
                listed => return listed,
            }
        }
    }
}
