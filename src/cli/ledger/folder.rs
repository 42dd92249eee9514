//! A ledger as a folder of static files (C2SP tlog-tiles): `checkpoint`, `tile/…`, and `checkpoints/` with those that were kept. Any server
//! of files can show it; this reads and writes it.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::audit::{
    Fault, FaultKind, LedgerHead, Own, Report, SignedCheckpoint, Verifier, leaf_hash,
    tile::{Builder, InvalidTile, Level, Tile, unbundle},
};
use crate::cli::Failure;

/// The folder.
pub(super) struct Folder(PathBuf);

impl From<InvalidTile> for Failure {
    fn from(error: InvalidTile) -> Self {
        Self::Check(error.to_string())
    }
}

impl Folder {
    pub(super) fn new(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// How far the folder says that the ledger has come; `None` in an empty one.
    pub(super) fn checkpoint(&self) -> Result<Option<SignedCheckpoint>, Failure> {
        let Some(bytes) = self.file("checkpoint")? else { return Ok(None) };
        let wrong = |error: &dyn std::fmt::Display| Failure::Check(format!("`{}`: {error}", self.0.join("checkpoint").display()));
        let text = String::from_utf8(bytes).map_err(|error| wrong(&error))?;
        text.parse().map(Some).map_err(|error| wrong(&error))
    }

    /// The checkpoints that were kept, in the order of their sizes.
    pub(super) fn kept(&self) -> Result<Vec<SignedCheckpoint>, Failure> {
        let folder = self.0.join("checkpoints");
        let mut kept = Vec::new();
        let files = match fs::read_dir(&folder) {
            Ok(files) => files,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(kept),
            Err(error) => return Err(unreadable(&folder, &error)),
        };
        for file in files {
            let path = file.map_err(|error| unreadable(&folder, &error))?.path();
            if path.extension().is_some() {
                continue;
            }
            let text = fs::read_to_string(&path).map_err(|error| unreadable(&path, &error))?;
            let signed: SignedCheckpoint =
                text.parse().map_err(|error| Failure::Check(format!("`{}`: {error}", path.display())))?;
            kept.push(signed);
        }
        kept.sort_by_key(|signed| signed.checkpoint.size);
        Ok(kept)
    }

    /// The bytes of a tile. Where one that was not full is gone because it is full by now, what it was.
    pub(super) fn tile(&self, tile: Tile) -> Result<Option<Vec<u8>>, Failure> {
        if let Some(bytes) = self.file(&format!("tile/{tile}"))? {
            return Ok(Some(bytes));
        }
        let full = Tile { width: crate::audit::tile::WIDTH, ..tile };
        let Some(mut bytes) = self.file(&format!("tile/{full}"))?.filter(|_| !tile.is_full()) else { return Ok(None) };
        let width = usize::try_from(tile.width).unwrap_or(usize::MAX);
        let kept = match tile.level {
            Level::Hashes(_) => width.saturating_mul(32),
            Level::Entries => unbundle(&bytes).map_or(0, |entries| entries.iter().take(width).map(|entry| entry.len() + 2).sum()),
        };
        bytes.truncate(kept);
        Ok(Some(bytes))
    }

    fn file(&self, name: &str) -> Result<Option<Vec<u8>>, Failure> {
        let path = self.0.join(name);
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
            Err(error) => Err(unreadable(&path, &error)),
        }
    }

    /// Writes a file whole or not at all.
    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> Result<(), Failure> {
        let path = self.0.join(name);
        let unwritable = |error: io::Error| Failure::Usage(format!("cannot write `{}`: {error}", path.display()));
        let Some(folder) = path.parent() else { return Ok(()) };
        fs::create_dir_all(folder).map_err(unwritable)?;
        let mut beside = path.clone().into_os_string();
        beside.push(".new");
        let write = || {
            let mut file = fs::File::create(&beside)?;
            io::Write::write_all(&mut file, bytes)?;
            file.sync_all()?;
            fs::rename(&beside, &path)
        };
        write().map_err(unwritable)
    }

    /// Removes what a tile was before it was full.
    pub(super) fn remove_partial(&self, tile: Tile) -> Result<(), Failure> {
        let path = self.0.join(format!("tile/{tile}.p"));
        match fs::remove_dir_all(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(Failure::Usage(format!("cannot remove `{}`: {error}", path.display())))
            }
            _ => Ok(()),
        }
    }

    /// Reads every entry and every tile, and holds them against the folder's own checkpoint and what else is known.
    pub(super) fn verify(&self, own: Own, held: &[LedgerHead]) -> Result<Result<Report, Fault>, Failure> {
        let mut verifier = Verifier::new(held, Some(own));
        let mut tiles = Tiles { folder: self, wrong: None };
        // What the tiles of hashes say by themselves: where they are those of the checkpoint, they tell which entry is not.
        let (mut computed, mut stated) = (Builder::default(), Builder::default());
        let mut edited = None;
        for tile in Tile::of(Level::Entries, own.size, 0) {
            let bytes = self.tile(tile)?;
            let entries = match bytes.as_deref().map(unbundle) {
                Some(Ok(entries)) => entries,
                Some(Err(_)) => vec![b"".as_slice()],
                None => Vec::new(),
            };
            let hashes = self.tile(Tile { level: Level::Hashes(0), ..tile })?.unwrap_or_default();
            let hashes = crate::audit::tile::hashes(&hashes).unwrap_or_default();
            for hash in hashes {
                stated.push(*hash, |_, _| Ok::<(), Failure>(()))?;
            }
            for (entry, seq) in entries.iter().zip(tile.start()..) {
                verifier.push(entry);
                let hash = leaf_hash(entry);
                if usize::try_from(seq - tile.start()).ok().and_then(|at| hashes.get(at)) != Some(&hash) {
                    edited.get_or_insert(seq);
                }
                computed.push(hash, |tile, hashes| tiles.compare(tile, hashes))?;
            }
        }
        computed.edge(|tile, hashes| tiles.compare(tile, hashes))?;
        let exact = edited.filter(|_| stated.size() == own.size && stated.root() == own.root);
        Ok(match (verifier.finish(), tiles.wrong) {
            (Ok(_), Some(seq)) => Err(Fault::at(seq, FaultKind::BadTile)),
            (Err(Fault { kind: FaultKind::Edited, .. }), _) if exact.is_some() => {
                Err(Fault::at(exact.unwrap_or_default(), FaultKind::Edited))
            }
            (checked, _) => checked,
        })
    }
}

/// Holds the folder's tiles against those that the entries have.
struct Tiles<'f> {
    folder: &'f Folder,
    /// The first entry under one that is not theirs.
    wrong: Option<u64>,
}

impl Tiles<'_> {
    fn compare(&mut self, tile: Tile, hashes: &[[u8; 32]]) -> Result<(), Failure> {
        if self.folder.tile(tile)?.is_none_or(|bytes| bytes != hashes.concat()) {
            let under = match tile.level {
                Level::Hashes(level) => tile.start().checked_shl(u32::from(level) * 8).unwrap_or(u64::MAX),
                Level::Entries => tile.start(),
            };
            self.wrong = Some(self.wrong.map_or(under, |wrong| wrong.min(under)));
        }
        Ok(())
    }
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    Failure::Usage(format!("cannot read `{}`: {error}", path.display()))
}
