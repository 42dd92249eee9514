//! Small policy sets: how they are made up, how they read as files, and the facts they are held against.

use domicile::{
    policy::{Facts, PolicyFile},
    types::{Attributes, BucketName, Country, ObjectKey, PrincipalId},
};
use proptest::{collection::vec, option, prelude::*, sample::subsequence};
use time::{Date, macros::date};

/// The countries that policies name.
const COUNTRIES: [&str; 4] = ["DE", "PK", "SG", "US"];

/// These, and one for all others.
pub(crate) const EVERYWHERE: [&str; 5] = ["DE", "PK", "SG", "US", "ZZ"];

/// The day on which policies are looked at; others lie before and after it.
pub(crate) const TODAY: Date = date!(2026 - 01 - 01);
const DAYS: [Date; 3] = [date!(2025 - 01 - 01), date!(2026 - 06 - 01), date!(2027 - 06 - 01)];

const RESIDENCES: [&str; 2] = ["PK", "SG"];
const CLASSES: [&str; 2] = ["health", "traffic"];
const BUCKETS: [&str; 4] = ["media-*", "*-pk", "static-*", "media-1"];
const KEYS: [&str; 3] = ["users/*/kyc/**", "users/**", "*.csv"];
const PRINCIPALS: [&str; 1] = ["feed-*"];
const PERIODS: [&str; 3] = ["1y", "2y", "3y"];

/// A condition: any of the values or, when `not`, a known value that is none of them.
#[derive(Debug, Clone)]
pub(crate) struct Condition {
    pub(crate) field: &'static str,
    pub(crate) values: Vec<&'static str>,
    pub(crate) not: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct Exception {
    pub(crate) countries: Vec<&'static str>,
    pub(crate) copies: bool,
    pub(crate) processing: bool,
    pub(crate) expires: Option<Date>,
    pub(crate) when: Vec<Condition>,
}

#[derive(Debug, Clone)]
pub(crate) struct Instrument {
    pub(crate) enforcement: &'static str,
    pub(crate) effective: Option<Date>,
    pub(crate) until: Option<Date>,
    pub(crate) when: Vec<Condition>,
    pub(crate) copies: Option<&'static str>,
    pub(crate) countries: Vec<&'static str>,
    pub(crate) keys: Vec<&'static str>,
    pub(crate) not_countries: Vec<&'static str>,
    pub(crate) processing: Vec<&'static str>,
    pub(crate) at_least: Option<&'static str>,
    pub(crate) at_most: Option<&'static str>,
    pub(crate) exceptions: Vec<Exception>,
}

#[derive(Debug, Clone)]
pub(crate) struct Gateway {
    pub(crate) default: Vec<&'static str>,
    pub(crate) exclude: Vec<&'static str>,
    /// `unknown` of the residence: `omit`, `reject` or `assume`, which takes PK.
    pub(crate) unknown: &'static str,
    /// The countries of nobody's data in `static-*`.
    pub(crate) statics: Vec<&'static str>,
}

#[derive(Debug, Clone)]
pub(crate) struct Set {
    pub(crate) gateway: Gateway,
    pub(crate) instruments: Vec<Instrument>,
}

/// One request.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) subject: bool,
    pub(crate) residence: Option<&'static str>,
    pub(crate) class: Option<&'static str>,
    pub(crate) bucket: &'static str,
    pub(crate) key: &'static str,
    pub(crate) principal: &'static str,
    pub(crate) principal_country: Option<&'static str>,
    pub(crate) day: Date,
}

// ------------------------------------------------------------------------------------------------------------------ making them up

fn condition() -> impl Strategy<Value = Condition> {
    let of = |field: &'static str, values: &'static [&'static str]| {
        (subsequence(values.to_vec(), 1..=values.len().min(2)), prop::bool::weighted(0.2))
            .prop_map(move |(values, not)| Condition { field, values, not })
    };
    prop_oneof![
        4 => of("residence", &RESIDENCES),
        3 => of("data-class", &CLASSES),
        1 => of("bucket", &BUCKETS),
        1 => of("key", &KEYS),
        1 => of("principal", &PRINCIPALS),
        1 => of("principal-country", &RESIDENCES),
    ]
}

