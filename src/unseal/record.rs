//! One record: its manifest, and its bytes from their blobs.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use bytes::Bytes;

use super::{Folder, Keys, Piece, UnsealError};
use crate::{
    digest::{self, Checksum, ChecksumHasher, ChecksumKind, ETag, Md5},
    index::{Layout, moved_attempt},
    kms::KeyOwner,
    objects::Manifest,
    seal::{
        BlobName, CustomerKey, EXTENT_SIZE, ExtentId, ExtentOpener, HEAD_LEN, Head, InnerKey, MAX_HEAD_LEN, Masked, PREFIX_LEN,
        ReadPlan, RecordKey, SealError, head_len, parse_head,
    },
    types::{AttemptId, Timestamp},
};

/// A record whose manifest has been opened.
#[derive(Debug)]
pub struct SealedRecord {
    path: PathBuf,
    head: Head,
    key: RecordKey,
    /// What it says of itself.
    pub manifest: Manifest,
}

/// The extents of one body or part.
struct Run {
    part: u32,
    attempt: AttemptId,
    size: u64,
    /// What only a part of an upload has: its own tag and checksum.
    of_part: Option<(ETag, Option<Checksum>)>,
}

impl SealedRecord {
    /// Opens the manifest in a file. `blobs` is named in errors about keys.
    ///
    /// # Errors
    /// When it is no manifest, was altered, or its key is not there.
    pub fn open(path: &Path, keys: &Keys, blobs: &Path) -> Result<Self, UnsealError> {
        let unusable = |reason: String| UnsealError::Manifest { path: path.to_owned(), reason };
        let raw = read_head(path).map_err(|error| UnsealError::io(path, error))?;
        let head = parse_head(&raw).map_err(|error| unusable(error.to_string()))?;
        let key = keys.record_key(&head, blobs).map_err(|error| match error {
            UnsealError::Manifest { reason, .. } => unusable(reason),
            other => other,
        })?;
        let manifest = head.open_manifest(&key).map_err(|error| unusable(error.to_string()))?;
        let manifest =
            manifest.ok_or_else(|| unusable("it is a blob without a manifest, a part of a larger record".to_owned()))?;
        let manifest = Manifest::decode(&manifest).map_err(unusable)?;
        if manifest.summary.id != head.id().record {
            return Err(unusable("it describes another record".to_owned()));
        }
        Ok(Self { path: path.to_owned(), head, key, manifest })
    }

    /// Whose key wraps the record's.
    pub const fn owner(&self) -> &KeyOwner {
        self.head.owner()
    }

    /// The record's data key, to export it.
    pub const fn record_key(&self) -> &RecordKey {
        &self.key
    }

    /// Which blobs are not in the folder.
    pub fn missing(&self, folder: &Folder) -> Vec<(Piece, BlobName)> {
        let extents = self.runs().into_iter().flat_map(|run| {
            let count = extents(run.size);
            (0..count).map(move |extent| (run.part, run.attempt, extent))
        });
        let named =
            extents.map(|(part, attempt, extent)| (Piece { part, extent }, self.name(&self.extent_id(part, attempt, extent))));
        named.filter(|(_, name)| !self.is_whole() && folder.find(name).is_empty()).collect()
    }

