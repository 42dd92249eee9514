//! The space of facts, cut into what the conditions of one or two policy sets can tell apart.

use std::collections::BTreeSet;

use super::{
    Example,
    language::{Names, Pattern as Steps, Step},
};
use crate::{
    policy::{
        AttributeKind, Condition, Enforcement, Exception, Field, Instrument, KeyPattern, OnUnknown, Pattern, PolicySet,
        set::turns,
    },
    types::{Attributes, BucketName, ObjectKey, PrincipalId},
};

/// One way in which facts differ, and one value for each difference that conditions can tell. The first is the plainest: what is said when it does
/// not matter.
#[derive(Debug)]
pub(super) struct Dimension {
    pub(super) about: About,
    pub(super) values: Vec<Value>,
}

/// What a dimension is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum About {
    /// Whether the record is somebody's.
    Subject,
    /// A field of conditions.
    Field(Field),
    /// The day.
    Day,
}

/// One value of a dimension.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Subject(bool),
    /// A value of a field; `None` when it is not known.
    Text(Option<String>),
    Day(time::Date),
}

/// The dimensions of one policy set, or of two that are compared.
#[derive(Debug)]
pub(super) struct Space {
    pub(super) dimensions: Vec<Dimension>,
    /// Whether names are cut as finely as the patterns can tell them apart.
    pub(super) complete: bool,
}

impl Space {
    /// The space that `sets` can tell apart, on `today` and every day after it.
    pub(super) fn of(sets: &[&PolicySet], today: time::Date) -> Self {
        let mut space = Self { dimensions: Vec::new(), complete: true };
        space.add(About::Subject, [true, false].map(Value::Subject));
        let names: BTreeSet<&String> = sets.iter().flat_map(|set| set.gateway.attributes.keys()).collect();
        for name in names {
            let values = attribute_values(sets, name);
            space.add(About::Field(Field::Attribute(name.clone())), values.into_iter().map(Value::Text));
        }
        let countries = named(sets, &Field::PrincipalCountry);
        let other = other_country(&countries);
        let countries = other.into_iter().map(Some).chain([None]).chain(countries.into_iter().map(Some));
        space.add(About::Field(Field::PrincipalCountry), countries.map(Value::Text));
        for (field, names) in [(Field::Bucket, Names::Buckets), (Field::Principal, Names::Principals), (Field::Key, Names::Keys)]
        {
            let values = space.names(sets, &field, names);
            space.add(About::Field(field), values.into_iter().map(|name| Value::Text(Some(name))));
        }
        space.add(About::Day, days(sets, today).into_iter().map(Value::Day));
        space
    }

    fn add(&mut self, about: About, values: impl IntoIterator<Item = Value>) {
        self.dimensions.push(Dimension { about, values: values.into_iter().collect() });
    }

    /// A name for every set of patterns that one name can fit.
    fn names(&mut self, sets: &[&PolicySet], field: &Field, names: Names) -> Vec<String> {
        let mut patterns: Vec<Pattern> = Vec::new();
        let of_buckets = sets.iter().filter(|_| *field == Field::Bucket).flat_map(|set| &set.gateway.no_subject.buckets);
        let of_buckets = of_buckets.map(|(glob, _)| Pattern::Name(glob.clone()));
        let asked =
            conditions(sets).filter(|condition| condition.field == *field).flat_map(|condition| condition.any_of.iter().cloned());
        for pattern in asked.chain(of_buckets) {
            if !patterns.contains(&pattern) {
                patterns.push(pattern);
            }
        }
        let witnesses = names.witnesses(&patterns.iter().map(steps).collect::<Vec<_>>());
        self.complete &= witnesses.complete;
        let plainer = |(name, fits): (String, Vec<usize>)| {
            let same = |candidate: &String| {
                names.is_valid(candidate)
                    && patterns.iter().enumerate().all(|(at, pattern)| pattern.matches(candidate) == fits.contains(&at))
            };
            plain_names(names, fits.iter().filter_map(|at| patterns.get(*at))).find(same).unwrap_or(name)
        };
        witnesses.found.into_iter().map(plainer).collect()
    }

