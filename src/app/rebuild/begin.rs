//! Where an index is built: a folder of its own, in which a rebuild that was broken off is gone on with.

use std::{borrow::Cow, fs, io::Read, path::Path, sync::Arc};

use serde::Deserialize;

use super::{RebuildError, RebuildOrder};
use crate::app::{StartError, folders, swap};
use crate::config::{Config, Engine as EngineConfig};
use crate::digest;
use crate::index::{Earlier, Engine, Index, IndexError, IndexKeys, MemoryEngine, Replay, SledEngine};
use crate::recovery::{Adopted, Pieces};

/// An index that is being built.
pub(super) struct Building {
    pub(super) engine: Arc<dyn Engine>,
    pub(super) replay: Replay,
    /// What had been done already.
    pub(super) earlier: Earlier,
}

/// Goes on with what an earlier try of the same order left, if the journals still are what it had begun to read; else begins with nothing.
pub(super) fn begin(
    config: &Config,
    order: &RebuildOrder,
    keys: &dyn Fn() -> IndexKeys,
    pieces: &Pieces,
) -> Result<Building, RebuildError> {
    if order.dry_run {
        let engine: Arc<dyn Engine> = Arc::new(MemoryEngine::default());
        let replay = Replay::begin(Arc::clone(&engine), keys()).map_err(StartError::from)?;
        return Ok(Building { engine, replay, earlier: Earlier::default() });
    }
    let folder = swap::building(&config.data_dir);
    let file_error = |source| StartError::File { path: folder.clone(), source };
    if folder.exists() {
        if let Some(found) = resume(config, order, keys, pieces, &folder)? {
            return Ok(found);
        }
        fs::remove_dir_all(&folder).map_err(file_error)?;
    }
    folders::private(&folder).map_err(file_error)?;
    let engine = open(config, &folder)?;
    let replay = Replay::begin(Arc::clone(&engine), keys()).map_err(StartError::from)?;
    Ok(Building { engine, replay, earlier: Earlier::default() })
}

fn resume(
    config: &Config,
    order: &RebuildOrder,
    keys: &dyn Fn() -> IndexKeys,
    pieces: &Pieces,
    folder: &Path,
) -> Result<Option<Building>, RebuildError> {
    if order.anew {
        return Ok(None);
    }
    // What does not open or decode any more is built anew, which asks nothing of it.
    let Ok(engine) = open(config, folder) else { return Ok(None) };
    let Ok(Some((replay, earlier))) = Replay::resume(Arc::clone(&engine), keys()) else { return Ok(None) };
    let same = earlier.order == description(order)? && pieces.continue_from(&earlier);
    Ok(same.then_some(Building { engine, replay, earlier }))
}

fn open(config: &Config, folder: &Path) -> Result<Arc<dyn Engine>, RebuildError> {
    let EngineConfig::Sled { cache } = config.engine;
    Ok(Arc::new(SledEngine::open(folder, cache).map_err(StartError::from)?))
}

/// What an order is to do, so that another one does not go on with it: the sites that are left out, the export, and the version of this
/// program, which may derive rows differently from another.
pub(super) fn description(order: &RebuildOrder) -> Result<Vec<u8>, RebuildError> {
    let export = order.export.as_deref().map(fingerprint).transpose()?;
    let mut without: Vec<&str> = order.without.iter().map(|site| site.as_str()).collect();
    without.sort_unstable();
    let described = rmp_serde::to_vec(&(env!("CARGO_PKG_VERSION"), without, export));
    Ok(described.map_err(|error| StartError::from(IndexError::Encode(error.to_string())))?)
}

/// The beginning of an export names it: salt and nonce prefix are random.
fn fingerprint(file: &Path) -> Result<[u8; 32], StartError> {
    let failed = |source| StartError::File { path: file.to_owned(), source };
    let mut start = Vec::new();
    fs::File::open(file).and_then(|file| file.take(4096).read_to_end(&mut start)).map_err(failed)?;
    Ok(digest::sha256(&start))
}

/// As much of a ledger entry as is asked here.
#[derive(Deserialize)]
struct Entry<'a> {
    #[serde(borrow)]
    kind: Cow<'a, str>,
}

/// What earlier tries have taken in: they committed it one by one, behind the entries that the journals brought.
pub(super) async fn adopted_before(index: &Index, entries: u64) -> Result<Adopted, IndexError> {
    let mut adopted = Adopted::default();
    let mut from = entries;
    loop {
        let leaves = index.ledger_entries(from, 1000).await?;
        if leaves.is_empty() {
            return Ok(adopted);
        }
        from += leaves.len() as u64;
        for entry in leaves.iter().filter_map(|leaf| serde_json::from_slice::<Entry<'_>>(leaf).ok()) {
            match &*entry.kind {
                "put-object" => adopted.records += 1,
                "key-stored" => adopted.subject_keys += 1,
                _ => {}
            }
        }
    }
}