    /// Writes the record's bytes to `out`, verifying all there is to verify. **Nothing that was written is to be trusted unless it
    /// succeeds.**
    ///
    /// # Errors
    /// Says which blob is missing or damaged, or what of the content differs.
    pub fn unseal(&self, folder: &Folder, customer: Option<&CustomerKey>, out: &mut dyn Write) -> Result<(), UnsealError> {
        let inner = self.unlock(customer)?;
        let (summary, detail) = (&self.manifest.summary, &self.manifest.detail);
        let due = match (&inner, detail.checksum) {
            (Some(inner), Some(masked)) => Some(inner.mask(Masked::Object(summary.ticket), &masked)),
            (_, checksum) => checksum,
        };
        let mut whole = due.filter(|due| due.kind() == ChecksumKind::FullObject).map(|due| ChecksumHasher::new(due.algorithm()));
        let (mut all, mut size, mut tags, mut sums) = (Md5::new(), 0_u64, Vec::new(), Vec::new());
        for run in self.runs() {
            let mut md5 = Md5::new();
            let of_part = run.of_part.and_then(|(_, checksum)| checksum).map(|kept| match &inner {
                Some(inner) => inner.mask(Masked::Part { number: run.part, attempt: run.attempt }, &kept),
                None => kept,
            });
            let mut of_run = of_part.map(|due| ChecksumHasher::new(due.algorithm()));
            let mut cipher = inner.as_ref().map(|inner| inner.cipher(run.part, run.attempt, 0));
            for extent in 0..extents(run.size) {
                for bytes in self.extent(folder, &run, extent)? {
                    // The entity tag is that of the bytes under the client's key.
                    md5.update(&bytes);
                    if run.of_part.is_none() {
                        all.update(&bytes);
                    }
                    size += bytes.len() as u64;
                    let plain = match &mut cipher {
                        Some(cipher) => cipher.apply(bytes),
                        None => bytes,
                    };
                    whole.iter_mut().chain(of_run.iter_mut()).for_each(|hasher| hasher.update(&plain));
                    out.write_all(&plain).map_err(|error| UnsealError::io("the output", error))?;
                }
            }
            if let Some((etag, _)) = run.of_part {
                let found = ETag::single(md5.finish());
                if found != etag {
                    return Err(UnsealError::Content("entity tag of a part"));
                }
                tags.push(found);
            }
            if let (Some(due), Some(found)) = (of_part, of_run.map(ChecksumHasher::finish)) {
                if due.as_bytes() != found.as_bytes() {
                    return Err(UnsealError::Content("checksum of a part"));
                }
                sums.push(found);
            }
        }
        let etag = if tags.is_empty() { ETag::single(all.finish()) } else { ETag::multipart(&tags) };
        if size != summary.size {
            return Err(UnsealError::Content("length"));
        }
        if etag != summary.etag {
            return Err(UnsealError::Content("entity tag"));
        }
        let found = match (due, whole) {
            (_, Some(hasher)) => Some(hasher.finish()),
            (Some(due), None) if !sums.is_empty() => Some(digest::composite(due.algorithm(), &sums)),
            _ => None,
        };
        match (due, found) {
            (Some(due), Some(found)) if due != found => Err(UnsealError::Content("checksum")),
            _ => Ok(()),
        }
    }

    /// The client's layer; the key is checked, not tried.
    fn unlock(&self, customer: Option<&CustomerKey>) -> Result<Option<InnerKey>, UnsealError> {
        let id = self.manifest.summary.id;
        match (&self.manifest.detail.customer, customer) {
            (None, _) => Ok(None),
            (Some(_), None) => Err(UnsealError::NeedsCustomerKey(id)),
            (Some(seal), Some(key)) => seal.open(key, id).map(Some).map_err(|_| UnsealError::WrongCustomerKey(id)),
        }
    }

    fn runs(&self) -> Vec<Run> {
        let size = self.manifest.summary.size;
        match self.manifest.detail.layout {
            Layout::Whole { attempt } | Layout::Extents { attempt } => vec![Run { part: 0, attempt, size, of_part: None }],
            Layout::Parts { .. } => {
                let parts = self.manifest.parts.iter();
                let run = |of_part| Run { part: 0, attempt: AttemptId::from_bytes([0; 16]), size: 0, of_part };
                parts
                    .map(|part| Run {
                        part: part.number,
                        attempt: part.attempt,
                        size: part.size,
                        ..run(Some((part.etag, part.checksum)))
                    })
                    .collect()
            }
        }
    }

    const fn is_whole(&self) -> bool {
        matches!(self.manifest.detail.layout, Layout::Whole { .. })
    }

    fn extent_id(&self, part: u32, attempt: AttemptId, extent: u32) -> ExtentId {
        ExtentId { record: self.head.id().record, part, attempt: moved_attempt(self.manifest.moved, attempt), extent }
    }

    fn name(&self, id: &ExtentId) -> BlobName {
        BlobName::of(self.head.country(), id)
    }

