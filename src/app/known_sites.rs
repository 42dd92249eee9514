//! Which sites were in service before, as the index remembers it.

use std::{collections::BTreeMap, error::Error, sync::Arc};

use tokio::runtime::Handle;

use crate::audit::{Actor, Event, Kind, SiteCheck};
use crate::backend::{KnownSites, Standing};
use crate::clock::Clock;
use crate::index::{Change, Index, SiteRow};
use crate::types::{Country, SiteId};

/// Keeps each site's epoch, and what was found at it, in the index.
pub(super) struct IndexedSites {
    pub(super) index: Index,
    pub(super) countries: BTreeMap<SiteId, Country>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) runtime: Handle,
}

impl KnownSites for IndexedSites {
    fn last_epoch(&self, site: &SiteId) -> Result<Option<u64>, Box<dyn Error + Send + Sync>> {
        // Something may have been found at a site that was never in service.
        Ok(self.index.site(site)?.map(|row| row.epoch).filter(|epoch| *epoch > 0))
    }

    fn remember(&self, site: &SiteId, epoch: u64) -> Result<(), Box<dyn Error + Send + Sync>> {
        let country = self.country(site)?;
        let first_seen = self.index.site(site)?.map_or_else(|| self.clock.now(), |row| row.first_seen);
        let row = SiteRow { site: site.clone(), country, first_seen, epoch, standing: Vec::new() };
        let event = Event { sites: vec![site.clone()], countries: vec![country], ..Event::new(Kind::SiteSeen, Actor::System) };
        self.runtime.block_on(self.index.commit(Change::Site(row), event))?;
        Ok(())
    }

    fn standing(&self, site: &SiteId) -> Result<Vec<Standing>, Box<dyn Error + Send + Sync>> {
        Ok(self.index.site(site)?.map(|row| row.standing).unwrap_or_default())
    }

    fn record(&self, site: &SiteId, finding: Standing, stands: bool) -> Result<(), Box<dyn Error + Send + Sync>> {
        let country = self.country(site)?;
        let Standing { check, severity, accepted } = finding;
        let event = Event {
            sites: vec![site.clone()],
            countries: vec![country],
            check: Some(SiteCheck { name: check.as_str(), severity: severity.as_str(), accepted }),
            ..Event::new(if stands { Kind::SiteAlarm } else { Kind::SiteClear }, Actor::System)
        };
        let change = Change::SiteFinding { site: site.clone(), country, finding, stands };
        self.runtime.block_on(self.index.commit(change, event))?;
        Ok(())
    }
}

impl IndexedSites {
    fn country(&self, site: &SiteId) -> Result<Country, &'static str> {
        self.countries.get(site).copied().ok_or("the site is not configured")
    }
}
