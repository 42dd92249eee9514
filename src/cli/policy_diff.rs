//! `domicile policy diff`: decisions that two policy sets take differently, by example. Ends with 1 when there is one, as diff(1) does.

use std::{collections::BTreeMap, path::Path};

use http::Method;
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::{Failure, Output, Table, args::PolicyDiffArgs, client::Client, output::text};
use crate::admin::PolicyDiffView;
use crate::app::policies;
use crate::config::PolicySource;
use crate::policy::{self, PolicySet};

/// Asks a running gateway, or compares two folders.
pub(super) fn run(args: &PolicyDiffArgs, out: &mut Output<'_>) -> Result<(), Failure> {
    let folders = args.from.as_ref().zip(args.to.as_ref()).map(|(from, to)| (Path::new(from), Path::new(to)));
    let folders = folders.filter(|(from, to)| args.offline || (from.is_dir() && to.is_dir()));
    let answer = match folders {
        Some((from, to)) => serde_json::to_value(compare(from, to, out)?).map_err(std::io::Error::other)?,
        None => {
            let mut body = serde_json::Map::new();
            if let Some(from) = &args.from {
                body.insert("from".to_owned(), side(from)?);
            }
            if let Some(to) = &args.to {
                body.insert("to".to_owned(), side(to)?);
            }
            if let Some(folder) = &args.policies {
                body.insert("to".to_owned(), texts(folder)?);
            }
            Client::new(&args.remote)?.json(Method::POST, "/v1/policies/diff", Some(&Value::Object(body)))?
        }
    };
    out.value(&answer)?;
    show(&answer, out)
}

fn compare(from: &Path, to: &Path, out: &mut Output<'_>) -> Result<PolicyDiffView, Failure> {
    let (from, to) = (set(from, out)?, set(to, out)?);
    let diff = policy::diff(&from, &to, OffsetDateTime::now_utc().date());
    Ok(PolicyDiffView::new(from.revision(), to.revision(), diff))
}

fn set(folder: &Path, out: &mut Output<'_>) -> Result<PolicySet, Failure> {
    let files = policies::files(&PolicySource::Folder(folder.to_owned())).map_err(|error| Failure::Usage(error.to_string()))?;
    PolicySet::parse(&files).map_err(|mistakes| {
        let count = mistakes.len();
        match mistakes.iter().try_for_each(|mistake| out.line(mistake.to_string())) {
            Ok(()) => Failure::Usage(format!("{count} mistakes in `{}`", folder.display())),
            Err(failure) => failure,
        }
    })
}

/// A folder here, or the name of a set that the gateway keeps.
fn side(name: &str) -> Result<Value, Failure> {
    let folder = Path::new(name);
    if folder.is_dir() { texts(folder) } else { Ok(json!(name)) }
}

fn texts(folder: &Path) -> Result<Value, Failure> {
    let files = policies::files(&PolicySource::Folder(folder.to_owned())).map_err(|error| Failure::Usage(error.to_string()))?;
    Ok(json!(files.into_iter().map(|file| (file.path, file.text)).collect::<BTreeMap<_, _>>()))
}

fn show(answer: &Value, out: &mut Output<'_>) -> Result<(), Failure> {
    let mut table = Table::new(["RECORDS", "BEFORE", "AFTER", "ALLOWS MORE"]);
    let changes = answer["changes"].as_array().map(Vec::as_slice).unwrap_or_default();
    for change in changes {
        let more = if change["allows_more"] == true { "yes" } else { "" };
        table.row([text(&change["records"]), outcome(&change["before"]), outcome(&change["after"]), more.to_owned()]);
    }
    if !table.is_empty() {
        out.table(&table)?;
    }
    let signals = answer["signals"].as_array().map(Vec::as_slice).unwrap_or_default();
    signals.iter().try_for_each(|signal| out.line(format!("signals: {}", text(signal))))?;
    let asked_less = answer["asked_less"].as_array().map(Vec::as_slice).unwrap_or_default();
    let told =
        |records| format!("asked less, which counts for copies elsewhere and for other lists of the gateway: {}", text(records));
    asked_less.iter().try_for_each(|records| out.line(told(records)))?;
    let exhaustive = answer["exhaustive"] == true;
    if !exhaustive {
        out.line("not every decision could be compared; what was not counts as allowing more")?;
    }
    if changes.is_empty() && signals.is_empty() && asked_less.is_empty() && exhaustive {
        return out.line("no decision changes");
    }
    let allows = if answer["allows_more"] == true { "the second set allows more" } else { "the second set allows no more" };
    Err(Failure::Check(format!("{} decisions change; {allows}", changes.len())))
}

/// A decision in a cell: where, in which countries content may be read, whose keys; or why not.
fn outcome(result: &Value) -> String {
    let decided = &result["decided"];
    if !decided.is_object() {
        return format!("refused: {}", text(&result["denied"]["message"]));
    }
    let placed = decided["placement"].as_array().into_iter().flatten();
    let placed = placed.map(|copy| match copy["role"].as_str() {
        Some("queued") => format!("{} (queued)", text(&copy["country"])),
        _ => text(&copy["country"]),
    });
    let mut parts = vec![placed.collect::<Vec<_>>().join(" ")];
    match &decided["allowed"] {
        Value::Null => {}
        allowed => parts.push(format!("only {}", text(allowed))),
    }
    for (countries, word) in [(&decided["excluded"], "not"), (&decided["processing"]["countries"], "read only from")] {
        if countries.as_array().is_some_and(|countries| !countries.is_empty()) {
            parts.push(format!("{word} {}", text(countries)));
        }
    }
    for (bound, word) in [("at_least", "kept at least"), ("at_most", "kept at most")] {
        let limits = decided["retention"][bound].as_array().into_iter().flatten();
        parts.extend(limits.map(|limit| format!("{word} {}", text(&limit["period"]))));
    }
    for rule in decided["keys"].as_array().into_iter().flatten() {
        parts.push(format!("keys {}", text(&rule["keys"])));
    }
    parts.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_one_line_and_ends_the_command_with_one() {
        let decided = |countries: &[&str], role| {
            let placement: Vec<Value> = countries.iter().map(|country| json!({ "country": country, "role": role })).collect();
            json!({ "decided": { "placement": placement, "allowed": null, "excluded": ["IN"], "keys": [],
                "retention": { "at_least": [{ "instrument": "a", "period": "1y" }], "at_most": [] } } })
        };
        let change = json!({
            "records": "residence = PK", "allows_more": true, "before": { "denied": { "message": "nothing is allowed" } },
            "after": decided(&["PK", "SG"], "queued"),
        });
        let answer = json!({ "changes": [change], "signals": [], "allows_more": true, "exhaustive": true });
        let mut written = Vec::new();
        let ended = show(&answer, &mut Output::new(&mut written, false)).unwrap_err();
        assert_eq!(ended.exit_code(), 1);
        let written = String::from_utf8(written).unwrap();
        for part in ["residence = PK", "refused: nothing is allowed", "PK (queued) SG (queued); not IN; kept at least 1y", "yes"]
        {
            assert!(written.contains(part), "{part} in {written}");
        }
        let none = json!({ "changes": [], "signals": [], "allows_more": false, "exhaustive": true });
        assert!(show(&none, &mut Output::new(&mut Vec::new(), false)).is_ok());
        let unknown = json!({ "changes": [], "signals": [], "allows_more": true, "exhaustive": false });
        assert!(show(&unknown, &mut Output::new(&mut Vec::new(), false)).is_err());
    }
}
