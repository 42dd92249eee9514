//! How several instruments meet in one decision.
//!
//! * Allowed is the intersection of every `only`, less every `not-countries` and the gateway's own `[exclude]`. An exception adds its countries to the
//!   `only` of its own instrument, or takes them off its `not-countries`, before they meet; what another instrument or the gateway forbids
//!   stays forbidden.
//! * Required is every country of `first` and `also`. The placement is required ∪ (base ∩ allowed), where the base is `[default]`, or the
//!   countries of `[no-subject]` for data of nobody. If that is empty, it is the first allowed country that an `only` lists, in the order of
//!   instruments and of their lists. The countries of an exception are not among those: it lets a copy be there and asks for none.
//! * A required country outside allowed, two `first`s of different countries, or nothing allowed is a clash. The denial names the
//!   instruments, so that somebody can change one.
//! * `keys` bind copies as [`KeyRule`] says. A country for whose copy no key is left is not allowed.
//! * The primary is the country of `first`, else the first of `also`, else the first of the base. Under a `first`, copies that only the base asks
//!   for are queued; all others are required before the answer.
//! * Content may be processed where every `processing` allows it, each as wide as the exceptions of its own instrument make it.
//! * The floor of retention is the latest of all, the ceiling the earliest, and a floor beats a ceiling.

use std::collections::BTreeSet;

use super::{
    Copies, Decision, DecisionSource, Denial, DenialKind, Instrument, KeyRule, PlannedCountry, Processing, ProcessingRule,
    Requirement, Retention, RetentionLimit, Role,
    bound::{Asked, Bound},
    decision::key_country,
};
use crate::types::{Country, InstrumentId, PolicyRevision};

/// What a decision starts from.
pub(super) struct Base<'a> {
    /// The countries that get a copy as far as the instruments allow.
    pub countries: &'a [Country],
    /// On whose word, when no instrument matches.
    pub source: DecisionSource,
    /// Countries where nothing is ever stored.
    pub exclude: &'a BTreeSet<Country>,
    /// The set that decides.
    pub revision: PolicyRevision,
}

/// The meet of the instruments that bind, in the order of their names. `shadow` is only recorded.
pub(super) fn meet(binding: &[Bound<'_>], shadow: &[&Instrument], base: &Base<'_>) -> Result<Decision, Denial> {
    let limits = Limits::of(binding, base.exclude);
    let first = first(binding)?;
    let mut placement: Vec<PlannedCountry> = Vec::with_capacity(binding.len().min(4) + base.countries.len());
    for (country, by) in required(binding) {
        if !limits.permit(country) {
            return Err(limits.clash(country, by, binding));
        }
        add(&mut placement, country, Role::Required);
    }
    let role = if first.is_some() { Role::Queued } else { Role::Required };
    for &country in base.countries.iter().filter(|country| limits.permit(**country)) {
        add(&mut placement, country, role);
    }
    if placement.is_empty() {
        let country = limits.first_allowed(binding).ok_or_else(|| limits.nothing_left(binding, base))?;
        add(&mut placement, country, Role::Required);
    }
    if let Some(primary) = placement.first_mut() {
        primary.role = Role::Primary;
    }
    let placed = || placement.iter().map(|planned| planned.country);
    let exceptions = binding.iter().flat_map(|bound| bound.leant_on(Asked::Copies, placed())).collect();
    Ok(Decision {
        placement,
        allowed: limits.allowed,
        excluded: limits.excluded,
        keys: limits.keys,
        processing: Processing::of(binding),
        retention: Retention::of(binding),
        exceptions,
        instruments: binding.iter().map(|bound| bound.instrument.id.clone()).collect(),
        shadow: shadow.iter().map(|instrument| instrument.id.clone()).collect(),
        revision: base.revision,
        source: if binding.iter().any(|bound| bound.require().places()) { DecisionSource::Instruments } else { base.source },
    })
}

fn add(placement: &mut Vec<PlannedCountry>, country: Country, role: Role) {
    if placement.iter().all(|planned| planned.country != country) {
        placement.push(PlannedCountry { country, role });
    }
}

impl Processing {
    /// What the instruments say that bind.
    pub(super) fn of<'b>(binding: impl IntoIterator<Item = &'b Bound<'b>>) -> Self {
        let mut processing = Self::default();
        for bound in binding {
            let Some(countries) = bound.processing() else { continue };
            match &mut processing.countries {
                None => processing.countries = Some(countries.clone()),
                Some(all) => all.retain(|country| countries.contains(country)),
            }
            let exceptions = bound.leant_on(Asked::Processing, countries.iter().copied());
            processing.rules.push(ProcessingRule { instrument: bound.instrument.id.clone(), countries, exceptions });
        }
        processing
    }
}

impl Retention {
    /// What the instruments say that bind.
    pub(super) fn of<'b>(binding: impl IntoIterator<Item = &'b Bound<'b>>) -> Self {
        let mut retention = Self::default();
        for Bound { instrument, sure, .. } in binding {
            let limit = |period| RetentionLimit { instrument: instrument.id.clone(), period };
            retention.at_least.extend(instrument.retention.at_least.map(limit));
            // What may not bind the record keeps it, but does not remove it.
            retention.at_most.extend(instrument.retention.at_most.filter(|_| *sure).map(limit));
        }
        retention
    }
}

