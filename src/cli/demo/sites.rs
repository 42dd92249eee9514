//! The sites' side of the demo: what somebody with access to the disks sees.

use std::io;
use std::path::{Path, PathBuf};

/// A site's folder.
pub(super) struct SiteFolder(PathBuf);

impl SiteFolder {
    pub(super) fn new(data_dir: &Path, site: &str) -> Self {
        Self(data_dir.join("sites").join(site))
    }

    /// Every file's bytes.
    pub(super) fn blobs(&self) -> io::Result<Vec<Vec<u8>>> {
        let mut blobs = Vec::new();
        let mut folders = vec![self.0.clone()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder)? {
                let path = entry?.path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    blobs.push(std::fs::read(path)?);
                }
            }
        }
        Ok(blobs)
    }

    /// How many of the texts can be found in the site's files, and how many bytes were searched.
    pub(super) fn search(&self, texts: &[&str]) -> io::Result<(usize, usize)> {
        let blobs = self.blobs()?;
        let holds = |text: &str| blobs.iter().any(|blob| blob.windows(text.len()).any(|window| window == text.as_bytes()));
        let found = texts.iter().filter(|text| holds(text)).count();
        Ok((found, blobs.iter().map(Vec::len).sum()))
    }

    /// Takes the disk away.
    pub(super) fn detach(&self) -> io::Result<()> {
        std::fs::rename(&self.0, self.0.with_extension("detached"))
    }

    /// Puts the disk back.
    pub(super) fn attach(&self) -> io::Result<()> {
        std::fs::rename(self.0.with_extension("detached"), &self.0)
    }
}
