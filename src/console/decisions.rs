//! Decisions in the words of a page, two and two, with what differs between them.

use crate::admin::DecisionChangeView;
use crate::policy::{Decision, DecisionSource, Example, KeyRule, ResultExplanation, RetentionLimit};

/// One way in which decisions change.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Change {
    /// What of the example matters.
    pub(super) records: String,
    /// The whole example.
    pub(super) example: String,
    pub(super) before: Outcome,
    pub(super) after: Outcome,
    pub(super) allows_more: bool,
}

/// What is decided of one example.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    /// Why it is not stored at all.
    pub(super) refused: Option<String>,
    /// Each country with a copy, and what the copy is to the record.
    pub(super) copies: Vec<Told>,
    /// Who decides.
    pub(super) instruments: Vec<Told>,
    /// What else is asked.
    pub(super) terms: Vec<Told>,
}

/// A part of a decision.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) text: String,
    /// Whether the other decision does not have it.
    pub(super) differs: bool,
}

impl From<DecisionChangeView> for Change {
    fn from(change: DecisionChangeView) -> Self {
        let DecisionChangeView { records, example, before, after, allows_more } = change;
        let (mut before, mut after) = (outcome(&before), outcome(&after));
        mark(&mut before.copies, &mut after.copies);
        mark(&mut before.instruments, &mut after.instruments);
        mark(&mut before.terms, &mut after.terms);
        Self { records, example: sentence(&example), before, after, allows_more }
    }
}

/// Marks what only one of two lists has.
fn mark(one: &mut [Told], other: &mut [Told]) {
    let lacks = |list: &[Told], part: &Told| list.iter().all(|known| known.text != part.text);
    one.iter_mut().for_each(|part| part.differs = lacks(other, part));
    other.iter_mut().for_each(|part| part.differs = lacks(one, part));
}

/// The facts of an example.
fn sentence(example: &Example) -> String {
    let from = example.principal_country.map(|country| format!(" in {country}")).unwrap_or_default();
    let known: Vec<String> = example.attributes.iter().map(|(name, value)| format!("{name} = {value}")).collect();
    let whose = match (example.subject, known.is_empty()) {
        (false, _) => "nobody".to_owned(),
        (true, true) => "somebody of whom nothing is known".to_owned(),
        (true, false) => format!("somebody with {}", known.join(", ")),
    };
    format!("{}/{} of {whose}, written by {}{from} on {}", example.bucket, example.key.as_str(), example.principal, example.date)
}

fn outcome(result: &ResultExplanation) -> Outcome {
    match result {
        ResultExplanation::Denied(denial) => Outcome {
            refused: Some(denial.message.clone()),
            instruments: denial.instruments.iter().map(|id| told(id.to_string())).collect(),
            ..Outcome::default()
        },
        ResultExplanation::Decided(decision) => Outcome {
            refused: None,
            copies: decision.placement.iter().map(|copy| told(format!("{} {}", copy.country, copy.role.as_str()))).collect(),
            instruments: deciders(decision).into_iter().map(told).collect(),
            terms: terms(decision).into_iter().map(told).collect(),
        },
    }
}

const fn told(text: String) -> Told {
    Told { text, differs: false }
}

/// Instruments, and what decides where none of them says where copies are.
fn deciders(decision: &Decision) -> Vec<String> {
    let otherwise = match decision.source {
        DecisionSource::Instruments => None,
        DecisionSource::Default => Some("the default"),
        DecisionSource::NoSubjectBucket => Some("the bucket's rule for data of nobody"),
        DecisionSource::NoSubjectOtherwise => Some("the rule for data of nobody"),
    };
    decision.instruments.iter().map(ToString::to_string).chain(otherwise.map(str::to_owned)).collect()
}

