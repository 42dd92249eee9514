//! Blobs as files under a folder: `d1/ab/ab…`. For single machines, tests and air-gapped sites.

mod list;
mod read;
mod write;

use std::{
    fs::{self, File},
    io::{self, ErrorKind},
    ops::Range,
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use bytes::Bytes;

use super::{Backend, BackendError, BlobRead, Check, Listing, Posture, Verdict, contract::cut_range};
use crate::{seal::BlobName, types::SiteId};

/// Holds unfinished files, inside the root so that a rename stays in the file system.
const TEMPORARY: &str = ".tmp";
/// Locked shared by every process that uses the root.
const LOCK: &str = ".lock";

/// A folder that holds blobs, durably: a put is one temporary file, `fdatasync`, a rename and an `fsync` of the folder.
#[derive(Debug, Clone)]
pub struct FsBackend(Arc<Root>);

#[derive(Debug)]
struct Root {
    site: SiteId,
    path: PathBuf,
    /// Device and inode of the root when it was opened. When they change, the volume was unmounted or the folder replaced.
    identity: (u64, u64),
    folders: write::Folders,
    _lock: File,
}

impl FsBackend {
    /// Opens the folder, making it if need be, and removes what a crash left unfinished unless another process is using it.
    /// Blocks; a few system calls.
    pub fn open(site: SiteId, path: impl Into<PathBuf>) -> Result<Self, BackendError> {
        let path = path.into();
        let opened = (|| {
            make_folder(&path)?;
            make_folder(&path.join(TEMPORARY))?;
            let lock = lock(&path)?;
            let metadata = fs::metadata(&path)?;
            Ok((path.clone(), (metadata.dev(), metadata.ino()), lock))
        })();
        let (path, identity, lock) =
            opened.map_err(|error| translate(&site, &format!("cannot open the folder `{}`", path.display()), error))?;
        Ok(Self(Arc::new(Root { site, path, identity, folders: write::Folders::default(), _lock: lock })))
    }

    /// Runs blocking work where it may block.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Root) -> Result<T, BackendError> + Send + 'static,
    ) -> Result<T, BackendError> {
        let root = Arc::clone(&self.0);
        match tokio::task::spawn_blocking(move || work(&root)).await {
            Ok(outcome) => outcome,
            Err(error) => Err(BackendError::Unavailable {
                site: self.0.site.clone(),
                reason: "its worker stopped".to_owned(),
                cause: Some(Arc::new(error)),
            }),
        }
    }
}

#[async_trait]
impl Backend for FsBackend {
    async fn put(&self, name: &BlobName, pieces: &[Bytes]) -> Result<(), BackendError> {
        let (name, pieces) = (*name, pieces.to_vec());
        self.blocking(move |root| {
            root.still_there()?;
            root.write(&name, &pieces).map_err(|failure| match failure {
                write::Failure::Before(error) => translate(&root.site, "cannot store a blob", error),
                // The blob has its name, but whether a crash would keep it is open.
                write::Failure::After(error) => translate(&root.site, "cannot sync a folder", error).with_unknown_outcome(),
            })
        })
        .await
    }

    async fn get(&self, name: &BlobName, range: Option<Range<u64>>) -> Result<BlobRead, BackendError> {
        let name = *name;
        let (total_len, range, opened) = self
            .blocking(move |root| {
                let failed = |error: io::Error| match error.kind() {
                    ErrorKind::NotFound => root.still_there().err().unwrap_or_else(|| root.not_found(&name)),
                    _ => translate(&root.site, "cannot read a blob", error),
                };
                let file = File::open(root.file(&name)).map_err(failed)?;
                let total_len = file.metadata().map_err(failed)?.len();
                let range = cut_range(range, total_len).ok_or_else(|| BackendError::Corrupt {
                    site: root.site.clone(),
                    reason: format!("`{name}` has only {total_len} bytes"),
                })?;
                let opened = read::Opened::start(root.site.clone(), file, range.clone()).map_err(failed)?;
                Ok((total_len, range, opened))
            })
            .await?;
        Ok(BlobRead { total_len, range, body: opened.into_stream() })
    }

    async fn delete(&self, name: &BlobName) -> Result<(), BackendError> {
        let name = *name;
        self.blocking(move |root| {
            root.still_there()?;
            root.remove(&name).map_err(|error| translate(&root.site, "cannot remove a blob", error))
        })
        .await
    }

    async fn list(&self, after: Option<&BlobName>, limit: usize) -> Result<Listing, BackendError> {
        let after = after.copied();
        self.blocking(move |root| {
            root.still_there()?;
            list::blobs(&root.path, after, limit).map_err(|error| translate(&root.site, "cannot list the blobs", error))
        })
        .await
    }

    async fn probe(&self) -> Result<(), BackendError> {
        self.blocking(Root::still_there).await
    }

    fn checks(&self) -> &'static [Check] {
        Check::OF_FOLDERS
    }

    async fn inspect(&self) -> Result<Posture, BackendError> {
        self.blocking(|root| {
            root.still_there()?;
            let metadata = fs::metadata(&root.path).map_err(|error| translate(&root.site, "cannot look at the folder", error))?;
            Ok(Posture(vec![(Check::FolderMode, of_mode(metadata.permissions().mode() & 0o777))]))
        })
        .await
    }
}

