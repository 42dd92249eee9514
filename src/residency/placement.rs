//! The proof that a record may be stored at certain sites, and what is kept of it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::SourceFacts;
use crate::{
    policy::{Decision, DecisionSource, Role, UsedException},
    types::{
        Attributes, BucketName, Country, Generation, InstrumentId, KeyId, ObjectKey, PolicyRevision, PrincipalId, SiteId,
        SubjectId, Timestamp,
    },
};

/// One copy to be stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedCopy {
    /// The site.
    pub site: SiteId,
    /// The country the site stands in.
    pub country: Country,
    /// The key that seals the copy.
    pub key: KeyId,
    /// What the copy is to the record.
    pub role: Role,
}

/// What a decision depended on. It commits only while both are still so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Basis {
    /// The policy set that decided.
    pub policy: PolicyRevision,
    /// The directory entry of the subject; the default generation when there is no entry.
    pub subject_generation: Generation,
}

/// A place where a copy's bytes have been: what instruments asked of them there, they ask of every copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// Whether the record there was somebody's.
    pub has_subject: bool,
    /// What was known of the subject.
    pub attributes: Attributes,
    /// The bucket.
    pub bucket: BucketName,
    /// Who wrote it there.
    pub principal: PrincipalId,
    /// The key there; `None` when it is one of several that are no longer told apart, or was not kept: then whatever asks for a key binds it.
    #[serde(default)]
    pub key: Option<ObjectKey>,
    /// Where whoever wrote it processed; `None` when nobody knew, or it was not kept.
    #[serde(default)]
    pub principal_country: Option<Country>,
}

/// What a record keeps of the decision that placed it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlacementRecord {
    /// Whose data it is; `None` for data of nobody.
    pub subject: Option<SubjectId>,
    /// What was known of the subject.
    pub attributes: Attributes,
    /// Which of `attributes` no source gave: the gateway's rules of that time assumed them, and another set may not.
    #[serde(default)]
    pub assumed: BTreeSet<String>,
    /// Who wrote it.
    pub principal: PrincipalId,
    /// Where its bytes had been before, when it is a copy.
    #[serde(default)]
    pub origins: Vec<Origin>,
    /// The copies, the primary first.
    pub copies: Vec<PlannedCopy>,
    /// The instruments that bound.
    pub instruments: Vec<InstrumentId>,
    /// The instruments in shadow that matched.
    pub shadow: Vec<InstrumentId>,
    /// The policy set that decided.
    pub revision: PolicyRevision,
    /// The directory entry of the subject at that time.
    pub subject_generation: Generation,
    /// When it was decided.
    pub decided_at: Timestamp,
    /// On whose word the placement stands.
    pub source: DecisionSource,
    /// Where whoever wrote it processed; `None` when nobody knew, or it was not kept.
    #[serde(default)]
    pub principal_country: Option<Country>,
    /// The exceptions that the placement leans on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exceptions: Vec<UsedException>,
    /// What named the subject (`subject`) and what gave each attribute, as gateway.toml writes sources.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub signals: BTreeMap<String, Vec<String>>,
}

impl PlacementRecord {
    /// On whose word it stands: [`PlacementRecord::signals`], and what was only assumed.
    pub fn told_by(&self) -> BTreeMap<String, Vec<String>> {
        let mut signals = self.signals.clone();
        signals.extend(self.assumed.iter().map(|name| (name.clone(), vec!["assumed".to_owned()])));
        signals
    }

    /// The record as the source of a copy.
    pub fn as_source(&self, bucket: &BucketName, key: &ObjectKey) -> SourceFacts {
        SourceFacts {
            subject: self.subject.clone(),
            attributes: self.attributes.clone(),
            bucket: bucket.clone(),
            key: key.clone(),
            principal: Some(self.principal.clone()),
            principal_country: self.principal_country,
            origins: self.origins.clone(),
        }
    }

    /// The record's own place, as an origin of whatever its bytes become part of.
    pub fn as_origin(&self, bucket: &BucketName, key: &ObjectKey) -> Origin {
        Origin {
            has_subject: self.subject.is_some(),
            attributes: self.attributes.clone(),
            bucket: bucket.clone(),
            principal: self.principal.clone(),
            key: Some(key.clone()),
            principal_country: self.principal_country,
        }
    }

    /// Adds places where its bytes have been; tells whether any was new.
    pub fn add_origins<'o>(&mut self, origins: impl IntoIterator<Item = &'o Origin>) -> bool {
        let mut any = false;
        for origin in origins {
            any |= origin.add_to(&mut self.origins);
        }
        any
    }

    /// Whether the places of `origin` are all among those where its bytes have been.
    pub fn counts(&self, origin: &Origin) -> bool {
        self.origins.iter().any(|known| known.covers(origin))
    }
}

impl Origin {
    /// Of places that differ in the key alone, more than this are not told apart. Whatever asks for a key binds them all from then on: an object that is
    /// put together from thousands of others must not keep thousands of names.
    const MAX_KEYS: usize = 16;

    /// Adds the place to others, unless it is among them; tells whether it was new.
    pub(super) fn add_to(&self, origins: &mut Vec<Self>) -> bool {
        if origins.iter().any(|known| known.covers(self)) {
            return false;
        }
        let near = origins.iter().filter(|known| known.differs_in_key_alone(self)).count();
        if self.key.is_none() || near >= Self::MAX_KEYS {
            origins.retain(|known| !known.differs_in_key_alone(self));
            origins.push(Self { key: None, ..self.clone() });
        } else {
            origins.push(self.clone());
        }
        true
    }

    fn covers(&self, other: &Self) -> bool {
        self.differs_in_key_alone(other) && (self.key.is_none() || self.key == other.key)
    }

    fn differs_in_key_alone(&self, other: &Self) -> bool {
        let Self { has_subject, attributes, bucket, principal, key: _, principal_country } = self;
        *has_subject == other.has_subject
            && *attributes == other.attributes
            && *bucket == other.bucket
            && *principal == other.principal
            && *principal_country == other.principal_country
    }
}

/// The proof that a record may be stored at certain sites. Only [`Residency`](super::Residency) makes one.
#[derive(Debug, Clone)]
pub struct Placement {
    record: PlacementRecord,
    decision: Decision,
}

impl Placement {
    pub(super) const fn new(record: PlacementRecord, decision: Decision) -> Self {
        Self { record, decision }
    }

    /// The copies to store, the primary first.
    pub fn copies(&self) -> &[PlannedCopy] {
        &self.record.copies
    }

    /// Whose data it is; `None` for data of nobody.
    pub const fn subject(&self) -> Option<&SubjectId> {
        self.record.subject.as_ref()
    }

    /// What is known of the subject.
    pub const fn attributes(&self) -> &Attributes {
        &self.record.attributes
    }

    /// What the policies require.
    pub const fn decision(&self) -> &Decision {
        &self.decision
    }

    /// What the decision depended on.
    pub const fn basis(&self) -> Basis {
        Basis { policy: self.record.revision, subject_generation: self.record.subject_generation }
    }

    /// What the record keeps of it.
    pub const fn record(&self) -> &PlacementRecord {
        &self.record
    }
}
