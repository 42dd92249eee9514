//! Where records that are stored already would have to be under a policy set, in force or only thought of.

use std::collections::BTreeMap;

use super::{
    Availability, PlacementRecord, PlannedCopy, PrincipalFacts, Refusal, Residency, Signals, judge::judge, place::today,
};
use crate::{
    policy::PolicySet,
    types::{BucketName, InstrumentId, ObjectKey, SiteId},
};

/// Where a stored record would have to be. No proof: nothing may be stored on its word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redecided {
    /// The copies, the primary first; those that are allowed where they are stay there.
    pub copies: Vec<PlannedCopy>,
    /// The instruments that would bind.
    pub instruments: Vec<InstrumentId>,
}

/// Every site, whether it answers or not: what has to be done does not depend on who is down while it is planned.
struct Anywhere;

impl Availability for Anywhere {
    fn is_up(&self, _: &SiteId) -> bool {
        true
    }
}

impl Residency {
    /// Where `set` wants a stored record, by what it was placed on and what the directory knows of its subject now: the meet of all
    /// places its bytes have been.
    ///
    /// # Errors
    /// When the set leaves no place for it, or cannot tell.
    pub fn redecide(
        &self,
        set: &PolicySet,
        earlier: &PlacementRecord,
        bucket: &BucketName,
        key: &ObjectKey,
    ) -> Result<Redecided, Refusal> {
        let collected = self.refreshed(set.gateway(), earlier)?;
        let writer = PrincipalFacts { id: &earlier.principal, attributes: &earlier.attributes };
        let metadata = BTreeMap::new();
        let signals = Signals { bucket, key, metadata: &metadata, tags: &[], sources: &[] };
        let judged = judge(set, &collected, writer, &signals, &earlier.origins, today(self.clock.now()))?;
        let copies = self.sites.choose(&judged.decision, &earlier.copies, &Anywhere)?;
        Ok(Redecided { copies, instruments: judged.decision.instruments })
    }
}
