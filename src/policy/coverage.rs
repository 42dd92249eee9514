//! Which rules the golden cases show: a rule that no case leans on can be wrong without anybody noticing.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Condition, Enforcement, Facts, Instrument, PolicySet, cases};
use crate::{diagnostics::Origin, types::InstrumentId};

/// What all golden cases together show.
#[derive(Debug, Clone, Serialize)]
pub struct Coverage {
    /// Every rule of every instrument, in the order of instruments.
    pub rules: Vec<CoveredRule>,
}

/// One rule and a case for each of its sides.
#[derive(Debug, Clone, Serialize)]
pub struct CoveredRule {
    /// The instrument.
    pub instrument: InstrumentId,
    /// The rule, in words.
    pub rule: String,
    /// Where it stands.
    pub origin: Origin,
    /// A case in which it holds and its instrument applies.
    pub holds: Option<String>,
    /// A case in which the instrument does not apply for want of this rule alone; of an exception, one in which it does not hold.
    pub fails: Option<String>,
    /// Whether it can fail at all: an instrument without conditions always applies.
    pub can_fail: bool,
}

/// What a case shows of one rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shown {
    Holds,
    Fails,
    Nothing,
}

/// One rule of an instrument.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rule {
    Whole,
    Effective,
    Until,
    /// By its place in `[when]`.
    Condition(usize),
    /// By its place in the file.
    Exception(usize),
}

impl Coverage {
    /// Whether every rule is shown.
    pub fn is_complete(&self) -> bool {
        self.rules.iter().all(CoveredRule::is_covered)
    }
}

impl CoveredRule {
    /// Whether the cases show both of its sides, or the one that it has.
    pub const fn is_covered(&self) -> bool {
        self.holds.is_some() && (self.fails.is_some() || !self.can_fail)
    }
}

impl PolicySet {
    /// Which rules the golden cases show. What a file assumes to be on counts as on: an instrument that ships turned off has its cases too.
    pub fn coverage(&self) -> Coverage {
        let mut found: BTreeMap<(usize, Rule), CoveredRule> = BTreeMap::new();
        for (at, instrument) in self.instruments.iter().enumerate() {
            found.extend(rules(instrument).into_iter().map(|rule| ((at, rule), uncovered(instrument, rule))));
        }
        cases::each(&self.cases, self, |case, set| {
            let shown = case.judged(set, |facts| {
                let each = set.instruments.iter().enumerate().flat_map(|(at, instrument)| {
                    rules(instrument).into_iter().map(move |rule| ((at, rule), shown(instrument, rule, facts)))
                });
                each.collect::<Vec<_>>()
            });
            for (place, shown) in shown.into_iter().flatten() {
                let Some(rule) = found.get_mut(&place) else { continue };
                let side = match shown {
                    Shown::Holds => &mut rule.holds,
                    Shown::Fails => &mut rule.fails,
                    Shown::Nothing => continue,
                };
                side.get_or_insert_with(|| case.name().to_owned());
            }
        });
        Coverage { rules: found.into_values().collect() }
    }
}

fn rules(instrument: &Instrument) -> Vec<Rule> {
    let mut rules = vec![Rule::Whole];
    rules.extend(instrument.effective.map(|_| Rule::Effective));
    rules.extend(instrument.until.map(|_| Rule::Until));
    rules.extend((0..instrument.when.len()).map(Rule::Condition));
    rules.extend((0..instrument.exceptions.len()).map(Rule::Exception));
    rules
}

fn shown(instrument: &Instrument, rule: Rule, facts: &Facts<'_>) -> Shown {
    if instrument.enforcement == Enforcement::Off {
        return Shown::Nothing;
    }
    let applies = instrument.matches(facts);
    let failing = || rules(instrument).into_iter().filter(|rule| !holds(instrument, *rule, facts));
    match rule {
        Rule::Whole if applies => Shown::Holds,
        Rule::Whole => Shown::Fails,
        Rule::Exception(at) if applies => match instrument.exceptions.get(at) {
            Some(exception) if exception.holds(facts) => Shown::Holds,
            Some(_) => Shown::Fails,
            None => Shown::Nothing,
        },
        Rule::Exception(_) => Shown::Nothing,
        Rule::Effective | Rule::Until | Rule::Condition(_) if applies => Shown::Holds,
        Rule::Effective | Rule::Until | Rule::Condition(_) if failing().eq([rule]) => Shown::Fails,
        Rule::Effective | Rule::Until | Rule::Condition(_) => Shown::Nothing,
    }
}

/// Whether a rule lets its instrument apply.
fn holds(instrument: &Instrument, rule: Rule, facts: &Facts<'_>) -> bool {
    match rule {
        Rule::Effective => instrument.effective.is_none_or(|effective| effective <= facts.today),
        Rule::Until => instrument.until.is_none_or(|until| facts.today <= until),
        Rule::Condition(at) => instrument.when.get(at).is_none_or(|condition| condition.holds(facts)),
        Rule::Whole | Rule::Exception(_) => true,
    }
}

fn uncovered(instrument: &Instrument, rule: Rule) -> CoveredRule {
    let condition = |at: usize| instrument.when.get(at);
    let exception = |at: usize| instrument.exceptions.get(at);
    let (words, origin) = match rule {
        Rule::Whole => ("applies".to_owned(), None),
        Rule::Effective => ("effective".to_owned(), None),
        Rule::Until => ("until".to_owned(), None),
        Rule::Condition(at) => (condition(at).map(words).unwrap_or_default(), condition(at).and_then(|c| c.origins.first())),
        Rule::Exception(at) => {
            let words = exception(at).map(|exception| format!("exception {}", exception.basis.word()));
            (words.unwrap_or_default(), exception(at).map(|exception| &exception.origin))
        }
    };
    let can_fail = match rule {
        Rule::Whole => !instrument.when.is_empty() || instrument.effective.is_some() || instrument.until.is_some(),
        Rule::Exception(at) => exception(at).is_some_and(|exception| !exception.when.is_empty() || exception.expires.is_some()),
        Rule::Effective | Rule::Until | Rule::Condition(_) => true,
    };
    CoveredRule {
        instrument: instrument.id.clone(),
        rule: words,
        origin: origin.unwrap_or(&instrument.origin).clone(),
        holds: None,
        fails: None,
        can_fail,
    }
}

fn words(condition: &Condition) -> String {
    format!("when {}", condition.field.name())
}
