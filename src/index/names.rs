//! What entries of the ledger call subjects and their keys, and whose the names are.
//!
//! A name in an entry is made with a salt of the subject that it is about, which goes with the subject's erasure: from then on the names of
//! before are random numbers to everybody. What is nobody's has the pseudonym that the installation's key alone makes.

use std::{
    collections::BTreeSet,
    ops::{Bound, ControlFlow},
};

use serde::{Deserialize, Serialize};

use super::{
    BucketId, CopyRow, Index, IndexError, Record, Upload, Version,
    catalogue::Inner,
    codec::{decode_record, decode_version},
    keys::{self, kind, successor},
};
use crate::{
    kms::{KeyOwner, LedgerSalt},
    types::{BucketName, Country, Generation, ObjectKey, Pseudonym, SubjectId},
};

/// Rows of a key's history that are looked through for whose it is.
const LOOKED_THROUGH: usize = 64;

/// A subject's salt; the row's key has the subject's pseudonym.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SaltRow {
    pub(super) salt: LedgerSalt,
    /// Whose journal was told of it; the gateway's own country's where nothing better was known.
    pub(super) country: Option<Country>,
    /// That of the subject's entry then: an erasure begins another, and a salt of before it counts no more.
    pub(super) generation: Generation,
    /// Since the subject was erased there were but questions about it: whatever else is told of it is of before, and gets no name.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) asked: bool,
}

/// What entries call one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerNames {
    /// Under the salts of those whose it is now; none once they are erased.
    pub salted: Vec<Pseudonym>,
    /// In entries of before there were salts, and of a key where it was nobody's.
    pub plain: Pseudonym,
}

impl LedgerNames {
    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Pseudonym> {
        self.salted.iter().chain([&self.plain])
    }
}

impl Index {
    /// What entries call a subject.
    ///
    /// # Errors
    /// Those of reading the row.
    pub fn ledger_names_of_subject(&self, subject: &SubjectId) -> Result<LedgerNames, IndexError> {
        self.inner.names_of_subject(subject)
    }

    /// What entries call a key: under the salts of the subjects of its versions and open uploads, and of `of`, whose it was before.
    ///
    /// # Errors
    /// Those of reading rows.
    pub fn ledger_names_of_key(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        of: Option<&SubjectId>,
    ) -> Result<LedgerNames, IndexError> {
        self.inner.names_of_key(bucket, key, of.into_iter())
    }

    /// Whose a key is, as entries about it are named: the subject of its current record, else of its newest version with bytes, else of an
    /// upload to it. A pseudonym.
    ///
    /// # Errors
    /// Those of reading rows.
    pub fn whose(&self, bucket: &BucketName, key: &ObjectKey) -> Result<Option<Pseudonym>, IndexError> {
        let Some(bucket) = self.bucket(bucket)? else { return Ok(None) };
        self.inner.whose(bucket.id, key)
    }

    /// Whose the beginning of keys is: of the one subject that the first and the last of them are of.
    ///
    /// # Errors
    /// Those of reading rows.
    pub fn whose_prefix(&self, bucket: &BucketName, prefix: &str) -> Result<Option<Pseudonym>, IndexError> {
        let Some(bucket) = self.bucket(bucket)? else { return Ok(None) };
        let base = keys::under(kind::RECORD, bucket.id, prefix);
        let end = successor(&base).unwrap_or_default();
        let range = (Bound::Included(&base[..]), Bound::Excluded(&end[..]));
        let (mut first, mut last) = (None, None);
        let take = |to: &mut Option<Pseudonym>, row: &[u8], sealed: &[u8]| {
            *to = self.inner.sealing.open(row, sealed, decode_record).ok().and_then(|record| of_copies(&record.detail.copies));
            ControlFlow::Break(())
        };
        self.inner.engine.scan(range.0, range.1, &mut |row, sealed| take(&mut first, row, sealed))?;
        self.inner.engine.scan_back(range.0, range.1, &mut |row, sealed| take(&mut last, row, sealed))?;
        Ok(first.filter(|first| last == Some(*first)))
    }
}

impl Inner {
    pub(super) fn names_of_subject(&self, subject: &SubjectId) -> Result<LedgerNames, IndexError> {
        let plain = self.keys.pseudonyms.subject(subject);
        Ok(LedgerNames { salted: self.salted(&plain, &plain)?.into_iter().collect(), plain })
    }

    pub(super) fn names_of_key<'s>(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        of: impl Iterator<Item = &'s SubjectId>,
    ) -> Result<LedgerNames, IndexError> {
        let plain = self.keys.pseudonyms.key(bucket, key);
        let mut owners: BTreeSet<Pseudonym> = of.map(|subject| self.keys.pseudonyms.subject(subject)).collect();
        if let Some(bucket) = self.buckets.load().get(bucket) {
            self.owners(bucket.id, key, |owner| {
                owners.insert(owner);
                ControlFlow::Continue(())
            })?;
        }
        let salted = owners.iter().filter_map(|owner| self.salted(owner, &plain).transpose());
        Ok(LedgerNames { salted: salted.collect::<Result<_, _>>()?, plain })
    }

    /// As [`Index::whose`].
    pub(super) fn whose(&self, bucket: BucketId, key: &ObjectKey) -> Result<Option<Pseudonym>, IndexError> {
        let mut whose = None;
        self.owners(bucket, key, |owner| {
            whose = Some(owner);
            ControlFlow::Break(())
        })?;
        Ok(whose)
    }

    /// What entries call `name` under a subject's salt.
    pub(super) fn salted(&self, subject: &Pseudonym, name: &Pseudonym) -> Result<Option<Pseudonym>, IndexError> {
        let kept: Option<SaltRow> = self.row(&keys::salt(subject))?;
        Ok(kept.map(|kept| self.keys.pseudonyms.in_ledger(&kept.salt, name)))
    }

    /// The subjects of what is at a key: the current record first, then versions from the newest on, then uploads.
    fn owners(
        &self,
        bucket: BucketId,
        key: &ObjectKey,
        mut visit: impl FnMut(Pseudonym) -> ControlFlow<()>,
    ) -> Result<(), IndexError> {
        let current: Option<Record> = self.record(bucket, key.as_str())?;
        if let Some(owner) = current.and_then(|record| of_copies(&record.detail.copies))
            && visit(owner).is_break()
        {
            return Ok(());
        }
        let (mut looked, mut ended) = (0, false);
        self.each(&keys::versions(bucket, key.as_str()), |_, body| {
            looked += 1;
            if let Version::Record(record) = decode_version(body)?
                && let Some(owner) = of_copies(&record.detail.copies)
            {
                ended = visit(owner).is_break();
            }
            Ok(if ended || looked == LOOKED_THROUGH { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })?;
        if ended {
            return Ok(());
        }
        for (_, upload) in self.rows::<Upload>(&keys::uploads_of(bucket, key.as_str()), LOOKED_THROUGH)? {
            if let Some(owner) = of_copies(&upload.copies)
                && visit(owner).is_break()
            {
                return Ok(());
            }
        }
        Ok(())
    }
}

/// The subject under whose keys copies are; `None` where they are nobody's.
pub(super) fn of_copies(copies: &[CopyRow]) -> Option<Pseudonym> {
    copies.iter().find_map(|copy| match &copy.owner {
        KeyOwner::Subject(subject) => Some(*subject),
        KeyOwner::Bucket(_) | KeyOwner::Site(_) => None,
    })
}
