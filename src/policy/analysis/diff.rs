//! What a changed policy set decides otherwise.

use std::collections::HashSet;

use serde::Serialize;

use super::{
    Example,
    asked::Asked,
    judge::{Universe, judge},
    space::Space,
    tree::{Item, Region, Standing, Tree, Visit, Way, What, items},
};
use crate::{
    diagnostics::Origin,
    policy::{
        AttributeRule, Enforcement, Exception, Gateway, Instrument, PolicySet, Requirement, ResultExplanation, RetentionRule,
    },
    types::InstrumentId,
};

/// More examples than this are not kept; whether more is allowed is still found out.
const MAX_CHANGES: usize = 256;

/// What two policy sets decide differently, from a day on.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct PolicyDiff {
    /// One example for each way in which decisions change.
    pub changes: Vec<DecisionChange>,
    /// Facts of records of which instruments ask less than before, though where they are written nothing more is allowed: copies of them elsewhere may
    /// be, and another change of the gateway's own lists. Each counts as allowing more.
    pub asked_less: Vec<Example>,
    /// Whether the new set allows anything that the old one does not. What could not be looked at counts as allowing more.
    pub allows_more: bool,
    /// Whether every decision has been looked at.
    pub exhaustive: bool,
    /// What changes besides decisions, in words: where facts come from. Each counts as allowing more, since anything may follow from other facts.
    pub signals: Vec<String>,
}

/// One decision that changes.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct DecisionChange {
    /// Facts that show it.
    pub example: Example,
    /// What the old set decides.
    pub before: ResultExplanation,
    /// What the new set decides.
    pub after: ResultExplanation,
    /// Whether the new set allows something here that the old one does not.
    pub allows_more: bool,
}

/// Compares what two sets decide of writes, on `today` and on every day after it: a rule that lapses tomorrow is a change too.
///
/// A copy is decided by the meet of several places. It can be asked less where no single place is: what an instrument asks and the gateway's own lists
/// bring about anyway binds a copy, and they do not. So beside the decisions, what the instruments ask is compared, place by place.
pub fn diff(old: &PolicySet, new: &PolicySet, today: time::Date) -> PolicyDiff {
    if old.revision() == new.revision() {
        return PolicyDiff {
            changes: Vec::new(),
            asked_less: Vec::new(),
            allows_more: false,
            exhaustive: true,
            signals: Vec::new(),
        };
    }
    let sets = [old, new];
    let space = Space::of(&sets, today);
    let both = Both::of(&space, old, new);
    let tree = Tree::new(&space, &sets, &both.items, today);
    let mut comparing = Comparing {
        old,
        new,
        both: &both,
        universe: Universe::of(&sets),
        seen: HashSet::new(),
        changes: Vec::new(),
        asked_less: Vec::new(),
        allows_more: false,
    };
    let exhaustive = tree.walk(&mut comparing);
    let Comparing { mut changes, asked_less, allows_more, .. } = comparing;
    changes.sort_by_key(|change| !change.allows_more);
    let signals = signals(&old.gateway, &new.gateway);
    PolicyDiff { changes, asked_less, allows_more: allows_more || !exhaustive || !signals.is_empty(), exhaustive, signals }
}

/// The items of both sets, what both have alike once.
struct Both {
    items: Vec<Item>,
    /// For each item, which set has it.
    sides: Vec<Side>,
    /// Whether data of somebody, or of nobody, is placed otherwise when no instrument says anything.
    base: [bool; 2],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Old,
    New,
    Both,
}

impl Both {
    fn of(space: &Space, old: &PolicySet, new: &PolicySet) -> Self {
        let mut theirs = grouped(items(space, new, binds));
        let mut both = Self { items: Vec::new(), sides: Vec::new(), base: [true, true] };
        for ours in grouped(items(space, old, binds)) {
            match theirs.iter().position(|group| alike((old, &ours), (new, group))) {
                Some(at) => {
                    theirs.remove(at);
                    both.add(ours, Side::Both);
                }
                None => both.add(ours, Side::Old),
            }
        }
        for group in theirs {
            both.add(group, Side::New);
        }
        let (before, after) = (&old.gateway, &new.gateway);
        both.base = [
            before.default != after.default || before.exclude != after.exclude,
            before.no_subject != after.no_subject || before.exclude != after.exclude,
        ];
        both
    }

    fn add(&mut self, group: Vec<Item>, side: Side) {
        let of = self.items.len();
        for mut item in group {
            if let What::Exception { of: instrument, .. } = &mut item.what {
                *instrument = of;
            }
            item.urgent = side != Side::Both;
            self.items.push(item);
            self.sides.push(side);
        }
    }

    /// Whether an item is only in one of the sets.
    fn differs(&self, at: usize) -> bool {
        self.sides.get(at).is_some_and(|side| *side != Side::Both)
    }
}

