//! Reading sites through: listings and whole blobs.

use bytes::BytesMut;
use futures_util::TryStreamExt;

use super::RecoveryError;
use crate::backend::{BackendError, BlobInfo, Site};
use crate::seal::BlobName;

/// Names asked for at a time.
const PAGE: usize = 1000;

/// Every blob of a site behind `after`, shown a page at a time.
pub(super) async fn list(
    site: &Site,
    mut after: Option<BlobName>,
    mut visit: impl FnMut(Vec<BlobInfo>),
) -> Result<(), RecoveryError> {
    loop {
        let page = site.list(after.as_ref(), PAGE).await.map_err(|error| RecoveryError::backend(&site.spec().id, &error))?.blobs;
        let last = page.len() < PAGE;
        after = page.last().map(|blob| blob.name);
        visit(page);
        if last {
            return Ok(());
        }
    }
}

/// The first `most` bytes of a blob, or all of it.
pub(super) async fn read(site: &Site, name: &BlobName, most: Option<u64>) -> Result<Vec<u8>, BackendError> {
    let read = site.read(name, most.map(|most| 0..most)).await?;
    let gathered = read.body.try_fold(BytesMut::new(), |mut all, piece| async move {
        all.extend_from_slice(&piece);
        Ok(all)
    });
    Ok(gathered.await?.to_vec())
}
