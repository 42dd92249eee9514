//! Keeps the journal in proportion to what it tells of.
//!
//! When its pieces have grown to several times what they were, everything that is still so is told again, and the pieces from before are
//! removed, each country's in ascending order: a piece that says that a row is gone outlives those that say it was there. An index that
//! was in use before it had a journal begins with such a retelling.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::backend::Site;
use crate::index::journal::Base;
use crate::objects::{Agreement, ObjectError, Objects, Reach};
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
    /// When a site cannot be reached, or the journal knows something that the index does not; nothing is lost, and another try begins anew.
    pub async fn renew_journal(&self, renewed: &BTreeSet<Country>) -> Result<(), ObjectError> {
        if self.index.journal_countries().is_empty() {
            return Ok(());
        }
        let _alone = self.0.compacting.lock().await;
        if !self.may_compact(Reach::All).await? {
            return Err(ObjectError::Internal("the journal knows something that the index does not".to_owned()));
        }
        let sites = || self.sites.iter().filter(|site| renewed.contains(&site.spec().country));
        for site in sites() {
            self.renew_site_key(site).await?;
        }
        // From a number on that is issued after the keys are in use.
        let base = self.retell().await?;
        fail::fail_point!("objects::journal-renewed", |_| Err(ObjectError::Internal("failpoint".to_owned())));
        let from = base.from;
        self.index.keep_base(base).await?;
        self.remove_before(from).await?;
        for site in sites() {
            self.forget_site_keys(site).await?;
        }
        Ok(())
    }

    pub(super) async fn compact_round(&self) -> Result<(), ObjectError> {
        let _alone = self.0.compacting.lock().await;
        let base = self.index.base()?;
        // What the journal says of a country's rows may be all that says that they are gone, when its sites come back.
        let away = base.as_ref().map(|base| self.index.countries_away_since(base)).unwrap_or_default();
        if !away.is_empty() {
            tracing::warn!(?away, "countries have no site any more; until they have, the journal is not compacted");
            return self.may_compact(Reach::New).await.map(drop);
        }
        let base = base.filter(|base| self.index.is_told_since(base));
        // Looked at also when nothing is to be done: whoever has put an old index back should hear of it soon.
        let reach = if self.is_compaction_due(base.as_ref()).await? { Reach::All } else { Reach::New };
        if !self.may_compact(reach).await? || reach == Reach::New {
            return Ok(());
        }
        let base = match base {
            // What an earlier process did not get to remove goes first: it is at the front of every listing.
            Some(base) => {
                self.remove_before(base.from).await?;
                if !base.is_outgrown_by(self.journal_sizes(base.from).await?.since) {
                    return Ok(());
                }
                self.retell().await?
            }
            None => self.retell().await?,
        };
        fail::fail_point!("objects::journal-retold", |_| Err(ObjectError::Internal("failpoint".to_owned())));
        let (from, bytes) = (base.from, base.bytes);
        self.index.keep_base(base).await?;
        self.remove_before(from).await?;
        tracing::info!(from, bytes, "the journal has been compacted");
        Ok(())
    }

    /// What only the journal knows must not go with what it replaces.
    async fn may_compact(&self, reach: Reach) -> Result<bool, ObjectError> {
        match self.agreement(reach).await? {
            Agreement::Agrees => return Ok(true),
            Agreement::IsBehind { site, piece } => {
                tracing::error!(%site, %piece, "the index is older than the journal: rebuild it; the journal is not compacted");
            }
            Agreement::HasGap { gap } => {
                tracing::warn!(gap, "the index was rebuilt without all of the journal, which is not compacted");
            }
            Agreement::Unknown { reason } => {
                tracing::warn!(reason, "the journal cannot be held against the index, and is not compacted");
                return Err(ObjectError::Internal(format!("the journal cannot be read: {reason}")));
            }
        }
        Ok(false)
    }

    async fn is_compaction_due(&self, base: Option<&Base>) -> Result<bool, ObjectError> {
        let Some(base) = base else { return Ok(true) };
        let sizes = self.journal_sizes(base.from).await?;
        Ok(sizes.before > 0 || base.is_outgrown_by(sizes.since))
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
        tracing::debug!(from, "the journal has been told everything again");
        Ok(Base::new(from, self.journal_sizes(from).await?.since))
    }

    /// The sizes of the journal's pieces, those that reach `from` or further told apart.
    async fn journal_sizes(&self, from: u64) -> Result<Sizes, ObjectError> {
        let mut sizes = Sizes::default();
        for site in self.sites.iter() {
            each_piece(site, |number, _, len| {
                match number {
                    0 => {}
                    _ if number < from => sizes.before += len,
                    _ => sizes.since += len,
                }
                true
            })
            .await?;
        }
        Ok(sizes)
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

/// The bytes of the journal's pieces at all sites.
#[derive(Debug, Clone, Copy, Default)]
struct Sizes {
    before: u64,
    since: u64,
}

impl Base {
    const fn is_outgrown_by(&self, bytes: u64) -> bool {
        let most = self.bytes.saturating_mul(GROWTH);
        bytes >= if most > SMALL { most } else { SMALL }
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
