//! Wraps subject keys again, and makes new keys for what the gateway itself keeps at a site.
//!
//! Both take the lock under which subject keys are made: of one key there is one change at a time, and whoever waits for the lock knows
//! that what comes later sees the country's key as it is now.

use std::sync::Arc;

use crate::audit::{Actor, Event, Kind};
use crate::backend::Site;
use crate::index::{Change, CommitError};
use crate::kms::{KeyOwner, WrappedSubjectKey};
use crate::objects::{ObjectError, Objects};
use crate::seal::{self, BlobName, SealTarget};

impl Objects {
    /// Wraps a subject key with the primary version of its country's key, unless version `from` or a later one has. The new wrapping is
    /// durable at every site that holds the old one before the index has it, and the old one's blobs are garbage then. `false` when
    /// there was nothing to do.
    pub(super) async fn rewrap(&self, found: &WrappedSubjectKey, from: u32) -> Result<bool, ObjectError> {
        let lock = self.0.subject_keys.of(&found.key, &found.owner);
        let _one_at_a_time = lock.lock().await;
        // Also one of before the key in use: it opens what it wrapped.
        let Some(old) = self.index.subject_key_of(&found.key, &found.owner, found.generation)? else { return Ok(false) };
        let failed = |error: &crate::kms::KmsError| ObjectError::from_kms(old.country, error);
        if self.hierarchy.version_of(&old).map_err(|error| failed(&error))? >= from {
            return Ok(false);
        }
        let new = self.hierarchy.rewrap_subject_key(&old).await.map_err(|error| failed(&error))?;
        match self.replace_subject_key(&old, new, Kind::KeyRewrapped).await {
            Ok(()) => Ok(true),
            // Its owner was erased meanwhile.
            Err(None) => Ok(false),
            Err(Some(error)) => Err(error),
        }
    }

    /// Makes a new key for what the gateway keeps at a site: what it writes there from now on is not opened by the one before. That one's
    /// blob stays, since it opens what is there.
    pub(super) async fn renew_site_key(&self, site: &Arc<Site>) -> Result<(), ObjectError> {
        let spec = site.spec();
        let owner = KeyOwner::Site(spec.id.clone());
        let lock = self.0.subject_keys.of(&spec.key, &owner);
        let _one_at_a_time = lock.lock().await;
        // Without one there is nothing that another could be needed for.
        let Some(old) = self.index.subject_key(&spec.key, &owner)? else { return Ok(()) };
        let created = self.hierarchy.create_subject_key(&spec.key, owner).await;
        let (_, new) = created.map_err(|error| ObjectError::from_kms(spec.country, &error))?;
        let new = WrappedSubjectKey { created: Some(self.clock.now()), ..new };
        self.replace_subject_key(&old, new, Kind::KeyCreated).await.map_err(|error| {
            let missing = || ObjectError::Internal("the key of a site is gone".to_owned());
            error.unwrap_or_else(missing)
        })
    }

    /// Removes the blobs of a site's earlier keys. Nothing may be there any more that they open.
    pub(super) async fn forget_site_keys(&self, site: &Arc<Site>) -> Result<(), ObjectError> {
        let spec = site.spec();
        let owner = KeyOwner::Site(spec.id.clone());
        // Nobody stores another key here meanwhile.
        let lock = self.0.subject_keys.of(&spec.key, &owner);
        let _one_at_a_time = lock.lock().await;
        let Some(current) = self.index.subject_key(&spec.key, &owner)? else { return Ok(()) };
        let current = BlobName::of_subject_key(&current);
        let failed = |error: &crate::backend::BackendError| ObjectError::from_backend(spec.country, error);
        let mut after = BlobName::marker();
        loop {
            let page = site.list(Some(&after), 1000).await.map_err(|error| failed(&error))?.blobs;
            let Some(last) = page.last() else { return Ok(()) };
            after = last.name;
            let keys = page.iter().filter(|blob| blob.name.journal_number() == Some(0));
            for blob in keys.filter(|blob| blob.name != current) {
                site.remove(&blob.name).await.map_err(|error| failed(&error))?;
            }
            if page.iter().any(|blob| blob.name.journal_number().is_some_and(|number| number > 0)) {
                return Ok(());
            }
        }
    }

    /// Puts `new` in the place of `old`, at the same sites. `None` as the error: there is no such key any more.
    async fn replace_subject_key(
        &self,
        old: &WrappedSubjectKey,
        mut new: WrappedSubjectKey,
        kind: Kind,
    ) -> Result<(), Option<ObjectError>> {
        let mut stored: Vec<(&Arc<Site>, BlobName)> = Vec::new();
        // Rows of before sites were kept do not say where the blob is. A site that left the configuration gets it when it is back.
        let holds = |site: &&Arc<Site>| match old.sites.is_empty() {
            true => site.spec().country == old.country,
            false => old.sites.contains(&site.spec().id),
        };
        let held = self.sites.iter().filter(holds).filter_map(|site| Some((site, SealTarget::of_key(site.spec(), old)?)));
        let outcome = async {
            for (site, target) in held {
                let blob = seal::subject_key_blob(&target, &new).map_err(ObjectError::from)?;
                // Before the write, since a failed one may have happened.
                stored.push((site, *blob.name()));
                site.store(&blob).await.map_err(|error| ObjectError::from_backend(target.country(), &error))?;
            }
            for (site, _) in &stored {
                new.kept_at(&site.spec().id, site.spec().country);
            }
            fail::fail_point!("objects::key-rewrapped", |_| Err(Some(ObjectError::Internal("failpoint".to_owned()))));
            let event = Event {
                countries: new.countries().into_iter().collect(),
                sites: new.sites.iter().cloned().collect(),
                ..Event::new(kind, Actor::System)
            };
            let change = Change::SubjectKey { key: Box::new(new), replaces: Some(Box::new(old.clone())) };
            self.index.commit(change, event).await.map(drop).map_err(|error| match error {
                CommitError::Stale(_) => None,
                other => Some(other.into()),
            })
        };
        let outcome: Result<(), Option<ObjectError>> = outcome.await;
        // Whether a failed commit of the index is durable is unknown.
        if outcome.is_err() && self.index.is_healthy() {
            for (site, name) in stored {
                if let Err(error) = site.remove(&name).await {
                    tracing::warn!(site = %site.spec().id, %error, "a wrapped key that nobody needs stays");
                }
            }
        }
        outcome
    }
}
