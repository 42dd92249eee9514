//! What sets decide for an example, and how two decisions compare.

use std::collections::BTreeSet;

use super::{
    Example,
    asked::{keeps_less, periods},
};
use crate::{
    policy::{Copies, Decision, Denial, DenialKind, Facts, Instrument, Otherwise, PolicySet},
    types::{Attributes, Country},
};

/// What a request of these facts would get.
pub(super) fn judge(set: &PolicySet, example: &Example) -> Result<Decision, Denial> {
    let attributes = completed(set, example)?;
    set.decide(&Facts { attributes: &attributes, ..example.facts() })
}

/// The same if only these instruments were there, and all of them did bind.
pub(super) fn judge_among(set: &PolicySet, example: &Example, instruments: &[&Instrument]) -> Result<Decision, Denial> {
    let attributes = completed(set, example)?;
    set.decide_among(&Facts { attributes: &attributes, ..example.facts() }, instruments)
}

/// The attributes that the set has instruments asked about.
pub(super) fn completed(set: &PolicySet, example: &Example) -> Result<Attributes, Denial> {
    let mut attributes = example.attributes.clone();
    if example.subject {
        set.complete(&mut attributes).map_err(|name| Denial {
            kind: DenialKind::Unknown,
            message: format!("`{name}` of the subject is not known from any source"),
            instruments: Vec::new(),
        })?;
    }
    Ok(attributes)
}

/// The countries in which decisions can differ: all that the sets name, and one that stands for the rest.
#[derive(Debug)]
pub(super) struct Universe(BTreeSet<Country>);

impl Universe {
    pub(super) const fn countries(&self) -> &BTreeSet<Country> {
        &self.0
    }

    pub(super) fn of(sets: &[&PolicySet]) -> Self {
        let mut countries: BTreeSet<Country> = BTreeSet::new();
        for set in sets {
            let gateway = &set.gateway;
            countries.extend(gateway.default.iter().chain(&gateway.exclude));
            countries.extend(gateway.no_subject.buckets.iter().flat_map(|(_, countries)| countries));
            if let Otherwise::Countries(otherwise) = &gateway.no_subject.otherwise {
                countries.extend(otherwise);
            }
            for instrument in &set.instruments {
                let require = &instrument.require;
                let lists = [&require.countries, &require.keys, &require.not_countries, &require.processing];
                countries.extend(lists.into_iter().flatten());
                countries.extend(instrument.exceptions.iter().flat_map(|exception| &exception.countries));
            }
        }
        let codes = ('A'..='Z').rev().flat_map(|a| ('A'..='Z').rev().map(move |b| format!("{a}{b}")));
        let other = codes.filter_map(|code| code.parse().ok()).find(|code| !countries.contains(code));
        countries.extend(other);
        Self(countries)
    }

    /// Whether two results are the same for a record: where it is and may be, under whose keys, from where it is read and how long it is kept. On
    /// whose word does not count, nor why it is refused.
    pub(super) fn same(&self, before: &Result<Decision, Denial>, after: &Result<Decision, Denial>) -> bool {
        match (before, after) {
            (Err(_), Err(_)) => true,
            (Ok(before), Ok(after)) => {
                let placed = before.placement.iter().map(|planned| planned.country);
                before.placement == after.placement
                    && placed.clone().all(|country| before.key_country(country) == after.key_country(country))
                    && self.0.iter().all(|country| {
                        before.permits(*country) == after.permits(*country)
                            && (!before.permits(*country) || before.key_country(*country) == after.key_country(*country))
                    })
                    && before.processing.countries == after.processing.countries
                    && periods(&before.retention.at_least) == periods(&after.retention.at_least)
                    && periods(&before.retention.at_most) == periods(&after.retention.at_most)
            }
            _ => false,
        }
    }