    /// The bytes of one extent, from the first of its files that is whole.
    fn extent(&self, folder: &Folder, run: &Run, extent: u32) -> Result<Vec<Bytes>, UnsealError> {
        let piece = Piece { part: run.part, extent };
        let id = self.extent_id(run.part, run.attempt, extent);
        let name = self.name(&id);
        let (paths, head_len) = match self.is_whole() {
            true => (vec![self.path.clone()], self.head.len()),
            false => (folder.find(&name), HEAD_LEN),
        };
        let start = u64::from(extent) * EXTENT_SIZE as u64;
        let length = run.size.saturating_sub(start).min(EXTENT_SIZE as u64);
        let plan = ReadPlan::new(u32::try_from(head_len).unwrap_or(u32::MAX), length, 0..length);
        let mut failure = UnsealError::Missing { piece, name, folder: folder.root().to_owned() };
        for path in paths {
            match self.open_blob(&path, id, &plan) {
                Ok(Ok(bytes)) => return Ok(bytes),
                Ok(Err(source)) => failure = UnsealError::Damaged { piece, path, source },
                Err(error) => failure = UnsealError::io(path, error),
            }
        }
        Err(failure)
    }

    fn open_blob(&self, path: &Path, id: ExtentId, plan: &ReadPlan) -> io::Result<Result<Vec<Bytes>, SealError>> {
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        if let Err(error) = plan.check_total(length) {
            return Ok(Err(error));
        }
        // One byte more than is due: what grows meanwhile is noticed too.
        let mut blob = Vec::with_capacity(usize::try_from(length).unwrap_or(0) + 1);
        file.take(length + 1).read_to_end(&mut blob)?;
        let opened = || {
            let mut opener = ExtentOpener::new(id, self.head.country(), &self.key, plan)?;
            let mut plain = Vec::new();
            opener.push(Bytes::from(blob), &mut plain)?;
            opener.finish()?;
            Ok(plain)
        };
        Ok(opened())
    }
}

/// Writes a file that is there only once `write` has succeeded, private to its user, dated `modified`; nothing that is there is replaced.
/// `beside` is the unfinished file.
///
/// # Errors
/// Those of `write`; [`UnsealError::Exists`].
pub fn write_whole(
    path: &Path,
    beside: &Path,
    modified: Timestamp,
    write: impl FnOnce(&mut dyn Write) -> Result<(), UnsealError>,
) -> Result<(), UnsealError> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(beside);
    let file = file.map_err(|error| UnsealError::io(beside, error))?;
    let finish = || {
        let mut out = io::BufWriter::with_capacity(1 << 20, file);
        write(&mut out)?;
        let failed = |error| UnsealError::io(beside, error);
        let file = out.into_inner().map_err(|error| failed(error.into_error()))?;
        let since = Duration::from_millis(u64::try_from(modified.millis()).unwrap_or(0));
        // A date is worth no failure.
        let _ = file.set_modified(SystemTime::UNIX_EPOCH + since);
        file.sync_all().map_err(failed)?;
        place(beside, path).map_err(|error| UnsealError::io(path, error))
    };
    let outcome = finish();
    let _ = fs::remove_file(beside);
    outcome
}

/// Gives a finished file its name. A hard link, unlike a rename, does not replace what is there; where there are none, a look comes first.
fn place(beside: &Path, path: &Path) -> io::Result<()> {
    match fs::hard_link(beside, path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            if path.symlink_metadata().is_ok() {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            fs::rename(beside, path)
        }
        other => other,
    }
}

fn extents(size: u64) -> u32 {
    u32::try_from(size.div_ceil(EXTENT_SIZE as u64)).unwrap_or(u32::MAX).max(1)
}

/// The head of a blob, whole, and no more of it.
fn read_head(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let mut head = Vec::new();
    Read::by_ref(&mut file).take(PREFIX_LEN as u64).read_to_end(&mut head)?;
    let length = head_len(&head).unwrap_or(0).min(MAX_HEAD_LEN);
    file.take(length.saturating_sub(head.len()) as u64).read_to_end(&mut head)?;
    Ok(head)
}
