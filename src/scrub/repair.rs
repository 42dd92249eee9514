//! Puts right what can be put right without the risk of losing anything.
//!
//! A damaged copy is written anew from another one, a subject key's blob from the index. A stray goes when three things are certain: the index is as
//! young as the sites, no row names the blob, and nobody is writing its record. Everything else stays as it is, and stays a finding.

use std::{collections::HashSet, sync::Arc};

use super::{run::Scrub, strays::Stray};
use crate::{
    audit::{Actor, Event, Kind},
    backend::Site,
    index::{Change, Class, Finding, FoundRecord},
    kms::WrappedSubjectKey,
    objects::{ObjectError, Restored},
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

    pub(super) async fn restore_key(&self, site: &Site, key: &WrappedSubjectKey, finding: Finding) -> Result<(), ObjectError> {
        match self.objects.restore_key(site, key).await {
            Ok(()) => self.repaired(finding).await,
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
        match self.objects.discard(site, &stray.blob.name).await {
            Ok(()) => self.repaired(finding).await,
            Err(error) => {
                tracing::warn!(site = %site.spec().id, %error, "a stray cannot be removed");
                Ok(())
            }
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
