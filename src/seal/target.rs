//! Where a blob may go.

use crate::types::{Country, KeyId, SiteId};

/// A site that a placement chose, with the country and key it seals under. The proof that sealing asks for: made from a planned
/// copy and from nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealTarget {
    site: SiteId,
    country: Country,
    key: KeyId,
}

impl SealTarget {
    /// For the module that mints placements, and for what the gateway itself keeps at a site.
    pub(crate) const fn new(site: SiteId, country: Country, key: KeyId) -> Self {
        Self { site, country, key }
    }

    /// A target that no placement chose.
    #[cfg(any(test, feature = "test-util"))]
    pub fn for_test(site: &str, country: Country, key: &KeyId) -> Result<Self, crate::types::InvalidName> {
        Ok(Self::new(site.parse()?, country, key.clone()))
    }

    /// The site.
    pub const fn site(&self) -> &SiteId {
        &self.site
    }

    /// Its country.
    pub const fn country(&self) -> Country {
        self.country
    }

    /// The country key that wraps what is stored there.
    pub const fn key(&self) -> &KeyId {
        &self.key
    }
}
