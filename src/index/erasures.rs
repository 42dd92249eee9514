//! Erasures, and what is left of the subjects that they erase.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::{Bound, ControlFlow},
};

use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::{
    BucketId, CopyRow, HoldWatch, Index, IndexError, Kept, Record, SubjectRow, Upload,
    catalogue::Inner,
    codec::decode,
    commit::Work,
    directory::Entry,
    keys::{self, Secondary, kind},
    list::Step,
};
use crate::{
    kms::KeyOwner,
    types::{Country, Generation, KeyId, ObjectKey, Pseudonym, RecordId, SubjectId, Ticket, Timestamp, UploadId, VersionId},
};

/// An erasure of a subject. It names nobody once it is complete.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Erasure {
    /// Its number, never reused.
    pub id: u64,
    /// When it was accepted.
    pub accepted: Timestamp,
    /// Whose data goes; `None` once it is complete.
    pub subject: Option<Pseudonym>,
    /// The subject keys that it destroyed; none once it is complete.
    pub keys: Vec<ErasedKey>,
    /// The countries that have been told of the subject, in blobs or in the journal.
    pub countries: BTreeSet<Country>,
    /// Whether the country keys are not to wait for other erasures.
    pub at_once: bool,
    /// Where it stands.
    pub step: ErasureStep,
}

/// A subject key that an erasure destroyed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ErasedKey {
    /// The country key that wrapped it.
    pub key: KeyId,
    /// Tells it apart from the subject's other keys there.
    pub generation: Generation,
}

/// Where an erasure stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErasureStep {
    /// The subject's keys are destroyed; its rows go.
    Sweep,
    /// Old copies of the sites hold the subject's keys, wrapped by versions of country keys up to these: they have to be destroyed.
    Keys {
        /// Of each country key the last such version.
        through: BTreeMap<KeyId, u32>,
        /// Whether the journal has been told again, under other keys, what is left.
        journal: bool,
    },
    /// Nothing opens anything of the subject any more.
    Complete {
        /// Since when.
        at: Timestamp,
    },
}

impl Erasure {
    /// Whether it is complete.
    pub const fn is_complete(&self) -> bool {
        matches!(self.step, ErasureStep::Complete { .. })
    }

    /// Whether any of these copies was under a key that it destroyed.
    pub fn reaches(&self, copies: &[CopyRow]) -> bool {
        copies.iter().any(|copy| self.destroys(&copy.key, copy.sk_generation))
    }

    /// Whether it destroyed this subject key.
    pub fn destroys(&self, key: &KeyId, generation: Generation) -> bool {
        self.keys.iter().any(|one| one.key == *key && one.generation == generation)
    }
}

/// A subject to be erased.
#[derive(Debug)]
pub struct EraseChange {
    /// The subject.
    pub subject: SubjectId,
    /// As [`Erasure::at_once`].
    pub at_once: bool,
    /// Under which nothing that keeps a version of the subject was found. When one has come since, the change is a
    /// [`CommitError::Conflict`].
    pub watch: HoldWatch,
}

/// A version of an erased subject.
#[derive(Debug, Clone)]
pub struct EraseRecordChange {
    /// The erasure.
    pub erasure: u64,
    /// The bucket.
    pub bucket: BucketId,
    /// The key.
    pub key: ObjectKey,
    /// The version.
    pub version: VersionId,
    /// Its place among the versions of the key.
    pub ticket: Ticket,
    /// The record.
    pub record: RecordId,
}

/// Something that an erasure takes away.
#[derive(Debug, Clone, PartialEq)]
pub enum Doomed {
    /// A version.
    Record {
        /// Its bucket.
        bucket: BucketId,
        /// Its key.
        key: ObjectKey,
        /// The version.
        version: VersionId,
        /// Its place among the versions of the key.
        ticket: Ticket,
        /// The record.
        record: RecordId,
        /// Its copies.
        copies: Vec<CopyRow>,
    },
    /// An upload, open or closed.
    Upload {
        /// Its bucket.
        bucket: BucketId,
        /// Its key.
        key: ObjectKey,
        /// The upload.
        upload: UploadId,
        /// Its copies.
        copies: Vec<CopyRow>,
    },
}

