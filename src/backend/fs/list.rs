//! Listing a tree of folders in byte order of the full names.

use std::{
    fs, io,
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use crate::{
    backend::{BlobInfo, Listing},
    seal::BlobName,
    types::Timestamp,
};

/// Up to `limit` blobs after `after`.
///
/// Reads the folders on the way whole, so a page costs the size of the folders it touches: long pages are cheaper than many.
pub(super) fn blobs(root: &Path, after: Option<BlobName>, limit: usize) -> io::Result<Listing> {
    let mut walk = Walk { root, after: after.map(|name| name.to_string()).unwrap_or_default(), limit, found: Listing::default() };
    walk.folder("")?;
    Ok(walk.found)
}

struct Walk<'a> {
    root: &'a Path,
    after: String,
    limit: usize,
    found: Listing,
}

impl Walk<'_> {
    /// Visits what is below `prefix`, which is empty or ends in `/`.
    fn folder(&mut self, prefix: &str) -> io::Result<()> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(self.root.join(prefix))? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            let kind = entry.file_type()?;
            // With its slash a folder sorts where the names below it do.
            let suffix = if kind.is_dir() { "/" } else { "" };
            let path = format!("{prefix}{name}{suffix}");
            let relevant = path > self.after || (kind.is_dir() && self.after.starts_with(&path));
            if relevant && !name.starts_with('.') && (kind.is_dir() || kind.is_file()) {
                entries.push(path);
            }
        }
        entries.sort_unstable();
        for path in entries {
            if self.found.blobs.len() >= self.limit {
                return Ok(());
            }
            if path.ends_with('/') {
                self.folder(&path)?;
            } else {
                match path.parse() {
                    Ok(name) => self.file(name, &path)?,
                    Err(_) => self.found.strangers.push(path),
                }
            }
        }
        Ok(())
    }

    fn file(&mut self, name: BlobName, path: &str) -> io::Result<()> {
        let metadata = match fs::metadata(self.root.join(path)) {
            Ok(metadata) => metadata,
            // Removed since its folder was read.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        self.found.blobs.push(BlobInfo { name, len: metadata.len(), modified: timestamp(metadata.modified()?) });
        Ok(())
    }
}

fn timestamp(time: SystemTime) -> Timestamp {
    let millis = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    Timestamp::from_millis(i64::try_from(millis).unwrap_or(i64::MAX))
}
