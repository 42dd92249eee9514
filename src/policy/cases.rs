//! Golden cases: what a policy set must decide, written by the people who answer for it.

use serde::Serialize;

use std::sync::Arc;

use super::{Decision, Denial, ExceptionBasis, Facts, Instrument, Period, PolicySet, RetentionLimit, read::Known};
use crate::{
    diagnostics::{Diagnostics, Item, Origin, Severity, Table, nearest},
    types::{Attributes, BucketName, Country, InstrumentId, ObjectKey, PrincipalId, Timestamp},
};

/// What came of all cases.
#[derive(Debug, Clone, Serialize)]
pub struct CaseReport {
    /// In the order of files.
    pub cases: Vec<CaseOutcome>,
}

/// What came of one case.
#[derive(Debug, Clone, Serialize)]
pub struct CaseOutcome {
    /// What it shows, in its author's words.
    pub name: String,
    /// Where it stands.
    pub origin: Origin,
    /// What is different from what it expects; `None` when it passes.
    pub problem: Option<String>,
}

impl CaseReport {
    /// Whether every case passes.
    pub fn passed(&self) -> bool {
        self.cases.iter().all(|case| case.problem.is_none())
    }
}

/// One case. It is judged by the whole set, as a request would be.
#[derive(Debug, Clone)]
pub(super) struct Case {
    name: String,
    origin: Origin,
    assume: Arc<Assume>,
    given: Given,
    expect: Expected,
}

/// What the cases of a file take for granted: instruments that bind or are off there, whatever their own files say.
#[derive(Debug, Default)]
pub(super) struct Assume {
    on: Vec<(InstrumentId, Origin)>,
    off: Vec<(InstrumentId, Origin)>,
}

#[derive(Debug, Clone)]
struct Given {
    has_subject: bool,
    attributes: Attributes,
    bucket: BucketName,
    key: ObjectKey,
    principal: PrincipalId,
    principal_country: Option<Country>,
    /// Where content is to be processed; nobody knows where, when absent.
    read_from: Option<Country>,
    today: time::Date,
}

#[derive(Debug, Clone, Default)]
struct Expected {
    /// The countries with a copy, the primary first.
    countries: Option<Vec<Country>>,
    /// The country of each copy's key, in the order of `countries`.
    keys: Option<Vec<Country>>,
    /// The instruments that bind.
    instruments: Option<Vec<InstrumentId>>,
    /// The instruments that a denial names.
    denied: Option<Vec<InstrumentId>>,
    /// What the exceptions rest on that the placement leans on, in the order of instruments.
    exceptions: Option<Vec<ExceptionBasis>>,
    /// Whether content may be processed in `read-from`.
    read: Option<bool>,
    retain_at_least: Option<Kept>,
    retain_at_most: Option<Kept>,
}

/// How long something is expected to be kept; `None` is as long as one likes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Kept(Option<Period>);

/// The names in `given` that are no attributes.
const GIVEN: [&str; 7] = ["subject", "bucket", "key", "principal", "principal-country", "read-from", "date"];

/// Reads the cases of one file.
pub(super) fn read(file: &Table<'_>, known: Known<'_>) -> Option<Vec<Case>> {
    let assume = Arc::new(file.table("assume").map(assume).unwrap_or_default());
    Some(file.tables("case").into_iter().filter_map(|table| case(table, &assume, known)).collect())
}

fn assume(table: Table<'_>) -> Assume {
    let named = |key: &str| -> Vec<(InstrumentId, Origin)> {
        let items = table.optional(key).and_then(Item::list).unwrap_or_default();
        items.into_iter().filter_map(|item| Some((item.parsed()?, item.origin()))).collect()
    };
    let assume = Assume { on: named("on"), off: named("off") };
    for (id, origin) in assume.on.iter().filter(|(id, _)| assume.off.iter().any(|(off, _)| off == id)) {
        table.error(format!("`{id}` is assumed to be on and off (line {})", origin.line), None);
    }
    table.finish();
    assume
}

/// Reports what cases assume of instruments that are not there.
pub(super) fn check(cases: &[Case], instruments: &[Instrument], sink: &Diagnostics) {
    let mut told: Vec<*const Assume> = Vec::new();
    for assume in cases.iter().map(|case| &case.assume) {
        if told.contains(&Arc::as_ptr(assume)) {
            continue;
        }
        told.push(Arc::as_ptr(assume));
        let known = || instruments.iter().map(|instrument| instrument.id.as_str());
        for (id, origin) in assume.on.iter().chain(&assume.off).filter(|(id, _)| known().all(|known| known != id.as_str())) {
            let hint = nearest(id.as_str(), known()).map(|near| format!("did you mean `{near}`?"));
            sink.report(origin.diagnostic(Severity::Error, format!("there is no instrument `{id}`"), hint));
        }
    }
}

