//! All records of a folder of blobs.
//!
//! What lies at a site is what is there: a record that was deleted or replaced stays until its garbage is collected, and only the journal
//! knows of delete markers and of tags that were set later. Whoever needs the state of the index rebuilds it.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    fs::{self, OpenOptions},
    io::Write,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use super::{Folder, Keys, SealedRecord, Seen, UnsealError, relative_path, write_whole};
use crate::{
    digest,
    seal::CustomerKey,
    types::{BucketName, ObjectKey, RecordId, Ticket, Timestamp, VersionId},
};

/// The list of what was restored; an underscore is in no bucket's name.
const LIST: &str = "_records.ndjson";

/// Where a record stands in the catalogue: the newest version of a key first.
type Place = (BucketName, ObjectKey, Reverse<(Ticket, RecordId)>);

/// One attempt at a record's bytes: writes all of them, or fails.
pub type Attempt<'a> = &'a dyn Fn(&mut dyn Write) -> Result<(), UnsealError>;

/// A record that the folder has a manifest of.
#[derive(Debug, Clone)]
pub struct Found {
    /// Its bucket.
    pub bucket: BucketName,
    /// Its key.
    pub key: ObjectKey,
    /// Its version.
    pub version: VersionId,
    /// Orders the versions of a key.
    pub ticket: Ticket,
    /// The record.
    pub record: RecordId,
    /// When it was written.
    pub modified: Timestamp,
    /// Its bytes.
    pub size: u64,
    /// Whether no other version in the folder is newer.
    pub latest: bool,
    /// Its manifests: of several copies, and of before it was moved. The one of the last move comes first.
    pub manifests: Vec<(u32, PathBuf)>,
}

/// What a folder of blobs holds.
pub struct Catalogue {
    /// The folder.
    pub folder: Folder,
    /// The keys that opened the manifests.
    pub keys: Keys,
    /// The records whose manifests open, by bucket and key, the newest first.
    pub found: Vec<Found>,
    /// Manifests that do not open.
    pub unopened: Vec<UnsealError>,
}

/// How everything is restored.
#[derive(Debug, Clone, Default)]
pub struct Restore {
    /// Every version, not only the latest.
    pub versions: bool,
    /// What is there already with the right length counts as restored by an earlier run.
    pub resume: bool,
    /// The key of records that are under one of their client's.
    pub customer: Option<CustomerKey>,
}

/// What became of a restore.
#[derive(Debug, Default)]
pub struct Restored {
    /// Records written.
    pub written: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Records that an earlier run had written.
    pub there: u64,
    /// Those that did not come out: which, and why.
    pub failed: Vec<(String, UnsealError)>,
}