    /// The place of a dimension.
    pub(super) fn place(&self, about: &About) -> Option<usize> {
        self.dimensions.iter().position(|dimension| dimension.about == *about)
    }

    /// The facts with the given value in each dimension. `matter` are the dimensions that are told.
    pub(super) fn example(&self, chosen: &[usize], matter: &[bool], today: time::Date) -> Option<Example> {
        let mut example = Example {
            subject: true,
            attributes: Attributes::new(),
            bucket: BucketName::new("bucket").ok()?,
            key: ObjectKey::new("key").ok()?,
            principal: PrincipalId::new("principal").ok()?,
            principal_country: None,
            date: today,
            told: Vec::new(),
        };
        for ((dimension, chosen), matter) in self.dimensions.iter().zip(chosen).zip(matter) {
            let told = match (&dimension.about, dimension.values.get(*chosen)?) {
                (_, Value::Subject(subject)) => {
                    example.subject = *subject;
                    (!subject).then(|| "no subject".to_owned())
                }
                (_, Value::Day(day)) => {
                    example.date = *day;
                    (*day != today).then(|| format!("from {day} on"))
                }
                (About::Field(field), Value::Text(text)) => {
                    example.set(field, text.as_deref())?;
                    let text = text.as_deref().unwrap_or("(unknown)");
                    matter.then(|| format!("{} = {text}", field.name()))
                }
                (About::Subject | About::Day, Value::Text(_)) => return None,
            };
            example.told.extend(told);
        }
        Some(example)
    }
}

impl Example {
    fn set(&mut self, field: &Field, value: Option<&str>) -> Option<()> {
        match (field, value) {
            (Field::Attribute(name), Some(value)) => {
                self.attributes.insert(name.clone(), value.to_owned());
            }
            (Field::Bucket, Some(value)) => self.bucket = BucketName::new(value).ok()?,
            (Field::Key, Some(value)) => self.key = ObjectKey::new(value).ok()?,
            (Field::Principal, Some(value)) => self.principal = PrincipalId::new(value).ok()?,
            (Field::PrincipalCountry, Some(value)) => self.principal_country = Some(value.parse().ok()?),
            (_, None) => {}
        }
        Some(())
    }
}

impl Value {
    /// Whether a condition holds on it. `assumed` is what stands for an unknown attribute.
    pub(super) fn satisfies(&self, condition: &Condition, assumed: Option<&str>) -> bool {
        let Self::Text(text) = self else { return false };
        text.as_deref().or(assumed).is_some_and(|text| condition.any_of.iter().any(|p| p.matches(text)) != condition.negated)
    }
}

/// The instruments that are not off.
pub(super) fn enforced(set: &PolicySet) -> impl Iterator<Item = (usize, &Instrument)> {
    set.instruments.iter().enumerate().filter(|(_, instrument)| instrument.enforcement != Enforcement::Off)
}