/// One page of what an erasure takes away.
#[derive(Debug, Clone, Default)]
pub struct DoomedPage {
    /// Can be few, even none, while there are more.
    pub doomed: Vec<Doomed>,
    /// Where to go on; `None` at the end.
    pub next: Option<Vec<u8>>,
}

impl Index {
    /// Waits until everything that is in the queue now is durable, and readers see it.
    ///
    /// # Errors
    /// Those of the index.
    pub async fn fence(&self) -> Result<(), IndexError> {
        let (answer, answered) = oneshot::channel();
        self.enqueue(Work::Fence { answer })?;
        answered.await.map_err(|_| IndexError::Stopped)?
    }

    /// The erasures that are not complete, the oldest first. From memory.
    pub fn pending_erasures(&self) -> Vec<Erasure> {
        self.inner.erasures.load().values().cloned().collect()
    }

    /// Whether an erasure that is not complete has destroyed a subject key.
    pub fn is_erased(&self, key: &KeyId, generation: Generation) -> bool {
        self.inner.erasures.load().values().any(|erasure| erasure.destroys(key, generation))
    }

    /// The generation of a subject's entry that its last erasure began.
    ///
    /// # Errors
    /// Those of reading the row.
    pub fn erased_at(&self, subject: &SubjectId) -> Result<Option<Generation>, IndexError> {
        let row: Option<Entry> = self.inner.row(&keys::subject(&self.inner.keys.pseudonyms.subject(subject)))?;
        Ok(row.and_then(|row| row.erased))
    }

    /// One erasure.
    ///
    /// # Errors
    /// Those of reading the row.
    pub fn erasure(&self, id: u64) -> Result<Option<Erasure>, IndexError> {
        self.inner.row(&keys::erasure(id))
    }

    /// Up to `limit` erasures before `before`, the newest first.
    ///
    /// # Errors
    /// Those of reading rows.
    pub async fn erasures(&self, before: Option<u64>, limit: usize) -> Result<Vec<Erasure>, IndexError> {
        self.blocking(move |inner| {
            let to = keys::erasure(before.unwrap_or(u64::MAX));
            let (mut found, mut failed) = (Vec::new(), None);
            inner.engine.scan_back(Bound::Included(&[kind::ERASURE]), Bound::Excluded(&to), &mut |row, value| {
                if found.len() == limit {
                    return ControlFlow::Break(());
                }
                match inner.sealing.open(row, value, |body| decode('f', body)) {
                    Ok(erasure) => found.push(erasure),
                    Err(error) => failed = Some(error),
                }
                if failed.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })?;
            failed.map_or(Ok(found), Err)
        })
        .await
    }

    /// Whether there is anything of a subject that an erasure would take away: keys, what the directory holds of it, or names in the ledger.
    /// Every record and upload has a key.
    ///
    /// # Errors
    /// Those of reading rows.
    pub async fn knows(&self, subject: &SubjectId) -> Result<bool, IndexError> {
        let pseudonym = self.inner.keys.pseudonyms.subject(subject);
        let row: Option<SubjectRow> = self.inner.row(&keys::subject(&pseudonym))?;
        if row.is_some_and(|row| row.says_anything()) || self.inner.engine.get(&keys::salt(&pseudonym))?.is_some() {
            return Ok(true);
        }
        let owner = KeyOwner::Subject(pseudonym).canonical_bytes();
        self.blocking(move |inner| {
            let mut found = false;
            inner.walk(&[kind::SUBJECT_KEY], None, |row, _| {
                let Some(end) = row.iter().position(|byte| *byte == 0) else { return Ok(Step::Next) };
                // From one country key to the next: this one's row of the owner is at a known place.
                let wanted = [&row[..=end], &owner].concat();
                match row.cmp(&wanted) {
                    std::cmp::Ordering::Less => Ok(Step::Seek(wanted)),
                    std::cmp::Ordering::Equal => {
                        found = true;
                        Ok(Step::Stop)
                    }
                    std::cmp::Ordering::Greater => Ok(keys::successor(&row[..=end]).map_or(Step::Stop, Step::Seek)),
                }
            })?;
            Ok(found)
        })
        .await
    }

