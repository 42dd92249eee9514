//! Whether the index is as young as the journal at the sites.
//!
//! An index that was put back from a backup, or imported, knows nothing of what was acknowledged since. Every piece of the journal holds
//! the ledger entries of its commits, so such an index lacks entries that the journal has, or has others in their place. Who removes
//! what the index does not name has to know first that it is not so.
//!
//! What has been found to agree is remembered by the last name of each site's journal. An older index remembers an older name, so what
//! came between is looked at again. Who is about to remove something looks at everything once more ([`Reach::All`]): another index
//! of this installation can have been at work meanwhile, and have written its pieces before that name.
//!
//! An index that was rebuilt is made of the journal, so that the two agree says nothing about what the rebuild did not have. It keeps
//! what that was, and as long as it does ([`Agreement::HasGap`]) nothing may be removed either.

use crate::backend::{BackendError, Site};
use crate::index::journal::Checked;
use crate::objects::{ObjectError, Objects, SegmentError, SiteKeys, read_segment, site_keys};
use crate::seal::BlobName;
use crate::types::SiteId;

/// Names asked for at a time.
const PAGE: usize = 1000;

/// How much of the journal is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// What has come since it was looked at last.
    New,
    /// Every piece.
    All,
}

/// What the journal says of the index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Agreement {
    /// The index has every ledger entry that the journal has.
    Agrees,
    /// It lacks one: it is older than the journal.
    IsBehind {
        /// Where the piece lies that has it.
        site: SiteId,
        /// The piece.
        piece: BlobName,
    },
    /// It was rebuilt or imported without something that was acknowledged and may be found yet.
    HasGap {
        /// What that is.
        gap: String,
    },
    /// A site cannot be read, or a piece does not open.
    Unknown {
        /// Why.
        reason: String,
    },
}

impl Objects {
    /// Holds the journals at all sites against the index.
    ///
    /// # Errors
    /// Only those of the index.
    pub async fn agreement(&self, reach: Reach) -> Result<Agreement, ObjectError> {
        let before = self.index.checked()?;
        if let Some(gap) = before.gap {
            return Ok(Agreement::HasGap { gap });
        }
        if let Some(imported) = self.index.imported()? {
            let without = imported.without.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            return Ok(Agreement::HasGap { gap: format!("what lies at {without}") });
        }
        let mut checked = before.clone();
        let mut outcome = Agreement::Agrees;
        for site in self.sites.iter() {
            match self.agreement_at(site, reach, &mut checked).await? {
                Agreement::Agrees => {}
                other => {
                    outcome = other;
                    break;
                }
            }
        }
        if checked != before {
            self.index.keep_checked(&checked).await?;
        }
        Ok(outcome)
    }

    async fn agreement_at(&self, site: &Site, reach: Reach, checked: &mut Checked) -> Result<Agreement, ObjectError> {
        let id = &site.spec().id;
        let unknown = |error: &dyn std::fmt::Display| Agreement::Unknown { reason: format!("site `{id}`: {error}") };
        let keys = match self.journal_keys(site).await {
            Ok(keys) => keys,
            Err(error) => return Ok(unknown(&error)),
        };
        let agreed: Option<BlobName> = checked.agreed.get(id).and_then(|name| name.parse().ok());
        let rebuilt = checked.rebuilt.get(id).and_then(|name| name.parse().ok());
        let from = if reach == Reach::New { agreed.max(rebuilt) } else { rebuilt };
        let mut after = from.unwrap_or_else(BlobName::marker);
        loop {
            let page = match site.list(Some(&after), PAGE).await {
                Ok(page) => page.blobs,
                Err(error) => return Ok(unknown(&error)),
            };
            for piece in page.iter().map(|blob| blob.name).filter(|name| name.journal_number().is_some_and(|number| number > 0)) {
                match read_segment(site, &piece, &keys).await {
                    Ok(segment) => {
                        if !self.index.has_entries_of(segment.groups).await? {
                            return Ok(Agreement::IsBehind { site: id.clone(), piece });
                        }
                        if agreed.is_none_or(|agreed| piece > agreed) {
                            checked.agreed.insert(id.clone(), piece.to_string());
                        }
                    }
                    // A compaction has removed it since.
                    Err(SegmentError::Site(BackendError::NotFound { .. })) => {}
                    // It could be read once, and agreed. That it has been damaged since does not make the index older.
                    Err(SegmentError::Piece(why)) if agreed.is_some_and(|agreed| piece <= agreed) => {
                        tracing::warn!(site = %id, %piece, why, "a piece of the journal does not open any more");
                    }
                    Err(error) => return Ok(unknown(&format!("`{piece}`: {error}"))),
                }
            }
            match page.last() {
                Some(last) if page.len() == PAGE => after = last.name,
                _ => return Ok(Agreement::Agrees),
            }
        }
    }

    /// The keys at the front of a site's journal. One that does not open is missed by the pieces that need it.
    async fn journal_keys(&self, site: &Site) -> Result<SiteKeys, BackendError> {
        let mut keys = SiteKeys::new();
        let front = site.list(Some(&BlobName::marker()), PAGE).await?;
        for name in front.blobs.iter().map(|blob| blob.name).filter(|name| name.journal_number() == Some(0)) {
            if let Err(error) = site_keys(site, &name, &self.hierarchy, &mut keys).await {
                tracing::warn!(site = %site.spec().id, %name, %error, "a key at the front of the journal does not open");
            }
        }
        Ok(keys)
    }
}
