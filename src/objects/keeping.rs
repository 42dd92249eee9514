//! How long the policies in force want versions kept: told to the index, which asks where it removes them, and to whoever looks for what has to go.

use std::collections::BTreeSet;
use std::sync::{Arc, Weak};

use arc_swap::ArcSwap;

use crate::audit::{Actor, Event, Kind};
use crate::bucket::Versioning;
use crate::digest;
use crate::index::{Bucket, Change, CommitError, DeleteChange, Keeper, Kept, Record, Stale, Term, Version, WriteCondition};
use crate::objects::{ObjectError, Objects, Request};
use crate::policy::{Enforcement, PolicySet};
use crate::residency::Residency;
use crate::types::{ObjectKey, PolicyRevision, Timestamp, VersionId};

/// Asks the policies that the gateway decides by.
pub(super) struct PolicyKeeper {
    /// Not more than a look: residency knows the directory, which is the index that asks.
    residency: Weak<Residency>,
    policies: Arc<ArcSwap<PolicySet>>,
}

impl PolicyKeeper {
    pub(super) fn new(residency: &Arc<Residency>, policies: &Arc<ArcSwap<PolicySet>>) -> Self {
        Self { residency: Arc::downgrade(residency), policies: Arc::clone(policies) }
    }
}

impl Keeper for PolicyKeeper {
    fn term(&self, revision: PolicyRevision, version: Kept<'_>) -> Option<Term> {
        let is_asked = || self.policies.load().revision() == revision;
        if !is_asked() {
            return None;
        }
        let term = term(&*self.residency.upgrade()?, version);
        // Another set may have come while this was asked.
        is_asked().then_some(term)
    }
}

fn term(residency: &Residency, Kept { bucket, key, record }: Kept<'_>) -> Term {
    let terms = residency.retention(&record.detail.placement, bucket, key, record.summary.modified);
    let at = |term: &Option<crate::policy::Term>| term.as_ref().map(|term| term.at);
    let instruments: BTreeSet<_> = terms.at_least.iter().chain(&terms.at_most).map(|term| term.instrument.clone()).collect();
    Term { at_least: at(&terms.at_least), at_most: at(&terms.at_most), instruments: instruments.into_iter().collect() }
}

/// The ceilings of a policy set.
pub struct Ceilings(Vec<crate::policy::Period>);

impl Ceilings {
    /// Those of the instruments that bind; `None` when there are none.
    pub fn of(set: &PolicySet) -> Option<Self> {
        let binding = set.instruments().iter().filter(|instrument| instrument.enforcement == Enforcement::On);
        let mut periods: Vec<_> = Vec::new();
        for period in binding.filter_map(|instrument| instrument.retention.at_most) {
            if !periods.contains(&period) {
                periods.push(period);
            }
        }
        (!periods.is_empty()).then_some(Self(periods))
    }

    /// Whether a version written then can have come to one.
    pub fn can_reach(&self, written: Timestamp, now: Timestamp) -> bool {
        self.0.iter().any(|period| period.after(written) <= now)
    }
}

impl Objects {
    /// How long the policies in force want a version kept.
    pub fn term(&self, bucket: &Bucket, key: &ObjectKey, record: &Record) -> Term {
        term(&self.residency, Kept { bucket: &bucket.name, key, record })
    }

    /// Refuses early to overwrite what the policy in force keeps, before bytes are moved. The committer decides again.
    pub(super) async fn check_overwrite(
        &self,
        request: &Request<'_>,
        kind: Kind,
        bucket: &Bucket,
        key: &ObjectKey,
    ) -> Result<(), ObjectError> {
        if !self.policies.load().keeps() {
            return Ok(());
        }
        let overwritten = match bucket.settings.versioning {
            Versioning::Off => self.index.current(bucket, key)?,
            Versioning::Suspended => self.index.version(bucket, key, VersionId::Null)?.and_then(Version::into_record),
            Versioning::Enabled => None,
        };
        let kept = overwritten.and_then(|record| self.term(bucket, key, &record).kept_until(self.clock.now()));
        let Some(until) = kept else { return Ok(()) };
        self.record_refusal(request, kind, &bucket.name, Some(key), "AccessDenied").await?;
        Err(ObjectError::Kept { until })
    }

    /// Removes a version that is older than the policies let it be. `false` when it stays: it is locked or gone, or the policies say
    /// otherwise by now.
    ///
    /// # Errors
    /// Only those of the index.
    pub async fn let_outlived_go(&self, bucket: &Bucket, key: &ObjectKey, record: &Record) -> Result<bool, ObjectError> {
        let (summary, placement) = (&record.summary, &record.detail.placement);
        let ticket = self.index.ticket()?;
        let change = Change::Outlived(Box::new(DeleteChange {
            bucket: bucket.id,
            key: key.clone(),
            version: Some(summary.version),
            record: Some(summary.id),
            owner: bucket.owner.clone(),
            ticket,
            marker: VersionId::new(ticket, digest::random()),
            condition: WriteCondition::None,
            seen: Vec::new(),
            bypass_governance: false,
        }));
        let event = Event {
            bucket: Some(self.pseudonyms.bucket(&bucket.name)),
            key: Some(self.pseudonyms.key(&bucket.name, key)),
            subject: placement.subject.as_ref().map(|subject| self.pseudonyms.subject(subject)),
            instruments: self.term(bucket, key, record).instruments,
            revision: Some(self.policies.load().revision()),
            ..summary.describe(Event::new(Kind::Expired, Actor::System))
        };
        fail::fail_point!("objects::before-outlived", |_| Err(ObjectError::Internal("failpoint".to_owned())));
        match self.index.commit(change, event).await {
            Ok(_) => Ok(true),
            Err(
                CommitError::Locked
                | CommitError::Kept { .. }
                | CommitError::Conflict
                | CommitError::NoSuchKey
                | CommitError::Stale(Stale::Policy | Stale::Bucket),
            ) => Ok(false),
            Err(other) => Err(other.into()),
        }
    }
}
