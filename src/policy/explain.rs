//! Why a decision is what it is, instrument by instrument.

use serde::Serialize;

use super::{
    Condition, Decision, Denial, Duty, Enforcement, Exception, ExceptionBasis, Facts, Instrument, LegalStatus, PolicySet,
    Requirement, RetentionRule, UsedException,
};
use crate::types::{Country, InstrumentId, PolicyRevision};

/// A decision and every instrument's part in it.
#[derive(Debug, Clone, Serialize)]
pub struct Explanation {
    /// The policy set.
    pub revision: PolicyRevision,
    /// Every instrument, in the order of names.
    pub instruments: Vec<InstrumentExplanation>,
    /// What comes out.
    pub result: ResultExplanation,
    /// What would come out if every instrument in shadow did bind; `None` when none of them matches.
    pub with_shadow: Option<ResultExplanation>,
}

/// One instrument's part in a decision.
#[derive(Debug, Clone, Serialize)]
pub struct InstrumentExplanation {
    /// Its name.
    pub id: InstrumentId,
    /// What people call it.
    pub title: String,
    /// Whether it binds.
    pub enforcement: Enforcement,
    /// What is known of its force in law.
    pub legal_status: LegalStatus,
    /// Whether it applies.
    #[serde(rename = "match")]
    pub matching: MatchExplanation,
    /// What it asks when it applies.
    pub require: Requirement,
    /// How long it keeps what it applies to.
    #[serde(skip_serializing_if = "RetentionRule::is_empty")]
    pub retention: RetentionRule,
    /// What it asks beside storage.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub duties: Vec<Duty>,
    /// What would widen it and whether it does, where it applies.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exceptions: Vec<ExceptionExplanation>,
}

/// One exception's part in a decision.
#[derive(Debug, Clone, Serialize)]
pub struct ExceptionExplanation {
    /// What it rests on.
    pub basis: ExceptionBasis,
    /// Where an auditor finds the proof.
    pub reference: String,
    /// The countries that it lets in.
    pub countries: Vec<Country>,
    /// Whether it holds.
    pub holds: ExceptionOutcome,
}

/// Whether an exception holds, and why not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum ExceptionOutcome {
    /// It holds, and the placement leans on it.
    Used {
        /// The countries with a copy that only it allows.
        placed: Vec<Country>,
    },
    /// It holds, and the placement would be the same without it.
    Holds,
    /// It does not hold any more.
    Expired {
        /// The last day on which it did.
        expires: time::Date,
    },
    /// A condition does not hold, here or at a place that a copy reads from.
    Unmatched {
        /// The first condition that fails.
        condition: Condition,
        /// What the record has instead; `None` when it is not known.
        found: Option<String>,
    },
}

/// Whether an instrument applies, and why not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum MatchExplanation {
    /// Every condition holds.
    Matched,
    /// A record that the copy reads from matches.
    MatchedBySource,
    /// It is off.
    Off,
    /// It is not in effect yet.
    NotYet {
        /// The first day on which it is.
        effective: time::Date,
    },
    /// It is not in effect any more.
    Ended {
        /// The last day on which it was.
        until: time::Date,
    },
    /// A condition does not hold.
    Unmatched {
        /// The first condition that fails.
        condition: Condition,
        /// What the record has instead; `None` when it is not known.
        found: Option<String>,
    },
}

/// What comes out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ResultExplanation {
    /// A decision.
    Decided(Box<Decision>),
    /// No place.
    Denied(Denial),
}

impl PolicySet {
    /// The decision for these facts and how it comes about.
    pub fn explain(&self, facts: &Facts<'_>) -> Explanation {
        self.explain_copy(facts, &[])
    }

    /// [`PolicySet::decide_copy`] and how it comes about.
    pub fn explain_copy(&self, destination: &Facts<'_>, sources: &[Facts<'_>]) -> Explanation {
        let result = self.decide_copy(destination, sources);
        let used = result.as_ref().map(|decision| decision.exceptions.as_slice()).unwrap_or_default();
        let instruments: Vec<InstrumentExplanation> = self
            .instruments
            .iter()
            .map(|instrument| InstrumentExplanation {
                id: instrument.id.clone(),
                title: instrument.title.clone(),
                enforcement: instrument.enforcement,
                legal_status: instrument.legal_status,
                matching: matching(instrument, destination, sources),
                require: instrument.require.clone(),
                retention: instrument.retention,
                duties: instrument.duties.clone(),
                exceptions: exceptions(instrument, destination, sources, used),
            })
            .collect();
        let applies =
            |matching: &MatchExplanation| matches!(matching, MatchExplanation::Matched | MatchExplanation::MatchedBySource);
        let in_shadow = instruments.iter().any(|i| i.enforcement == Enforcement::Shadow && applies(&i.matching));
        let with_shadow = in_shadow.then(|| self.decide_with_shadow(destination, sources).into());
        Explanation { revision: self.revision, instruments, result: result.into(), with_shadow }
    }
}

fn matching(instrument: &Instrument, destination: &Facts<'_>, sources: &[Facts<'_>]) -> MatchExplanation {
    if instrument.enforcement == Enforcement::Off {
        return MatchExplanation::Off;
    }
    if let Some(effective) = instrument.effective.filter(|effective| *effective > destination.today) {
        return MatchExplanation::NotYet { effective };
    }
    if let Some(until) = instrument.until.filter(|until| *until < destination.today) {
        return MatchExplanation::Ended { until };
    }
    match instrument.failing(destination) {
        None => MatchExplanation::Matched,
        Some(_) if sources.iter().any(|source| instrument.matches(source)) => MatchExplanation::MatchedBySource,
        Some(condition) => MatchExplanation::Unmatched {
            condition: condition.clone(),
            found: condition.field.value(destination).known().map(str::to_owned),
        },
    }
}

/// What becomes of the exceptions of an instrument at the places where it applies.
fn exceptions(
    instrument: &Instrument,
    destination: &Facts<'_>,
    sources: &[Facts<'_>],
    used: &[UsedException],
) -> Vec<ExceptionExplanation> {
    let all = || std::iter::once(destination).chain(sources);
    let places: Vec<&Facts<'_>> = all().filter(|facts| instrument.matches(facts)).collect();
    let applicable = instrument.exceptions.iter().filter(|_| !places.is_empty());
    applicable
        .map(|exception| ExceptionExplanation {
            basis: exception.basis,
            reference: exception.reference.clone(),
            countries: exception.countries.clone(),
            holds: outcome(instrument, exception, &places, used),
        })
        .collect()
}

fn outcome(instrument: &Instrument, exception: &Exception, places: &[&Facts<'_>], used: &[UsedException]) -> ExceptionOutcome {
    for facts in places {
        if let Some(expires) = exception.expires.filter(|_| !exception.in_effect(facts.today)) {
            return ExceptionOutcome::Expired { expires };
        }
        if let Some(condition) = exception.failing(facts) {
            let found = condition.field.value(facts).known().map(str::to_owned);
            return ExceptionOutcome::Unmatched { condition: condition.clone(), found };
        }
    }
    let is_this = |used: &&UsedException| {
        used.instrument == instrument.id && used.basis == exception.basis && used.reference == exception.reference
    };
    match used.iter().find(is_this) {
        Some(used) => ExceptionOutcome::Used { placed: used.countries.clone() },
        None => ExceptionOutcome::Holds,
    }
}

impl From<Result<Decision, Denial>> for ResultExplanation {
    fn from(result: Result<Decision, Denial>) -> Self {
        result.map_or_else(Self::Denied, |decision| Self::Decided(Box::new(decision)))
    }
}
