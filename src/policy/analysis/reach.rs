//! Rules that never apply, and rules that apply but change nothing.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Example,
    judge::{Universe, judge_among},
    space::{About, Space, Value, enforced},
    tree::{Item, Region, Visit, What},
};
use crate::{
    diagnostics::{Diagnostic, Severity},
    policy::{Condition, Enforcement, Exception, Field, Instrument, Pattern, PolicySet},
};

/// More kinds of regions than this are not kept; then nothing is said of rules that change nothing.
const MAX_KINDS: usize = 1 << 12;

/// Finds what applies while the tree is walked.
pub(super) struct Reaching<'a> {
    pub(super) set: &'a PolicySet,
    pub(super) items: &'a [Item],
    /// The items that apply somewhere.
    applied: BTreeSet<usize>,
    /// One example for all regions in which the same rules bind.
    kinds: BTreeMap<(Vec<usize>, String), Kind>,
    overflowed: bool,
}

/// Regions in which the same rules bind.
struct Kind {
    /// The places of the instruments that apply, those in shadow among them.
    instruments: Vec<usize>,
    example: Example,
}

impl<'a> Reaching<'a> {
    pub(super) fn new(set: &'a PolicySet, items: &'a [Item]) -> Self {
        Self { set, items, applied: BTreeSet::new(), kinds: BTreeMap::new(), overflowed: false }
    }
}

impl Visit for Reaching<'_> {
    fn region(&mut self, region: &Region<'_>) {
        let Some(example) = region.example(&[]) else { return };
        self.applied.extend(region.matched());
        let nobodys = self.set.gateway.no_subject.bucket(&example.bucket).filter(|_| !example.subject);
        let key = (region.matched().to_vec(), format!("{} {nobodys:?}", example.subject));
        if self.kinds.len() >= MAX_KINDS {
            self.overflowed |= !self.kinds.contains_key(&key);
            return;
        }
        let places = region.matched().iter().filter_map(|at| match self.items.get(*at)?.what {
            What::Instrument(at) => Some(at),
            What::Exception { .. } | What::Gateway => None,
        });
        let instruments: Vec<usize> = places.collect();
        self.kinds.entry(key).or_insert(Kind { instruments, example });
    }
}

impl Reaching<'_> {
    /// What never applies and what changes nothing. To be asked when every region has been walked.
    pub(super) fn diagnostics(&self, today: time::Date) -> Vec<Diagnostic> {
        let mut found = Vec::new();
        let universe = Universe::of(&[self.set]);
        let mut idle: BTreeSet<usize> = BTreeSet::new();
        for (at, item) in self.items.iter().enumerate().rev() {
            let applied = self.applied.contains(&at);
            match item.what {
                What::Instrument(place) => {
                    let Some(instrument) = self.set.instruments.get(place) else { continue };
                    if !applied {
                        found.push(never(instrument, today));
                    } else if self.changes_nothing(place, &idle, &universe) {
                        idle.insert(place);
                        found.push(self.idle(place, instrument));
                    }
                }
                What::Exception { of, instrument, number } => {
                    let Some(rules) = self.set.instruments.get(instrument) else { continue };
                    let Some(exception) = rules.exceptions.get(number) else { continue };
                    // Of an instrument that never applies that is said once.
                    if self.applied.contains(&of) {
                        let is_idle = || self.exception_changes_nothing(at, (instrument, number), &universe);
                        found.extend(exception_never(rules, exception, applied, today, is_idle));
                    }
                }
                What::Gateway => {}
            }
        }
        found
    }

    /// Whether every decision stays the same without the instrument and those that are idle already.
    fn changes_nothing(&self, place: usize, idle: &BTreeSet<usize>, universe: &Universe) -> bool {
        let binds = |at: &usize| self.set.instruments.get(*at).is_some_and(|i| i.enforcement == Enforcement::On);
        let asks = self.set.instruments.get(place).is_some_and(asks_anything);
        if self.overflowed || !binds(&place) || !asks {
            return false;
        }
        self.kinds.values().filter(|kind| kind.instruments.contains(&place)).all(|kind| {
            let with: Vec<&Instrument> =
                self.among(kind.instruments.iter().copied().filter(|at| binds(at) && !idle.contains(at))).collect();
            let without: Vec<&Instrument> =
                self.among(kind.instruments.iter().copied().filter(|at| binds(at) && !idle.contains(at) && *at != place)).collect();
            universe.same(&judge_among(self.set, &kind.example, &with), &judge_among(self.set, &kind.example, &without))
        })
    }

    fn exception_changes_nothing(&self, item: usize, (place, number): (usize, usize), universe: &Universe) -> bool {
        let Some(instrument) = self.set.instruments.get(place).filter(|_| !self.overflowed) else { return false };
        let mut narrower = instrument.clone();
        if number < narrower.exceptions.len() {
            narrower.exceptions.remove(number);
        }
        let applies = |((matched, _), _): &(&(Vec<usize>, String), &Kind)| matched.contains(&item);
        self.kinds.iter().filter(applies).all(|(_, kind)| {
            let binds = |i: &Instrument| i.enforcement == Enforcement::On || i.id == instrument.id;
            let with: Vec<&Instrument> = self.among(kind.instruments.iter().copied()).filter(|i| binds(i)).collect();
            let without: Vec<&Instrument> =
                with.iter().map(|other| if other.id == instrument.id { &narrower } else { *other }).collect();
            universe.same(&judge_among(self.set, &kind.example, &with), &judge_among(self.set, &kind.example, &without))
        })
    }

    fn among<'s>(&'s self, places: impl Iterator<Item = usize> + 's) -> impl Iterator<Item = &'s Instrument> {
        places.filter_map(|at| self.set.instruments.get(at))
    }

    fn idle(&self, place: usize, instrument: &Instrument) -> Diagnostic {
        let kinds = self.kinds.values().filter(|kind| kind.instruments.contains(&place));
        // Whatever is there wherever it applies may be what makes it idle.
        let beside = kinds.map(|kind| kind.instruments.iter().copied().filter(|at| *at != place).collect::<BTreeSet<usize>>());
        let beside = beside.reduce(|all, some| all.intersection(&some).copied().collect()).unwrap_or_default();
        let named: Vec<String> = self.among(beside.into_iter()).filter(|i| i.enforcement == Enforcement::On).map(|i| format!("`{}`", i.id)).collect();
        let message = if named.is_empty() {
            format!("`{}` never changes a decision", instrument.id)
        } else {
            format!("`{}` never changes a decision: wherever it applies, {} apply too and ask as much", instrument.id, named.join(", "))
        };
        let message = message.replace(" apply too and ask", if named.len() == 1 { " applies too and asks" } else { " apply too and ask" });
        instrument.origin.diagnostic(Severity::Warning, message, Some("keep it for the record, or turn it `off`".to_owned()))
    }
}

