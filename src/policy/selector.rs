//! Finds the few instruments that can match without asking all of them.

use std::collections::HashMap;

use super::{Enforcement, Facts, Field, Instrument};

/// Instruments by one attribute they ask for. Whatever it leaves out does not match; what it offers still has to be asked.
#[derive(Debug, Default)]
pub(super) struct Selector {
    /// Instruments without a condition on an attribute.
    always: Vec<usize>,
    /// Attribute → value → the instruments whose first condition on an attribute names that value.
    by_value: HashMap<String, HashMap<String, Vec<usize>>>,
}

impl Selector {
    /// Over instruments in their order; those that are off are never offered.
    pub(super) fn of(instruments: &[Instrument]) -> Self {
        let mut selector = Self::default();
        for (at, instrument) in instruments.iter().enumerate().filter(|(_, i)| i.enforcement != Enforcement::Off) {
            let asked = instrument.when.iter().find_map(|condition| match &condition.field {
                Field::Attribute(name) => Some((name, &condition.any_of)),
                Field::Bucket | Field::Principal => None,
            });
            let Some((name, values)) = asked else {
                selector.always.push(at);
                continue;
            };
            let by_value = selector.by_value.entry(name.clone()).or_default();
            for value in values {
                by_value.entry(value.as_str().to_owned()).or_default().push(at);
            }
        }
        selector
    }

    /// The places of the instruments that can match any of `facts`, in order, none twice.
    pub(super) fn candidates<'a>(&self, facts: impl Iterator<Item = &'a Facts<'a>>) -> Vec<usize> {
        let mut found = self.always.clone();
        for facts in facts {
            for (name, value) in facts.attributes {
                found.extend(self.by_value.get(name).and_then(|by_value| by_value.get(value)).into_iter().flatten());
            }
        }
        found.sort_unstable();
        found.dedup();
        found
    }
}
