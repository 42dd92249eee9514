//! The decision by the words of docs/residency.md, in plain loops over plain lists. It shares nothing with the evaluator.

use std::collections::BTreeSet;

use time::Date;

use super::model::{Condition, EVERYWHERE, Exception, Instrument, Request, Set};

/// What comes out for a request that is not refused.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// The countries with a copy and what each is: `primary`, `required` or `queued`.
    pub(crate) placement: Vec<(String, &'static str)>,
    /// The countries in which copies may be.
    pub(crate) permitted: BTreeSet<&'static str>,
    /// The country of the key that a copy in each of them would have.
    pub(crate) keys: Vec<(&'static str, &'static str)>,
    /// From where it may be read; `None` is anywhere.
    pub(crate) processing: Option<BTreeSet<&'static str>>,
    /// Every floor and every ceiling.
    pub(crate) at_least: BTreeSet<&'static str>,
    pub(crate) at_most: BTreeSet<&'static str>,
}

/// Decides; `None` is a refusal.
pub(crate) fn decide(set: &Set, request: &Request) -> Option<Outcome> {
    decide_copy(set, request, &[])
}

/// Decides a copy from other places, which are known as they were when it came there; `None` is a refusal.
pub(crate) fn decide_copy(set: &Set, request: &Request, sources: &[Request]) -> Option<Outcome> {
    if request.subject && request.residence.is_none() && set.gateway.unknown == "reject" {
        return None;
    }
    let request = known(set, request);
    let places: Vec<&Request> = std::iter::once(&request).chain(sources).collect();
    let base: Vec<&'static str> = if request.subject {
        set.gateway.default.clone()
    } else if request.bucket.starts_with("static-") && !set.gateway.statics.is_empty() {
        set.gateway.statics.clone()
    } else {
        return None;
    };
    let binding: Vec<&Instrument> =
        set.instruments.iter().filter(|i| i.enforcement == "on" && places.iter().any(|place| applies(i, place))).collect();
    // What one place does not let out, another cannot.
    let bound = |instrument: &Instrument| -> Vec<&Request> {
        places.iter().copied().filter(|place| applies(instrument, place)).collect()
    };
    let permitted: BTreeSet<&'static str> = EVERYWHERE
        .into_iter()
        .filter(|country| {
            !set.gateway.exclude.contains(country)
                && binding.iter().all(|instrument| bound(instrument).iter().all(|place| allows(instrument, country, place)))
                && !key_countries(&binding, country).is_empty()
        })
        .collect();

    let mut firsts: Vec<&'static str> = Vec::new();
    let mut required: Vec<&'static str> = Vec::new();
    for instrument in binding.iter().filter(|i| i.copies == Some("first")) {
        firsts.extend(&instrument.countries);
        required.extend(&instrument.countries);
    }
    for instrument in binding.iter().filter(|i| i.copies == Some("also")) {
        required.extend(&instrument.countries);
    }
    if firsts.iter().any(|country| *country != firsts[0]) || required.iter().any(|country| !permitted.contains(country)) {
        return None;
    }
    let mut placement: Vec<(&'static str, &'static str)> = Vec::new();
    for country in required {
        if placement.iter().all(|(other, _)| *other != country) {
            placement.push((country, "required"));
        }
    }
    for country in base.into_iter().filter(|country| permitted.contains(country)) {
        if placement.iter().all(|(other, _)| *other != country) {
            placement.push((country, if firsts.is_empty() { "required" } else { "queued" }));
        }
    }
    if placement.is_empty() {
        // The first allowed country, in the order of instruments and of the lists of `only`.
        let mut only = binding.iter().filter(|i| i.copies == Some("only")).flat_map(|i| &i.countries);
        let country = only.find(|country| permitted.contains(*country))?;
        placement.push((country, "required"));
    }
    placement[0].1 = "primary";

    let mut processing: Option<BTreeSet<&'static str>> = None;
    for instrument in binding.iter().filter(|i| !i.processing.is_empty()) {
        let widened =
            |code: &str, place: &Request| holding(instrument, place).any(|e| e.processing && e.countries.contains(&code));
        let allowed =
            |code: &&str| instrument.processing.contains(code) || bound(instrument).iter().all(|place| widened(code, place));
        let from: BTreeSet<&'static str> = EVERYWHERE.into_iter().filter(allowed).collect();
        processing = Some(match processing {
            None => from,
            Some(others) => others.intersection(&from).copied().collect(),
        });
    }
    Some(Outcome {
        keys: permitted.iter().map(|country| (*country, key(&binding, country))).collect(),
        placement: placement.iter().map(|(country, role)| ((*country).to_owned(), *role)).collect(),
        permitted,
        processing,
        at_least: binding.iter().filter_map(|i| i.at_least).collect(),
        at_most: binding.iter().filter_map(|i| i.at_most).collect(),
    })
}

