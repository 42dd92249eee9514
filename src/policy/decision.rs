//! What all matching instruments together require for one record.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{Retention, UsedException};
use crate::types::{Country, InstrumentId, PolicyRevision};

/// What a copy is to its record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// The first copy: reads prefer it. Durable before the write is answered.
    Primary,
    /// Durable before the write is answered.
    Required,
    /// Follows after the answer.
    Queued,
}

impl Role {
    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Required => "required",
            Self::Queued => "queued",
        }
    }
}

/// A country that gets a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PlannedCountry {
    /// The country.
    pub country: Country,
    /// What the copy there is to the record.
    pub role: Role,
}

/// Whose keys may wrap which copies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRule {
    /// The instrument that says so.
    pub instrument: InstrumentId,
    /// The countries whose copies are bound; `None` binds every copy.
    pub copies: Option<Vec<Country>>,
    /// The countries whose keys may be used; the first is preferred where the copy's own country is not among them.
    pub keys: Vec<Country>,
}

/// From where one instrument lets content be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessingRule {
    /// The instrument that says so.
    pub instrument: InstrumentId,
    /// The countries, those of exceptions included.
    pub countries: BTreeSet<Country>,
    /// The exceptions without which some of them would not be among them.
    pub exceptions: Vec<UsedException>,
}

/// Content may not be processed in a country.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ProcessingDenial {
    /// The country; `None` when nobody knows it.
    pub country: Option<Country>,
    /// The instruments that do not allow it.
    pub instruments: Vec<InstrumentId>,
    /// The reason in words; names instruments and countries.
    pub message: String,
}

/// From where content may be read: what all binding instruments say of it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Processing {
    /// Their intersection; `None` when none of them says anything, which allows every country.
    pub countries: Option<BTreeSet<Country>>,
    /// Who says so, in the order of names.
    pub rules: Vec<ProcessingRule>,
}

/// On whose word the placement stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DecisionSource {
    /// At least one instrument matched that asks something of where copies are.
    Instruments,
    /// There is a subject, but no instrument asks where its data is: `[default]`.
    Default,
    /// Data of nobody, placed by a bucket rule of `[no-subject]`.
    NoSubjectBucket,
    /// Data of nobody, placed by `otherwise` of `[no-subject]`.
    NoSubjectOtherwise,
}

impl DecisionSource {
    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Instruments => "instruments",
            Self::Default => "default",
            Self::NoSubjectBucket => "no-subject-bucket",
            Self::NoSubjectOtherwise => "no-subject-otherwise",
        }
    }
}

/// The meet of all matching instruments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// The countries that get a copy, the primary first. Never empty, no country twice.
    pub placement: Vec<PlannedCountry>,
    /// The intersection of every `only`; `None` when there is none, which allows every country that is not excluded.
    pub allowed: Option<BTreeSet<Country>>,
    /// Countries no copy may be in: every `not-countries` and the gateway's `[exclude]`.
    pub excluded: BTreeSet<Country>,
    /// Whose keys bind which copies, in the order of instruments.
    pub keys: Vec<KeyRule>,
    /// From where content may be read.
    pub processing: Processing,
    /// How long it is to be kept, and may be.
    pub retention: Retention,
    /// The exceptions that the placement leans on, in the order of instruments.
    pub exceptions: Vec<UsedException>,
    /// The instruments that matched and bind, in the order of their names.
    pub instruments: Vec<InstrumentId>,
    /// The instruments that matched but are in shadow.
    pub shadow: Vec<InstrumentId>,
    /// The policy set that decided.
    pub revision: PolicyRevision,
    /// On whose word the placement stands.
    pub source: DecisionSource,
}

impl Decision {
    /// Whether a copy may be in `country`.
    pub fn permits(&self, country: Country) -> bool {
        !self.excluded.contains(&country)
            && self.allowed.as_ref().is_none_or(|allowed| allowed.contains(&country))
            && key_country(&self.keys, country).is_some()
    }

    /// The country whose key wraps the copy in `country`: its own where the instruments allow that, otherwise the first that all of them
    /// allow. For a country that [`Decision::permits`] refuses, the country itself.
    pub fn key_country(&self, country: Country) -> Country {
        key_country(&self.keys, country).unwrap_or(country)
    }

