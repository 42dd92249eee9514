//! A policy set and its decisions.

use super::{
    Decision, DecisionSource, Denial, DenialKind, Enforcement, Facts, Gateway, Instrument, OnUnknown, Otherwise,
    cases::{Case, CaseReport},
    meet::{Base, meet},
    read,
    selector::Selector,
};
use crate::{
    diagnostics::Diagnostic,
    types::{Attributes, PolicyRevision},
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
    pub(super) selector: Selector,
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
        let (mut binding, shadow) = self.matching(destination, sources);
        binding.extend(shadow);
        binding.sort_by(|a, b| a.id.cmp(&b.id));
        meet(&binding, &[], &self.base(destination)?)
    }

    /// The decision if `instruments`, which match, were all there are, and all of them did bind.
    pub(super) fn decide_among(&self, facts: &Facts<'_>, instruments: &[&Instrument]) -> Result<Decision, Denial> {
        meet(instruments, &[], &self.base(facts)?)
    }

    /// The instruments that bind and those in shadow.
    fn matching(&self, destination: &Facts<'_>, sources: &[Facts<'_>]) -> (Vec<&Instrument>, Vec<&Instrument>) {
        let all = || std::iter::once(destination).chain(sources);
        let candidates = self.selector.candidates(all());
        let instruments = candidates.into_iter().filter_map(|at| self.instruments.get(at));
        let matching = instruments.filter(|instrument| all().any(|facts| instrument.matches(facts)));
        matching.partition(|instrument| instrument.enforcement == Enforcement::On)
    }

    /// The instruments that bind a record of these facts.
    pub fn binding<'a>(&'a self, facts: &'a Facts<'a>) -> impl Iterator<Item = &'a Instrument> {
        self.instruments.iter().filter(|instrument| instrument.enforcement == Enforcement::On && instrument.matches(facts))
    }

    /// Adds the values that the gateway assumes for what is not known of a subject. The error is the first attribute that must be known and is
    /// not.
    pub fn complete(&self, attributes: &mut Attributes) -> Result<(), &str> {
        for (name, rule) in &self.gateway.attributes {
            if attributes.contains_key(name) {
                continue;
            }
            match &rule.unknown {
                OnUnknown::Reject => return Err(name),
                OnUnknown::Omit => {}
                OnUnknown::Assume(value) => {
                    attributes.insert(name.clone(), value.clone());
                }
            }
        }
        Ok(())
    }

    /// Runs every golden case.
    pub fn run_cases(&self) -> CaseReport {
        CaseReport { cases: self.cases.iter().map(|case| case.run(self)).collect() }
    }

    fn base(&self, facts: &Facts<'_>) -> Result<Base<'_>, Denial> {
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
