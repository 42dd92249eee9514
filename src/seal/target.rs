//! Where a blob may go.

use crate::kms::WrappedSubjectKey;
use crate::residency::{Placement, SiteSpec};
use crate::types::{Country, KeyId, SiteId};

/// A site that a placement chose, with the country and key it seals under. The proof that sealing asks for: made from a placement
/// and from nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealTarget {
    site: SiteId,
    country: Country,
    key: KeyId,
}

impl SealTarget {
    /// The target for the copy that `placement` puts at `site`; `None` when it puts none there.
    pub fn of(placement: &Placement, site: &SiteId) -> Option<Self> {
        let copy = placement.copies().iter().find(|copy| copy.site == *site)?;
        Some(Self { site: copy.site.clone(), country: copy.country, key: copy.key.clone() })
    }

    /// For what the gateway itself keeps at a site, which is nobody's data: its marker.
    pub(crate) fn of_site(site: &SiteSpec) -> Self {
        Self { site: site.id.clone(), country: site.country, key: site.key.clone() }
    }

    /// For the blob of a subject key that a site is to have once more: one of its own country, or one that a placement brought there before.
    pub(crate) fn of_key(site: &SiteSpec, key: &WrappedSubjectKey) -> Option<Self> {
        let belongs = key.country == site.country || key.sites.contains(&site.id);
        belongs.then(|| Self { site: site.id.clone(), country: site.country, key: key.key.clone() })
    }

    /// A target that no placement chose.
    #[cfg(any(test, feature = "test-util"))]
    pub fn for_test(site: &str, country: Country, key: &KeyId) -> Result<Self, crate::types::InvalidName> {
        Ok(Self { site: site.parse()?, country, key: key.clone() })
    }

    /// The site.
    pub const fn site(&self) -> &SiteId {
        &self.site
    }

    /// Its country.
    pub const fn country(&self) -> Country {
        self.country
    }

    /// The country key that wraps what is stored there, which can be another country's.
    pub const fn key(&self) -> &KeyId {
        &self.key
    }
}
