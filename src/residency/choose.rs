//! From countries to sites.

use std::collections::BTreeMap;

use super::{Availability, PlannedCopy, Refusal, SiteSpec};
use crate::{
    policy::{Decision, Role},
    types::{Country, KeyId},
};

/// The sites to choose from.
pub(super) struct Sites {
    /// In the order of failover.
    pub all: Vec<SiteSpec>,
    /// The key of each country.
    pub keys: BTreeMap<Country, KeyId>,
    /// How many sites of each country get a copy.
    pub per_country: usize,
}

impl Sites {
    /// The sites of a decision: in each country the first that are up, those of `earlier` before the others.
    ///
    /// A queued copy follows later anyway: it stays at its site of `earlier` also while that is down, and may be planned at one that is
    /// down when no other is there. Every other copy needs a site that is up.
    pub(super) fn choose(
        &self,
        decision: &Decision,
        earlier: &[PlannedCopy],
        availability: &dyn Availability,
    ) -> Result<Vec<PlannedCopy>, Refusal> {
        let mut copies = Vec::with_capacity(decision.placement.len());
        for planned in &decision.placement {
            let before = copies.len();
            let kept = |site: &SiteSpec| earlier.iter().any(|copy| copy.site == site.id);
            let in_country = || self.all.iter().filter(|site| site.country == planned.country);
            let preferred = in_country().filter(|site| kept(site)).chain(in_country().filter(|site| !kept(site)));
            let follows = planned.role == Role::Queued;
            let usable = |site: &SiteSpec| availability.is_up(&site.id) || (follows && kept(site));
            let mut chosen: Vec<&SiteSpec> = preferred.clone().filter(|site| usable(site)).take(self.per_country).collect();
            if chosen.len() < self.per_country && follows {
                chosen.extend(preferred.filter(|site| !usable(site)).take(self.per_country - chosen.len()));
            }
            for site in chosen {
                let key = self.key(decision, site)?;
                let role = if copies.len() > before && planned.role == Role::Primary { Role::Required } else { planned.role };
                copies.push(PlannedCopy { site: site.id.clone(), country: site.country, key, role });
            }
            // `per_country` is a wish where a country has fewer sites, but not where one is down: durability must not shrink unnoticed.
            let wanted = self.per_country.min(in_country().count()).max(1);
            if copies.len() - before < wanted {
                return Err(Refusal::Unavailable { country: planned.country });
            }
        }
        Ok(copies)
    }

    /// The key for the copy at a site: the site's own where the decision lets its country's key be used.
    fn key(&self, decision: &Decision, site: &SiteSpec) -> Result<KeyId, Refusal> {
        let country = decision.key_country(site.country);
        if country == site.country {
            return Ok(site.key.clone());
        }
        self.keys.get(&country).cloned().ok_or(Refusal::Unavailable { country })
    }
}
