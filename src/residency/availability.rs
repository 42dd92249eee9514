//! Sites, as far as a placement has to know them.

use serde::{Deserialize, Serialize};

use crate::types::{Country, KeyId, SiteId};

/// One storage location. The order of the configuration is the order of failover inside a country.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SiteSpec {
    /// Its name.
    pub id: SiteId,
    /// The country it stands in.
    pub country: Country,
    /// The key that seals what is stored there.
    pub key: KeyId,
}

/// Tells which sites take new records at present.
pub trait Availability: Send + Sync + 'static {
    /// Whether the site answered when it was last asked, and nothing is known of it that keeps new records from it. A site nobody knows
    /// is down.
    fn is_up(&self, site: &SiteId) -> bool;
}