    /// Whether content may be processed in `country`: as [`Processing::allow`].
    ///
    /// # Errors
    /// Which instruments do not allow it.
    pub fn may_process(&self, country: Option<Country>) -> Result<Vec<UsedException>, ProcessingDenial> {
        self.processing.allow(country)
    }
}

impl Processing {
    /// Whether content may be processed in `country`, which is `None` when nobody knows it: then only if no instrument says anything of it. Answers with
    /// the exceptions that this leans on.
    ///
    /// # Errors
    /// Which instruments do not allow it.
    pub fn allow(&self, country: Option<Country>) -> Result<Vec<UsedException>, ProcessingDenial> {
        let allows = |rule: &&ProcessingRule| country.is_some_and(|country| rule.countries.contains(&country));
        let instruments: Vec<InstrumentId> =
            self.rules.iter().filter(|rule| !allows(rule)).map(|rule| rule.instrument.clone()).collect();
        if instruments.is_empty() {
            let leant_on = |used: &&UsedException| country.is_some_and(|country| used.countries.contains(&country));
            return Ok(self.rules.iter().flat_map(|rule| &rule.exceptions).filter(leant_on).cloned().collect());
        }
        let named = instruments.iter().map(|id| format!("`{id}`")).collect::<Vec<_>>().join(", ");
        let allow = if instruments.len() == 1 { "does not allow" } else { "do not allow" };
        let message = match country {
            Some(country) => format!("{named} {allow} that content is processed in {country}"),
            None => format!("{named} {allow} that content is processed in a country that nobody knows"),
        };
        Err(ProcessingDenial { country, instruments, message })
    }

    fn allows_no_more_than(&self, other: &Self) -> bool {
        match (&self.countries, &other.countries) {
            (Some(countries), Some(others)) => countries.is_subset(others),
            (None, Some(_)) => false,
            (_, None) => true,
        }
    }
}

impl Decision {
    /// Whether every record that this decision allows, `other` allows too: its permitted countries are among the other's, so are those from which
    /// content may be read, it keeps at least as long and at the most as long, and if the permitted countries are the same, it requires at least the
    /// copies and keys that the other requires. A partial order: of two decisions, neither may be as strict as the other.
    pub fn at_least_as_strict_as(&self, other: &Self) -> bool {
        if !self.permits_no_more_than(other)
            || !self.processing.allows_no_more_than(&other.processing)
            || !self.retention.at_least_as_strict_as(&other.retention)
        {
            return false;
        }
        if !other.permits_no_more_than(self) {
            return true;
        }
        let requires = |decision: &Self, country: Country| {
            decision.placement.iter().any(|planned| planned.country == country && planned.role != Role::Queued)
        };
        let copies = other.placement.iter().filter(|planned| planned.role != Role::Queued);
        copies.map(|planned| planned.country).all(|country| requires(self, country))
            && other.keys.iter().all(|rule| self.keys.contains(rule))
    }

    fn permits_no_more_than(&self, other: &Self) -> bool {
        match (&self.allowed, &other.allowed) {
            (Some(allowed), _) => allowed.iter().all(|country| !self.permits(*country) || other.permits(*country)),
            (None, Some(_)) => false,
            (None, None) => other.excluded.is_subset(&self.excluded),
        }
    }
}

/// The key country that every rule binding the copy in `country` allows; `None` when the rules have none in common.
pub(super) fn key_country(rules: &[KeyRule], country: Country) -> Option<Country> {
    let mut binding = rules.iter().filter(|rule| rule.copies.as_ref().is_none_or(|copies| copies.contains(&country)));
    let Some(first) = binding.next() else {
        return Some(country);
    };
    let others = || binding.clone();
    let allowed = |key: &Country| first.keys.contains(key) && others().all(|rule| rule.keys.contains(key));
    if allowed(&country) { Some(country) } else { first.keys.iter().copied().find(allowed) }
}

/// Why no decision could be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DenialKind {
    /// The record has no subject and `[no-subject]` has no place for it.
    NoSubject,
    /// The matching instruments contradict each other or the gateway's own lists.
    Clash,
    /// No instrument places the record, and neither does `[default]`.
    NoDefault,
    /// An attribute of the subject that has to be known is not.
    Unknown,
}

/// The record may not be stored anywhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Denial {
    /// Why.
    pub kind: DenialKind,
    /// The reason in words; names instruments and countries, never a subject or a key.
    pub message: String,
    /// The instruments that clash.
    pub instruments: Vec<InstrumentId>,
}