fn terms(decision: &Decision) -> Vec<String> {
    let mut terms = Vec::new();
    if let Some(allowed) = &decision.allowed {
        terms.push(among("copies only in", "copies may be nowhere", allowed));
    }
    if !decision.excluded.is_empty() {
        terms.push(among("no copy in", "", &decision.excluded));
    }
    if let Some(countries) = &decision.processing.countries {
        terms.push(among("read only from", "read from nowhere", countries));
    }
    let kept = |bound: &str, limit: &RetentionLimit| format!("kept {bound} {} ({})", limit.period, limit.instrument);
    terms.extend(decision.retention.at_least.iter().map(|limit| kept("at least", limit)));
    terms.extend(decision.retention.at_most.iter().map(|limit| kept("at most", limit)));
    terms.extend(decision.keys.iter().map(|KeyRule { instrument, copies, keys }| {
        let bound =
            copies.as_ref().map_or_else(|| "for every copy".to_owned(), |copies| among("for copies in", "for none", copies));
        format!("{} {bound} ({instrument})", among("keys of", "no keys", keys))
    }));
    terms.extend(decision.exceptions.iter().map(|used| {
        let basis = used.basis.word();
        format!("{} by the exception `{basis}` of {}: {}", among("in", "", &used.countries), used.instrument, used.reference)
    }));
    if !decision.shadow.is_empty() {
        terms.push(among("in shadow:", "", &decision.shadow));
    }
    terms
}

/// `words` and a list, or what is said of an empty one.
fn among<'a, T: ToString + 'a>(words: &str, none: &str, items: impl IntoIterator<Item = &'a T>) -> String {
    let items: Vec<String> = items.into_iter().map(ToString::to_string).collect();
    if items.is_empty() { none.to_owned() } else { format!("{words} {}", items.join(", ")) }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::admin::PolicyDiffView;
    use crate::policy::{PolicyFile, PolicySet, diff};

    const GATEWAY: &str = "version = 1\n[subject]\nfrom = [\"key:users/{subject}/**\"]\n[attributes.residence]\nfrom = [\"directory\"]\n\
                           unknown = \"reject\"\n[no-subject]\notherwise = [\"SG\"]\n[default]\ncountries = [\"SG\"]\n";

    /// The set with one instrument, which asks for this.
    pub(in super::super) fn set(require: &str) -> (PolicySet, std::collections::BTreeMap<String, String>) {
        let law = format!(
            "version = 1\nid = \"pk-law\"\ntitle = \"A law\"\nsection = \"1\"\nenforcement = \"on\"\nlegal-status = \"in-force\"\n\
             effective = 2020-01-01\n[when]\nresidence = [\"PK\"]\n[require]\n{require}"
        );
        let texts =
            [("gateway.toml", GATEWAY.to_owned()), ("pk-law/policy.toml", law)].map(|(path, text)| (path.to_owned(), text));
        let files = texts.clone().map(|(path, text)| PolicyFile { path, text });
        (PolicySet::parse(&files).unwrap(), texts.into())
    }

    pub(in super::super) fn compared(from: &PolicySet, to: &PolicySet) -> PolicyDiffView {
        let today = time::Date::from_calendar_date(2026, time::Month::November, 29).unwrap();
        PolicyDiffView::new(from.revision(), to.revision(), diff(from, to, today))
    }

    fn texts(told: &[Told]) -> Vec<(&str, bool)> {
        told.iter().map(|one| (one.text.as_str(), one.differs)).collect()
    }

    #[test]
    fn a_change_says_where_by_whom_and_what_differs() {
        let (strict, _) = set("copies = \"only\"\ncountries = [\"PK\"]\n");
        let (loose, _) = set("copies = \"only\"\ncountries = [\"PK\", \"SG\"]\n[retention]\nat-least = \"1y\"\n");
        let changes: Vec<Change> = compared(&strict, &loose).changes.into_iter().map(Change::from).collect();
        let change = &changes[0];
        assert!(change.allows_more && change.records.contains("residence = PK"), "{change:?}");
        assert!(change.example.contains(" of somebody with residence = PK, written by "), "{}", change.example);
        assert_eq!(texts(&change.before.instruments), [("pk-law", false)]);
        assert_eq!(texts(&change.before.terms), [("copies only in PK", true)]);
        assert_eq!(texts(&change.after.terms), [("copies only in PK, SG", true), ("kept at least 1y (pk-law)", true)]);
        assert_eq!(texts(&change.before.copies), [("PK primary", true)]);
        assert_eq!(texts(&change.after.copies), [("SG primary", true)]);
    }

    #[test]
    fn a_refusal_has_its_reason() {
        let (one, _) = set("copies = \"only\"\ncountries = [\"PK\"]\n");
        let (other, _) = set("not-countries = [\"SG\"]\n");
        let changes: Vec<Change> = compared(&one, &other).changes.into_iter().map(Change::from).collect();
        let refused = changes.iter().find_map(|change| change.after.refused.as_ref());
        assert!(refused.is_some_and(|why| why == "`pk-law` leaves no country for the record"), "{changes:?}");
    }
}
