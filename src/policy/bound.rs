//! An instrument that applies, as wide as its exceptions make it today.

use std::collections::BTreeSet;

use super::{Copies, Exception, Facts, Instrument, Requirement, UsedException};
use crate::types::Country;

/// An instrument and the places that it applies to: the destination of a record, and those where its bytes have been.
pub(super) struct Bound<'s> {
    pub instrument: &'s Instrument,
    /// The exceptions that hold, for each of the places; empty when the instrument has none. A country is let in only if that is so at every place: what
    /// lets one record out does not let out another that is copied into it.
    held: Vec<Vec<&'s Exception>>,
    /// Whether it is known to apply, and not only taken to.
    pub sure: bool,
}

/// What an exception can widen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    Copies,
    Processing,
}

impl<'s> Bound<'s> {
    /// The instrument where it applies to any of these places.
    pub(super) fn of<'f>(instrument: &'s Instrument, places: impl Iterator<Item = &'f Facts<'f>>) -> Option<Self> {
        let (mut held, mut applies, mut sure) = (Vec::new(), false, false);
        for facts in places.filter(|facts| instrument.matches(facts)) {
            applies = true;
            sure = sure || instrument.surely_matches(facts);
            if !instrument.exceptions.is_empty() {
                held.push(instrument.exceptions.iter().filter(|exception| exception.holds(facts)).collect());
            }
        }
        applies.then_some(Self { instrument, held, sure })
    }

    pub(super) fn require(&self) -> &'s Requirement {
        &self.instrument.require
    }

    /// Whether copies may be in `country`.
    pub(super) fn allows_copy(&self, country: Country) -> bool {
        self.require().allows_copy(country) || self.widened(Asked::Copies, country)
    }

    /// The countries that copies are kept to; `None` when they are not.
    pub(super) fn only(&self) -> Option<BTreeSet<Country>> {
        let require = self.require();
        (require.copies == Some(Copies::Only)).then(|| self.with_widened(Asked::Copies, &require.countries))
    }

    /// The countries where no copy may be.
    pub(super) fn excluded(&self) -> impl Iterator<Item = Country> {
        self.require().not_countries.iter().copied().filter(|country| !self.widened(Asked::Copies, *country))
    }

    /// The countries that content may be read from; `None` when it is not asked.
    pub(super) fn processing(&self) -> Option<BTreeSet<Country>> {
        let processing = &self.require().processing;
        (!processing.is_empty()).then(|| self.with_widened(Asked::Processing, processing))
    }

    fn with_widened(&self, asked: Asked, countries: &[Country]) -> BTreeSet<Country> {
        let mut all: BTreeSet<Country> = countries.iter().copied().collect();
        let offered = self.held.iter().flatten().flat_map(|exception| &exception.countries);
        all.extend(offered.copied().filter(|country| self.widened(asked, *country)));
        all
    }

    /// Whether exceptions let `country` in at every place.
    fn widened(&self, asked: Asked, country: Country) -> bool {
        !self.held.is_empty() && self.held.iter().all(|held| held.iter().any(|exception| exception.lets(asked, country)))
    }

    /// The exceptions without which the instrument would not allow these countries: of several at one place, the first.
    pub(super) fn leant_on(&self, asked: Asked, countries: impl Iterator<Item = Country>) -> Vec<UsedException> {
        if self.held.is_empty() {
            return Vec::new();
        }
        let require = self.require();
        let mut used: Vec<(&Exception, Vec<Country>)> = Vec::new();
        for country in countries {
            let allowed = match asked {
                Asked::Copies => require.allows_copy(country),
                Asked::Processing => require.processing.is_empty() || require.processing.contains(&country),
            };
            if allowed {
                continue;
            }
            for exception in self.held.iter().filter_map(|held| held.iter().find(|exception| exception.lets(asked, country))) {
                match used.iter_mut().find(|(known, _)| std::ptr::eq(*known, *exception)) {
                    Some((_, countries)) if countries.contains(&country) => {}
                    Some((_, countries)) => countries.push(country),
                    None => used.push((exception, vec![country])),
                }
            }
        }
        used.into_iter().map(|(exception, countries)| exception.used_by(self.instrument, countries)).collect()
    }
}

impl Exception {
    /// Whether it holds for these facts, of an instrument that applies to them.
    pub(super) fn holds(&self, facts: &Facts<'_>) -> bool {
        self.in_effect(facts.today) && self.failing(facts).is_none()
    }

    fn lets(&self, asked: Asked, country: Country) -> bool {
        let widens = match asked {
            Asked::Copies => self.copies,
            Asked::Processing => self.processing,
        };
        widens && self.countries.contains(&country)
    }

    fn used_by(&self, instrument: &Instrument, countries: Vec<Country>) -> UsedException {
        UsedException { instrument: instrument.id.clone(), basis: self.basis, reference: self.reference.clone(), countries }
    }
}
