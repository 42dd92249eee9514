//! `domicile policy explain`: why a record would live where it would, from the signals to the sites, for people.

use std::collections::BTreeMap;

use http::Method;
use serde_json::{Value, json};

use crate::cli::{Failure, Output, Table, args::ExplainArgs, client::Client, output::text, s3_target};

/// Asks a running gateway what it would decide.
pub(in crate::cli) fn run(args: &ExplainArgs, out: &mut Output<'_>) -> Result<(), Failure> {
    let (bucket, key) = s3_target(&args.target)?;
    let words = |pairs: &[(String, String)]| pairs.iter().cloned().collect::<BTreeMap<_, _>>();
    let mut body = json!({ "bucket": bucket, "key": key, "metadata": words(&args.metadata), "tags": words(&args.tags) });
    if let (Some(principal), Some(fields)) = (&args.principal, body.as_object_mut()) {
        fields.insert("principal".to_owned(), json!(principal));
    }
    let answer = Client::new(&args.remote)?.json(Method::POST, "/v1/explain", Some(&body))?;
    out.value(&answer)?;
    for (heading, lines) in sections(&answer) {
        out.line(heading)?;
        lines.iter().try_for_each(|line| out.line(format!("  {line}")))?;
    }
    Ok(())
}

type Section = (&'static str, Vec<String>);

/// The answer in the order of deciding. What is empty is said to be, so that nobody looks for it.
fn sections(answer: &Value) -> Vec<Section> {
    let policy = &answer["policy"];
    let mut sections = vec![("signals seen", signals(answer)), ("known of the subject", known(answer))];
    if policy.is_object() {
        sections.push(("instruments", lines(&instruments(policy))));
        sections.push(("together they ask", result(&policy["result"])));
        if policy["with_shadow"].is_object() {
            sections.push(("with those in shadow it would be", result(&policy["with_shadow"])));
        }
    }
    let sites = sites(answer);
    sections.push(("sites", if sites.is_empty() { vec!["none was considered".to_owned()] } else { lines(&sites) }));
    sections.push(("outcome", outcome(&answer["outcome"])));
    sections
}

fn signals(answer: &Value) -> Vec<String> {
    let mut table = Table::new(["ABOUT", "FROM", "SAYS"]);
    for signal in list(&answer["signals"]) {
        table.row(["about", "source", "value"].map(|field| text(&signal[field])));
    }
    if table.is_empty() { vec!["none: nothing names a subject".to_owned()] } else { lines(&table) }
}

fn known(answer: &Value) -> Vec<String> {
    let seen = |name: &str| list(&answer["signals"]).any(|signal| signal["about"] == name);
    let mut known: Vec<String> = Vec::new();
    for (name, value) in answer["attributes"].as_object().into_iter().flatten() {
        let assumed = if seen(name) { "" } else { " (assumed by gateway.toml)" };
        known.push(format!("{name} = {}{assumed}", text(value)));
    }
    for conflict in list(&answer["conflicts"]) {
        known.push(format!("{}: its sources differ: {}", text(&conflict[0]), text(&conflict[1])));
    }
    if known.is_empty() { vec!["nothing".to_owned()] } else { known }
}

fn instruments(policy: &Value) -> Table {
    let mut table = Table::new(["INSTRUMENT", "APPLIES", "WHY", "ASKS"]);
    for instrument in list(&policy["instruments"]) {
        let shadow = instrument["enforcement"] == "shadow";
        let (applies, why) = matching(&instrument["match"]);
        let applies = match (applies, shadow) {
            (true, true) => "in shadow",
            (true, false) => "yes",
            (false, _) => "no",
        };
        table.row([text(&instrument["id"]), applies.to_owned(), why, asks(instrument)]);
    }
    table
}

/// Whether an instrument applies, and why or why not.
fn matching(matching: &Value) -> (bool, String) {
    match matching["outcome"].as_str().unwrap_or_default() {
        "matched" => (true, "every condition holds".to_owned()),
        "matched-by-source" => (true, "a record that is copied from is bound by it".to_owned()),
        "off" => (false, "it is off".to_owned()),
        "not-yet" => (false, format!("it begins on {}", date(&matching["effective"]))),
        "ended" => (false, format!("its last day was {}", date(&matching["until"]))),
        _ => (false, unmatched(&matching["condition"], &matching["found"])),
    }
}

fn unmatched(condition: &Value, found: &Value) -> String {
    let field = match &condition["field"] {
        Value::Object(named) => named.values().map(text).collect::<String>(),
        field => text(field),
    };
    let found = if found.is_null() { "not known".to_owned() } else { text(found) };
    let listed = text(&condition["any_of"]);
    if condition["negated"] == true {
        format!("{field} is {found}; it has to be known and none of {listed}")
    } else {
        format!("{field} is {found}, not {listed}")
    }
}

/// What an instrument asks, in a few words.
fn asks(instrument: &Value) -> String {
    let require = &instrument["require"];
    let mut asks: Vec<String> = Vec::new();
    if let Some(copies) = require["copies"].as_str() {
        asks.push(format!("{copies} {}", text(&require["countries"])));
    }
    let lists = [("not_countries", "never in"), ("keys", "keys of"), ("processing", "read from")];
    for (field, words) in lists.into_iter().filter(|(field, _)| list(&require[*field]).next().is_some()) {
        asks.push(format!("{words} {}", text(&require[field])));
    }
    for (field, words) in [("at_least", "kept at least"), ("at_most", "kept at most")] {
        let period = &instrument["retention"][field];
        asks.extend((!period.is_null()).then(|| format!("{words} {}", text(period))));
    }
    if asks.is_empty() { "nothing of where it is".to_owned() } else { asks.join("; ") }
}

/// The meet.
fn result(result: &Value) -> Vec<String> {
    let denied = &result["denied"];
    if denied.is_object() {
        return vec![format!("it is refused: {}", text(&denied["message"]))];
    }
    let decided = &result["decided"];
    let countries = |value: &Value, none: &str| {
        if value.is_null() { none.to_owned() } else if list(value).next().is_none() { "nowhere".to_owned() } else { text(value) }
    };
    let placed = list(&decided["placement"]).map(|planned| format!("{} ({})", text(&planned["country"]), text(&planned["role"])));
    let mut told = vec![
        format!("allowed     {}", countries(&decided["allowed"], "anywhere")),
        format!("placed in   {}", placed.collect::<Vec<_>>().join(", ")),
    ];
    if list(&decided["excluded"]).next().is_some() {
        told.insert(1, format!("never in    {}", text(&decided["excluded"])));
    }
    for rule in list(&decided["keys"]) {
        let copies = if rule["copies"].is_null() { "every copy".to_owned() } else { format!("copies in {}", text(&rule["copies"])) };
        told.push(format!("keys        of {} for {copies}, by {}", text(&rule["keys"]), text(&rule["instrument"])));
    }
    told.push(format!("read from   {}", countries(&decided["processing"]["countries"], "anywhere")));
    for (field, words) in [("at_least", "at least"), ("at_most", "at most")] {
        for limit in list(&decided["retention"][field]) {
            told.push(format!("kept        {words} {}, by {}", text(&limit["period"]), text(&limit["instrument"])));
        }
    }
    for used in list(&decided["exceptions"]) {
        let (basis, countries, instrument) = (text(&used["basis"]), text(&used["countries"]), text(&used["instrument"]));
        told.push(format!("exception   {basis} lets {countries} in, from {instrument}: {}", text(&used["reference"])));
    }
    told.push(format!("on word of  {}", source(&decided["source"], &decided["instruments"])));
    told
}

fn source(source: &Value, instruments: &Value) -> String {
    match source.as_str().unwrap_or_default() {
        "instruments" => text(instruments),
        "default" => "[default] in gateway.toml".to_owned(),
        "no-subject-bucket" => "a bucket of [no-subject] in gateway.toml".to_owned(),
        "no-subject-otherwise" => "`otherwise` of [no-subject] in gateway.toml".to_owned(),
        other => other.to_owned(),
    }
}

fn sites(answer: &Value) -> Table {
    let mut table = Table::new(["SITE", "COUNTRY", "CHOSEN", "WHY"]);
    for site in list(&answer["sites"]) {
        let (up, chosen) = (site["up"] == true, site["chosen"] == true);
        let why = match (up, chosen) {
            (true, true) => "it is up, and first in the order of its country",
            (false, true) => "it is down now; its country's copy follows when it is back",
            (true, false) => "another of its country comes first, or nothing is placed",
            (false, false) => "it is down",
        };
        let chosen = if chosen { "yes" } else { "no" };
        table.row([text(&site["site"]), text(&site["country"]), chosen.to_owned(), why.to_owned()]);
    }
    table
}

fn outcome(outcome: &Value) -> Vec<String> {
    let refused = &outcome["refused"];
    if refused.is_object() {
        return vec![format!("{}: {}", text(&refused["code"]), text(&refused["message"]))];
    }
    let copy = |copy: &Value| {
        format!("{} at {} in {} under the key {}", text(&copy["role"]), text(&copy["site"]), text(&copy["country"]), text(&copy["key"]))
    };
    list(&outcome["placed"]["copies"]).map(copy).collect()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// A date as the answer has it: year and day of the year, or text.
fn date(value: &Value) -> String {
    let of_year = || {
        let year = i32::try_from(value[0].as_i64()?).ok()?;
        time::Date::from_ordinal_date(year, u16::try_from(value[1].as_u64()?).ok()?).ok()
    };
    of_year().map_or_else(|| text(value), |date| date.to_string())
}

/// Without control characters, as tables are: what a request says may play with no terminal.
fn lines(table: &Table) -> Vec<String> {
    table.to_string().lines().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(answer: &Value) -> String {
        let section = |(heading, lines): Section| format!("{heading}\n{}", lines.iter().map(|line| format!("  {line}\n")).collect::<String>());
        sections(answer).into_iter().map(section).collect()
    }

    #[test]
    fn an_explanation_reads_from_signals_to_sites() {
        let answer = json!({
            "signals": [{ "about": "subject", "source": "key:users/{subject}/**", "value": "noor" }],
            "conflicts": [],
            "attributes": { "residence": "PK" },
            "policy": {
                "instruments": [
                    { "id": "pk", "enforcement": "on", "match": { "outcome": "matched" },
                      "require": { "copies": "only", "countries": ["PK"], "keys": ["PK"], "not_countries": [] } },
                    { "id": "sg", "enforcement": "on", "require": { "copies": "only", "countries": ["SG"], "keys": [], "not_countries": [] },
                      "match": { "outcome": "unmatched", "found": "PK",
                                 "condition": { "field": { "attribute": "residence" }, "any_of": ["SG"] } } },
                    { "id": "later", "enforcement": "shadow", "require": {}, "match": { "outcome": "not-yet", "effective": [2030, 1] } },
                ],
                "result": { "decided": {
                    "placement": [{ "country": "PK", "role": "primary" }], "allowed": ["PK"], "excluded": [],
                    "keys": [{ "instrument": "pk", "copies": null, "keys": ["PK"] }],
                    "processing": { "countries": null }, "retention": { "at_least": [{ "period": "1y", "instrument": "pk" }] },
                    "instruments": ["pk"], "source": "instruments" } },
                "with_shadow": null,
            },
            "sites": [{ "site": "pk-khi", "country": "PK", "up": true, "chosen": true }],
            "outcome": { "placed": { "copies": [{ "site": "pk-khi", "country": "PK", "key": "pk", "role": "primary" }] } },
        });
        let told = told(&answer);
        for expected in [
            "residence = PK (assumed by gateway.toml)",
            "residence is PK, not SG",
            "it begins on 2030-01-01",
            "only PK; keys of PK",
            "placed in   PK (primary)",
            "read from   anywhere",
            "kept        at least 1y, by pk",
            "primary at pk-khi in PK under the key pk",
        ] {
            assert!(told.contains(expected), "`{expected}` is not in\n{told}");
        }
    }

    #[test]
    fn a_refusal_before_the_policies_says_so() {
        let answer = json!({
            "signals": [], "conflicts": [["residence", ["PK", "SG"]]], "attributes": {}, "policy": null, "sites": [],
            "outcome": { "refused": { "code": "ResidencyConflict", "message": "two", "detail": {} } },
        });
        let told = told(&answer);
        assert!(told.contains("residence: its sources differ: PK, SG"), "{told}");
        assert!(told.contains("none was considered") && told.contains("ResidencyConflict: two"), "{told}");
    }
}
