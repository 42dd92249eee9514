//! `domicile subject set | get | import`.

mod import;
mod lines;
mod state;

use std::{collections::BTreeMap, io::Read, path::Path};

use http::Method;
use serde_json::{Value, json};

use super::{
    Failure, Output, Table,
    args::{SubjectGetArgs, SubjectSetArgs},
    client::{Client, encode},
    output::text,
};

pub(super) use import::import;
pub(super) use lines::Format;

/// Replaces what is known of a subject, from now or another day on.
pub(super) fn set(args: &SubjectSetArgs, out: &mut Output<'_>) -> Result<(), Failure> {
    let SubjectSetArgs { id, attributes, effective, reason, remote } = args;
    let attributes: BTreeMap<_, _> = attributes.iter().cloned().collect();
    let mut body = json!({ "attributes": attributes });
    for (name, value) in [("effective", effective), ("reason", reason)] {
        if let Some(value) = value {
            body[name] = value.as_str().into();
        }
    }
    let answer = Client::new(remote)?.json(Method::PUT, &format!("/v1/subjects/{}", encode(id)), Some(&body))?;
    show(&answer, false, out)?;
    warn(answer["unasked"].as_array().into_iter().flatten().map(text), out)
}

/// That nothing asks for attributes which somebody has just set.
fn warn(unasked: impl Iterator<Item = String>, out: &mut Output<'_>) -> Result<(), Failure> {
    let names: Vec<String> = unasked.map(|name| format!("`{name}`")).collect();
    if names.is_empty() {
        return Ok(());
    }
    out.line(format!(
        "warning: no policy in force asks for {}; is it a slip? Setting attributes replaces all that were known",
        names.join(", ")
    ))
}

/// Shows what is known of a subject, or was at a time, and what has been said of it.
pub(super) fn get(args: &SubjectGetArgs, out: &mut Output<'_>) -> Result<(), Failure> {
    let asked = [("at", &args.at), ("known-at", &args.known_at)];
    let asked = asked.into_iter().filter_map(|(name, value)| Some(format!("{name}={}", encode(value.as_deref()?))));
    let path = format!("/v1/subjects/{}?{}", encode(&args.id), asked.collect::<Vec<_>>().join("&"));
    show(&Client::new(&args.remote)?.get(path.trim_end_matches('?'))?, true, out)
}

fn show(subject: &Value, whole: bool, out: &mut Output<'_>) -> Result<(), Failure> {
    out.value(subject)?;
    let what = if subject["known"] == false { "nothing known".to_owned() } else { text(&subject["attributes"]) };
    out.line(format!("{}  {what}", text(&subject["id"])))?;
    let history = subject["history"].as_array().map(Vec::as_slice).unwrap_or_default();
    let is_plain = history.iter().all(|statement| statement["state"] == "holds");
    if !(whole || history.iter().any(|statement| statement["state"] == "coming")) || is_plain {
        return Ok(());
    }
    let mut table = Table::new(["FROM", "", "ATTRIBUTES", "RECORDED", "BY", "REASON"]);
    for statement in history {
        let attributes = &statement["attributes"];
        let attributes = if attributes.is_null() { "nothing".to_owned() } else { text(attributes) };
        table.row([
            text(&statement["effective"]),
            text(&statement["state"]),
            attributes,
            text(&statement["recorded"]),
            text(&statement["by"]),
            text(&statement["reason"]),
        ]);
    }
    out.table(&table)?;
    match &subject["history_cut"] {
        Value::Null => Ok(()),
        cut => out.line(format!("what was said up to {} is not kept in whole", text(cut))),
    }
}

/// A file's text; `-` is standard input.
pub(super) fn read(file: &Path) -> Result<String, Failure> {
    let mut content = String::new();
    let read = if file == Path::new("-") {
        std::io::stdin().lock().read_to_string(&mut content).map(drop)
    } else {
        std::fs::read_to_string(file).map(|read| content = read)
    };
    read.map_err(|error| Failure::Usage(format!("cannot read `{}`: {error}", file.display())))?;
    Ok(content)
}