fn asks_anything(instrument: &Instrument) -> bool {
    let require = &instrument.require;
    let of_copies = require.copies.is_some() || !require.keys.is_empty() || !require.not_countries.is_empty();
    of_copies || !require.processing.is_empty() || !instrument.retention.is_empty()
}

fn never(instrument: &Instrument, today: time::Date) -> Diagnostic {
    let (message, hint) = match instrument.until.filter(|until| *until < today) {
        Some(until) => (format!("`{}` has not applied since its last day, {until}", instrument.id), "turn it `off`, or take `until` out"),
        None => (format!("`{}` never applies: its conditions never hold together", instrument.id), "change or remove a condition"),
    };
    instrument.origin.diagnostic(Severity::Warning, message, Some(hint.to_owned()))
}

fn exception_never(
    instrument: &Instrument,
    exception: &Exception,
    applied: bool,
    today: time::Date,
    is_idle: impl FnOnce() -> bool,
) -> Option<Diagnostic> {
    let named = format!("the exception `{}` of `{}`", exception.reference, instrument.id);
    let (message, hint) = match exception.expires.filter(|expires| *expires < today) {
        Some(expires) => (format!("{named} has not held since its last day, {expires}"), "renew it or take it out"),
        None if !applied => {
            (format!("{named} never holds: its conditions and the instrument's exclude each other"), "change or remove a condition")
        }
        None if is_idle() => (
            format!("{named} never changes a decision"),
            "what it allows is allowed without it, or other instruments do not allow it",
        ),
        None => return None,
    };
    Some(exception.origin.diagnostic(Severity::Warning, message, Some(hint.to_owned())))
}

/// Values of conditions that no name fits, or that add nothing to the others of their list; patterns of `[no-subject]` that others hide.
pub(super) fn values(space: &Space, set: &PolicySet) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    if !space.complete {
        return found;
    }
    for (_, instrument) in enforced(set) {
        let whose = instrument.exceptions.iter().flat_map(|exception| &exception.when);
        for condition in instrument.when.iter().chain(whose) {
            for (at, pattern) in condition.any_of.iter().enumerate() {
                let origin = condition.origins.get(at).unwrap_or(&instrument.origin);
                let Some((message, hint)) = useless(space, condition, at, pattern) else { continue };
                found.push(origin.diagnostic(Severity::Warning, message, Some(hint)));
            }
        }
    }
    found.extend(hidden_buckets(space, set));
    found
}

fn useless(space: &Space, condition: &Condition, at: usize, pattern: &Pattern) -> Option<(String, String)> {
    let names: Vec<&str> = texts(space, &condition.field).filter(|text| pattern.matches(text)).collect();
    let name = condition.field.name();
    if names.is_empty() {
        return Some((format!("no {name} can be `{pattern}`"), "correct it or take it out".to_owned()));
    }
    let covers = |(other, cover): &(usize, &Pattern)| {
        let all = names.iter().all(|text| cover.matches(text));
        // Of two that are the same the later adds nothing.
        let twice = *other > at && texts(space, &condition.field).all(|text| cover.matches(text) == pattern.matches(text));
        *other != at && all && !twice
    };
    let (_, cover) = condition.any_of.iter().enumerate().find(covers)?;
    Some((format!("`{pattern}` adds nothing to `{cover}` in `{name}`"), "take one of them out".to_owned()))
}

fn texts<'s>(space: &'s Space, field: &Field) -> impl Iterator<Item = &'s str> + use<'s> {
    let dimension = space.place(&About::Field(field.clone())).and_then(|at| space.dimensions.get(at));
    dimension.into_iter().flat_map(|dimension| &dimension.values).filter_map(|value| match value {
        Value::Text(text) => text.as_deref(),
        Value::Subject(_) | Value::Day(_) => None,
    })
}

fn hidden_buckets(space: &Space, set: &PolicySet) -> Vec<Diagnostic> {
    let buckets = &set.gateway.no_subject.buckets;
    let mut found = Vec::new();
    for (at, (glob, _)) in buckets.iter().enumerate() {
        let earlier = |text: &str| buckets.iter().take(at).any(|(other, _)| other.matches(text));
        if !texts(space, &Field::Bucket).any(|text| glob.matches(text) && !earlier(text)) {
            let message = format!("`{glob}` of `[no-subject]` fits no bucket that a more specific pattern does not");
            let diagnostic = Diagnostic::of_file("gateway.toml", message, Some("correct it or take it out".to_owned()));
            found.push(Diagnostic { severity: Severity::Warning, ..diagnostic });
        }
    }
    found
}
