//! A ledger as a folder of static files (C2SP tlog-tiles): `checkpoint`, `tile/…`, and `checkpoints/` with those that were kept. Any server
//! of files can show it; this reads and writes it.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::audit::{
    Fault, FaultKind, LedgerHead, Own, Report, SignedCheckpoint, Verifier, leaf_hash,
    tile::{Builder, InvalidTile, Level, Tile, WIDTH, unbundle},
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
        self.signed("checkpoint")
    }

    fn signed(&self, name: &str) -> Result<Option<SignedCheckpoint>, Failure> {
        let Some(bytes) = self.file(name)? else { return Ok(None) };
        let wrong = |error: &dyn std::fmt::Display| Failure::Check(format!("`{}`: {error}", self.0.join(name).display()));
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

    /// Adds a checkpoint that was kept, with time stamps of it. Signatures and stamps that are there stay: they are evidence, and whoever
    /// gave them may not be there any more.
    pub(super) fn keep(&self, mut signed: SignedCheckpoint, stamps: Vec<Vec<u8>>) -> Result<(), Failure> {
        let size = signed.checkpoint.size;
        let name = format!("checkpoints/{size}");
        if let Some(earlier) = self.signed(&name)? {
            if earlier.checkpoint != signed.checkpoint {
                return Err(Failure::Check(format!("Fork: the folder has another checkpoint of size {size} than the gateway")));
            }
            earlier.note.signatures().iter().for_each(|one| signed.note.add(one.clone()));
        }
        self.write(&name, signed.to_string().as_bytes())?;
        for stamp in stamps {
            let mut number = 1_u64;
            let name = loop {
                let name = format!("{name}.{number}.tsr");
                match self.file(&name)? {
                    Some(earlier) if earlier != stamp => number += 1,
                    _ => break name,
                }
            };
            self.write(&name, &stamp)?;
        }
        Ok(())
    }

    /// The bytes of a tile. Where one that was not full is gone because it is full by now, what it was.
    pub(super) fn tile(&self, tile: Tile) -> Result<Option<Vec<u8>>, Failure> {
        if let Some(bytes) = self.file(&format!("tile/{tile}"))? {
            return Ok(Some(bytes));
        }
        let full = Tile { width: WIDTH, ..tile };
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

    /// Reads every entry and every tile, and holds them against the folder's own checkpoint and what else is known. Shows each entry.
    pub(super) fn verify(
        &self,
        own: Own,
        held: &[LedgerHead],
        look: &mut dyn FnMut(&[u8]),
    ) -> Result<Result<Report, Fault>, Failure> {
        let mut verifier = Verifier::new(held, Some(own));
        let mut tiles = Tiles { folder: self, wrong: None };
        // What the tiles of hashes say by themselves: where they are those of the checkpoint, they tell which entry is not.
        let (mut computed, mut stated) = (Builder::default(), Builder::default());
        let (mut edited, mut gap) = (None, None);
        for tile in Tile::of(Level::Entries, own.size, 0) {
            // How many there would have to be is what somebody wrote: nothing is looked for behind one that is not there.
            let Some(bytes) = self.tile(tile)? else {
                gap = Some(tile.start());
                break;
            };
            let entries = unbundle(&bytes).unwrap_or_else(|_| vec![b"".as_slice()]);
            let hashes = self.tile(Tile { level: Level::Hashes(0), ..tile })?.unwrap_or_default();
            let hashes = crate::audit::tile::hashes(&hashes).unwrap_or_default();
            for hash in hashes {
                stated.push(*hash, |_, _| Ok::<(), Failure>(()))?;
            }
            for (entry, seq) in entries.iter().zip(tile.start()..) {
                verifier.push(entry);
                look(entry);
                let hash = leaf_hash(entry);
                if usize::try_from(seq - tile.start()).ok().and_then(|at| hashes.get(at)) != Some(&hash) {
                    edited.get_or_insert(seq);
                }
                computed.push(hash, |tile, hashes| tiles.compare(tile, hashes))?;
            }
        }
        computed.edge(|tile, hashes| tiles.compare(tile, hashes))?;
        let last = Tile::of(Level::Entries, own.size, (own.size / WIDTH).saturating_sub(1)).last();
        let goes_on = gap.is_some() && last.map(|last| self.tile(last)).transpose()?.flatten().is_some();
        let exact = edited.filter(|_| stated.size() == own.size && stated.root() == own.root);
        Ok(match (verifier.finish(), tiles.wrong) {
            (Err(Fault { kind: FaultKind::Truncated, seq, .. }), _) if goes_on && gap == Some(seq) => {
                Err(Fault::at(seq, FaultKind::Missing))
            }
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
