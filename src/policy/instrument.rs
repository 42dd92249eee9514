//! One law or contract, as its `policy.toml` says it.

use serde::Serialize;

use super::{Facts, pattern::Glob};
use crate::{
    diagnostics::Origin,
    types::{Country, InstrumentId},
};

/// One instrument.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Instrument {
    /// Its name, which is also its folder's.
    pub id: InstrumentId,
    /// What people call it.
    pub title: String,
    /// The section that asks for this.
    pub section: Option<String>,
    /// Whether it binds.
    pub enforcement: Enforcement,
    /// What is known of its force in law. Informs people; `enforcement` decides.
    pub legal_status: LegalStatus,
    /// The reading chosen, and what is uncertain.
    pub note: Option<String>,
    /// Where it can be read.
    pub sources: Vec<String>,
    /// The first day (UTC) on which it binds; always, when absent.
    pub effective: Option<time::Date>,
    /// The day until which records stored before may still lie elsewhere.
    pub backlog_deadline: Option<time::Date>,
    /// When it applies: all must hold. Without any, it applies to every record.
    pub when: Vec<Condition>,
    /// What it asks.
    pub require: Requirement,
    /// Where it stands.
    #[serde(skip)]
    pub origin: Origin,
}

/// Whether an instrument binds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Enforcement {
    /// It binds.
    On,
    /// It is evaluated and recorded but does not bind.
    Shadow,
    /// It is only checked for mistakes.
    Off,
}

/// What is known of an instrument's force in law.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LegalStatus {
    /// It is law, or a contract that has been concluded.
    InForce,
    /// It is not law yet.
    Draft,
    /// Something later has taken its place.
    Superseded,
    /// Whether it binds is argued about.
    Disputed,
}

/// One condition: the field has one of the values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Condition {
    /// What is looked at.
    pub field: Field,
    /// The values, any of which will do.
    pub any_of: Vec<Glob>,
}

/// What a condition looks at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Field {
    /// An attribute of the subject, compared exactly. An unknown attribute has no value, so the condition does not hold.
    Attribute(String),
    /// The bucket, compared with a pattern.
    Bucket,
    /// The principal's id, compared with a pattern.
    Principal,
}

/// What an instrument asks of the records it applies to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Requirement {
    /// What `countries` mean; `None` when the instrument asks for no copy.
    pub copies: Option<Copies>,
    /// The countries.
    pub countries: Vec<Country>,
    /// The countries whose keys may be used for the copies it binds: every copy, but under `first` and `also` only those in `countries`. Empty asks
    /// nothing.
    pub keys: Vec<Country>,
    /// Countries no copy may be in.
    pub not_countries: Vec<Country>,
}

/// What the countries of a requirement mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Copies {
    /// No copy outside them.
    Only,
    /// The primary copy is there; others may follow.
    First,
    /// A copy is in each of them.
    Also,
}

impl Instrument {
    /// Whether it is in effect on `today`.
    pub fn in_effect(&self, today: time::Date) -> bool {
        self.effective.is_none_or(|effective| effective <= today)
    }

    /// The first condition that does not hold.
    pub(super) fn failing(&self, facts: &Facts<'_>) -> Option<&Condition> {
        self.when.iter().find(|condition| !condition.holds(facts))
    }

    /// Whether it binds or is recorded for these facts.
    pub(super) fn matches(&self, facts: &Facts<'_>) -> bool {
        self.enforcement != Enforcement::Off && self.failing(facts).is_none() && self.in_effect(facts.today)
    }
}

impl Condition {
    fn holds(&self, facts: &Facts<'_>) -> bool {
        match &self.field {
            Field::Attribute(_) => self.field.value(facts).is_some_and(|value| self.any_of.iter().any(|v| v.as_str() == value)),
            _ => self.field.value(facts).is_some_and(|value| self.any_of.iter().any(|glob| glob.matches(value))),
        }
    }
}

impl Field {
    /// The name in a policy file.
    pub fn name(&self) -> &str {
        match self {
            Self::Attribute(name) => name,
            Self::Bucket => "bucket",
            Self::Principal => "principal",
        }
    }

    /// The value in these facts.
    pub(super) fn value<'f>(&self, facts: &Facts<'f>) -> Option<&'f str> {
        match self {
            Self::Attribute(name) => facts.attributes.get(name).map(String::as_str),
            Self::Bucket => Some(facts.bucket.as_str()),
            Self::Principal => Some(facts.principal.as_str()),
        }
    }
}

impl Requirement {
    /// The countries whose copies `keys` binds; `None` binds every copy.
    pub(super) fn key_scope(&self) -> Option<&[Country]> {
        match self.copies {
            Some(Copies::First | Copies::Also) => Some(&self.countries),
            Some(Copies::Only) | None => None,
        }
    }
}
