//! Reading the journal of every site.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use futures_util::{StreamExt, stream};
use serde::Serialize;

use super::{Progress, RecoveryError, sites};
use crate::backend::{Site, Sites};
use crate::index::journal::Segment;
use crate::index::{Exported, Replay};
use crate::kms::{Hierarchy, KmsError};
use crate::objects::{SegmentError, SiteKeys, read_segment, site_keys};
use crate::seal::BlobName;
use crate::types::{Country, RecordId, SiteId};

/// Segments read at a time, of at most eight MiB each.
const AT_ONCE: usize = 8;

/// The journal of one country, as far as it was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Chain {
    /// The country.
    pub country: Country,
    /// Its pieces.
    pub segments: u64,
    /// The commit that it reaches.
    pub reaches: u64,
    /// The last commit with facts for it that any chain tells of.
    pub known: u64,
}

impl Chain {
    /// Whether its end is missing.
    pub const fn is_behind(&self) -> bool {
        self.reaches < self.known
    }
}

/// What the journals say beside their facts.
#[derive(Debug, Clone, Default)]
pub struct Journals {
    /// Each country's.
    pub chains: BTreeMap<Country, Chain>,
    /// The records that were being written at the end of each chain.
    pub open: HashMap<Country, HashSet<RecordId>>,
    /// The pieces that do not open: `site/name: why`.
    pub unreadable: Vec<String>,
    /// The last piece at each site, as [`crate::index::journal::Checked::rebuilt`].
    pub last: BTreeMap<SiteId, String>,
}

/// Reads the journals of `sites` into `replay`: all of them, or, where `base` has been loaded before, what they say since.
///
/// # Errors
/// When a site cannot be read, there is no journal at all, or it no longer reaches back to `base`. Single pieces that do not open are
/// reported instead.
pub async fn read_journal(
    sites: &Sites,
    hierarchy: &Hierarchy,
    replay: &mut Replay,
    base: Option<&Exported>,
    progress: &dyn Progress,
) -> Result<Journals, RecoveryError> {
    let mut journals = base.map_or_else(Journals::default, Journals::since);
    let mut pieces: Vec<(Arc<Site>, BlobName)> = Vec::new();
    progress.begin("listing the journals", None);
    for site in sites.iter() {
        sites::list(site, Some(BlobName::marker()), |page| {
            progress.advance(page.len() as u64);
            pieces.extend(page.into_iter().map(|blob| (Arc::clone(site), blob.name)));
        })
        .await?;
        if let Some((_, name)) =
            pieces.last().filter(|(at, name)| at.spec().id == site.spec().id && name.journal_number() > Some(0))
        {
            journals.last.insert(site.spec().id.clone(), name.to_string());
        }
    }
    let (keys, mut segments): (Vec<_>, Vec<_>) = pieces.into_iter().partition(|(_, name)| name.journal_number() == Some(0));
    let keys = open_keys(keys, hierarchy, &mut journals).await?;
    if keys.is_empty() || segments.is_empty() {
        return Err(RecoveryError::NoJournal);
    }
    if let Some(base) = base {
        let numbers: Vec<_> = segments.iter().map(|(site, name)| (site.spec().country, name.journal_number())).collect();
        reach_back_to(base, sites, &numbers)?;
        segments.retain(|(_, name)| name.journal_number().is_some_and(|number| number > base.number));
    }
    progress.begin("reading the journals", Some(segments.len() as u64));
    let keys = &keys;
    let read = segments.into_iter().map(|(site, name)| async move {
        let segment = read_segment(&site, &name, keys).await;
        (site, name, segment)
    });
    let mut read = stream::iter(read).buffer_unordered(AT_ONCE);
    while let Some((site, name, segment)) = read.next().await {
        progress.advance(1);
        match segment {
            Ok(segment) => journals.take(segment, replay)?,
            Err(SegmentError::Site(error)) => return Err(RecoveryError::backend(&site.spec().id, &error)),
            Err(error) => journals.unreadable.push(format!("{}/{name}: {error}", site.spec().id)),
        }
    }
    Ok(journals)
}

/// Whether nothing has been taken from the journals since an export. A compaction removes pieces from the front, so that each chain of the
/// time has a piece from before it still says that all since are there; had one been removed, it could have been the one that says that a
/// row of the export is gone.
fn reach_back_to(base: &Exported, sites: &Sites, pieces: &[(Country, Option<u64>)]) -> Result<(), RecoveryError> {
    let asked: BTreeSet<Country> = sites.iter().map(|site| site.spec().country).collect();
    let reaches =
        |country: &Country| pieces.iter().any(|(of, number)| of == country && number.is_some_and(|number| number <= base.number));
    match base.chains.intersection(&asked).find(|country| !reaches(country)) {
        Some(country) => Err(RecoveryError::Compacted { country: *country }),
        None => Ok(()),
    }
}

impl Journals {
    /// What an export knows: every chain as far as it goes itself.
    fn since(base: &Exported) -> Self {
        let chain = |country: &Country| Chain { country: *country, segments: 0, reaches: base.number, known: 0 };
        Self {
            chains: base.chains.iter().map(|country| (*country, chain(country))).collect(),
            open: base.chains.iter().map(|country| (*country, base.open.iter().copied().collect())).collect(),
            unreadable: Vec::new(),
            last: BTreeMap::new(),
        }
    }

    fn take(&mut self, segment: Segment, replay: &mut Replay) -> Result<(), RecoveryError> {
        for (country, number) in &segment.latest {
            let chain = self.chain(*country);
            chain.known = chain.known.max(*number);
        }
        let chain = self.chain(segment.country);
        chain.segments += 1;
        // A piece that does not end its last commit reaches the one before it only.
        let reached = if segment.complete { segment.number } else { segment.number.saturating_sub(1) };
        if reached >= chain.reaches {
            chain.reaches = reached;
            self.open.insert(segment.country, segment.open.iter().copied().collect());
        }
        for group in &segment.groups {
            replay.take(group)?;
        }
        Ok(())
    }

    fn chain(&mut self, country: Country) -> &mut Chain {
        let empty = Chain { country, segments: 0, reaches: 0, known: 0 };
        self.chains.entry(country).or_insert(empty)
    }
}

/// Opens the keys at the front of the journals.
async fn open_keys(
    blobs: Vec<(Arc<Site>, BlobName)>,
    hierarchy: &Hierarchy,
    journals: &mut Journals,
) -> Result<SiteKeys, RecoveryError> {
    let mut keys = SiteKeys::new();
    let mut shut: Vec<(SiteId, String)> = Vec::new();
    for (site, name) in blobs {
        let spec = site.spec();
        match site_keys(&site, &name, hierarchy, &mut keys).await {
            Ok(()) => {}
            Err(SegmentError::Site(error)) => return Err(RecoveryError::backend(&spec.id, &error)),
            // An earlier wrapping, or an earlier key: what it opened has been told again under another.
            Err(SegmentError::Keys(error @ KmsError::Destroyed { .. })) => {
                shut.push((spec.id.clone(), format!("{}/{name}: {error}", spec.id)));
            }
            Err(SegmentError::Keys(cause)) => return Err(RecoveryError::Keys { country: spec.country, cause }),
            Err(SegmentError::Piece(why)) => journals.unreadable.push(format!("{}/{name}: {why}", spec.id)),
        }
    }
    shut.retain(|(site, _)| !keys.keys().any(|(of, _)| of == site));
    journals.unreadable.extend(shut.into_iter().map(|(_, why)| why));
    Ok(keys)
}
