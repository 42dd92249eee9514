//! Durable writes and removals.

use std::{
    collections::HashSet,
    fs::{self, File},
    io::{self, ErrorKind, IoSlice, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use parking_lot::Mutex;

use super::{Root, TEMPORARY, make_folder};
use crate::{digest, seal::BlobName};

/// The folders whose own entries are known to be durable. Another writer that finds a folder existing may not conclude that: its
/// maker may not have synced the parent yet.
#[derive(Debug, Default)]
pub(super) struct Folders(Mutex<HashSet<PathBuf>>);

/// On which side of the rename a write failed.
pub(super) enum Failure {
    /// Nothing has the blob's name because of this write.
    Before(io::Error),
    /// The blob has its name, perhaps not durably.
    After(io::Error),
}

impl Root {
    /// Stores a blob durably.
    pub(super) fn write(&self, name: &BlobName, pieces: &[Bytes]) -> Result<(), Failure> {
        let file = self.file(name);
        let folder = file.parent().unwrap_or(&self.path);
        self.ensure_folder(folder).map_err(Failure::Before)?;
        let temporary = self.path.join(TEMPORARY).join(hex::encode(digest::random::<16>()));
        let written = write_file(&temporary, pieces).and_then(|()| fs::rename(&temporary, &file));
        if let Err(error) = written {
            // Best effort: what stays is cleared at the next start.
            let _ = fs::remove_file(&temporary);
            return Err(Failure::Before(error));
        }
        sync_folder(folder).map_err(Failure::After)
    }

    /// Removes a blob durably.
    pub(super) fn remove(&self, name: &BlobName) -> io::Result<()> {
        let file = self.file(name);
        match fs::remove_file(&file) {
            // An earlier removal may have failed to sync, so an absent blob is synced as well; its folder may not be there at all.
            Ok(()) => sync_folder(file.parent().unwrap_or(&self.path)),
            Err(error) if error.kind() == ErrorKind::NotFound => match sync_folder(file.parent().unwrap_or(&self.path)) {
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
                outcome => outcome,
            },
            Err(error) => Err(error),
        }
    }

    /// Makes a folder below the root and, once for each folder and process, its entries and those of its parents durable.
    fn ensure_folder(&self, folder: &Path) -> io::Result<()> {
        if self.folders.0.lock().contains(folder) {
            return Ok(());
        }
        make_folder(folder)?;
        for made in folder.ancestors().take_while(|ancestor| *ancestor != self.path) {
            if !fs::symlink_metadata(made)?.is_dir() {
                return Err(io::Error::new(ErrorKind::NotADirectory, "a link stands where a folder of blobs should be"));
            }
            sync_folder(made.parent().unwrap_or(&self.path))?;
        }
        self.folders.0.lock().insert(folder.to_owned());
        Ok(())
    }
}

fn write_file(path: &Path, pieces: &[Bytes]) -> io::Result<()> {
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(path)?;
    let mut slices: Vec<IoSlice<'_>> = pieces.iter().filter(|piece| !piece.is_empty()).map(|piece| IoSlice::new(piece)).collect();
    let mut rest = &mut slices[..];
    while !rest.is_empty() {
        match file.write_vectored(rest) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => IoSlice::advance_slices(&mut rest, written),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    file.sync_data()
}

fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}