/// What a folder's mode lets others do.
fn of_mode(mode: u32) -> Verdict {
    let what = match mode & 0o077 {
        0 => return Verdict::Fine,
        others if others & 0o022 != 0 => "change what is in the folder",
        _ => "enter or list the folder",
    };
    Verdict::warning(format!("others on the machine can {what}: its mode is {mode:o}, and 700 would do"))
}

impl Root {
    /// Where a blob lies. The name is `d1/xx/<hex>` or the marker's by construction, so it cannot lead out of the root.
    fn file(&self, name: &BlobName) -> PathBuf {
        self.path.join(name.to_string())
    }

    fn not_found(&self, name: &BlobName) -> BackendError {
        BackendError::NotFound { site: self.site.clone(), name: name.to_string() }
    }

    /// A root that went away must not look like an empty one, nor may the folder under a mount point fill up.
    fn still_there(&self) -> Result<(), BackendError> {
        match fs::metadata(&self.path) {
            Ok(metadata) if (metadata.dev(), metadata.ino()) == self.identity => Ok(()),
            Ok(_) => Err(self.gone(None)),
            Err(error) => Err(self.gone(Some(error))),
        }
    }

    fn gone(&self, error: Option<io::Error>) -> BackendError {
        let reason = format!("the folder `{}` was unmounted, replaced or removed", self.path.display());
        BackendError::Unavailable { site: self.site.clone(), reason, cause: error.map(|error| Arc::new(error) as _) }
    }
}

/// Makes a folder and its parents, for the owner only. One that is there already stays as it is.
fn make_folder(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Takes the shared lock. Whoever can have it exclusively first is alone, and clears the leftovers of a crash.
fn lock(root: &Path) -> io::Result<File> {
    let path = root.join(LOCK);
    let lock = File::options().write(true).create(true).truncate(false).mode(0o600).open(path)?;
    if lock.try_lock().is_ok() {
        for leftover in fs::read_dir(root.join(TEMPORARY))? {
            fs::remove_file(leftover?.path())?;
        }
        lock.unlock()?;
    }
    lock.lock_shared()?;
    Ok(lock)
}

fn translate(site: &SiteId, what: &str, error: io::Error) -> BackendError {
    let (site, reason) = (site.clone(), format!("{what}: {error}"));
    let kind = error.kind();
    let cause = Some(Arc::new(error) as _);
    match kind {
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => BackendError::Refused { site, reason, cause },
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => BackendError::Busy { site, reason, cause },
        _ => BackendError::Unavailable { site, reason, cause },
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::backend::conformance;

    fn open(path: &Path) -> FsBackend {
        FsBackend::open(SiteId::new("fs").unwrap(), path).unwrap()
    }

    #[tokio::test]
    async fn conforms() {
        let folder = tempfile::tempdir().unwrap();
        conformance::run(&open(&folder.path().join("made/on/demand"))).await.unwrap();
    }

    #[tokio::test]
    async fn blobs_survive_reopening_and_are_for_the_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        let name = conformance::name(1);
        open(&root).put(&name, &[Bytes::from_static(b"sealed")]).await.unwrap();
        assert_eq!(open(&root).get(&name, None).await.unwrap().total_len, 6);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let file = root.join(name.to_string());
        assert_eq!((mode(&file), mode(file.parent().unwrap()), mode(&root)), (0o600, 0o700, 0o700));
    }

    #[tokio::test]
    async fn a_folder_that_others_can_enter_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        let backend = open(&root);
        let verdict = async |mode| {
            fs::set_permissions(&root, fs::Permissions::from_mode(mode)).unwrap();
            backend.inspect().await.unwrap().0.remove(0).1
        };
        assert_eq!(verdict(0o700).await, Verdict::Fine);
        for (mode, word) in [(0o755, "enter"), (0o710, "enter"), (0o770, "change"), (0o777, "change")] {
            let Verdict::Found { detail, .. } = verdict(mode).await else { panic!("{mode:o} is open to others") };
            assert!(detail.contains(word) && detail.contains(&format!("{mode:o}")), "{detail}");
        }
    }

    #[tokio::test]
    async fn leftovers_go_when_nobody_else_is_there_and_strangers_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let first = open(folder.path());
        let leftover = folder.path().join(TEMPORARY).join("0123");
        fs::write(&leftover, b"half").unwrap();
        fs::write(folder.path().join("README"), b"not a blob").unwrap();
        let second = open(folder.path());
        assert!(leftover.exists(), "another user of the folder may be writing it");
        assert_eq!(second.list(None, 10).await.unwrap(), Listing { blobs: Vec::new(), strangers: vec!["README".to_owned()] });
        drop((first, second));
        open(folder.path());
        assert!(!leftover.exists());
    }

    #[tokio::test]
    async fn a_root_that_went_away_is_an_outage_not_an_absence() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        let backend = open(&root);
        let name = conformance::name(1);
        backend.put(&name, &[Bytes::from_static(b"sealed")]).await.unwrap();
        fs::rename(&root, folder.path().join("elsewhere")).unwrap();
        make_folder(&root).unwrap();
        assert!(backend.get(&name, None).await.unwrap_err().is_connection_failure());
        assert!(backend.put(&name, &[]).await.unwrap_err().is_connection_failure());
        assert!(backend.probe().await.is_err());
        assert_eq!(fs::read_dir(&root).unwrap().count(), 0);
    }
}
