//! One law or contract, as its `policy.toml` says it.

use serde::Serialize;

use super::{Exception, Facts, Pattern, RetentionRule};
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
    /// The last day (UTC) on which it binds; without end, when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<time::Date>,
    /// The day until which records stored before may still lie elsewhere.
    pub backlog_deadline: Option<time::Date>,
    /// What it asks beside storage. Told, not enforced.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub duties: Vec<Duty>,
    /// When it applies: all must hold. Without any, it applies to every record.
    pub when: Vec<Condition>,
    /// What it asks.
    pub require: Requirement,
    /// How long what it applies to is kept.
    #[serde(skip_serializing_if = "RetentionRule::is_empty")]
    pub retention: RetentionRule,
    /// What widens it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exceptions: Vec<Exception>,
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

/// A duty that asks nothing of where data is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Duty {
    /// To give data to an authority that may ask for it.
    Access,
    /// To take content down.
    Takedown,
    /// To register, or to keep an office or a person there.
    Registration,
}

/// One condition: the field has one of the values or, negated, has a value and none of these. No condition holds on what is not known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Condition {
    /// What is looked at.
    pub field: Field,
    /// The values, any of which will do.
    pub any_of: Vec<Pattern>,
    /// Whether none of them may be.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub negated: bool,
    /// Where each value stands.
    #[serde(skip)]
    pub origins: Vec<Origin>,
}

/// What a condition looks at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Field {
    /// An attribute of the subject, compared exactly. An unknown attribute has no value, so the condition does not hold.
    Attribute(String),
    /// The bucket, compared with a pattern.
    Bucket,
    /// The object key, compared with a pattern over its segments.
    Key,
    /// The principal's id, compared with a pattern.
    Principal,
    /// The country where the principal processes, compared exactly.
    PrincipalCountry,
}

/// What an instrument asks of the records it applies to.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
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
    /// The countries from which content may be read. Empty asks nothing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub processing: Vec<Country>,
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
        self.effective.is_none_or(|effective| effective <= today) && self.until.is_none_or(|until| today <= until)
    }

    /// The first condition that does not hold.
    pub(super) fn failing(&self, facts: &Facts<'_>) -> Option<&Condition> {
        self.when.iter().find(|condition| !condition.holds(facts))
    }

    /// Whether it is known to apply, of an instrument that matches.
    pub(super) fn surely_matches(&self, facts: &Facts<'_>) -> bool {
        self.when.iter().all(|condition| condition.surely_holds(facts))
    }

    /// Whether it binds or is recorded for these facts.
    pub(super) fn matches(&self, facts: &Facts<'_>) -> bool {
        self.enforcement != Enforcement::Off && self.failing(facts).is_none() && self.in_effect(facts.today)
    }
}

impl Condition {
    pub(super) fn holds(&self, facts: &Facts<'_>) -> bool {
        let value = match self.field.value(facts) {
            Value::Known(value) => value,
            Value::Unknown => return false,
            Value::Any => return true,
        };
        self.any_of.iter().any(|pattern| pattern.matches(value)) != self.negated
    }

    /// Whether it holds, and would if more were known: of values that are no longer told apart nothing is sure.
    pub(super) fn surely_holds(&self, facts: &Facts<'_>) -> bool {
        self.field.value(facts) != Value::Any && self.holds(facts)
    }
}

/// What facts say of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Value<'f> {
    Known(&'f str),
    /// Nobody knows: no condition holds.
    Unknown,
    /// It had values that are no longer told apart: every condition of an instrument is taken to hold, so that nothing gets out of what bound it, and
    /// none of what widens one, or lets anything be removed.
    Any,
}

impl<'f> Value<'f> {
    pub(super) const fn known(self) -> Option<&'f str> {
        match self {
            Self::Known(value) => Some(value),
            Self::Unknown | Self::Any => None,
        }
    }
}

impl Field {
    /// The name in a policy file.
    pub fn name(&self) -> &str {
        match self {
            Self::Attribute(name) => name,
            Self::Bucket => "bucket",
            Self::Key => "key",
            Self::Principal => "principal",
            Self::PrincipalCountry => "principal-country",
        }
    }

    /// The value in these facts.
    pub(super) fn value<'f>(&self, facts: &'f Facts<'_>) -> Value<'f> {
        let known = |value: Option<&'f str>| value.map_or(Value::Unknown, Value::Known);
        match self {
            Self::Attribute(name) => known(facts.attributes.get(name).map(String::as_str)),
            Self::Bucket => Value::Known(facts.bucket.as_str()),
            Self::Key => facts.key.map_or(Value::Any, |key| Value::Known(key.as_str())),
            Self::Principal => Value::Known(facts.principal.as_str()),
            Self::PrincipalCountry => known(facts.principal_country.as_ref().map(Country::as_str)),
        }
    }
}

impl Requirement {
    /// Whether it asks anything of where copies are or of their keys.
    pub(super) const fn places(&self) -> bool {
        self.copies.is_some() || !self.keys.is_empty() || !self.not_countries.is_empty()
    }

    /// Whether copies may be in `country`, exceptions aside.
    pub(super) fn allows_copy(&self, country: Country) -> bool {
        !self.not_countries.contains(&country) && (self.copies != Some(Copies::Only) || self.countries.contains(&country))
    }

    /// The countries whose copies `keys` binds; `None` binds every copy.
    pub(super) fn key_scope(&self) -> Option<&[Country]> {
        match self.copies {
            Some(Copies::First | Copies::Also) => Some(&self.countries),
            Some(Copies::Only) | None => None,
        }
    }
}
