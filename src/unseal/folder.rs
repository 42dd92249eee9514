//! A folder with blobs: that of an `fs` site as it lies, what `aws s3 sync` or `rclone` fetched from a bucket, or several of them.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

use super::UnsealError;
use crate::{
    kms::WrappedSubjectKey,
    seal::{BlobKind, BlobName, HEAD_LEN, PREFIX_LEN, blob_kind, head_len, parse_subject_key_blob},
};

/// The longest file that is read as a wrapped subject key.
const MAX_SUBJECT_KEY: u64 = 64 * 1024;
/// How many of a name's components a tool may have kept: `d1/hh/name`, `hh/name`, `name`.
const DEPTHS: usize = 3;

/// Where the blobs of a folder lie. Files of other names are passed over, as are symbolic links and what begins with a dot.
#[derive(Debug, Clone)]
pub struct Folder {
    root: PathBuf,
    /// Below which folder, by how many components of the name.
    bases: BTreeSet<(PathBuf, usize)>,
}

/// What a file of the folder is.
#[derive(Debug)]
pub enum Seen {
    /// A wrapped subject key.
    SubjectKey(Box<WrappedSubjectKey>),
    /// A blob whose head carries a manifest.
    Manifest(PathBuf),
}

impl Folder {
    /// Looks at every file below `root`, of most only at the first bytes, and tells `see` of what opens others.
    ///
    /// # Errors
    /// When a folder or file cannot be read.
    pub fn scan(root: &Path, see: &mut dyn FnMut(Seen)) -> Result<Self, UnsealError> {
        let mut folder = Self { root: root.to_owned(), bases: BTreeSet::new() };
        let mut ahead = vec![root.to_owned()];
        while let Some(next) = ahead.pop() {
            let failed = |error| UnsealError::io(&next, error);
            for entry in fs::read_dir(&next).map_err(failed)? {
                let entry = entry.map_err(failed)?;
                let Ok(name) = entry.file_name().into_string() else { continue };
                let kind = entry.file_type().map_err(failed)?;
                if name.starts_with('.') {
                    continue;
                }
                if kind.is_dir() {
                    ahead.push(entry.path());
                } else if kind.is_file()
                    && let Some(blob) = blob_name(&name)
                {
                    let path = entry.path();
                    folder.bases.insert(base_of(&path, &blob));
                    let seen = look(&path).map_err(|error| UnsealError::io(&path, error))?;
                    seen.into_iter().for_each(&mut *see);
                }
            }
        }
        Ok(folder)
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The files that a blob of this name can be: one for each site or copy in the folder.
    pub fn find(&self, name: &BlobName) -> Vec<PathBuf> {
        let text = name.to_string();
        let tails: Vec<PathBuf> = (1..=DEPTHS).map(|depth| tail(&text, depth)).collect();
        let paths = self.bases.iter().filter_map(|(base, depth)| Some(base.join(tails.get(depth - 1)?)));
        paths.filter(|path| path.is_file()).collect()
    }
}

/// The blob that a file of this name holds, whatever folders it lies in.
fn blob_name(file: &str) -> Option<BlobName> {
    format!("d1/{}/{file}", file.get(..2)?).parse().ok()
}

/// The last `depth` components of a blob's name.
fn tail(text: &str, depth: usize) -> PathBuf {
    let parts: Vec<&str> = text.split('/').collect();
    parts.iter().skip(parts.len().saturating_sub(depth)).collect()
}

fn base_of(path: &Path, name: &BlobName) -> (PathBuf, usize) {
    let text = name.to_string();
    let depth = (1..=DEPTHS).rev().find(|depth| path.ends_with(tail(&text, *depth))).unwrap_or(1);
    let base = path.ancestors().nth(depth).unwrap_or(Path::new("")).to_owned();
    (base, depth)
}

/// What a blob is, if it is one that opens others.
fn look(path: &Path) -> io::Result<Option<Seen>> {
    let mut file = File::open(path)?;
    let mut prefix = Vec::with_capacity(PREFIX_LEN);
    Read::by_ref(&mut file).take(PREFIX_LEN as u64).read_to_end(&mut prefix)?;
    let (Ok(kind), Ok(length)) = (blob_kind(&prefix), head_len(&prefix)) else { return Ok(None) };
    match kind {
        BlobKind::Extent if length > HEAD_LEN => Ok(Some(Seen::Manifest(path.to_owned()))),
        BlobKind::SubjectKey => {
            file.take(MAX_SUBJECT_KEY).read_to_end(&mut prefix)?;
            Ok(parse_subject_key_blob(&prefix).ok().map(Box::new).map(Seen::SubjectKey))
        }
        BlobKind::Extent | BlobKind::Marker => Ok(None),
    }
}
