//! A policy set and its decisions.

use super::{
    AttributeRule, Decision, DecisionSource, Denial, DenialKind, Enforcement, Facts, Field, Gateway, Instrument, OnUnknown,
    Otherwise, Processing, Retention,
    bound::Bound,
    cases::{self, Case, CaseReport},
    meet::{Base, meet},
    read,
    selector::Selector,
};
use crate::{
    diagnostics::Diagnostic,
    types::{Attributes, Country, InstrumentId, PolicyRevision},
};

/// One file of the policy folder.
#[derive(Debug, Clone)]
pub struct PolicyFile {
    /// Its path relative to the policy folder, with `/`: `gateway.toml`, `pk-cpoh-2020/policy.toml`, `pk-cpoh-2020/cases.toml`.
    pub path: String,
    /// Its text.
    pub text: String,
}

/// A complete, checked set of policies.
#[derive(Debug)]
pub struct PolicySet {
    pub(super) gateway: Gateway,
    /// In the order of their names, so that every decision names and weighs them in the same order.
    pub(super) instruments: Vec<Instrument>,
    selector: Selector,
    /// The places of the instruments that bind and restrict processing.
    with_processing: Vec<usize>,
    /// The places of the instruments that bind and say how long records are kept.
    with_retention: Vec<usize>,
    /// The days on which something that binds begins, or is over, in order.
    turns: Vec<time::Date>,
    pub(super) cases: Vec<Case>,
    pub(super) revision: PolicyRevision,
    pub(super) warnings: Vec<Diagnostic>,
}

impl PolicySet {
    /// Reads all files of a policy folder. Never panics; the diagnostics are all mistakes of all files.
    ///
    /// Files that do not end in `.toml` are left alone. A `.toml` file with any other name than those of [`PolicyFile::path`] is a mistake, so that
    /// an instrument is not lost to a slip in a file name.
    pub fn parse(files: &[PolicyFile]) -> Result<Self, Vec<Diagnostic>> {
        read::set(files)
    }

    /// Whether anything in the set, in force or not, asks for an attribute of this name.
    pub fn asks_for(&self, attribute: &str) -> bool {
        let asked = |field: &Field| matches!(field, Field::Attribute(name) if name == attribute);
        let conditions = self.instruments.iter().flat_map(|instrument| &instrument.when);
        self.gateway.attributes.contains_key(attribute) || conditions.map(|condition| &condition.field).any(asked)
    }

    /// SHA-256 of the normalised set: the gateway's rules and every instrument with its texts, in the order of names. Comments, white space
    /// and golden cases do not count.
    pub const fn revision(&self) -> PolicyRevision {
        self.revision
    }

    /// How requests name their subject, and what happens when they don't.
    pub const fn gateway(&self) -> &Gateway {
        &self.gateway
    }

    /// All instruments, in the order of their names.
    pub fn instruments(&self) -> &[Instrument] {
        &self.instruments
    }

    /// What is allowed but probably not meant.
    pub fn warnings(&self) -> &[Diagnostic] {
        &self.warnings
    }

    /// The set with these warnings beside its own.
    #[must_use]
    pub fn warned(mut self, warnings: Vec<Diagnostic>) -> Self {
        self.warnings.extend(warnings);
        self
    }

    /// The meet of all instruments that match.
    pub fn decide(&self, facts: &Facts<'_>) -> Result<Decision, Denial> {
        self.decide_copy(facts, &[])
    }

