//! Keeps the journal in proportion to what it tells of.
//!
//! When its pieces have grown to several times what they were, everything that is still so is told again, and the pieces from before are
//! removed, each country's in ascending order: a piece that says that a row is gone outlives those that say it was there. An index that
//! was in use before it had a journal begins with such a retelling.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::backend::Site;
use crate::index::journal::Base;
use crate::objects::{Agreement, ObjectError, Objects};
use crate::seal::BlobName;
use crate::types::Country;

/// How often the size of the journal is looked at.
const LOOK: Duration = Duration::from_secs(3600);
/// Pause after a failure, and between two looks at whether the sites have caught up.
const PAUSE: Duration = Duration::from_secs(2);
/// A journal smaller than this is left alone.
const SMALL: u64 = 64 * 1024 * 1024;
/// How many times its size after the last retelling it may reach.
const GROWTH: u64 = 3;
/// Commits that may wait to be written while more is told.
const AHEAD: usize = 32;
/// Names asked for at a time.
const PAGE: usize = 1000;

impl Objects {
    /// Compacts the journal from time to time until the task is dropped. Meant to be spawned once.
    pub async fn compact_journal(&self) {
        loop {
            let pause = match self.compact_round().await {
                Ok(()) => LOOK,
                Err(error) => {
                    tracing::debug!(%error, "the journal is compacted later");
                    PAUSE * 10
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// Tells the journal everything again now, and makes new keys for it at the sites of `renewed`: what those sites were told before is
    /// neither there any more nor, in a copy of them, opened by a key that is in use.
    ///
    /// # Errors
    /// When a site cannot be reached; nothing is lost, and another try begins anew.
    pub async fn renew_journal(&self, renewed: &BTreeSet<Country>) -> Result<(), ObjectError> {
        if self.index.journal_countries().is_empty() {
            return Ok(());
        }
        let _alone = self.0.compacting.lock().await;
        self.must_agree().await?;
        let sites = || self.sites.iter().filter(|site| renewed.contains(&site.spec().country));
        for site in sites() {
            self.renew_site_key(site).await?;
        }
        // From a number on that is issued after the keys are in use.
        let base = self.retell().await?;
        fail::fail_point!("objects::journal-renewed", |_| Err(ObjectError::Internal("failpoint".to_owned())));
        self.index.keep_base(base).await?;
        self.remove_before(base.from).await?;
        for site in sites() {
            self.forget_site_keys(site).await?;
        }
        Ok(())
    }

    /// What only the journal knows must not go with what is told again.
    async fn must_agree(&self) -> Result<(), ObjectError> {
        match self.agreement().await? {
            Agreement::Agrees => Ok(()),
            Agreement::IsBehind { site, piece } => {
                tracing::error!(%site, %piece, "the index is older than the journal: rebuild it");
                Err(ObjectError::Internal("the index is older than the journal".to_owned()))
            }
            Agreement::Unknown { reason } => Err(ObjectError::Internal(format!("the journal cannot be read: {reason}"))),
        }
    }

    async fn compact_round(&self) -> Result<(), ObjectError> {
        let _alone = self.0.compacting.lock().await;
        // What such an index does not know only the journal does: everything in it stays.
        if self.index.imported()?.is_some() {
            return Ok(());
        }
        self.must_agree().await?;
        let base = match self.index.base()? {
            // What an earlier process did not get to remove goes first: it is at the front of every listing.
            Some(base) => {
                self.remove_before(base.from).await?;
                let bytes = self.journal_bytes().await?;
                if bytes < SMALL.max(base.bytes.saturating_mul(GROWTH)) {
                    return Ok(());
                }
                self.retell().await?
            }
            None => self.retell().await?,
        };
        fail::fail_point!("objects::journal-retold", |_| Err(ObjectError::Internal("failpoint".to_owned())));
        self.index.keep_base(base).await?;
        self.remove_before(base.from).await
    }

    /// Tells the journal everything again; on return the sites hold it.
    async fn retell(&self) -> Result<Base, ObjectError> {
        let from = self.index.ticket()?.0;
        let mut next = Some(Vec::new());
        while let Some(after) = next {
            while self.index.journal_countries().into_iter().any(|country| self.index.journal_lag(country).commits > AHEAD) {
                tokio::time::sleep(PAUSE / 10).await;
            }
            next = self.index.retell(after).await?;
        }
        let last = self.index.ticket()?.0;
        while !self.index.journal_holds(last) {
            tokio::time::sleep(PAUSE / 100).await;
        }
        tracing::info!(from, "the journal has been told everything again");
        Ok(Base { from, bytes: self.journal_bytes_from(from).await? })
    }

    async fn journal_bytes(&self) -> Result<u64, ObjectError> {
        self.journal_bytes_from(0).await
    }

    /// The bytes of the journal's pieces that reach `from` or further.
    async fn journal_bytes_from(&self, from: u64) -> Result<u64, ObjectError> {
        let mut bytes = 0;
        for site in self.sites.iter() {
            each_piece(site, |number, _, len| {
                bytes += if number >= from { len } else { 0 };
                true
            })
            .await?;
        }
        Ok(bytes)
    }

    /// Removes the pieces that reach no further than before `from`.
    async fn remove_before(&self, from: u64) -> Result<(), ObjectError> {
        let countries: BTreeSet<Country> = self.sites.iter().map(|site| site.spec().country).collect();
        for country in countries {
            let sites: Vec<_> = self.sites.iter().filter(|site| site.spec().country == country).collect();
            let mut old = Vec::new();
            for site in sites {
                each_piece(site, |number, name, _| {
                    if number > 0 && number < from {
                        old.push((number, name, site));
                    }
                    number < from
                })
                .await?;
            }
            old.sort_by_key(|(number, ..)| *number);
            for (_, name, site) in old {
                site.remove(&name).await.map_err(|error| ObjectError::from_backend(country, &error))?;
            }
        }
        Ok(())
    }
}

/// Shows the number, name and length of each piece of the journal at a site, in the order of their numbers, until `visit` says no.
async fn each_piece(site: &Site, mut visit: impl FnMut(u64, BlobName, u64) -> bool) -> Result<(), ObjectError> {
    let mut after = BlobName::marker();
    loop {
        let page = site.list(Some(&after), PAGE).await;
        let page = page.map_err(|error| ObjectError::from_backend(site.spec().country, &error))?.blobs;
        for blob in &page {
            let Some(number) = blob.name.journal_number() else { continue };
            if !visit(number, blob.name, blob.len) {
                return Ok(());
            }
        }
        match page.last() {
            Some(last) if page.len() == PAGE => after = last.name,
            _ => return Ok(()),
        }
    }
}