/// Each instrument's item with those of its exceptions, each rule of the gateway alone.
fn grouped(items: Vec<Item>) -> Vec<Vec<Item>> {
    let mut groups: Vec<Vec<Item>> = Vec::new();
    for item in items {
        match (&item.what, groups.last_mut()) {
            (What::Exception { .. }, Some(group)) => group.push(item),
            _ => groups.push(vec![item]),
        }
    }
    groups
}

/// Whether the same applies under the same conditions.
fn alike((old, ours): (&PolicySet, &[Item]), (new, theirs): (&PolicySet, &[Item])) -> bool {
    let conditions = |items: &[Item]| items.iter().map(|item| item.conditions.clone()).collect::<Vec<_>>();
    let effect = |set: &PolicySet, items: &[Item]| match items.first().map(|item| item.what) {
        Some(What::Instrument(at)) => set.instruments.get(at).cloned().map(bare),
        _ => None,
    };
    effect(old, ours) == effect(new, theirs) && conditions(ours) == conditions(theirs)
}

fn binds(instrument: &Instrument) -> bool {
    instrument.enforcement == Enforcement::On
}

/// An instrument with nothing but what it asks when it applies.
fn bare(instrument: Instrument) -> (InstrumentId, Requirement, RetentionRule, Vec<Exception>) {
    let nowhere = Origin { file: String::new(), line: 0, column: 0 };
    let asked = |exception: Exception| Exception { when: Vec::new(), expires: None, origin: nowhere.clone(), ..exception };
    (instrument.id, instrument.require, instrument.retention, instrument.exceptions.into_iter().map(asked).collect())
}

struct Comparing<'a> {
    old: &'a PolicySet,
    new: &'a PolicySet,
    both: &'a Both,
    universe: Universe,
    /// The ways in which decisions change that have an example.
    seen: HashSet<String>,
    changes: Vec<DecisionChange>,
    asked_less: Vec<Example>,
    allows_more: bool,
}

impl Visit for Comparing<'_> {
    /// Where nothing that differs can apply, both sets decide alike.
    fn enter(&mut self, standing: &Standing) -> Way {
        let base = self.both.base.get(usize::from(!standing.subject)).copied().unwrap_or(true);
        let differs = standing.matched.iter().chain(&standing.open).any(|at| self.both.differs(*at));
        if base || differs { Way::Go } else { Way::Stop }
    }

    fn region(&mut self, region: &Region<'_>) {
        let about: Vec<usize> = region.matched().to_vec();
        let Some(example) = region.example(&about) else { return };
        let (before, after) = (judge(self.old, &example), judge(self.new, &example));
        let same = self.universe.same(&before, &after);
        let allows_more = !same && self.universe.allows_more(&example, (self.old, &before), (self.new, &after));
        let asked_less = !allows_more && self.is_asked_less(&example);
        self.allows_more |= allows_more || asked_less;
        let is_known = |known: &Example| known.to_string() == example.to_string();
        if asked_less && self.asked_less.len() < MAX_CHANGES && !self.asked_less.iter().any(is_known) {
            self.asked_less.push(example.clone());
        }
        if same {
            return;
        }
        let change = DecisionChange { example, before: before.into(), after: after.into(), allows_more };
        if self.changes.len() < MAX_CHANGES && self.seen.insert(change.way()) {
            self.changes.push(change);
        }
    }
}

impl Comparing<'_> {
    fn is_asked_less(&self, example: &Example) -> bool {
        let asked = |set| Asked::of(set, example, self.universe.countries());
        matches!((asked(self.old), asked(self.new)), (Some(before), Some(after)) if after.is_less_than(&before))
    }
}

impl DecisionChange {
    /// What is the same for all examples of one way in which decisions change.
    fn way(&self) -> String {
        let result = |result: &ResultExplanation| match result {
            ResultExplanation::Decided(decision) => {
                format!("{:?} {:?} {:?} {:?}", decision.placement, decision.instruments, decision.processing, decision.exceptions)
            }
            ResultExplanation::Denied(denial) => denial.message.clone(),
        };
        format!("{} | {} | {}", result(&self.before), result(&self.after), self.allows_more)
    }
}

/// Where facts come from otherwise.
fn signals(old: &Gateway, new: &Gateway) -> Vec<String> {
    let mut found = Vec::new();
    if sorted(&old.subject) != sorted(&new.subject) {
        found.push("the sources of the subject change".to_owned());
    }
    for (name, rule) in &new.attributes {
        match old.attributes.get(name) {
            None => {}
            Some(before) if same_sources(before, rule) => {}
            Some(_) => found.push(format!("the sources of `{name}`, or what happens when they differ, change")),
        }
    }
    for name in old.attributes.keys().filter(|name| !new.attributes.contains_key(*name)) {
        found.push(format!("`{name}` is no longer read"));
    }
    found
}

fn same_sources(one: &AttributeRule, other: &AttributeRule) -> bool {
    sorted(&one.from) == sorted(&other.from) && one.kind == other.kind && one.conflict == other.conflict
}

fn sorted(sources: &[impl ToString]) -> Vec<String> {
    let mut sorted: Vec<String> = sources.iter().map(ToString::to_string).collect();
    sorted.sort();
    sorted
}