/// Conditions on different fields.
fn conditions(most: usize) -> impl Strategy<Value = Vec<Condition>> {
    vec(condition(), 0..=most).prop_map(|mut conditions| {
        conditions.sort_by_key(|condition| condition.field);
        conditions.dedup_by_key(|condition| condition.field);
        conditions
    })
}

fn some(sizes: impl Into<proptest::sample::SizeRange>) -> impl Strategy<Value = Vec<&'static str>> {
    subsequence(COUNTRIES.to_vec(), sizes).prop_shuffle()
}

fn exception() -> impl Strategy<Value = Exception> {
    let applies = prop_oneof![Just((true, true)), Just((true, false)), Just((false, true))];
    (some(1..=2), applies, option::of(prop::sample::select(DAYS.to_vec())), conditions(1)).prop_map(
        |(countries, (copies, processing), expires, when)| Exception { countries, copies, processing, expires, when },
    )
}

pub(crate) fn instrument() -> impl Strategy<Value = Instrument> {
    let days = (option::weighted(0.2, prop::sample::select(DAYS.to_vec())), option::weighted(0.2, prop::sample::select(DAYS.to_vec())));
    let copies = prop_oneof![4 => Just(Some("only")), 1 => Just(Some("first")), 2 => Just(Some("also")), 1 => Just(None)];
    let lists = (
        some(1..=3),
        prop_oneof![3 => some(0..=0), 1 => some(1..=2)],
        prop_oneof![3 => some(0..=0), 1 => some(1..=2)],
        prop_oneof![3 => some(0..=0), 1 => some(1..=3)],
    );
    let retention = (option::weighted(0.15, prop::sample::select(PERIODS.to_vec())), option::weighted(0.15, prop::sample::select(PERIODS.to_vec())));
    let enforcement = prop_oneof![6 => Just("on"), 1 => Just("shadow"), 1 => Just("off")];
    (enforcement, days, conditions(2), copies, lists, retention, vec(exception(), 0..=1)).prop_map(
        |(enforcement, (effective, until), when, copies, (countries, keys, mut not_countries, processing), (at_least, at_most), exceptions)| {
            let countries = match copies {
                None => Vec::new(),
                Some("first") => countries.into_iter().take(1).collect(),
                Some(_) => countries,
            };
            not_countries.retain(|country| !countries.contains(country));
            let mut made = Instrument {
                enforcement,
                effective,
                until: until.filter(|until| effective.is_none_or(|effective| effective <= *until)),
                when,
                copies,
                countries,
                keys,
                not_countries,
                processing,
                at_least,
                at_most: at_most.filter(|most| at_least.is_none_or(|least| least <= *most)),
                exceptions: Vec::new(),
            };
            // An exception has to have something to except from.
            let restricts_copies = made.copies == Some("only") || !made.not_countries.is_empty();
            let restricts_processing = !made.processing.is_empty();
            made.exceptions = exceptions
                .into_iter()
                .filter(|e| e.copies && restricts_copies || e.processing && restricts_processing)
                .collect();
            made
        },
    )
}

pub(crate) fn gateway() -> impl Strategy<Value = Gateway> {
    let unknown = prop_oneof![4 => Just("omit"), 1 => Just("reject"), 1 => Just("assume")];
    (some(0..=2), prop_oneof![4 => some(0..=0), 1 => some(1..=1)], unknown, some(1..=1)).prop_map(
        |(mut default, exclude, unknown, mut statics)| {
            default.retain(|country| !exclude.contains(country));
            statics.retain(|country| !exclude.contains(country));
            Gateway { default, exclude, unknown, statics }
        },
    )
}

