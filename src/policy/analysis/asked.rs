//! What instruments ask of a record at one place, apart from where the gateway puts what they leave open. A copy is bound by the meet of this over every place
//! that its bytes have been: where no place asks less than before, no copy between places is asked less.

use std::{cmp::Ordering, collections::BTreeSet};

use super::{Example, judge::completed};
use crate::{
    policy::{Copies, Facts, PolicySet, Processing, Retention, RetentionLimit, bound::Bound},
    types::Country,
};

/// What the instruments that bind ask together at one place.
#[derive(Debug)]
pub(super) struct Asked {
    permitted: BTreeSet<Country>,
    /// Where copies have to be, and where the primary has to.
    required: BTreeSet<Country>,
    first: BTreeSet<Country>,
    /// For each country whose keys may seal a copy there; `None` leaves it open.
    keys: Vec<(Country, Option<BTreeSet<Country>>)>,
    processing: Processing,
    retention: Retention,
}

impl Asked {
    /// What `set` asks for these facts of copies in `countries`; `None` where the facts are refused before any instrument is asked.
    pub(super) fn of(set: &PolicySet, example: &Example, countries: &BTreeSet<Country>) -> Option<Self> {
        let attributes = completed(set, example).ok()?;
        let binding = set.binding(&Facts { attributes: &attributes, ..example.facts() });
        let of = |copies: &[Copies]| -> BTreeSet<Country> {
            let asking =
                binding.iter().map(Bound::require).filter(|require| require.copies.is_some_and(|one| copies.contains(&one)));
            asking.flat_map(|require| &require.countries).copied().collect()
        };
        let permitted =
            |country: &Country| !set.gateway.exclude.contains(country) && binding.iter().all(|bound| bound.allows_copy(*country));
        Some(Self {
            permitted: countries.iter().copied().filter(permitted).collect(),
            required: of(&[Copies::First, Copies::Also]),
            first: of(&[Copies::First]),
            keys: countries.iter().map(|country| (*country, keys(&binding, *country))).collect(),
            processing: Processing::of(&binding),
            retention: Retention::of(&binding),
        })
    }

    /// Whether this asks anything less than `before` did, of the same countries.
    pub(super) fn is_less_than(&self, before: &Self) -> bool {
        let nowhere_else = |country: &Country| self.permitted.iter().all(|other| other == country);
        let dropped = |was: &BTreeSet<Country>, is: &BTreeSet<Country>| was.difference(is).any(|country| !nowhere_else(country));
        let sealed = before.keys.iter().zip(&self.keys).filter(|(_, (country, _))| self.permitted.contains(country));
        let keys = sealed.into_iter().any(|((country, before), (_, after))| match (before, after) {
            // As if the copy's own country were asked for: nobody else's key seals it.
            (None, Some(after)) => after.iter().any(|key| key != country),
            (None, None) => false,
            (Some(_), None) => true,
            (Some(before), Some(after)) => !after.is_subset(before),
        });
        let processed = match (&before.processing.countries, &self.processing.countries) {
            (None, _) => false,
            (Some(_), None) => true,
            (Some(before), Some(after)) => !after.is_subset(before),
        };
        !self.permitted.is_subset(&before.permitted)
            || dropped(&before.required, &self.required)
            || dropped(&before.first, &self.first)
            || keys
            || processed
            || keeps_less(&before.retention, &self.retention)
    }
}

/// The countries whose keys every rule allows for the copy in `country`.
fn keys(binding: &[Bound<'_>], country: Country) -> Option<BTreeSet<Country>> {
    let rules = binding.iter().map(Bound::require).filter(|require| !require.keys.is_empty());
    let rules = rules.filter(|require| require.key_scope().is_none_or(|copies| copies.contains(&country)));
    let rules = rules.map(|require| require.keys.iter().copied().collect::<BTreeSet<_>>());
    rules.reduce(|all, keys| all.intersection(&keys).copied().collect())
}

/// Whether something may be deleted earlier, or has to be at another time.
pub(super) fn keeps_less(before: &Retention, after: &Retention) -> bool {
    let longer = |one: &RetentionLimit, other: &RetentionLimit| one.period.compare(other.period).is_some_and(Ordering::is_ge);
    let stays = |limit: &RetentionLimit| after.at_least.iter().any(|new| longer(new, limit));
    !before.at_least.iter().all(stays) || periods(&before.at_most) != periods(&after.at_most)
}

pub(super) fn periods(limits: &[RetentionLimit]) -> BTreeSet<String> {
    limits.iter().map(|limit| limit.period.to_string()).collect()
}
