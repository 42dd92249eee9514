//! From what is known to a decision, also when two sources of an attribute differ.

use std::collections::BTreeSet;

use super::{Origin, PrincipalFacts, Refusal, Signals, SourceFacts, collect::Collected};
use crate::{
    policy::{Decision, Denial, DenialKind, Facts, OnConflict, PolicySet},
    types::Attributes,
};

/// More combinations of disputed values than this are not tried; nothing honest comes near.
const MAX_COMBINATIONS: usize = 64;

/// More places than this a copy's bytes cannot have been; the chain has to begin anew from the application.
const MAX_ORIGINS: usize = 64;

/// What is decided, and on which attributes.
pub(super) struct Judgement {
    pub attributes: Attributes,
    /// Those of `attributes` that no source gave.
    pub assumed: BTreeSet<String>,
    pub decision: Decision,
}

/// Decides for the destination and every place the bytes come from.
pub(super) fn judge(
    set: &PolicySet,
    collected: &Collected,
    principal: PrincipalFacts<'_>,
    signals: &Signals<'_>,
    origins: &[Origin],
    today: time::Date,
) -> Result<Judgement, Refusal> {
    let candidates = candidates(set, collected)?;
    let mut judged: Vec<Result<Judgement, Refusal>> = Vec::with_capacity(candidates.len());
    for given in candidates {
        let mut attributes = given.clone();
        if collected.subject.is_some() {
            set.complete(&mut attributes)
                .map_err(|name| Refusal::Unknown { reason: format!("`{name}` of the subject is not known from any source") })?;
        }
        let facts = collected.facts(&attributes, principal, signals, today);
        let sources: Vec<Facts<'_>> = origins.iter().map(|origin| origin.facts(today)).collect();
        let decision = set.decide_copy(&facts, &sources).map_err(refused);
        let assumed = attributes.keys().filter(|name| !given.contains_key(*name)).cloned().collect();
        judged.push(decision.map(|decision| Judgement { attributes, assumed, decision }));
    }
    strictest(judged)
}

/// Every combination of the disputed values, with what is undisputed.
fn candidates(set: &PolicySet, collected: &Collected) -> Result<Vec<Attributes>, Refusal> {
    let mut candidates = vec![collected.attributes.clone()];
    for (name, values) in &collected.disputed {
        let rule = set.gateway().attributes.get(name);
        let reject = rule.is_none_or(|rule| rule.conflict == OnConflict::Reject);
        if reject || candidates.len().saturating_mul(values.len()) > MAX_COMBINATIONS {
            return Err(Refusal::Conflict { reason: format!("the sources of `{name}` give different values") });
        }
        let with = |attributes: &Attributes| {
            let attributes = attributes.clone();
            values.iter().map(move |value| {
                let mut attributes = attributes.clone();
                attributes.insert(name.clone(), value.clone());
                attributes
            })
        };
        candidates = candidates.iter().flat_map(with).collect();
    }
    Ok(candidates)
}

/// The one that is at least as strict as every other; see [`OnConflict::Strictest`].
fn strictest(judged: Vec<Result<Judgement, Refusal>>) -> Result<Judgement, Refusal> {
    let judged = judged.into_iter().collect::<Result<Vec<_>, _>>()?;
    let is_strictest = |one: &Judgement| judged.iter().all(|other| one.decision.at_least_as_strict_as(&other.decision));
    match judged.iter().position(is_strictest).and_then(|at| judged.into_iter().nth(at)) {
        Some(judgement) => Ok(judgement),
        None => {
            Err(Refusal::Conflict { reason: "the sources of an attribute give values of which none is the strictest".to_owned() })
        }
    }
}

fn refused(denial: Denial) -> Refusal {
    match denial.kind {
        DenialKind::NoSubject | DenialKind::Unknown => Refusal::Unknown { reason: denial.message },
        DenialKind::Clash | DenialKind::NoDefault => Refusal::Denied { instruments: denial.instruments, reason: denial.message },
    }
}

impl Collected {
    /// What the policies are told of the destination, with these attributes of the subject.
    pub(super) fn facts<'a>(
        &self,
        attributes: &'a Attributes,
        principal: PrincipalFacts<'a>,
        signals: &Signals<'a>,
        today: time::Date,
    ) -> Facts<'a> {
        Facts {
            has_subject: self.subject.is_some(),
            attributes,
            bucket: signals.bucket,
            key: Some(signals.key),
            principal: principal.id,
            principal_country: principal.country,
            today,
        }
    }
}

impl Origin {
    pub(super) fn facts(&self, today: time::Date) -> Facts<'_> {
        Facts {
            has_subject: self.has_subject,
            attributes: &self.attributes,
            bucket: &self.bucket,
            key: self.key.as_ref(),
            principal: &self.principal,
            principal_country: self.principal_country,
            today,
        }
    }
}

/// Every place that the bytes of a copy have been, each once.
pub(super) fn origins(sources: &[SourceFacts], principal: PrincipalFacts<'_>) -> Result<Vec<Origin>, Refusal> {
    let mut origins: Vec<Origin> = Vec::new();
    for source in sources {
        let here = Origin {
            has_subject: source.subject.is_some(),
            attributes: source.attributes.clone(),
            bucket: source.bucket.clone(),
            principal: source.principal.clone().unwrap_or_else(|| principal.id.clone()),
            key: Some(source.key.clone()),
            principal_country: source.principal_country,
        };
        for origin in source.origins.iter().chain([&here]) {
            origin.add_to(&mut origins);
        }
    }
    not_too_many(&origins)?;
    Ok(origins)
}

/// Refuses bytes that have been in more places than are kept.
pub(super) fn not_too_many(origins: &[Origin]) -> Result<(), Refusal> {
    if origins.len() > MAX_ORIGINS {
        return Err(Refusal::Conflict {
            reason: format!("the bytes have been in more than {MAX_ORIGINS} places; write them anew"),
        });
    }
    Ok(())
}
