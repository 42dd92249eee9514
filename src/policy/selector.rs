//! Finds the few instruments that can match without asking all of them.

use std::collections::HashMap;

use super::{Enforcement, Facts, Field, Instrument};

/// Instruments by one exact value they ask for: of an attribute, or the principal's country. Whatever it leaves out does not match; what it offers still has to be asked.
#[derive(Debug, Default)]
pub(super) struct Selector {
    /// Instruments without such a condition.
    always: Vec<usize>,
    /// Attribute → value → the instruments whose first condition on an attribute names that value.
    by_value: HashMap<String, HashMap<String, Vec<usize>>>,
    /// The same by the principal's country, of instruments that ask for no attribute.
    by_country: HashMap<String, Vec<usize>>,
}

impl Selector {
    /// Over instruments in their order; those that are off are never offered.
    pub(super) fn of(instruments: &[Instrument]) -> Self {
        let mut selector = Self::default();
        for (at, instrument) in instruments.iter().enumerate().filter(|(_, i)| i.enforcement != Enforcement::Off) {
            let mut asked = instrument.when.iter().filter(|condition| !condition.negated);
            let by_attribute = asked.clone().find_map(|condition| match &condition.field {
                Field::Attribute(name) => Some((name, &condition.any_of)),
                _ => None,
            });
            if let Some((name, values)) = by_attribute {
                let by_value = selector.by_value.entry(name.clone()).or_default();
                for value in values {
                    by_value.entry(value.as_str().to_owned()).or_default().push(at);
                }
            } else if let Some(condition) = asked.find(|condition| condition.field == Field::PrincipalCountry) {
                for country in &condition.any_of {
                    selector.by_country.entry(country.as_str().to_owned()).or_default().push(at);
                }
            } else {
                selector.always.push(at);
            }
        }
        selector
    }

    /// The places of the instruments that can match any of `facts`, in order, none twice.
    pub(super) fn candidates<'a>(&self, facts: impl Iterator<Item = &'a Facts<'a>>) -> Vec<usize> {
        let mut found = self.always.clone();
        for facts in facts {
            let country = facts.principal_country.as_ref().and_then(|country| self.by_country.get(country.as_str()));
            found.extend(country.into_iter().flatten());
            for (name, value) in facts.attributes {
                found.extend(self.by_value.get(name).and_then(|by_value| by_value.get(value)).into_iter().flatten());
            }
        }
        found.sort_unstable();
        found.dedup();
        found
    }
}
