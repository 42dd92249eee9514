//! Why a decision is what it is, instrument by instrument.

use serde::Serialize;

use super::{Condition, Decision, Denial, Enforcement, Facts, Instrument, LegalStatus, PolicySet, Requirement};
use crate::types::{InstrumentId, PolicyRevision};

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
    Decided(Decision),
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
            })
            .collect();
        let applies =
            |matching: &MatchExplanation| matches!(matching, MatchExplanation::Matched | MatchExplanation::MatchedBySource);
        let in_shadow = instruments.iter().any(|i| i.enforcement == Enforcement::Shadow && applies(&i.matching));
        let result = self.decide_copy(destination, sources).into();
        let with_shadow = in_shadow.then(|| self.decide_with_shadow(destination, sources).into());
        Explanation { revision: self.revision, instruments, result, with_shadow }
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

impl From<Result<Decision, Denial>> for ResultExplanation {
    fn from(result: Result<Decision, Denial>) -> Self {
        result.map_or_else(Self::Denied, Self::Decided)
    }
}