fn case(table: Table<'_>, assume: &Arc<Assume>, known: Known<'_>) -> Option<Case> {
    let origin = table.origin();
    let name = table.required("name").and_then(Item::str);
    let given = table.required("given").and_then(Item::table).and_then(|table| given(&table, known));
    let expect = table.required("expect").and_then(Item::table).map(expected);
    table.finish();
    Some(Case { name: name?.to_owned(), origin, assume: Arc::clone(assume), given: given?, expect: expect? })
}

fn given(table: &Table<'_>, known: Known<'_>) -> Option<Given> {
    let has_subject = table.bool("subject").unwrap_or(true);
    let bucket = table.parsed("bucket").or_else(|| BucketName::new("golden-cases").ok())?;
    let key = table.parsed("key").or_else(|| ObjectKey::new("golden-case").ok())?;
    let principal = table.parsed("principal").or_else(|| PrincipalId::new("golden-cases").ok())?;
    let principal_country = table.parsed("principal-country");
    let read_from = table.parsed("read-from");
    let today = table.optional("date").and_then(Item::date).unwrap_or(time::Date::MAX);
    let mut attributes = Attributes::new();
    for (name, item) in table.entries().filter(|(name, _)| !GIVEN.contains(name)) {
        let Some(text) = item.str() else { continue };
        let Some(known) = known.map(|gateway| &gateway.attributes) else { continue };
        match known.get(name).map(|rule| rule.kind.normalise(text).ok_or(rule.kind)) {
            Some(Ok(value)) => {
                attributes.insert(name.to_owned(), value);
            }
            Some(Err(kind)) => item.error(format!("`{text}` is not {}", kind.describe()), None),
            None => {
                let words = known.keys().map(String::as_str).chain(GIVEN);
                let hint = nearest(name, words).map(|near| format!("did you mean `{near}`?"));
                item.error(format!("`{name}` is not an attribute that gateway.toml knows"), hint);
            }
        }
    }
    Some(Given { has_subject, attributes, bucket, key, principal, principal_country, read_from, today })
}

fn expected(table: Table<'_>) -> Expected {
    let expected = Expected {
        countries: table.parsed_list("countries"),
        keys: table.parsed_list("keys"),
        instruments: table.parsed_list("instruments"),
        denied: table.parsed_list("denied"),
        exceptions: table
            .optional("exceptions")
            .and_then(Item::list)
            .map(|items| items.into_iter().filter_map(|item| item.one_of(&ExceptionBasis::WORDS)).collect()),
        read: table.bool("read"),
        retain_at_least: table.optional("retain-at-least").and_then(kept),
        retain_at_most: table.optional("retain-at-most").and_then(kept),
    };
    match (&expected.denied, expected.expects_a_decision()) {
        (Some(_), true) => table.error("a case that is denied has no decision of which more could be expected", None),
        (None, false) => {
            let hint =
                "give `countries`, `keys`, `instruments`, `exceptions`, `read`, `retain-at-least`, `retain-at-most` or `denied`";
            table.error("the case expects nothing", Some(hint.to_owned()));
        }
        _ => {}
    }
    table.finish();
    expected
}

/// A period, or `none`.
fn kept(item: Item<'_>) -> Option<Kept> {
    if item.str()? == "none" { Some(Kept(None)) } else { item.parsed().map(|period| Kept(Some(period))) }
}

impl Expected {
    fn expects_a_decision(&self) -> bool {
        self.countries.is_some()
            || self.keys.is_some()
            || self.instruments.is_some()
            || self.exceptions.is_some()
            || self.read.is_some()
            || self.retain_at_least.is_some()
            || self.retain_at_most.is_some()
    }

    /// What of the decision is different.
    fn of(&self, decision: &Decision, given: &Given) -> Result<(), String> {
        let countries: Vec<Country> = decision.placement.iter().map(|planned| planned.country).collect();
        if self.denied.is_some() {
            return Err(format!("it is placed in {countries:?}, not denied"));
        }
        let keys: Vec<Country> = countries.iter().map(|country| decision.key_country(*country)).collect();
        same("countries", self.countries.as_ref(), &countries)?;
        same("keys", self.keys.as_ref(), &keys)?;
        same("instruments", self.instruments.as_ref(), &decision.instruments)?;
        let words = |bases: &[ExceptionBasis]| bases.iter().map(|basis| basis.word()).collect::<Vec<_>>();
        let used: Vec<ExceptionBasis> = decision.exceptions.iter().map(|used| used.basis).collect();
        same("exceptions", self.exceptions.as_deref().map(words).as_ref(), &words(&used))?;
        match (self.read, decision.may_process(given.read_from)) {
            (Some(true), Err(denial)) => return Err(format!("it cannot be read: {denial}")),
            (Some(false), Ok(_)) => return Err("it can be read".to_owned()),
            _ => {}
        }
        // The floor is the longest, the ceiling the shortest; on which day a version begins decides between `30d` and `1m`.
        let from = given.written();
        let by = |limit: &&RetentionLimit| limit.period.after(from);
        let retention = &decision.retention;
        same_period("retain-at-least", self.retain_at_least, retention.at_least.iter().max_by_key(by), from)?;
        same_period("retain-at-most", self.retain_at_most, retention.at_most.iter().min_by_key(by), from)
    }
}

