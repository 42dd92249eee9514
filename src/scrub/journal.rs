//! The journal's own pieces: a rebuild needs every one of them.

use super::run::Scrub;
use crate::{
    backend::{BackendError, Site},
    index::{Class, Finding},
    kms::KmsError,
    objects::{Depth, ObjectError, SegmentError, SiteKeys, read_segment, site_keys},
    seal::BlobName,
};

/// Names asked for at a time.
const PAGE: usize = 1000;

impl Scrub<'_> {
    /// Holds the journal against the index; a scrub that opens every byte opens every piece.
    pub(super) async fn journal(&self) -> Result<(), ObjectError> {
        self.index_is_young().await?;
        if self.order.depth == Depth::Whole {
            for site in self.objects.sites.iter() {
                self.pieces(site).await?;
            }
        }
        Ok(())
    }

    async fn pieces(&self, site: &Site) -> Result<(), ObjectError> {
        let (mut keys, mut after) = (SiteKeys::new(), BlobName::marker());
        loop {
            let page = match site.list(Some(&after), PAGE).await {
                Ok(page) => page.blobs,
                Err(error) => {
                    self.counting.unchecked(&site.spec().id, &error);
                    return Ok(());
                }
            };
            for blob in &page {
                let Some(number) = blob.name.journal_number() else { continue };
                self.gate.pass(blob.len).await;
                let read = match number {
                    0 => site_keys(site, &blob.name, &self.objects.hierarchy, &mut keys).await,
                    _ => read_segment(site, &blob.name, &keys).await.map(drop),
                };
                self.counting.blobs(1);
                self.piece(site, &blob.name, read).await?;
            }
            match page.last() {
                Some(last) if page.len() == PAGE => after = last.name,
                _ => return Ok(()),
            }
        }
    }

    async fn piece(&self, site: &Site, name: &BlobName, read: Result<(), SegmentError>) -> Result<(), ObjectError> {
        let spec = site.spec();
        match read {
            // A compaction has removed it since.
            Ok(()) | Err(SegmentError::Site(BackendError::NotFound { .. })) => {}
            // An earlier wrapping of a key, which waits for the grace of garbage. Were it the only one, the pieces that need it would not open.
            Err(SegmentError::Keys(KmsError::Destroyed { .. })) if name.journal_number() == Some(0) => {}
            Err(SegmentError::Piece(why)) => {
                let detail = format!("a piece of the journal: {why}");
                let bare = self.bare(Class::Unreadable, (&spec.id, spec.country), name.to_string());
                self.found(Finding { detail, ..bare }).await?;
            }
            Err(error) => self.counting.unchecked(&spec.id, &error),
        }
        Ok(())
    }
}
