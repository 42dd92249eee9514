//! Building the index of a stopped gateway anew, from its sites alone or from an export and what the sites were told since.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::BufReader,
    path::{Path, PathBuf},
    sync::Arc,
};

mod begin;

use self::begin::{Building, adopted_before, begin, description};
use super::{StartError, key_uses::KeyUses, open, swap};
use crate::audit::{Actor, Event, FromExport, Kind};
use crate::backend::{Installation, KnownSites, Sites, Standing};
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::index::journal::Checked;
use crate::index::{Change, Exported, ImportedIndex, Index, Replay};
use crate::kms::{Keyring, Pseudonyms};
use crate::recovery::{Adopted, Progress, Rebuild, RecoveryError, adopt, list_journal, read_journal};
use crate::types::{Country, SiteId, Timestamp};

/// What to rebuild, and how.
#[derive(Debug, Clone, Default)]
pub struct RebuildOrder {
    /// Only to say what a rebuild would find.
    pub dry_run: bool,
    /// Sites to do without.
    pub without: Vec<SiteId>,
    /// The export to begin with.
    pub export: Option<PathBuf>,
    /// Whether what is missing is lost for good: then nothing waits for it to be found.
    pub accept_loss: bool,
    /// Whether what an earlier try has done is thrown away.
    pub anew: bool,
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

    fn standing(&self, _: &SiteId) -> Result<Vec<Standing>, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Vec::new())
    }

    fn record(&self, _: &SiteId, _: Standing, _: bool) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        Ok(())
    }
}

/// Rebuilds the index from the sites, or imports it from an export and what the sites were told since. It is built beside the one that is
/// there, which is kept under another name; until then nothing is changed, so it can be broken off at any time. The same order goes on where it
/// was. The sites are only read.
///
/// # Errors
/// While a gateway runs there; when the keyring or a site is missing, the sites hold no journal, or the export is none of this installation
/// as it was written.
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
    let hierarchy = open::hierarchy(config, &keyring).await?;
    let key_uses = Arc::new(KeyUses::default());
    hierarchy.observe(Arc::clone(&key_uses) as _);
    open::look_at_keys(&hierarchy).await?;
    let pseudonyms = Arc::new(Pseudonyms::new(keyring.pseudonym_key()));
    let log = open::log(config.ledger.origin.as_deref(), &keyring)?;
    let keys = || open::index_keys(&keyring, log.clone(), &pseudonyms);

    let installation = Installation::new(keyring.installation_id(), keyring.site_key(), Arc::new(NoMemory));
    let sites = Sites::new(open::sites(config, &order.without)?, installation);
    for (site, outcome) in sites.recognise().await {
        outcome.map_err(|error| RecoveryError::identity(&site, &error))?;
    }

    let pieces = list_journal(&sites, progress).await?;
    let begun = begin(config, order, &keys, &pieces)?;
    let Building { engine, mut replay, mut earlier } = begun;
    if let Some(file) = order.export.as_ref().filter(|_| earlier.exported.is_none()) {
        earlier.exported = Some(load(&mut replay, file, keyring.installation_id(), progress)?);
    }
    replay.remember(&description(order)?).map_err(StartError::from)?;
    fail::fail_point!("rebuild::loaded");
    let exported = earlier.exported.clone();
    let journals = read_journal((&sites, pieces), &hierarchy, &mut replay, exported.as_ref(), &earlier, progress).await?;
    if let Some(exported) = exported.as_ref().filter(|_| !order.without.is_empty()) {
        replay.leave_behind(behind(exported, &order.without, clock.now()));
    }
    let replayed = match earlier.replayed {
        Some(replayed) => replayed,
        None => {
            progress.begin("deriving the rest", None);
            let here = sites.iter().map(|site| site.spec().country).collect();
            replay.finish(clock.now(), &here).map_err(StartError::from)?
        }
    };
    fail::fail_point!("rebuild::replayed");

    let index = Index::open(Arc::clone(&engine), keys(), Arc::clone(&clock)).map_err(StartError::from)?;
    let countries: BTreeSet<Country> = config.sites.iter().map(|site| site.country).collect();
    if let Some(home) = open::home(config) {
        // What is taken in now is told to the sites by the gateway, once it runs.
        index.begin_journal(home, &countries).map_err(StartError::from)?;
    }
    let mut adopted = adopted_before(&index, replayed.entries).await.map_err(StartError::from)?;
    let now = adopt(&index, &sites, &hierarchy, (&journals, &replayed.departed), progress).await?;
    adopted = Adopted { records: adopted.records + now.records, subject_keys: adopted.subject_keys + now.subject_keys, ..now };
    let buckets = index.buckets().map_err(StartError::from)?.len() as u64;
    let report = Rebuild {
        dry_run: order.dry_run,
        resumed: journals.resumed,
        chains: journals.chains.into_values().collect(),
        records: replayed.records,
        markers: replayed.markers,
        buckets,
        ledger_entries: replayed.entries,
        ledger_entries_lost: replayed.entries_lost,
        without_parts: replayed.without_parts,
        unreadable: journals.unreadable,
        adopted,
        exported: exported.as_ref().map(FromExport::from),
    };
    let kind = if exported.is_some() { Kind::IndexImported } else { Kind::IndexRebuilt };
    let event = Event {
        rebuilt: Some(Box::new(report.entry())),
        export: report.exported.clone().map(Box::new),
        ..Event::new(kind, Actor::System)
    };
    index.commit(Change::Note, event).await.map_err(StartError::from)?;
    for event in key_uses.take() {
        index.commit(Change::Note, event).await.map_err(StartError::from)?;
    }
    let gap = if order.accept_loss { None } else { report.gap(&order.without) };
    let checked = Checked { agreed: BTreeMap::new(), rebuilt: journals.last, gap };
    index.keep_checked(&checked).await.map_err(StartError::from)?;
    drop(index);
    Replay::forget(engine.as_ref()).map_err(StartError::from)?;
    drop(engine);
    fail::fail_point!("rebuild::adopted");
    let place = open::index_folder(&config.data_dir);
    let replaced = match order.dry_run {
        true => None,
        false => swap::put_in_place(&config.data_dir, clock.now().millis())
            .map_err(|source| StartError::File { path: place, source })?,
    };
    Ok(Rebuilt { report, replaced })
}

/// Reads the export, to its end.
fn load(replay: &mut Replay, file: &Path, installation: [u8; 16], progress: &dyn Progress) -> Result<Exported, RebuildError> {
    let file_error = |source| RebuildError::Start(StartError::File { path: file.to_owned(), source });
    let source = fs::File::open(file).map_err(file_error)?;
    let length = source.metadata().map_err(file_error)?.len();
    progress.begin("reading the export", Some(length));
    let exported = replay.load(BufReader::with_capacity(1 << 20, source), installation, |bytes| progress.advance(bytes));
    Ok(exported.map_err(RecoveryError::from)?)
}

fn behind(exported: &Exported, without: &[SiteId], now: Timestamp) -> ImportedIndex {
    ImportedIndex {
        number: exported.number,
        entries: exported.ledger.size,
        exported: exported.ended,
        imported: now,
        without: without.to_vec(),
    }
}

impl From<&Exported> for FromExport {
    fn from(exported: &Exported) -> Self {
        Self { number: exported.number, ended: exported.ended.to_rfc3339(), entries: exported.ledger.size }
    }
}