impl Given {
    /// The date of the version that periods are counted from.
    fn written(&self) -> Timestamp {
        let today = if self.today == time::Date::MAX { time::macros::date!(2021 - 01 - 01) } else { self.today };
        Timestamp::from_seconds(today.midnight().assume_utc().unix_timestamp())
    }
}

fn same_period(what: &str, expected: Option<Kept>, found: Option<&RetentionLimit>, from: Timestamp) -> Result<(), String> {
    let Some(Kept(expected)) = expected else { return Ok(()) };
    let found = found.map(|limit| limit.period);
    if expected.map(|period| period.after(from)) == found.map(|period| period.after(from)) {
        return Ok(());
    }
    let word = |period: Option<Period>| period.map_or("none".to_owned(), |period| period.to_string());
    Err(format!("`{what}` is {}, not {}", word(found), word(expected)))
}

impl Assume {
    fn is_empty(&self) -> bool {
        self.on.is_empty() && self.off.is_empty()
    }

    fn of(&self, set: &PolicySet) -> PolicySet {
        let ids = |named: &[(InstrumentId, Origin)]| named.iter().map(|(id, _)| id.clone()).collect::<Vec<_>>();
        set.assuming(&ids(&self.on), &ids(&self.off))
    }
}

/// Runs cases, each against the set or what its file assumes of it.
pub(super) fn run(cases: &[Case], set: &PolicySet) -> CaseReport {
    let mut outcomes = Vec::with_capacity(cases.len());
    each(cases, set, |case, set| outcomes.push(case.run(set)));
    CaseReport { cases: outcomes }
}

/// Every case with the set that it is judged by.
pub(super) fn each(cases: &[Case], set: &PolicySet, mut with: impl FnMut(&Case, &PolicySet)) {
    let mut assumed: Option<(&Arc<Assume>, PolicySet)> = None;
    for case in cases {
        if case.assume.is_empty() {
            with(case, set);
            continue;
        }
        if !assumed.as_ref().is_some_and(|(assume, _)| Arc::ptr_eq(assume, &case.assume)) {
            assumed = Some((&case.assume, case.assume.of(set)));
        }
        if let Some((_, set)) = &assumed {
            with(case, set);
        }
    }
}

impl Case {
    fn run(&self, set: &PolicySet) -> CaseOutcome {
        CaseOutcome { name: self.name.clone(), origin: self.origin.clone(), problem: self.problem(set).err() }
    }

    /// What it shows, in its author's words.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Judges its facts. The error is what must be known of its subject and is not.
    pub(super) fn judged<T>(&self, set: &PolicySet, judge: impl FnOnce(&Facts<'_>) -> T) -> Result<T, String> {
        let given = &self.given;
        let mut attributes = given.attributes.clone();
        if given.has_subject {
            set.complete(&mut attributes).map_err(ToOwned::to_owned)?;
        }
        Ok(judge(&Facts {
            has_subject: given.has_subject,
            attributes: &attributes,
            bucket: &given.bucket,
            key: Some(&given.key),
            principal: &given.principal,
            principal_country: given.principal_country,
            today: given.today,
        }))
    }

    fn problem(&self, set: &PolicySet) -> Result<(), String> {
        let (given, expect) = (&self.given, &self.expect);
        let decided = self
            .judged(set, |facts| set.decide(facts))
            .map_err(|name| format!("a request like this is refused: `{name}` is unknown"))?;
        match decided {
            Err(Denial { message, mut instruments, .. }) => {
                let Some(mut denied) = expect.denied.clone() else {
                    return Err(format!("it is denied: {message}"));
                };
                instruments.sort();
                denied.sort();
                same("denied", Some(&denied), &instruments)
            }
            Ok(decision) => expect.of(&decision, given),
        }
    }
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, expected: Option<&Vec<T>>, found: &Vec<T>) -> Result<(), String> {
    match expected {
        Some(expected) if expected != found => Err(format!("`{what}` is {found:?}, not {expected:?}")),
        _ => Ok(()),
    }
}
