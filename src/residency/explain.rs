//! Why a record lives where it lives, signal by signal and site by site. For people and tools; decides nothing.

use serde::Serialize;

use super::{
    PlannedCopy, PrincipalFacts, Refusal, Residency, Signals, collect::Collected, collect::SeenSignal, judge, place::today,
};
use crate::{
    policy::{Explanation, Facts},
    types::{Attributes, Country, SiteId, SubjectId},
};

/// What would be decided, and why.
#[derive(Debug, Clone, Serialize)]
pub struct ResidencyExplanation {
    /// Every signal seen, in the order in which they are read.
    pub signals: Vec<SeenSignal>,
    /// Attributes whose sources differ, with every value.
    pub conflicts: Vec<(String, Vec<String>)>,
    /// What is taken to be known of the subject, assumed values included.
    pub attributes: Attributes,
    /// The policies' part; `None` when the signals were refused before the policies were asked.
    pub policy: Option<Explanation>,
    /// The sites of the countries that get a copy, in the order of failover.
    pub sites: Vec<ConsideredSite>,
    /// What comes out.
    pub outcome: Outcome,
}

/// One site that could take a copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConsideredSite {
    /// The site.
    pub site: SiteId,
    /// Its country.
    pub country: Country,
    /// Whether it takes new records at present.
    pub up: bool,
    /// Whether it gets a copy.
    pub chosen: bool,
}

/// What comes out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The copies that would be stored.
    Placed {
        /// The primary first.
        copies: Vec<PlannedCopy>,
    },
    /// Nothing would be stored.
    Refused {
        /// The S3 error code.
        code: &'static str,
        /// Why.
        message: String,
        /// The refusal.
        detail: Refusal,
    },
}

impl Residency {
    /// Whose data it is, as far as the signals agree. Evaluates nothing.
    pub fn named_subject(&self, principal: PrincipalFacts<'_>, signals: &Signals<'_>) -> Option<SubjectId> {
        let mut collected = Collected::default();
        collected.read_subject(self.policies.load().gateway(), principal, signals).ok()?;
        collected.subject
    }

    /// What [`Residency::place`] would answer now, and why.
    pub fn explain(&self, principal: PrincipalFacts<'_>, signals: &Signals<'_>) -> ResidencyExplanation {
        let set = self.policies.load();
        let mut collected = Collected { seen: Some(Vec::new()), ..Collected::default() };
        let read = collected.read(set.gateway(), principal, signals, &*self.directory);
        let origins = judge::origins(signals.sources, principal);
        let today = today(self.clock.now());
        let placed = self.place_for(principal, signals);
        let mut attributes = collected.attributes.clone();
        if let Ok(placement) = &placed {
            attributes.clone_from(placement.attributes());
        } else if collected.subject.is_some() {
            // What cannot be completed is told by the refusal.
            let _ = set.complete(&mut attributes);
        }
        let policy = match (read, origins) {
            (Ok(()), Ok(origins)) => {
                let sources: Vec<Facts<'_>> = origins.iter().map(|origin| origin.facts(today)).collect();
                let facts = collected.facts(&attributes, principal, signals, today);
                Some((set.explain_copy(&facts, &sources), set.decide_copy(&facts, &sources)))
            }
            _ => None,
        };
        let (policy, decision) = policy.map_or((None, None), |(policy, decision)| (Some(policy), decision.ok()));
        let copies = placed.as_ref().map(|placement| placement.copies()).unwrap_or_default();
        let countries: Vec<Country> = decision.iter().flat_map(|d| &d.placement).map(|planned| planned.country).collect();
        let sites = countries.iter().flat_map(|country| self.sites.all.iter().filter(move |site| site.country == *country));
        let sites = sites
            .map(|site| ConsideredSite {
                site: site.id.clone(),
                country: site.country,
                up: self.availability.is_up(&site.id),
                chosen: copies.iter().any(|copy| copy.site == site.id),
            })
            .collect();
        ResidencyExplanation {
            signals: collected.seen.unwrap_or_default(),
            conflicts: collected.disputed,
            attributes,
            policy,
            sites,
            outcome: match placed {
                Ok(placement) => Outcome::Placed { copies: placement.copies().to_vec() },
                Err(detail) => Outcome::Refused { code: detail.code(), message: detail.to_string(), detail },
            },
        }
    }
}
