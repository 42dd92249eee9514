//! Instruments that together ask for what cannot be.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::{
    Example,
    judge::judge_among,
    tree::{Item, Region, Visit, What},
};
use crate::{
    diagnostics::{Diagnostic, Severity},
    policy::{Decision, Denial, DenialKind, Enforcement, Instrument, PolicySet},
    types::Timestamp,
};

/// How many subsets of instruments are tried for one region. A region in which more clash has more to put right first.
const MAX_TRIES: usize = 512;

/// What can be wrong with what instruments ask together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Trouble {
    /// The record may not be stored anywhere.
    Refused,
    /// It may be stored, but processed nowhere, so that writing and reading are refused.
    Unprocessable,
    /// It is to be kept longer than it may be kept.
    KeptTooLong,
}

/// The smallest sets of instruments that clash, by their places, and facts for each.
#[derive(Debug, Default)]
pub(super) struct Clashes {
    found: BTreeMap<(Vec<usize>, Trouble), (Example, String)>,
    looked_at: HashSet<(Vec<usize>, Vec<usize>, String)>,
}

/// Finds clashes while the tree is walked.
pub(super) struct Clashing<'a> {
    pub(super) set: &'a PolicySet,
    pub(super) items: &'a [Item],
    pub(super) clashes: Clashes,
}

impl Visit for Clashing<'_> {
    fn region(&mut self, region: &Region<'_>) {
        let matched: Vec<usize> = self.matched(region).collect();
        let binds = |at: &usize| self.set.instruments.get(*at).is_some_and(|i| i.enforcement == Enforcement::On);
        let binding: Vec<usize> = matched.iter().copied().filter(binds).collect();
        let Some(example) = region.example(region.matched()) else { return };
        // With those in shadow as if they did bind: that is what they are in shadow for.
        let mut ways = vec![binding];
        if ways.first() != Some(&matched) {
            ways.push(matched);
        }
        for instruments in ways {
            let base = format!("{} {:?}", example.subject, self.set.gateway.no_subject.bucket(&example.bucket).filter(|_| !example.subject));
            if self.clashes.looked_at.insert((instruments.clone(), region.matched().to_vec(), base)) {
                self.look(&instruments, &example, region);
            }
        }
    }
}

impl Clashing<'_> {
    /// The places of the instruments that apply.
    fn matched<'r>(&'r self, region: &'r Region<'_>) -> impl Iterator<Item = usize> + 'r {
        region.matched().iter().filter_map(|at| match self.items.get(*at)?.what {
            What::Instrument(at) => Some(at),
            What::Exception { .. } | What::Gateway => None,
        })
    }

    fn look(&mut self, instruments: &[usize], example: &Example, region: &Region<'_>) {
        let judged = |places: &[usize]| {
            let among: Vec<&Instrument> = places.iter().filter_map(|at| self.set.instruments.get(*at)).collect();
            judge_among(self.set, example, &among)
        };
        for trouble in [Trouble::Refused, Trouble::Unprocessable, Trouble::KeptTooLong] {
            for core in cores(instruments, |places| trouble.of(&judged(places)).is_some()) {
                let Some(why) = trouble.of(&judged(&core)) else { continue };
                let is_about = |at: &&usize| match self.items.get(**at).map(|item| item.what) {
                    Some(What::Instrument(place) | What::Exception { instrument: place, .. }) => core.contains(&place),
                    Some(What::Gateway) | None => false,
                };
                let about: Vec<usize> = region.matched().iter().filter(is_about).copied().collect();
                let Some(example) = region.example(&about) else { continue };
                self.clashes.found.entry((core, trouble)).or_insert((example, why));
            }
        }
    }
}

impl Trouble {
    /// Why it is, if it is.
    fn of(self, result: &Result<Decision, Denial>) -> Option<String> {
        match (self, result) {
            (Self::Refused, Err(denial)) if denial.kind == DenialKind::Clash => Some(denial.message.clone()),
            (Self::Unprocessable, Ok(decision)) if decision.processing.countries.as_ref().is_some_and(BTreeSet::is_empty) => {
                Some("they leave no country in which content may be processed".to_owned())
            }
            (Self::KeptTooLong, Ok(decision)) => too_long(decision),
            _ => None,
        }
    }
}