    /// Whether the new set allows something for these facts that the old one does not:
    ///
    /// * a refusal becomes a placement;
    /// * a country gets permitted, or a copy goes where no instrument sends it and none went before;
    /// * a copy that an instrument required, or that could be nowhere else, is not asked for any more, or need not be the primary;
    /// * a key may open it that might not, where no rule means that of the copy's own country; or it may be processed in another country;
    /// * it may be deleted earlier, or the time after which it has to be is another: kept longer or removed earlier.
    ///
    /// Each is an order: what is more in one step is more in one of any steps that lead there.
    pub(super) fn allows_more(
        &self,
        example: &Example,
        before: (&PolicySet, &Result<Decision, Denial>),
        after: (&PolicySet, &Result<Decision, Denial>),
    ) -> bool {
        let ((old, before), (new, after)) = (before, after);
        let (before, after) = match (before, after) {
            (_, Err(_)) => return false,
            (Err(_), Ok(_)) => return true,
            (Ok(before), Ok(after)) => (before, after),
        };
        let permitted = self.0.iter().any(|country| after.permits(*country) && !before.permits(*country));
        let sent = self.sent(new, after, example);
        let placed = after
            .placement
            .iter()
            .map(|planned| planned.country)
            .any(|country| before.placement.iter().all(|planned| planned.country != country) && !sent.contains(&country));
        let dropped = |copies: &[Copies]| {
            let has_to_be = |set, decision| asked(set, decision, copies).into_iter().chain(self.sole(decision)).collect();
            let (was, is): (BTreeSet<Country>, BTreeSet<Country>) = (has_to_be(old, before), has_to_be(new, after));
            !was.is_subset(&is)
        };
        let keys = self.0.iter().any(|country| {
            let both = before.permits(*country) && after.permits(*country);
            both && !keys_of(after, *country).is_subset(&keys_of(before, *country))
        });
        let processed = self.0.iter().map(|country| Some(*country)).chain([None]);
        let processed = processed.into_iter().any(|c| after.may_process(c).is_ok() && before.may_process(c).is_err());
        permitted
            || placed
            || dropped(&[Copies::First, Copies::Also])
            || dropped(&[Copies::First])
            || keys
            || processed
            || keeps_less(&before.retention, &after.retention)
    }

    /// The country that a record can only be in.
    fn sole(&self, decision: &Decision) -> Option<Country> {
        let mut permitted = self.0.iter().copied().filter(|country| decision.permits(*country));
        permitted.next().filter(|_| permitted.next().is_none())
    }

    /// The countries that instruments send copies to: those they require, and the one that an `only` names where the gateway's own lists have none.
    fn sent(&self, set: &PolicySet, decision: &Decision, example: &Example) -> BTreeSet<Country> {
        let mut sent = asked(set, decision, &[Copies::First, Copies::Also]);
        let own = set.base(&example.facts()).map(|base| base.countries).unwrap_or_default();
        sent.extend(asked(set, decision, &[Copies::Only]).into_iter().filter(|country| !own.contains(country)));
        sent
    }
}

/// The countries that binding instruments ask copies in.
fn asked(set: &PolicySet, decision: &Decision, copies: &[Copies]) -> BTreeSet<Country> {
    let binding = set.instruments.iter().filter(|instrument| decision.instruments.contains(&instrument.id));
    let asking = binding.filter(|instrument| instrument.require.copies.is_some_and(|asked| copies.contains(&asked)));
    asking.flat_map(|instrument| &instrument.require.countries).copied().collect()
}

/// The countries whose keys may seal the copy in `country`: its own where no rule says otherwise.
fn keys_of(decision: &Decision, country: Country) -> BTreeSet<Country> {
    let binds = |copies: &Option<Vec<Country>>| copies.as_ref().is_none_or(|copies| copies.contains(&country));
    let rules = decision.keys.iter().filter(|rule| binds(&rule.copies));
    let sets = rules.map(|rule| rule.keys.iter().copied().collect::<BTreeSet<_>>());
    sets.reduce(|all, keys| all.intersection(&keys).copied().collect()).unwrap_or_else(|| [country].into())
}
