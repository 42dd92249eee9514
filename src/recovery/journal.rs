//! Reading the journal of every site.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use futures_util::{StreamExt, stream};
use serde::{Deserialize, Serialize};

use super::{Progress, RecoveryError, sites};
use crate::backend::{Site, Sites};
use crate::index::journal::Segment;
use crate::index::{Earlier, Exported, IndexError, Replay};
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
    /// The pieces that an earlier try had taken.
    pub resumed: u64,
}

/// The pieces of every site's journal.
pub struct Pieces {
    keys: Vec<(Arc<Site>, BlobName)>,
    segments: Vec<(Arc<Site>, BlobName)>,
    last: BTreeMap<SiteId, String>,
}

/// What is kept of a piece that was taken, for a rebuild that goes on later: all but its facts, which are in the index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum Note {
    /// It was read.
    Read { country: Country, number: u64, complete: bool, latest: BTreeMap<Country, u64>, open: Vec<RecordId> },
    /// It does not open.
    Unreadable(String),
}

/// Lists the journals of `sites`.
///
/// # Errors
/// When a site cannot be read, or there is no journal at all.
pub async fn list_journal(sites: &Sites, progress: &dyn Progress) -> Result<Pieces, RecoveryError> {
    let mut last = BTreeMap::new();
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
            last.insert(site.spec().id.clone(), name.to_string());
        }
    }
    let (keys, segments): (Vec<_>, Vec<_>) = pieces.into_iter().partition(|(_, name)| name.journal_number() == Some(0));
    if keys.is_empty() || segments.is_empty() {
        return Err(RecoveryError::NoJournal);
    }
    Ok(Pieces { keys, segments, last })
}

impl Pieces {
    /// Whether a rebuild that was broken off can be gone on with: the journals still have every piece that it took and, once it has begun to
    /// derive, no other.
    pub fn continue_from(&self, earlier: &Earlier) -> bool {
        let since = earlier.exported.as_ref().map_or(0, |base| base.number);
        let here: BTreeSet<String> = self.since(since).map(|(site, name)| name_of(site, name)).collect();
        earlier.pieces.keys().all(|name| here.contains(name)) && (!earlier.closed || here.len() == earlier.pieces.len())
    }

    fn since(&self, number: u64) -> impl Iterator<Item = &(Arc<Site>, BlobName)> {
        self.segments.iter().filter(move |(_, name)| name.journal_number().is_some_and(|piece| piece > number))
    }
}

fn name_of(site: &Site, name: &BlobName) -> String {
    format!("{}/{name}", site.spec().id)
}

/// Reads the journals of `sites` into `replay`: all of them, or, where `base` has been loaded before, what they say since. What an earlier
/// try has taken is not read again.
///
/// # Errors
/// When a site cannot be read, or the journal no longer reaches back to `base`. Single pieces that do not open are reported instead.
pub async fn read_journal(
    (sites, pieces): (&Sites, Pieces),
    hierarchy: &Hierarchy,
    replay: &mut Replay,
    base: Option<&Exported>,
    earlier: &Earlier,
    progress: &dyn Progress,
) -> Result<Journals, RecoveryError> {
    let mut journals = base.map_or_else(Journals::default, Journals::since);
    if let Some(base) = base {
        let numbers: Vec<_> = pieces.segments.iter().map(|(site, name)| (site.spec().country, name.journal_number())).collect();
        reach_back_to(base, sites, &numbers)?;
    }
    let mut waiting = Vec::new();
    for (site, name) in pieces.since(base.map_or(0, |base| base.number)) {
        match earlier.pieces.get(&name_of(site, name)).and_then(|note| rmp_serde::from_slice(note).ok()) {
            // One that did not open may do now, as long as what it says can be taken.
            Some(Note::Unreadable(_)) if !earlier.closed => waiting.push((Arc::clone(site), *name)),
            Some(note) => {
                journals.resumed += 1;
                journals.note(note);
            }
            None => waiting.push((Arc::clone(site), *name)),
        }
    }
    journals.last = pieces.last;
    let keys = open_keys(pieces.keys, hierarchy, &mut journals).await?;
    progress.begin("reading the journals", Some(waiting.len() as u64));
    let keys = &keys;
    let read = waiting.into_iter().map(|(site, name)| async move {
        let segment = read_segment(&site, &name, keys).await;
        (site, name, segment)
    });
    let mut read = stream::iter(read).buffer_unordered(AT_ONCE);
    while let Some((site, name, segment)) = read.next().await {
        progress.advance(1);
        let name = name_of(&site, &name);
        let note = match segment {
            Ok(segment) => {
                for group in &segment.groups {
                    replay.take(group)?;
                }
                let Segment { country, number, complete, latest, open, .. } = segment;
                Note::Read { country, number, complete, latest, open }
            }
            Err(SegmentError::Site(error)) => return Err(RecoveryError::backend(&site.spec().id, &error)),
            Err(error) => Note::Unreadable(format!("{name}: {error}")),
        };
        let kept = rmp_serde::to_vec(&note).map_err(|error| IndexError::Encode(error.to_string()))?;
        replay.end_piece(&name, kept)?;
        journals.note(note);
        fail::fail_point!("rebuild::piece");
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
            ..Self::default()
        }
    }

    fn note(&mut self, note: Note) {
        let (country, number, complete, latest, open) = match note {
            Note::Read { country, number, complete, latest, open } => (country, number, complete, latest, open),
            Note::Unreadable(why) => return self.unreadable.push(why),
        };
        for (country, number) in latest {
            let chain = self.chain(country);
            chain.known = chain.known.max(number);
        }
        let chain = self.chain(country);
        chain.segments += 1;
        // A piece that does not end its last commit reaches the one before it only.
        let reached = if complete { number } else { number.saturating_sub(1) };
        if reached >= chain.reaches {
            chain.reaches = reached;
            self.open.insert(country, open.into_iter().collect());
        }
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