fn too_long(decision: &Decision) -> Option<String> {
    let floor_after_ceiling = decision.retention.at_least.iter().flat_map(|floor| {
        decision.retention.at_most.iter().map(move |ceiling| (floor, ceiling))
    });
    let day = Timestamp::from_millis(0);
    let (floor, ceiling) = floor_after_ceiling.into_iter().find(|(floor, ceiling)| floor.period.after(day) > ceiling.period.after(day))?;
    Some(format!(
        "`{}` asks to keep it at least {}, `{}` at most {}; what has to be kept is kept",
        floor.instrument, floor.period, ceiling.instrument, ceiling.period
    ))
}

/// Every smallest part of `all` for which `wrong` holds, as far as [`MAX_TRIES`] reaches.
fn cores(all: &[usize], wrong: impl Fn(&[usize]) -> bool) -> Vec<Vec<usize>> {
    let mut found: Vec<Vec<usize>> = Vec::new();
    let mut tried: HashSet<Vec<usize>> = HashSet::new();
    let mut left = vec![all.to_vec()];
    while let Some(places) = left.pop() {
        if tried.len() >= MAX_TRIES {
            break;
        }
        if !tried.insert(places.clone()) || !wrong(&places) {
            continue;
        }
        let mut core = places.clone();
        for place in &places {
            let without: Vec<usize> = core.iter().copied().filter(|other| other != place).collect();
            if wrong(&without) {
                core = without;
            }
        }
        // Any other core lacks something of this one.
        left.extend(core.iter().map(|out| places.iter().copied().filter(|place| place != out).collect()));
        if !core.is_empty() && !found.contains(&core) {
            found.push(core);
        }
    }
    found
}

impl Clashes {
    /// A warning at the last instrument of each.
    pub(super) fn diagnostics(&self, set: &PolicySet) -> Vec<Diagnostic> {
        let told = |((core, trouble), (example, why)): (&(Vec<usize>, Trouble), &(Example, String))| {
            let instruments: Vec<&Instrument> = core.iter().filter_map(|at| set.instruments.get(*at)).collect();
            let last = instruments.last()?;
            let names: Vec<String> = instruments.iter().map(|instrument| named(instrument)).collect();
            let (subject, hint) = match names.as_slice() {
                [one] => (format!("what {one} matches"), format!("narrow its `[when]`, or change `[default]` or `[exclude]` in {GATEWAY}")),
                [one, other] => (format!("what {one} and {other} both match"), ONE_OF.to_owned()),
                all => (format!("what {} all match", listed(all)), ONE_OF.to_owned()),
            };
            let effect = match trouble {
                Trouble::Refused => "can be refused",
                Trouble::Unprocessable => "cannot be processed",
                Trouble::KeptTooLong => "cannot be kept as asked",
            };
            let message = format!("{subject} {effect}: {why}; such as {example}");
            Some(last.origin.diagnostic(Severity::Warning, message, Some(hint)))
        };
        self.found.iter().filter_map(told).collect()
    }
}

const GATEWAY: &str = "gateway.toml";
const ONE_OF: &str = "narrow `[when]` of one of them, or let one be `shadow`";

fn named(instrument: &Instrument) -> String {
    let shadow = if instrument.enforcement == Enforcement::Shadow { " (in shadow)" } else { "" };
    format!("`{}`{shadow}", instrument.id)
}

fn listed(names: &[String]) -> String {
    match names {
        [first @ .., last] if !first.is_empty() => format!("{} and {last}", first.join(", ")),
        _ => names.concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_smallest_part_is_found() {
        let wrong = |places: &[usize]| {
            let has = |wanted: &[usize]| wanted.iter().all(|place| places.contains(place));
            has(&[0, 1]) || has(&[1, 2, 4]) || has(&[3])
        };
        let mut found = cores(&[0, 1, 2, 3, 4, 5], wrong);
        found.sort();
        assert_eq!(found, [vec![0, 1], vec![1, 2, 4], vec![3]]);
        assert!(cores(&[0, 2], wrong).is_empty());
    }
}
