//! From signals to a placement.

use std::{collections::BTreeMap, sync::Arc};

use arc_swap::ArcSwap;

use super::{Availability, Directory, Placement, PlacementRecord, Refusal, Signals, SiteSpec, SourceFacts};
use crate::{
    authn::Authenticated,
    clock::Clock,
    policy::PolicySet,
    types::{BucketName, Country, KeyId, ObjectKey},
};

/// Decides where records live.
pub struct Residency {
    policies: Arc<ArcSwap<PolicySet>>,
    sites: Vec<SiteSpec>,
    keys: BTreeMap<Country, KeyId>,
    sites_per_country: usize,
    directory: Arc<dyn Directory>,
    availability: Arc<dyn Availability>,
    clock: Arc<dyn Clock>,
}

impl Residency {
    /// `sites` in the order of the configuration, which is the order of failover inside a country; `sites_per_country` copies go to
    /// as many sites of each country (at least 1).
    pub fn new(
        policies: Arc<ArcSwap<PolicySet>>,
        sites: Vec<SiteSpec>,
        sites_per_country: usize,
        directory: Arc<dyn Directory>,
        availability: Arc<dyn Availability>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let mut keys = BTreeMap::new();
        for site in &sites {
            keys.entry(site.country).or_insert_with(|| site.key.clone());
        }
        Self { policies, sites, keys, sites_per_country: sites_per_country.max(1), directory, availability, clock }
    }

    /// Names the key of each country, for instruments that ask for the key of another country than the copy's. Without this, a
    /// country's key is that of its first site.
    #[must_use]
    pub fn with_keys(mut self, keys: BTreeMap<Country, KeyId>) -> Self {
        self.keys.extend(keys);
        self
    }

    /// The placement of a new record, or of a copy when `signals` name sources.
    pub fn place(&self, auth: &Authenticated, signals: &Signals<'_>) -> Result<Placement, Refusal> {
        todo!()
    }

    /// Decides again, under the policy in force, what was decided earlier: for a part of a multipart upload, or for a commit whose
    /// basis has changed. Same sites and keys → the placement with its new basis; others → [`Refusal::Stale`].
    pub fn resume(
        &self,
        auth: &Authenticated,
        earlier: &PlacementRecord,
        bucket: &BucketName,
        key: &ObjectKey,
    ) -> Result<Placement, Refusal> {
        todo!()
    }

    /// Whether bytes of `sources` may become part of a record placed as `placed` (just made by `place` or `resume`): the subject is the
    /// same or the source has none, and every instrument that binds a source already binds the record.
    pub fn satisfies(&self, placed: &PlacementRecord, sources: &[SourceFacts]) -> Result<(), Refusal> {
        todo!()
    }

    /// Whether the tags of a stored record may become those in `signals`; `metadata` there is the record's. Refuses a change that would change
    /// subject, attributes or placement.
    pub fn retag(
        &self,
        auth: &Authenticated,
        stored: &PlacementRecord,
        old_tags: &[(String, String)],
        signals: &Signals<'_>,
    ) -> Result<(), Refusal> {
        todo!()
    }
}