    /// Whether a retention in force, a legal hold or the policy in force keeps any version of a subject; `None` when the gateway does not
    /// decide by that policy yet.
    ///
    /// # Errors
    /// Those of reading rows.
    pub async fn is_held(&self, subject: &SubjectId, now: Timestamp) -> Result<Option<bool>, IndexError> {
        let pseudonym = self.inner.keys.pseudonyms.subject(subject);
        self.blocking(move |inner| {
            let base = Secondary::Subject(&pseudonym).prefix();
            let mut held = Some(false);
            inner.walk(&base, None, |row, _| {
                if let Some((bucket, key, record)) = inner.follow(row.get(base.len()..).unwrap_or_default())? {
                    let locked = record.detail.lock.forbids_removal(now, false);
                    held = if locked { Some(true) } else { inner.is_kept(bucket, &key, &record, now)? };
                }
                Ok(if held == Some(false) { Step::Next } else { Step::Stop })
            })?;
            Ok(held)
        })
        .await
    }

    /// What an erasure takes away, from behind `after` on: of at most `rows` rows of the subject, then of all uploads.
    ///
    /// # Errors
    /// Those of reading rows.
    pub async fn doomed(&self, erasure: &Erasure, after: Option<Vec<u8>>, rows: usize) -> Result<DoomedPage, IndexError> {
        let erasure = erasure.clone();
        self.blocking(move |inner| inner.doomed(&erasure, after, rows)).await
    }
}

impl Inner {
    fn doomed(&self, erasure: &Erasure, after: Option<Vec<u8>>, rows: usize) -> Result<DoomedPage, IndexError> {
        let Some(subject) = &erasure.subject else { return Ok(DoomedPage::default()) };
        let of_subject = Secondary::Subject(subject).prefix();
        let prefixes = [of_subject, vec![kind::UPLOAD], vec![kind::CLOSED_UPLOAD]];
        let at = after.as_ref().map_or(0, |after| prefixes.iter().position(|prefix| after.starts_with(prefix)).unwrap_or(0));
        let Some(prefix) = prefixes.get(at) else { return Ok(DoomedPage::default()) };
        let mut page = DoomedPage::default();
        let (mut looked, mut last) = (0, None);
        self.walk(prefix, after, |row, sealed| {
            if looked == rows {
                return Ok(Step::Stop);
            }
            looked += 1;
            last = Some([row, &[0]].concat());
            let doomed = if at == 0 {
                self.doomed_record(row.get(prefix.len()..).unwrap_or_default())?
            } else {
                let upload: Upload = self.sealing.open(row, sealed, |body| decode('u', body))?;
                upload.placement.subject.is_some().then_some(Doomed::Upload {
                    bucket: upload.bucket,
                    key: upload.key,
                    upload: upload.id,
                    copies: upload.copies,
                })
            };
            page.doomed.extend(doomed.filter(|doomed| erasure.reaches(doomed.copies())));
            Ok(Step::Next)
        })?;
        page.next = last.filter(|_| looked == rows).or_else(|| prefixes.get(at + 1).cloned());
        Ok(page)
    }

    /// Whether the policy in force keeps a version.
    fn is_kept(&self, bucket: BucketId, key: &str, record: &Record, now: Timestamp) -> Result<Option<bool>, IndexError> {
        let policy = *self.policy.lock();
        let key = ObjectKey::new(key).map_err(|_| IndexError::Corrupt { kind: 'x' })?;
        let buckets = self.buckets.load();
        let Some(bucket) = buckets.values().find(|one| one.id == bucket) else { return Ok(Some(false)) };
        let term = self.term(policy, Kept { bucket: &bucket.name, key: &key, record });
        Ok(term.map(|term| term.kept_until(now).is_some()))
    }

    fn doomed_record(&self, tail: &[u8]) -> Result<Option<Doomed>, IndexError> {
        let Some((bucket, key, record)) = self.follow(tail)? else { return Ok(None) };
        let key = ObjectKey::new(&key).map_err(|_| IndexError::Corrupt { kind: 'x' })?;
        let summary = record.summary;
        Ok(Some(Doomed::Record {
            bucket,
            key,
            version: summary.version,
            ticket: summary.ticket,
            record: summary.id,
            copies: record.detail.copies,
        }))
    }
}

impl Doomed {
    /// The copies of what goes.
    pub fn copies(&self) -> &[CopyRow] {
        match self {
            Self::Record { copies, .. } | Self::Upload { copies, .. } => copies,
        }
    }
}
