//! Building the index of a stopped gateway anew.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
    sync::Arc,
};

use super::{StartError, folders, open};
use crate::audit::{Actor, Event, Kind};
use crate::backend::{Installation, KnownSites, Sites};
use crate::clock::{Clock, SystemClock};
use crate::config::{Config, Engine};
use crate::index::journal::Checked;
use crate::index::{Change, Index, IndexKeys, MemoryEngine, Replay, SledEngine};
use crate::kms::{Keyring, Pseudonyms};
use crate::recovery::{Progress, Rebuild, RecoveryError, adopt, read_journal};
use crate::types::{Country, SiteId};

/// What to rebuild, and how.
#[derive(Debug, Clone, Default)]
pub struct RebuildOrder {
    /// Only to say what a rebuild would find.
    pub dry_run: bool,
    /// Sites to do without.
    pub without: Vec<SiteId>,
    /// Whether what is missing is lost for good: then nothing waits for it to be found.
    pub accept_loss: bool,
}

/// A rebuild's outcome.
#[derive(Debug)]
pub struct Rebuilt {
    /// What it found.
    pub report: Rebuild,
    /// Where the index that was there before is now.
    pub replaced: Option<PathBuf>,
}

/// Why an index was not rebuilt.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// What a gateway stands on cannot be opened.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The sites do not give it.
    #[error(transparent)]
    Recovery(#[from] RecoveryError),
    /// There is no keyring: nothing can be opened.
    #[error("there is no keyring at `{}`: without it nothing at the sites can be read", .0.display())]
    NoKeyring(PathBuf),
    /// Such a site is not configured.
    #[error("there is no site `{0}` in the configuration")]
    NoSuchSite(SiteId),
}

/// Sites are only recognised here: what was known of them is in the index that is lost.
struct NoMemory;

impl KnownSites for NoMemory {
    fn last_epoch(&self, _: &SiteId) -> Result<Option<u64>, Box<dyn std::error::Error + Send + Sync>> {
        Ok(None)
    }

    fn remember(&self, _: &SiteId, _: u64) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        Ok(())
    }
}

/// Rebuilds the index from the sites. It is built beside the one that is there, which is kept under another name; until then nothing is
/// changed, so it can be broken off and begun again at any time. The sites are only read.
///
/// # Errors
/// While a gateway runs there; when the keyring or a site is missing, or the sites hold no journal.
pub async fn rebuild(config: &Config, order: &RebuildOrder, progress: &dyn Progress) -> Result<Rebuilt, RebuildError> {
    if let Some(unknown) = order.without.iter().find(|site| config.sites.iter().all(|known| known.id != **site)) {
        return Err(RebuildError::NoSuchSite(unknown.clone()));
    }
    if !config.keyring.path.exists() {
        return Err(RebuildError::NoKeyring(config.keyring.path.clone()));
    }
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let _lock = open::lock(&config.data_dir)?;
    let keyring = Keyring::open(&config.keyring.path, &config.keyring.identity_file, Arc::clone(&clock));
    let keyring = keyring.map_err(StartError::from)?;
    let hierarchy = open::hierarchy(config, &keyring)?;
    let pseudonyms = Arc::new(Pseudonyms::new(keyring.pseudonym_key()));
    let keys =
        || IndexKeys { index_key: keyring.index_key(), ledger_key: keyring.ledger_key(), pseudonyms: Arc::clone(&pseudonyms) };

    let mut configured = open::sites(config)?;
    configured.retain(|site| !order.without.contains(&site.spec().id));
    let installation = Installation::new(keyring.installation_id(), keyring.site_key(), Arc::new(NoMemory));
    let sites = Sites::new(configured, installation);
    for (site, outcome) in sites.recognise().await {
        outcome.map_err(|error| RecoveryError::identity(&site, &error))?;
    }

    let folder = config.data_dir.join("index.rebuilding");
    let file_error = |source| StartError::File { path: folder.clone(), source };
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(file_error)?;
    }
    let engine: Arc<dyn crate::index::Engine> = if order.dry_run {
        Arc::new(MemoryEngine::default())
    } else {
        folders::private(&folder).map_err(file_error)?;
        let Engine::Sled { cache } = config.engine;
        Arc::new(SledEngine::open(&folder, cache).map_err(StartError::from)?)
    };
    let mut replay = Replay::begin(Arc::clone(&engine), keys()).map_err(StartError::from)?;
    let journals = read_journal(&sites, &hierarchy, &mut replay, progress).await?;
    progress.begin("deriving the rest", None);
    let replayed = replay.finish(clock.now()).map_err(StartError::from)?;

    let index = Index::open(Arc::clone(&engine), keys(), Arc::clone(&clock)).map_err(StartError::from)?;
    let countries: BTreeSet<Country> = config.sites.iter().map(|site| site.country).collect();
    if let Some(home) = open::home(config) {
        // What is taken in now is told to the sites by the gateway, once it runs.
        index.begin_journal(home, &countries).map_err(StartError::from)?;
    }
    let adopted = adopt(&index, &sites, &hierarchy, &journals, progress).await?;
    let buckets = index.buckets().map_err(StartError::from)?.len() as u64;
    let report = Rebuild {
        dry_run: order.dry_run,
        chains: journals.chains.into_values().collect(),
        records: replayed.records,
        markers: replayed.markers,
        buckets,
        ledger_entries: replayed.entries,
        ledger_entries_lost: replayed.entries_lost,
        without_parts: replayed.without_parts,
        unreadable: journals.unreadable,
        adopted,
    };
    let event = Event { rebuilt: Some(Box::new(report.entry())), ..Event::new(Kind::IndexRebuilt, Actor::System) };
    index.commit(Change::Note, event).await.map_err(StartError::from)?;
    let gap = if order.accept_loss { None } else { report.gap(&order.without) };
    let checked = Checked { agreed: BTreeMap::new(), rebuilt: journals.last, gap };
    index.keep_checked(&checked).await.map_err(StartError::from)?;
    drop(index);
    drop(engine);
    let replaced = if order.dry_run { None } else { swap(config, &folder, clock.now().millis())? };
    Ok(Rebuilt { report, replaced })
}

/// Puts the new index in the place of the old one, which is kept.
fn swap(config: &Config, new: &std::path::Path, now: i64) -> Result<Option<PathBuf>, StartError> {
    let place = open::index_folder(&config.data_dir);
    let file_error = |source| StartError::File { path: place.clone(), source };
    let mut kept = None;
    if place.exists() {
        let aside = config.data_dir.join(format!("index.replaced-{now}"));
        fs::rename(&place, &aside).map_err(file_error)?;
        kept = Some(aside);
    }
    fs::rename(new, &place).map_err(file_error)?;
    fs::File::open(&config.data_dir).and_then(|folder| folder.sync_all()).map_err(file_error)?;
    Ok(kept)
}