impl Catalogue {
    /// Opens every manifest below `root` that the keys open.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn read(root: &Path, mut keys: Keys) -> Result<Self, UnsealError> {
        let mut manifests = Vec::new();
        let folder = Folder::scan(root, &mut |seen| match seen {
            Seen::SubjectKey(wrapped) => keys.learn(*wrapped),
            Seen::Manifest(path) => manifests.push(path),
        })?;
        let mut records: BTreeMap<Place, Found> = BTreeMap::new();
        let mut unopened = Vec::new();
        for path in manifests {
            let manifest = match SealedRecord::open(&path, &keys, root) {
                Ok(record) => record.manifest,
                Err(error) => {
                    unopened.push(error);
                    continue;
                }
            };
            let summary = &manifest.summary;
            let id = (manifest.bucket.clone(), manifest.key.clone(), Reverse((summary.ticket, summary.id)));
            let found = records.entry(id).or_insert_with(|| Found {
                bucket: manifest.bucket.clone(),
                key: manifest.key.clone(),
                version: summary.version,
                ticket: summary.ticket,
                record: summary.id,
                modified: summary.modified,
                size: summary.size,
                latest: false,
                manifests: Vec::new(),
            });
            found.manifests.push((manifest.detail.moves, path));
        }
        let mut found: Vec<Found> = records.into_values().collect();
        let mut before: Option<(BucketName, ObjectKey)> = None;
        for one in &mut found {
            one.manifests.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
            let id = (one.bucket.clone(), one.key.clone());
            one.latest = before.as_ref() != Some(&id);
            before = Some(id);
        }
        Ok(Self { folder, keys, found, unopened })
    }

    /// The version of an object, or its latest.
    pub fn version(&self, bucket: &BucketName, key: &ObjectKey, version: Option<VersionId>) -> Option<&Found> {
        let mut same = self.found.iter().filter(|one| one.bucket == *bucket && one.key == *key);
        same.find(|one| version.map_or(one.latest, |version| one.version == version))
    }

    /// Unseals one record, from the first of its manifests that leads to all of its bytes. `write` gets each attempt from its start.
    ///
    /// # Errors
    /// That of the last attempt.
    pub fn unseal(
        &self,
        found: &Found,
        customer: Option<&CustomerKey>,
        write: &mut dyn FnMut(&SealedRecord, Attempt<'_>) -> Result<(), UnsealError>,
    ) -> Result<(), UnsealError> {
        let what = || format!("s3://{}/{}", found.bucket, found.key.as_str());
        let mut failure = UnsealError::NoSuchRecord { what: what(), folder: self.folder.root().to_owned() };
        for (_, path) in &found.manifests {
            let mut attempt = || {
                let record = SealedRecord::open(path, &self.keys, self.folder.root())?;
                write(&record, &|out| record.unseal(&self.folder, customer, out))
            };
            match attempt() {
                Ok(()) => return Ok(()),
                // The same for every copy.
                Err(error @ UnsealError::Exists(_)) => return Err(error),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    /// Restores all records below `output`, and a list of them with what S3 knows beside their bytes. `done` hears of each.
    ///
    /// # Errors
    /// When the folder or the list cannot be written. What does not come out is told in [`Restored::failed`] instead.
    pub fn restore(&self, output: &Path, how: &Restore, done: &mut dyn FnMut(&Found)) -> Result<Restored, UnsealError> {
        make_folder(output)?;
        let list_path = output.join(LIST);
        let mut options = OpenOptions::new();
        options.append(true).mode(0o600);
        let list = if how.resume { options.create(true) } else { options.create_new(true) }.open(&list_path);
        let mut list = list.map_err(|error| UnsealError::io(&list_path, error))?;
        let beside = output.join(format!("_part-{}", hex::encode(digest::random::<8>())));
        let folders = self.folders();
        let mut restored = Restored::default();
        for found in self.found.iter().filter(|found| how.versions || found.latest) {
            let is_folder = folders.contains(&(&found.bucket, found.key.as_str()));
            let version = (!found.latest).then_some(found.version);
            let relative = relative_path(&found.bucket, &found.key, is_folder, version);
            let path = output.join(&relative);
            if how.resume && fs::symlink_metadata(&path).is_ok_and(|meta| meta.is_file() && meta.len() == found.size) {
                restored.there += 1;
                done(found);
                continue;
            }
            let mut line = Value::Null;
            let outcome = path.parent().map_or(Ok(()), make_folder).and_then(|()| {
                self.unseal(found, how.customer.as_ref(), &mut |record, unseal| {
                    line = described(record, &relative);
                    write_whole(&path, &beside, found.modified, |out| unseal(out))
                })
            });
            match outcome {
                Ok(()) => {
                    restored.written += 1;
                    restored.bytes += found.size;
                    writeln!(list, "{line}").map_err(|error| UnsealError::io(&list_path, error))?;
                }
                Err(error) => {
                    restored.failed.push((format!("s3://{}/{} ({})", found.bucket, found.key.as_str(), found.version), error));
                }
            }
            done(found);
        }
        list.sync_all().map_err(|error| UnsealError::io(&list_path, error))?;
        Ok(restored)
    }

    /// The keys that are folders of others: `a` where there is `a/b`.
    fn folders(&self) -> BTreeSet<(&BucketName, &str)> {
        let keys: BTreeSet<(&BucketName, &str)> = self.found.iter().map(|one| (&one.bucket, one.key.as_str())).collect();
        let parents = keys.iter().flat_map(|(bucket, key)| key.match_indices('/').map(|(at, _)| (*bucket, &key[..at])));
        parents.filter(|parent| keys.contains(parent)).collect()
    }
}

fn make_folder(path: &Path) -> Result<(), UnsealError> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|error| UnsealError::Io { path: path.to_owned(), source: error })
}

/// What S3 knows of a record beside its bytes, as of when its manifest was sealed.
fn described(record: &SealedRecord, path: &str) -> Value {
    let (summary, detail) = (&record.manifest.summary, &record.manifest.detail);
    json!({
        "path": path,
        "bucket": record.manifest.bucket,
        "key": record.manifest.key,
        "version": summary.version,
        "record": summary.id,
        "modified": summary.modified.to_rfc3339(),
        "size": summary.size,
        "etag": summary.etag.to_string(),
        "content": detail.content,
        "metadata": detail.metadata,
        "tags": detail.tags,
        "customer-key": detail.customer.is_some(),
        "subject": detail.placement.subject,
        "revision": detail.placement.revision,
        "instruments": detail.placement.instruments,
    })
}