fn exceptions<'a>(sets: &'a [&'a PolicySet]) -> impl Iterator<Item = &'a Exception> {
    sets.iter().flat_map(|set| enforced(set)).flat_map(|(_, instrument)| &instrument.exceptions)
}

fn conditions<'a>(sets: &'a [&'a PolicySet]) -> impl Iterator<Item = &'a Condition> {
    let of_instruments = sets.iter().flat_map(|set| enforced(set)).flat_map(|(_, instrument)| &instrument.when);
    of_instruments.chain(exceptions(sets).flat_map(|exception| &exception.when))
}

/// Every value that a condition on the field names.
fn named(sets: &[&PolicySet], field: &Field) -> BTreeSet<String> {
    let asking = conditions(sets).filter(|condition| condition.field == *field);
    asking.flat_map(|condition| &condition.any_of).map(|pattern| pattern.as_str().to_owned()).collect()
}

/// Unknown, a value that nothing names, and every value that something names.
fn attribute_values(sets: &[&PolicySet], name: &str) -> Vec<Option<String>> {
    let field = Field::Attribute(name.to_owned());
    let rules = || sets.iter().filter_map(|set| set.gateway.attributes.get(name));
    let mut values = named(sets, &field);
    values.extend(rules().filter_map(|rule| match &rule.unknown {
        OnUnknown::Assume(value) => Some(value.clone()),
        OnUnknown::Reject | OnUnknown::Omit => None,
    }));
    let is_country = rules().all(|rule| rule.kind == AttributeKind::Country);
    let other = if is_country { other_country(&values) } else { other_text(&values) };
    [None].into_iter().chain(other.map(Some)).chain(values.into_iter().map(Some)).collect()
}

/// A country that is not named; none when all are. The code that no country has comes first.
fn other_country(named: &BTreeSet<String>) -> Option<String> {
    let pairs = ('A'..='Z').flat_map(|first| ('A'..='Z').map(move |second| format!("{first}{second}")));
    ["ZZ", "QZ", "XX"].map(str::to_owned).into_iter().chain(pairs).find(|code| !named.contains(code))
}

fn other_text(named: &BTreeSet<String>) -> Option<String> {
    let numbered = (1..=named.len().saturating_add(1)).map(|number| format!("other-{number}"));
    ["other".to_owned()].into_iter().chain(numbered).find(|text| !named.contains(text))
}

/// Today and every later day on which something begins or has ended.
fn days(sets: &[&PolicySet], today: time::Date) -> BTreeSet<time::Date> {
    let turns = turns(sets.iter().flat_map(|set| enforced(set)).map(|(_, instrument)| instrument));
    turns.into_iter().filter(|day| *day > today).chain([today]).collect()
}

fn steps(pattern: &Pattern) -> Steps {
    match pattern {
        Pattern::Exact(text) => text.chars().map(Step::Is).collect(),
        Pattern::Name(glob) => super::language::glob(glob.as_str()),
        Pattern::Key(pattern) => key_steps(pattern),
    }
}

/// `*` stays in its segment; `**`, which is the last segment if it is there, is whatever follows.
fn key_steps(pattern: &KeyPattern) -> Steps {
    let text = pattern.as_str();
    let (body, open) = text.strip_suffix("**").map_or((text, false), |body| (body, true));
    let steps = body.chars().map(|character| if character == '*' { Step::RunInSegment } else { Step::Is(character) });
    steps.chain(open.then_some(Step::Run)).collect()
}

/// Names that people would think of, for examples that read well.
fn plain_names<'a>(names: Names, fitting: impl Iterator<Item = &'a Pattern>) -> impl Iterator<Item = String> {
    let made =
        fitting.flat_map(|pattern| ["1", "x", "a1"].map(|filler| pattern.as_str().replace("**", filler).replace('*', filler)));
    let usual: &[&str] = match names {
        Names::Buckets => &["media", "uploads", "data"],
        Names::Principals => &["app", "service", "writer"],
        Names::Keys => &["a.jpg", "file", "object"],
    };
    made.collect::<Vec<_>>().into_iter().chain(usual.iter().map(|name| (*name).to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_of_key_patterns_match_as_they_do() {
        let patterns = ["users/*/kyc/**", "**", "*.csv", "a/*", "a/**", "x"];
        let steps: Vec<Steps> = patterns.iter().map(|text| key_steps(&text.parse().unwrap())).collect();
        let witnesses = Names::Keys.witnesses(&steps);
        assert!(witnesses.complete);
        for (name, fits) in witnesses.found {
            let matching = (0..patterns.len()).filter(|at| patterns[*at].parse::<KeyPattern>().unwrap().matches(&name));
            assert_eq!(matching.collect::<Vec<_>>(), fits, "{name}");
        }
    }

    #[test]
    fn a_country_that_nothing_names_is_found_while_there_is_one() {
        let all: BTreeSet<String> =
            ('A'..='Z').flat_map(|a| ('A'..='Z').map(move |b| format!("{a}{b}"))).filter(|code| code != "MM").collect();
        assert_eq!(other_country(&all), Some("MM".to_owned()));
        assert_eq!(other_country(&all.into_iter().chain(["MM".to_owned()]).collect()), None);
    }
}
