//! Which sites were in service before, as the index remembers it.

use std::{collections::BTreeMap, error::Error, sync::Arc};

use tokio::runtime::Handle;

use crate::audit::{Actor, Event, Kind};
use crate::backend::KnownSites;
use crate::clock::Clock;
use crate::index::{Change, Index, SiteRow};
use crate::types::{Country, SiteId};

/// Keeps each site's epoch in the index.
pub(super) struct IndexedSites {
    pub(super) index: Index,
    pub(super) countries: BTreeMap<SiteId, Country>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) runtime: Handle,
}

impl KnownSites for IndexedSites {
    fn last_epoch(&self, site: &SiteId) -> Result<Option<u64>, Box<dyn Error + Send + Sync>> {
        Ok(self.index.site(site)?.map(|row| row.epoch))
    }

    fn remember(&self, site: &SiteId, epoch: u64) -> Result<(), Box<dyn Error + Send + Sync>> {
        let country = *self.countries.get(site).ok_or("the site is not configured")?;
        let first_seen = self.index.site(site)?.map_or_else(|| self.clock.now(), |row| row.first_seen);
        let row = SiteRow { site: site.clone(), country, first_seen, epoch };
        let event = Event { sites: vec![site.clone()], countries: vec![country], ..Event::new(Kind::SiteSeen, Actor::System) };
        self.runtime.block_on(self.index.commit(Change::Site(row), event))?;
        Ok(())
    }
}
