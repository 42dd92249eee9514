//! `domicile subject set | get | import`.

use std::{collections::BTreeMap, io::Read, path::Path};

use http::Method;
use serde_json::{Value, json};

use super::{
    Failure, Output,
    args::RemoteArgs,
    client::{Client, encode},
    output::text,
};

/// Lines that go in one request.
const BATCH: usize = 10_000;

/// Replaces what is known of a subject.
pub(super) fn set(id: &str, attributes: &[(String, String)], remote: &RemoteArgs, out: &mut Output<'_>) -> Result<(), Failure> {
    let attributes: BTreeMap<_, _> = attributes.iter().cloned().collect();
    let body = json!({ "attributes": attributes });
    let answer = Client::new(remote)?.json(Method::PUT, &format!("/v1/subjects/{}", encode(id)), Some(&body))?;
    show(&answer, out)
}

/// Shows what is known of a subject.
pub(super) fn get(id: &str, remote: &RemoteArgs, out: &mut Output<'_>) -> Result<(), Failure> {
    show(&Client::new(remote)?.get(&format!("/v1/subjects/{}", encode(id)))?, out)
}

/// Sets many subjects from lines of JSON.
pub(super) fn import(file: &Path, remote: &RemoteArgs, out: &mut Output<'_>) -> Result<(), Failure> {
    let lines = read(file)?;
    let client = Client::new(remote)?;
    let (mut imported, mut failed, mut errors) = (0, 0, Vec::new());
    let lines: Vec<&str> = lines.lines().collect();
    for (batch, first) in lines.chunks(BATCH).zip((0u64..).step_by(BATCH)) {
        let answer = client.lines("/v1/subjects:import", batch.join("\n").into())?;
        imported += answer["imported"].as_u64().unwrap_or(0);
        failed += answer["failed"].as_u64().unwrap_or(0);
        for error in answer["errors"].as_array().into_iter().flatten() {
            let line = first + error["line"].as_u64().unwrap_or(0);
            out.line(format!("line {line}: {}", text(&error["message"])))?;
            errors.push(json!({ "line": line, "message": error["message"] }));
        }
    }
    out.value(&json!({ "imported": imported, "failed": failed, "errors": errors }))?;
    out.line(format!("{imported} subjects set, {failed} lines refused"))?;
    if failed > 0 { Err(Failure::Check(format!("{failed} lines were refused"))) } else { Ok(()) }
}

fn show(subject: &Value, out: &mut Output<'_>) -> Result<(), Failure> {
    out.value(subject)?;
    out.line(format!("{}  {}", text(&subject["id"]), text(&subject["attributes"])))
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
