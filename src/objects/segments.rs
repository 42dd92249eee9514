//! Reads the journal's pieces back from a site.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::TryStreamExt;

use crate::backend::{BackendError, Site};
use crate::index::journal::Segment;
use crate::kms::{Hierarchy, KeyOwner, KmsError, SubjectKey};
use crate::seal::{BlobName, ExtentId, ExtentOpener, ReadPlan, RecordKey, parse_head, parse_subject_key_blob};
use crate::types::{Generation, SiteId};

/// The keys at the front of the journals, by site.
pub type SiteKeys = HashMap<(SiteId, Generation), Arc<SubjectKey>>;

/// Why a piece of the journal, or a key at its front, cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum SegmentError {
    /// The site cannot be read.
    #[error(transparent)]
    Site(BackendError),
    /// The country's keys cannot be had.
    #[error(transparent)]
    Keys(KmsError),
    /// It is there and does not open, or is another's.
    #[error("{0}")]
    Piece(String),
}

fn piece(what: &dyn std::fmt::Display) -> SegmentError {
    SegmentError::Piece(what.to_string())
}

/// Opens one key at the front of a site's journal, which is a blob of number 0.
///
/// # Errors
/// When it cannot be read, or is not the site's.
pub async fn site_keys(site: &Site, name: &BlobName, hierarchy: &Hierarchy, keys: &mut SiteKeys) -> Result<(), SegmentError> {
    let spec = site.spec();
    let blob = read_blob(site, name).await?;
    let wrapped = match parse_subject_key_blob(&blob) {
        Ok(wrapped) if wrapped.owner == KeyOwner::Site(spec.id.clone()) && wrapped.country == spec.country => wrapped,
        Ok(_) => return Err(piece(&"it is the key of another site")),
        Err(error) => return Err(piece(&error)),
    };
    let key = hierarchy.open_subject_key(&wrapped).await.map_err(SegmentError::Keys)?;
    keys.insert((spec.id.clone(), wrapped.generation), key);
    Ok(())
}

/// Reads and opens one piece.
///
/// # Errors
/// When it cannot be read, does not open, or lies under the name or at the site of another.
pub async fn read_segment(site: &Site, name: &BlobName, keys: &SiteKeys) -> Result<Segment, SegmentError> {
    let blob = read_blob(site, name).await?;
    let head = parse_head(&blob).map_err(|error| piece(&error))?;
    let id = *head.id();
    if id.part != ExtentId::JOURNAL_PART || BlobName::of_journal(name.journal_number().unwrap_or_default(), &id) != Some(*name) {
        return Err(piece(&"it lies under the name of another"));
    }
    let key = keys.get(&(site.spec().id.clone(), head.generation())).ok_or_else(|| piece(&"its key is missing"))?;
    let key = RecordKey::open(key, id.record, site.spec().country, head.wrapped_dek()).map_err(|error| piece(&error))?;
    let head_len = u32::try_from(head.len()).map_err(|error| piece(&error))?;
    let plan = ReadPlan::new(head_len, head.plain_len(), 0..head.plain_len());
    plan.check_total(blob.len() as u64).map_err(|error| piece(&error))?;
    let mut opener = ExtentOpener::new(id, head.country(), &key, &plan).map_err(|error| piece(&error))?;
    let mut text = Vec::new();
    opener.push(blob, &mut text).map_err(|error| piece(&error))?;
    opener.finish().map_err(|error| piece(&error))?;
    let segment = Segment::decode(&text.concat()).map_err(|error| piece(&error))?;
    if segment.country != site.spec().country || Some(segment.number) != name.journal_number() {
        return Err(piece(&"it is a piece of another journal"));
    }
    Ok(segment)
}

/// All of a blob. What is there and cannot be a blob is told apart from a site that cannot be asked.
async fn read_blob(site: &Site, name: &BlobName) -> Result<Bytes, SegmentError> {
    let gathered = async {
        let mut body = site.read(name, None).await?.body;
        let mut all = BytesMut::new();
        while let Some(bytes) = body.try_next().await? {
            all.extend_from_slice(&bytes);
        }
        Ok(all.freeze())
    };
    gathered.await.map_err(|error| match error {
        BackendError::Corrupt { .. } => piece(&error),
        error => SegmentError::Site(error),
    })
}