/// The request with what is assumed of its subject.
pub(crate) fn known(set: &Set, request: &Request) -> Request {
    let mut known = request.clone();
    if known.subject && known.residence.is_none() && set.gateway.unknown == "assume" {
        known.residence = Some("PK");
    }
    known
}

/// The instruments that bind.
pub(crate) fn binding<'a>(set: &'a Set, known: &Request) -> Vec<&'a Instrument> {
    set.instruments.iter().filter(|i| i.enforcement == "on" && applies(i, known)).collect()
}

/// Whether all conditions hold and the day is one of the instrument's.
pub(crate) fn applies(instrument: &Instrument, request: &Request) -> bool {
    let begun = instrument.effective.is_none_or(|first| first <= request.day);
    let lasts = instrument.until.is_none_or(|last| request.day <= last);
    begun && lasts && instrument.when.iter().all(|condition| holds(condition, request))
}

/// Whether this instrument lets a copy be in the country.
pub(crate) fn allows(instrument: &Instrument, country: &str, request: &Request) -> bool {
    if holding(instrument, request).any(|e| e.copies && e.countries.contains(&country)) {
        return true;
    }
    let listed = instrument.copies != Some("only") || instrument.countries.contains(&country);
    listed && !instrument.not_countries.contains(&country)
}

/// The exceptions of the instrument that hold.
fn holding<'a>(instrument: &'a Instrument, request: &'a Request) -> impl Iterator<Item = &'a Exception> {
    let lasts = |last: Option<Date>| last.is_none_or(|last| request.day <= last);
    let holds = move |e: &&Exception| lasts(e.expires) && e.when.iter().all(|condition| holds(condition, request));
    instrument.exceptions.iter().filter(holds)
}

/// The countries whose keys may seal the copy in `country`: its own when nothing is said.
pub(crate) fn key_countries(binding: &[&Instrument], country: &'static str) -> Vec<&'static str> {
    key_rule(binding, country).unwrap_or_else(|| vec![country])
}

/// The country of the key of a copy in `country`: its own if that may be, else the first that may.
fn key(binding: &[&Instrument], country: &'static str) -> &'static str {
    let keys = key_countries(binding, country);
    if keys.contains(&country) { country } else { keys[0] }
}

/// The countries that all `keys` allow for the copy in `country`; `None` when nothing is said.
fn key_rule(binding: &[&Instrument], country: &str) -> Option<Vec<&'static str>> {
    let mut keys: Option<Vec<&'static str>> = None;
    for instrument in binding.iter().filter(|i| !i.keys.is_empty()) {
        let every_copy = !matches!(instrument.copies, Some("first" | "also"));
        if every_copy || instrument.countries.contains(&country) {
            keys = Some(match keys {
                None => instrument.keys.clone(),
                Some(keys) => keys.into_iter().filter(|key| instrument.keys.contains(key)).collect(),
            });
        }
    }
    keys
}

fn holds(condition: &Condition, request: &Request) -> bool {
    let value = match condition.field {
        "residence" => request.residence,
        "data-class" => request.class,
        "bucket" => Some(request.bucket),
        "key" => Some(request.key),
        "principal" => Some(request.principal),
        "principal-country" => request.principal_country,
        other => panic!("no field {other}"),
    };
    let Some(value) = value else { return false };
    let fits = |pattern: &&str| match condition.field {
        "key" => key_fits(pattern, value),
        _ => glob_fits(pattern, value),
    };
    condition.values.iter().any(fits) != condition.not
}

/// `*` is any run of characters.
fn glob_fits(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((before, after)) => {
            text.strip_prefix(before).is_some_and(|rest| (0..=rest.len()).any(|at| glob_fits(after, &rest[at..])))
        }
    }
}

/// `*` is any run within a segment, `**` at the end whatever follows.
fn key_fits(pattern: &str, key: &str) -> bool {
    let (patterns, segments): (Vec<&str>, Vec<&str>) = (pattern.split('/').collect(), key.split('/').collect());
    let (patterns, open) = match patterns.split_last() {
        Some((&"**", before)) => (before, true),
        _ => (&patterns[..], false),
    };
    let long_enough = if open { segments.len() > patterns.len() } else { segments.len() == patterns.len() };
    long_enough && patterns.iter().zip(&segments).all(|(pattern, segment)| glob_fits(pattern, segment))
}