pub(crate) fn set(most: usize) -> impl Strategy<Value = Set> {
    (gateway(), vec(instrument(), 0..=most)).prop_map(|(gateway, instruments)| Set { gateway, instruments })
}

// --------------------------------------------------------------------------------------------------------------------- as files

impl Set {
    pub(crate) fn files(&self) -> Vec<PolicyFile> {
        let mut files = vec![PolicyFile { path: "gateway.toml".to_owned(), text: self.gateway.text() }];
        files.extend(self.instruments.iter().enumerate().filter(|(_, instrument)| instrument.asks()).map(|(at, instrument)| {
            let id = id(at);
            PolicyFile { path: format!("{id}/policy.toml"), text: instrument.text(&id) }
        }));
        files
    }
}

/// The name of the instrument at a place: names sort as places do.
pub(crate) fn id(at: usize) -> String {
    format!("i{at:02}")
}

impl Gateway {
    fn text(&self) -> String {
        let unknown = if self.unknown == "assume" { "{ assume = \"PK\" }".to_owned() } else { format!("{:?}", self.unknown) };
        let mut text = format!(
            "version = 1\n[subject]\nfrom = [\"metadata:subject\"]\n[attributes.residence]\nfrom = [\"directory\"]\nunknown = {unknown}\n\
             [attributes.data-class]\ntype = \"text\"\nfrom = [\"directory\"]\nunknown = \"omit\"\n"
        );
        if !self.statics.is_empty() {
            text += &format!("[no-subject]\nbuckets = {{ \"static-*\" = {:?} }}\n", self.statics);
        }
        if !self.default.is_empty() {
            text += &format!("[default]\ncountries = {:?}\n", self.default);
        }
        if !self.exclude.is_empty() {
            text += &format!("[exclude]\ncountries = {:?}\n", self.exclude);
        }
        text
    }
}

impl Instrument {
    /// Whether it asks anything, as a file has to.
    pub(crate) fn asks(&self) -> bool {
        self.requires() || self.at_least.is_some() || self.at_most.is_some()
    }

    fn requires(&self) -> bool {
        self.copies.is_some() || !self.keys.is_empty() || !self.not_countries.is_empty() || !self.processing.is_empty()
    }

    fn text(&self, id: &str) -> String {
        let mut text = format!(
            "version = 1\nid = \"{id}\"\ntitle = \"t\"\nlegal-status = \"in-force\"\nsources = [\"s\"]\nenforcement = \"{}\"\n",
            self.enforcement
        );
        let day = |text: &mut String, name: &str, day: Option<Date>| {
            text.extend(day.map(|day| format!("{name} = {day}\n")));
        };
        day(&mut text, "effective", self.effective);
        day(&mut text, "until", self.until);
        text += &when("when", &self.when);
        if self.requires() {
            text += "[require]\n";
            text.extend(self.copies.map(|copies| format!("copies = \"{copies}\"\n")));
            let lists = [
                ("countries", &self.countries),
                ("keys", &self.keys),
                ("not-countries", &self.not_countries),
                ("processing", &self.processing),
            ];
            for (name, list) in lists.into_iter().filter(|(_, list)| !list.is_empty()) {
                text += &format!("{name} = {list:?}\n");
            }
        }
        if self.at_least.is_some() || self.at_most.is_some() {
            text += "[retention]\n";
            text.extend(self.at_least.map(|period| format!("at-least = \"{period}\"\n")));
            text.extend(self.at_most.map(|period| format!("at-most = \"{period}\"\n")));
        }
        for exception in &self.exceptions {
            text += &format!("[[exception]]\nbasis = \"consent\"\nreference = \"r\"\ncountries = {:?}\n", exception.countries);
            let widens = [("copies", exception.copies), ("processing", exception.processing)];
            let widens: Vec<&str> = widens.into_iter().filter(|(_, widens)| *widens).map(|(name, _)| name).collect();
            text += &format!("for = {widens:?}\n");
            day(&mut text, "expires", exception.expires);
            text += &when("exception.when", &exception.when);
        }
        text
    }
}