/// The country of every `first`, if there is one.
fn first(binding: &[Bound<'_>]) -> Result<Option<Country>, Denial> {
    let mut found: Option<(Country, &Instrument)> = None;
    for instrument in binding.iter().map(|bound| bound.instrument).filter(|i| i.require.copies == Some(Copies::First)) {
        for &country in &instrument.require.countries {
            match found {
                None => found = Some((country, instrument)),
                Some((other, by)) if other != country => {
                    return Err(Denial {
                        kind: DenialKind::Clash,
                        message: format!(
                            "`{}` asks for the primary copy in {other}, `{}` asks for it in {country}",
                            by.id, instrument.id
                        ),
                        instruments: vec![by.id.clone(), instrument.id.clone()],
                    });
                }
                Some(_) => {}
            }
        }
    }
    Ok(found.map(|(country, _)| country))
}

/// Every country that must have a copy and the instrument that says so; that of `first` before the others.
fn required<'a>(binding: &'a [Bound<'a>]) -> impl Iterator<Item = (Country, &'a Instrument)> {
    let of = |copies: Copies| {
        let asking = binding.iter().map(|bound| bound.instrument).filter(move |i| i.require.copies == Some(copies));
        asking.flat_map(|instrument| instrument.require.countries.iter().map(move |country| (*country, instrument)))
    };
    of(Copies::First).chain(of(Copies::Also))
}

/// Where copies may be, and under whose keys.
struct Limits<'a> {
    allowed: Option<BTreeSet<Country>>,
    excluded: BTreeSet<Country>,
    keys: Vec<KeyRule>,
    gateway_excludes: &'a BTreeSet<Country>,
}

impl<'a> Limits<'a> {
    fn of(binding: &[Bound<'_>], gateway_excludes: &'a BTreeSet<Country>) -> Self {
        let mut allowed: Option<BTreeSet<Country>> = None;
        let mut excluded = gateway_excludes.clone();
        let mut keys = Vec::new();
        for bound in binding {
            let require = bound.require();
            match (&mut allowed, bound.only()) {
                (_, None) => {}
                (None, only) => allowed = only,
                (Some(allowed), Some(only)) => allowed.retain(|country| only.contains(country)),
            }
            excluded.extend(bound.excluded());
            if !require.keys.is_empty() {
                keys.push(KeyRule {
                    instrument: bound.instrument.id.clone(),
                    copies: require.key_scope().map(<[Country]>::to_vec),
                    keys: require.keys.clone(),
                });
            }
        }
        Self { allowed, excluded, keys, gateway_excludes }
    }

    /// The same as [`Decision::permits`].
    fn permit(&self, country: Country) -> bool {
        !self.excluded.contains(&country)
            && self.allowed.as_ref().is_none_or(|allowed| allowed.contains(&country))
            && key_country(&self.keys, country).is_some()
    }

    fn first_allowed(&self, binding: &[Bound<'_>]) -> Option<Country> {
        let only = binding.iter().map(Bound::require).filter(|require| require.copies == Some(Copies::Only));
        only.flat_map(|require| &require.countries).copied().find(|country| self.permit(*country))
    }

    /// Why `country`, which `by` requires, is not permitted.
    fn clash(&self, country: Country, by: &Instrument, binding: &[Bound<'_>]) -> Denial {
        let mut instruments = vec![by.id.clone()];
        let is_against = |bound: &&Bound<'_>| {
            !bound.allows_copy(country) || self.binds_key(bound.instrument, country) && !self.excludes(country)
        };
        let against = binding.iter().filter(is_against).map(|bound| bound.instrument.id.clone());
        instruments.extend(against.filter(|id| *id != by.id));
        let others = quoted(instruments.get(1..).unwrap_or_default());
        let message = match (self.excludes(country), others.is_empty()) {
            (true, false) => format!("`{}` requires a copy in {country}, which {others} does not allow", by.id),
            (true, true) => format!("`{}` requires a copy in {country}, which the gateway's `[exclude]` does not allow", by.id),
            (false, _) => format!("no key may seal the copy in {country} that `{}` requires: `keys` clash", by.id),
        };
        Denial { kind: DenialKind::Clash, message, instruments }
    }

    fn nothing_left(&self, binding: &[Bound<'_>], base: &Base<'_>) -> Denial {
        let limits = |require: &Requirement| {
            require.copies == Some(Copies::Only) || !require.not_countries.is_empty() || !require.keys.is_empty()
        };
        let limiting = binding.iter().filter(|bound| limits(bound.require()));
        let instruments: Vec<InstrumentId> = limiting.map(|bound| bound.instrument.id.clone()).collect();
        if instruments.is_empty() {
            let message = if base.countries.is_empty() {
                "no instrument places the record and the gateway's `[default]` names no country".to_owned()
            } else {
                "the gateway's `[exclude]` leaves no country for the record".to_owned()
            };
            return Denial { kind: DenialKind::NoDefault, message, instruments };
        }
        let leave = if instruments.len() == 1 { "leaves" } else { "together leave" };
        let message = format!("{} {leave} no country for the record", quoted(&instruments));
        Denial { kind: DenialKind::Clash, message, instruments }
    }

    /// Whether it is the country itself that is not permitted, and not its keys.
    fn excludes(&self, country: Country) -> bool {
        self.gateway_excludes.contains(&country)
            || self.excluded.contains(&country)
            || self.allowed.as_ref().is_some_and(|allowed| !allowed.contains(&country))
    }

    fn binds_key(&self, instrument: &Instrument, country: Country) -> bool {
        let scope = instrument.require.key_scope();
        !instrument.require.keys.is_empty() && scope.is_none_or(|countries| countries.contains(&country))
    }
}

fn quoted(ids: &[InstrumentId]) -> String {
    ids.iter().map(|id| format!("`{id}`")).collect::<Vec<_>>().join(", ")
}
