//! Puts right what can be put right without the risk of losing anything.
//!
//! A damaged copy is written anew from another one, a subject key's blob from the index. A stray goes when all of this is certain: the index is
//! as young as the sites, no row names the blob, nobody is writing its record, and where it belongs at another site, the same blob lies there. Everything else stays as it is, and stays a finding.

use std::{collections::HashSet, sync::Arc};

use futures_util::TryStreamExt;

use super::{
    run::Scrub,
    strays::{Origin, Stray},
};
use crate::{
    audit::{Actor, Event, Kind},
    backend::{BackendError, Site},
    digest::Sha256,
    index::{Change, Class, Finding, FoundRecord},
    kms::WrappedSubjectKey,
    objects::{ObjectError, Restored},
    seal::BlobName,
    types::SiteId,
};

impl Scrub<'_> {
    /// Writes a damaged copy anew from another, and takes its findings out of `kept`.
    pub(super) async fn restore(&self, found: &FoundRecord, site: &SiteId, kept: &mut Vec<Finding>) -> Result<(), ObjectError> {
        match self.objects.restore_copy(found, site).await {
            Ok(Restored::Done) => {
                let of_blob = |finding: &Finding| {
                    finding.site == *site && !matches!(finding.class, Class::Misplaced | Class::Incomplete | Class::Undecided)
                };
                for finding in kept.extract_if(.., |finding| of_blob(finding)).collect::<Vec<_>>() {
                    self.repaired(finding).await?;
                }
            }
            Ok(Restored::Gone | Restored::Not) => {}
            Err(error) => tracing::warn!(%site, record = %found.record.summary.id, %error, "a copy cannot be put back"),
        }
        Ok(())
    }

    /// Stores a subject key's blob once more. What lies there in its place may be younger than the index.
    pub(super) async fn restore_key(&self, site: &Site, key: &WrappedSubjectKey, finding: Finding) -> Result<(), ObjectError> {
        if !self.index_is_young().await? {
            return Ok(());
        }
        match self.objects.restore_key(site, key).await {
            Ok(true) => self.repaired(finding).await,
            Ok(false) => Ok(()),
            Err(error) => {
                tracing::warn!(site = %site.spec().id, %error, "a subject key cannot be put back");
                Ok(())
            }
        }
    }

    /// Removes a stray that nothing needs. That it was found is in the ledger already.
    pub(super) async fn remove(&self, site: &Arc<Site>, stray: &Stray, finding: Finding) -> Result<(), ObjectError> {
        let removable = matches!(finding.class, Class::Superseded | Class::Leftover | Class::Misplaced);
        if !removable || !self.index_is_young().await? || self.is_in_flight(stray) {
            return Ok(());
        }
        fail::fail_point!("scrub::before-removal", |_| Err(ObjectError::Internal("failpoint".to_owned())));
        match self.discard(site, stray).await {
            Ok(true) => self.repaired(finding).await,
            Ok(false) => Ok(()),
            Err(error) => {
                tracing::warn!(site = %site.spec().id, %error, "a stray cannot be removed");
                Ok(())
            }
        }
    }

    /// Whether it is gone.
    async fn discard(&self, site: &Arc<Site>, stray: &Stray) -> Result<bool, ObjectError> {
        let (objects, name) = (self.objects, &stray.blob.name);
        let failed = |error| ObjectError::from_backend(site.spec().country, &error);
        if let Some(belongs) = &stray.belongs {
            // Somebody may have moved it here: it can be all that is left.
            let Some(belongs) = objects.sites.get(belongs) else { return Ok(false) };
            let here = content_of(site, name).await.map_err(failed)?;
            let there =
                content_of(belongs, name).await.map_err(|error| ObjectError::from_backend(belongs.spec().country, &error))?;
            if here != there {
                return Ok(false);
            }
        }
        match &stray.origin {
            Origin::Key(key) => objects.discard_key(site, name, key).await,
            Origin::Record(_) | Origin::Foreign(_) => objects.discard(site, name).await.map(|()| true).map_err(failed),
        }
    }

    /// Forgets the attempts of earlier runs of which nothing is left at any site.
    pub(super) async fn forget_attempts(&self) -> Result<(), ObjectError> {
        let progress = self.counting.progress();
        let all_listed = progress.findings.values().sum::<u64>() == progress.listed.len() as u64;
        if !self.order.repair || progress.unchecked > 0 || progress.behind.is_some() || !all_listed {
            return Ok(());
        }
        let left: HashSet<_> = progress.listed.iter().filter_map(|finding| finding.record).collect();
        for intent in self.objects.index.leftover_intents()? {
            if left.contains(&intent.record) || self.objects.index.is_intended(intent.record, intent.attempt) {
                continue;
            }
            let event = Event {
                record: Some(intent.record),
                sites: intent.sites,
                finding: Some(Class::Leftover.as_str()),
                ..Event::new(Kind::Cleared, Actor::System)
            };
            let change = Change::Forgotten { record: intent.record, attempt: intent.attempt };
            self.objects.index.commit(change, event).await?;
        }
        Ok(())
    }
}

/// The hash of all of a blob; `None` when it is not there.
async fn content_of(site: &Site, name: &BlobName) -> Result<Option<[u8; 32]>, BackendError> {
    let mut body = match site.read(name, None).await {
        Ok(read) => read.body,
        Err(BackendError::NotFound { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut hash = Sha256::new();
    while let Some(bytes) = body.try_next().await? {
        hash.update(&bytes);
    }
    Ok(Some(hash.finish()))
}