fn when(table: &str, conditions: &[Condition]) -> String {
    if conditions.is_empty() {
        return String::new();
    }
    let line = |condition: &Condition| match condition.not {
        true => format!("{} = {{ not = {:?} }}\n", condition.field, condition.values),
        false => format!("{} = {:?}\n", condition.field, condition.values),
    };
    format!("[{table}]\n{}", conditions.iter().map(line).collect::<String>())
}

// ------------------------------------------------------------------------------------------------------------------------- facts

impl Request {
    /// The request as it would come; `with` is given its facts.
    pub(crate) fn told<T>(&self, with: impl FnOnce(bool, Attributes, &Facts<'_>) -> T) -> T {
        let mut attributes = Attributes::new();
        attributes.extend(self.residence.map(|value| ("residence".to_owned(), value.to_owned())));
        attributes.extend(self.class.map(|value| ("data-class".to_owned(), value.to_owned())));
        let facts = Facts {
            has_subject: self.subject,
            attributes: &attributes,
            bucket: &BucketName::new(self.bucket).unwrap(),
            key: Some(&ObjectKey::new(self.key).unwrap()),
            principal: &PrincipalId::new(self.principal).unwrap(),
            principal_country: self.principal_country.map(country),
            today: self.day,
        };
        with(self.subject, attributes.clone(), &facts)
    }
}

pub(crate) fn country(code: &str) -> Country {
    code.parse().unwrap()
}

/// Requests that differ in everything that the sets name: at least one for each way in which their conditions can tell requests apart.
pub(crate) fn requests(sets: &[&Set]) -> Vec<Request> {
    let instruments = || sets.iter().flat_map(|set| &set.instruments);
    let conditions = || {
        let of_exceptions = instruments().flat_map(|i| &i.exceptions).flat_map(|e| &e.when);
        instruments().flat_map(|i| &i.when).chain(of_exceptions)
    };
    let asked = |field: &str| conditions().any(|condition| condition.field == field);
    let dated = instruments().any(|i| i.effective.is_some() || i.until.is_some() || i.exceptions.iter().any(|e| e.expires.is_some()));
    let mut days = vec![TODAY];
    if dated {
        days.extend(DAYS.iter().filter(|day| **day > TODAY).flat_map(|day| [*day, day.next_day().unwrap()]));
    }
    let residences = [None, Some("PK"), Some("SG"), Some("FR")];
    let classes: &[Option<&str>] = if asked("data-class") { &[None, Some("health"), Some("traffic"), Some("content")] } else { &[None] };
    let buckets: &[&str] = if asked("bucket") {
        &["media-1", "media-2", "media-pk", "static-pk", "static-1", "a-pk", "zzz"]
    } else {
        &["static-1", "zzz"]
    };
    let keys: &[&str] = if asked("key") { &["users/a/kyc/x", "users/a/p", "r.csv", "users/r.csv", "q"] } else { &["q"] };
    let principals: &[&str] = if asked("principal") { &["feed-1", "batch"] } else { &["batch"] };
    let principal_countries: &[Option<&str>] = if asked("principal-country") { &[None, Some("PK"), Some("SG"), Some("FR")] } else { &[None] };
    let somebody = residences.iter().flat_map(|residence| classes.iter().map(move |class| (true, *residence, *class)));
    let mut requests = Vec::new();
    for (subject, residence, class) in somebody.chain([(false, None, None)]) {
        for bucket in buckets {
            for key in keys {
                for principal in principals {
                    for principal_country in principal_countries {
                        for day in &days {
                            requests.push(Request {
                                subject,
                                residence,
                                class,
                                bucket,
                                key,
                                principal,
                                principal_country: *principal_country,
                                day: *day,
                            });
                        }
                    }
                }
            }
        }
    }
    requests
}
