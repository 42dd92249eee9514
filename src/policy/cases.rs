//! Golden cases: what a policy set must decide, written by the people who answer for it.

use serde::Serialize;

use super::{Denial, Facts, PolicySet, read::Known};
use crate::{
    diagnostics::{Item, Origin, Table, nearest},
    types::{Attributes, BucketName, Country, InstrumentId, ObjectKey, PrincipalId},
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
    given: Given,
    expect: Expected,
}

#[derive(Debug, Clone)]
struct Given {
    has_subject: bool,
    attributes: Attributes,
    bucket: BucketName,
    key: ObjectKey,
    principal: PrincipalId,
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
}

/// Reads the cases of one file.
pub(super) fn read(file: &Table<'_>, known: Known<'_>) -> Option<Vec<Case>> {
    Some(file.tables("case").into_iter().filter_map(|table| case(table, known)).collect())
}

fn case(table: Table<'_>, known: Known<'_>) -> Option<Case> {
    let origin = table.origin();
    let name = table.required("name").and_then(Item::str);
    let given = table.required("given").and_then(Item::table).and_then(|table| given(&table, known));
    let expect = table.required("expect").and_then(Item::table).map(expected);
    table.finish();
    Some(Case { name: name?.to_owned(), origin, given: given?, expect: expect? })
}

fn given(table: &Table<'_>, known: Known<'_>) -> Option<Given> {
    let has_subject = table.bool("subject").unwrap_or(true);
    let bucket = table.parsed("bucket").or_else(|| BucketName::new("golden-cases").ok())?;
    let key = table.parsed("key").or_else(|| ObjectKey::new("golden-case").ok())?;
    let principal = table.parsed("principal").or_else(|| PrincipalId::new("golden-cases").ok())?;
    let today = table.optional("date").and_then(Item::date).unwrap_or(time::Date::MAX);
    let mut attributes = Attributes::new();
    for (name, item) in table.entries().filter(|(name, _)| !["subject", "bucket", "key", "principal", "date"].contains(name)) {
        let Some(text) = item.str() else { continue };
        let Some(known) = known.map(|gateway| &gateway.attributes) else { continue };
        match known.get(name).map(|rule| rule.kind.normalise(text).ok_or(rule.kind)) {
            Some(Ok(value)) => {
                attributes.insert(name.to_owned(), value);
            }
            Some(Err(kind)) => item.error(format!("`{text}` is not {}", kind.describe()), None),
            None => {
                let words = known.keys().map(String::as_str).chain(["subject", "bucket", "key", "principal", "date"]);
                let hint = nearest(name, words).map(|near| format!("did you mean `{near}`?"));
                item.error(format!("`{name}` is not an attribute that gateway.toml knows"), hint);
            }
        }
    }
    Some(Given { has_subject, attributes, bucket, key, principal, today })
}

fn expected(table: Table<'_>) -> Expected {
    let expected = Expected {
        countries: table.parsed_list("countries"),
        keys: table.parsed_list("keys"),
        instruments: table.parsed_list("instruments"),
        denied: table.parsed_list("denied"),
    };
    if expected.denied.is_some() && (expected.countries.is_some() || expected.keys.is_some() || expected.instruments.is_some()) {
        table.error("a case that is denied has no countries, keys or instruments", None);
    }
    if expected.denied.is_none() && expected.countries.is_none() && expected.keys.is_none() && expected.instruments.is_none() {
        table.error("the case expects nothing", Some("give `countries`, `keys`, `instruments` or `denied`".to_owned()));
    }
    table.finish();
    expected
}

impl Case {
    pub(super) fn run(&self, set: &PolicySet) -> CaseOutcome {
        CaseOutcome { name: self.name.clone(), origin: self.origin.clone(), problem: self.problem(set).err() }
    }

    fn problem(&self, set: &PolicySet) -> Result<(), String> {
        let given = &self.given;
        let mut attributes = given.attributes.clone();
        if given.has_subject {
            set.complete(&mut attributes).map_err(|name| format!("a request like this is refused: `{name}` is unknown"))?;
        }
        let facts = Facts {
            has_subject: given.has_subject,
            attributes: &attributes,
            bucket: &given.bucket,
            key: Some(&given.key),
            principal: &given.principal,
            principal_country: None,
            today: given.today,
        };
        let expect = &self.expect;
        match set.decide(&facts) {
            Err(Denial { message, mut instruments, .. }) => {
                let Some(mut denied) = expect.denied.clone() else {
                    return Err(format!("it is denied: {message}"));
                };
                instruments.sort();
                denied.sort();
                same("denied", Some(&denied), &instruments)
            }
            Ok(decision) => {
                let countries: Vec<Country> = decision.placement.iter().map(|planned| planned.country).collect();
                if expect.denied.is_some() {
                    return Err(format!("it is placed in {countries:?}, not denied"));
                }
                let keys: Vec<Country> = countries.iter().map(|country| decision.key_country(*country)).collect();
                same("countries", expect.countries.as_ref(), &countries)?;
                same("keys", expect.keys.as_ref(), &keys)?;
                same("instruments", expect.instruments.as_ref(), &decision.instruments)
            }
        }
    }
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, expected: Option<&Vec<T>>, found: &Vec<T>) -> Result<(), String> {
    match expected {
        Some(expected) if expected != found => Err(format!("`{what}` is {found:?}, not {expected:?}")),
        _ => Ok(()),
    }
}
