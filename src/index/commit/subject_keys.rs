//! Subject keys: kept, wrapped again, retired.
//!
//! An owner has one key in use under each country key, at a known row, and those of before behind it: they wrap nothing any more, and open
//! what they wrapped until it is sealed anew or its owner erased.

use std::ops::{Bound, ControlFlow};

use super::{
    group::{Group, sealed},
    plan::{Draft, Planned},
};
use crate::{
    digest,
    index::{
        CommitError, CopyRow, GarbageReason, IndexError, Stale, Waste,
        keys::{self, successor},
    },
    kms::{KeyOwner, WrappedSubjectKey},
    seal::BlobName,
    types::{Generation, KeyId},
};

impl Group<'_> {
    pub(super) fn subject_key(&self, mut key: WrappedSubjectKey, replaces: Option<WrappedSubjectKey>) -> Planned {
        let mut draft = Draft::default();
        let retired = keys::retired_key(&key.key, &key.owner, key.generation);
        // One of before that is wrapped again, or gets to another site, stays where it is.
        if let Some(old) = self.row::<WrappedSubjectKey>(&retired)? {
            match replaces {
                Some(replaced) if old == replaced && old.wrapped != key.wrapped => {
                    self.queue(&mut draft, key_blobs(&old), GarbageReason::Rewrapped)?;
                }
                Some(_) => return Err(CommitError::KeyExists(Box::new(old))),
                None if old.wrapped == key.wrapped => {
                    key.sites.extend(old.sites);
                    key.abroad.extend(old.abroad);
                }
                None => return Err(CommitError::KeyExists(Box::new(old))),
            }
            draft.put(retired, sealed(&key)?);
            return Ok(draft);
        }
        let row = keys::subject_key(&key.key, &key.owner);
        match (self.row::<WrappedSubjectKey>(&row)?, replaces) {
            (Some(old), Some(replaced)) if old == replaced && old.wrapped != key.wrapped => {
                self.queue(&mut draft, key_blobs(&old), GarbageReason::Rewrapped)?;
            }
            // A key that is gone does not come back by being wrapped again.
            (None, Some(_)) => return Err(CommitError::Stale(Stale::Key)),
            (Some(old), Some(_)) => return Err(CommitError::KeyExists(Box::new(old))),
            (Some(old), None) if old.generation == key.generation && old.wrapped == key.wrapped => {
                key.sites.extend(old.sites);
                key.abroad.extend(old.abroad);
                key.wraps = key.wraps.max(old.wraps);
            }
            (Some(old), None) => return Err(CommitError::KeyExists(Box::new(old))),
            // Whoever stores a key at one more site may have looked it up before its owner was erased.
            (None, None) if self.state.erasures.values().any(|erasure| erasure.destroys(&key.key, key.generation)) => {
                return Err(CommitError::Stale(Stale::Key));
            }
            (None, None) => {}
        }
        draft.put(row, sealed(&key)?);
        draft.key = Some((key.key, key.owner, key.generation));
        Ok(draft)
    }

    /// The one in use goes behind the new one. Who goes on under it, such as an upload, may: its row is still there.
    pub(super) fn rotate_subject_key(&self, key: WrappedSubjectKey, replaces: Generation) -> Planned {
        let row = keys::subject_key(&key.key, &key.owner);
        // Of an erased owner no key is made anew without a write that brings one.
        let old: WrappedSubjectKey = self.row(&row)?.ok_or(CommitError::Stale(Stale::Key))?;
        if old.generation != replaces || key.generation == replaces {
            return Err(CommitError::KeyExists(Box::new(old)));
        }
        let mut draft = Draft::default();
        draft.put(keys::retired_key(&old.key, &old.owner, old.generation), sealed(&old)?);
        draft.put(row, sealed(&key)?);
        draft.key = Some((key.key, key.owner, key.generation));
        Ok(draft)
    }

    /// Beside the one in use, which there must be; what is there already stays as it is.
    pub(super) fn retired_subject_key(&self, key: &WrappedSubjectKey) -> Planned {
        let mut draft = Draft::default();
        let now: Option<WrappedSubjectKey> = self.row(&keys::subject_key(&key.key, &key.owner))?;
        let now = now.ok_or(CommitError::Stale(Stale::Key))?;
        let row = keys::retired_key(&key.key, &key.owner, key.generation);
        if now.generation == key.generation {
            return Err(CommitError::KeyExists(Box::new(now)));
        }
        match self.row::<WrappedSubjectKey>(&row)? {
            Some(known) => Err(CommitError::KeyExists(Box::new(known))),
            None => {
                draft.put(row, sealed(key)?);
                Ok(draft)
            }
        }
    }

    /// Every key of an owner under a country key, with its row.
    pub(super) fn keys_of_owner(&self, key: &KeyId, owner: &KeyOwner) -> Result<Vec<(Vec<u8>, WrappedSubjectKey)>, IndexError> {
        let base = keys::retired_keys(key, owner);
        let end = successor(&base).unwrap_or_default();
        let mut rows = vec![keys::subject_key(key, owner)];
        self.inner.engine.scan(Bound::Included(&base), Bound::Excluded(&end), &mut |row, _| {
            rows.push(row.to_vec());
            ControlFlow::Continue(())
        })?;
        rows.extend(self.planned(&base, &end).map(<[u8]>::to_vec));
        rows.sort_unstable();
        rows.dedup();
        let mut found = Vec::new();
        for row in rows {
            if let Some(wrapped) = self.row(&row)? {
                found.push((row, wrapped));
            }
        }
        Ok(found)
    }

    /// The keys that wrap those of `copies` must still be there: in use, or of before.
    pub(super) fn check_keys(&mut self, copies: &[CopyRow]) -> Result<(), CommitError> {
        for copy in copies {
            let id = (copy.key.clone(), copy.owner.clone());
            let known = match self.state.key_generations.get(&id) {
                Some(generation) => Some(*generation),
                None => {
                    let row: Option<WrappedSubjectKey> = self.row(&keys::subject_key(&id.0, &id.1))?;
                    row.map(|row| {
                        self.remember_key(id.0, id.1, row.generation);
                        row.generation
                    })
                }
            };
            if known != Some(copy.sk_generation) {
                let retired = keys::retired_key(&copy.key, &copy.owner, copy.sk_generation);
                if self.row::<WrappedSubjectKey>(&retired)?.is_none() {
                    return Err(CommitError::Stale(Stale::Key));
                }
            }
        }
        Ok(())
    }

    /// Counts what the keys in use have wrapped, by lot: see [`WrappedSubjectKey::COUNTED`].
    pub(super) fn count_wraps(&self, draft: &mut Draft, copies: &[CopyRow]) -> Result<(), CommitError> {
        for copy in copies {
            if u16::from_be_bytes(digest::random()) == 0 {
                self.count_wrap(draft, copy)?;
            }
        }
        Ok(())
    }

    fn count_wrap(&self, draft: &mut Draft, copy: &CopyRow) -> Result<(), CommitError> {
        let row = keys::subject_key(&copy.key, &copy.owner);
        let known: Option<WrappedSubjectKey> = self.row(&row)?;
        if let Some(key) = known.filter(|known| known.generation == copy.sk_generation) {
            let counted = WrappedSubjectKey { wraps: key.wraps.saturating_add(WrappedSubjectKey::COUNTED), ..key };
            draft.put(row, sealed(&counted)?);
        }
        Ok(())
    }
}

/// The blobs of a wrapped subject key, as something that nothing needs any more.
pub(super) fn key_blobs(key: &WrappedSubjectKey) -> Waste {
    let name = BlobName::of_subject_key(key);
    Waste::Keys { blobs: key.sites.iter().map(|site| (site.clone(), name)).collect() }
}