    /// The decision for a copy: the meet of all instruments that match the destination or any of the places its bytes come from.
    pub fn decide_copy(&self, destination: &Facts<'_>, sources: &[Facts<'_>]) -> Result<Decision, Denial> {
        let (binding, shadow) = self.matching(destination, sources);
        meet(&binding, &shadow, &self.base(destination)?)
    }

    /// What the decision would be if every instrument in shadow did bind.
    pub(super) fn decide_with_shadow(&self, destination: &Facts<'_>, sources: &[Facts<'_>]) -> Result<Decision, Denial> {
        meet(&self.applying(destination, sources), &[], &self.base(destination)?)
    }

    /// The decision if `instruments`, which match, were all there are, and all of them did bind.
    pub(super) fn decide_among(&self, facts: &Facts<'_>, instruments: &[&Instrument]) -> Result<Decision, Denial> {
        let bound: Vec<Bound<'_>> =
            instruments.iter().filter_map(|instrument| Bound::of(instrument, std::iter::once(facts))).collect();
        meet(&bound, &[], &self.base(facts)?)
    }

    /// The instruments that bind at one place.
    pub(super) fn binding(&self, facts: &Facts<'_>) -> Vec<Bound<'_>> {
        self.matching(facts, &[]).0
    }

    /// The instruments that bind and those in shadow.
    fn matching<'s>(&'s self, destination: &Facts<'_>, sources: &[Facts<'_>]) -> (Vec<Bound<'s>>, Vec<&'s Instrument>) {
        let (mut binding, mut shadow) = (Vec::new(), Vec::new());
        for bound in self.applying(destination, sources) {
            match bound.instrument.enforcement {
                Enforcement::On => binding.push(bound),
                Enforcement::Shadow | Enforcement::Off => shadow.push(bound.instrument),
            }
        }
        (binding, shadow)
    }

    /// The instruments that apply to the destination or to any of the sources, in order, those in shadow among them.
    fn applying<'s>(&'s self, destination: &Facts<'_>, sources: &[Facts<'_>]) -> Vec<Bound<'s>> {
        let all = || std::iter::once(destination).chain(sources);
        let candidates = self.selector.candidates(all());
        candidates.into_iter().filter_map(|at| Bound::of(self.instruments.get(at)?, all())).collect()
    }

    /// From where the content of a record of these facts may be read: of its own, and of every place its bytes come from. What
    /// [`PolicySet::decide_copy`] says of it, without deciding where it lives.
    pub fn processing(&self, destination: &Facts<'_>, sources: &[Facts<'_>]) -> Processing {
        Processing::of(&self.binding_of(&self.with_processing, destination, sources))
    }

    /// How long a record of these facts is kept, likewise.
    pub fn retention(&self, destination: &Facts<'_>, sources: &[Facts<'_>]) -> Retention {
        Retention::of(&self.binding_of(&self.with_retention, destination, sources))
    }

    /// Whether any instrument that binds says from where content may be read.
    pub const fn restricts_processing(&self) -> bool {
        !self.with_processing.is_empty()
    }

    /// Whether any instrument that binds says how long records are kept.
    pub const fn keeps(&self) -> bool {
        !self.with_retention.is_empty()
    }

    /// The next day after `today` on which the same facts may be decided otherwise: something that binds begins on it, or is over.
    pub fn next_turn(&self, today: time::Date) -> Option<time::Date> {
        self.turns.get(self.turns.partition_point(|day| *day <= today)).copied()
    }

    fn binding_of<'s>(&'s self, among: &'s [usize], destination: &Facts<'_>, sources: &[Facts<'_>]) -> Vec<Bound<'s>> {
        let all = || std::iter::once(destination).chain(sources);
        among.iter().filter_map(|at| Bound::of(self.instruments.get(*at)?, all())).collect()
    }

    /// The first instrument that binds a record of these facts and does not let what is placed so keep its bytes: it does not bind that record,
    /// or it does not allow one of its countries for these facts.
    pub fn objecting(&self, facts: &Facts<'_>, bound_by: &[InstrumentId], countries: &[Country]) -> Option<&Instrument> {
        let (binding, _) = self.matching(facts, &[]);
        let objects = |bound: &Bound<'_>| {
            !bound_by.contains(&bound.instrument.id) || countries.iter().any(|country| !bound.allows_copy(*country))
        };
        binding.into_iter().find(objects).map(|bound| bound.instrument)
    }

    /// The set in which these instruments bind and those are off, whatever their files say: for golden cases, and to ask what would be. It has
    /// the same revision and no cases, and is never in force.
    #[must_use]
    pub fn assuming(&self, on: &[InstrumentId], off: &[InstrumentId]) -> Self {
        let mut instruments = self.instruments.clone();
        for instrument in &mut instruments {
            if off.contains(&instrument.id) {
                instrument.enforcement = Enforcement::Off;
            } else if on.contains(&instrument.id) {
                instrument.enforcement = Enforcement::On;
            }
        }
        Self::new(self.gateway.clone(), instruments, Vec::new(), self.revision, Vec::new())
    }

    pub(super) fn new(
        gateway: Gateway,
        instruments: Vec<Instrument>,
        cases: Vec<Case>,
        revision: PolicyRevision,
        warnings: Vec<Diagnostic>,
    ) -> Self {
        let selector = Selector::of(&instruments);
        let binding = |asks: fn(&Instrument) -> bool| {
            let binding = instruments.iter().enumerate().filter(|(_, i)| i.enforcement == Enforcement::On);
            binding.filter(|(_, instrument)| asks(instrument)).map(|(at, _)| at).collect()
        };
        let with_processing = binding(|instrument| !instrument.require.processing.is_empty());
        let with_retention = binding(|instrument| !instrument.retention.is_empty());
        let turns = turns(instruments.iter().filter(|instrument| instrument.enforcement == Enforcement::On));
        Self { gateway, instruments, selector, with_processing, with_retention, turns, cases, revision, warnings }
    }

    /// The attributes that the gateway assumes where no source knows them, with their values.
    pub fn assumptions(&self) -> impl Iterator<Item = (&str, &str)> {
        self.gateway.attributes.iter().filter_map(|(name, rule)| match &rule.unknown {
            OnUnknown::Assume(value) => Some((name.as_str(), value.as_str())),
            OnUnknown::Reject | OnUnknown::Omit => None,
        })
    }

    /// Adds the values that the gateway assumes for what is not known of a subject. The error is the first attribute that must be known and is
    /// not.
    pub fn complete(&self, attributes: &mut Attributes) -> Result<(), &str> {
        let missing = |(name, rule): &(&String, &AttributeRule)| {
            rule.unknown == OnUnknown::Reject && !attributes.contains_key(name.as_str())
        };
        if let Some((name, _)) = self.gateway.attributes.iter().find(missing) {
            return Err(name);
        }
        for (name, value) in self.assumptions() {
            if !attributes.contains_key(name) {
                attributes.insert(name.to_owned(), value.to_owned());
            }
        }
        Ok(())
    }

    /// Runs every golden case.
    pub fn run_cases(&self) -> CaseReport {
        cases::run(&self.cases, self)
    }

    pub(super) fn base(&self, facts: &Facts<'_>) -> Result<Base<'_>, Denial> {
        let (countries, source) = if facts.has_subject {
            (self.gateway.default.as_slice(), DecisionSource::Default)
        } else if let Some(countries) = self.gateway.no_subject.bucket(facts.bucket) {
            (countries, DecisionSource::NoSubjectBucket)
        } else if let Otherwise::Countries(countries) = &self.gateway.no_subject.otherwise {
            (countries.as_slice(), DecisionSource::NoSubjectOtherwise)
        } else {
            return Err(Denial {
                kind: DenialKind::NoSubject,
                message: "no signal names a subject, and `[no-subject]` has no place for the bucket".to_owned(),
                instruments: Vec::new(),
            });
        };
        Ok(Base { countries, source, exclude: &self.gateway.exclude, revision: self.revision })
    }
}

/// Every day on which one of these begins to hold, or holds no more, and the same of their exceptions.
pub(super) fn turns<'i>(instruments: impl Iterator<Item = &'i Instrument>) -> Vec<time::Date> {
    let mut turns: Vec<time::Date> = Vec::new();
    for instrument in instruments {
        let last_days = instrument.exceptions.iter().map(|exception| exception.expires).chain([instrument.until]).flatten();
        turns.extend(instrument.effective.into_iter().chain(last_days.filter_map(time::Date::next_day)));
    }
    turns.sort_unstable();
    turns.dedup();
    turns
}
