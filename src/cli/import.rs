//! `domicile import`.

use std::time::Duration;

use http::Method;
use serde_json::{Map, Value, json};

use super::{
    Failure, Output, Table, args::ImportArgs, client::Client, csv, output::text, policy::table, progress::Bar, s3_target,
    subject::read,
};
use crate::recovery::Progress;

/// The longest pause between two looks at an import: each is a question that the ledger keeps.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Orders an import and waits for its end. Whoever goes away does not stop it.
pub(super) fn run(args: &ImportArgs, out: &mut Output<'_>) -> Result<(), Failure> {
    let (bucket, prefix) = s3_target(&args.from)?;
    let to = args.to.strip_prefix("s3://").unwrap_or(&args.to);
    let (to, to_prefix) = to.split_once('/').map_or((to, None), |(to, prefix)| (to, Some(prefix)));
    let said = [
        ("source", json!(args.source)),
        ("bucket", json!(bucket)),
        ("prefix", json!(prefix)),
        ("to", json!(to)),
        ("to_prefix", json!(to_prefix)),
        ("principal", json!(args.principal)),
        ("subject_template", json!(args.subject_template)),
        ("delete_source", json!(args.delete_source)),
        ("overwrite", json!(args.overwrite)),
        ("dry_run", json!(args.dry_run)),
        ("bytes_per_second", json!(args.bytes_per_second)),
        ("requests_per_second", json!(args.requests_per_second)),
    ];
    let order: Map<String, Value> =
        said.into_iter().filter(|(_, value)| !value.is_null()).map(|(name, value)| (name.to_owned(), value)).collect();
    let mut body = Value::Object(order).to_string();
    if let Some(file) = &args.map {
        for row in rows(&read(file)?).map_err(|error| Failure::Usage(format!("`{}`: {error}", file.display())))? {
            // What is not imported need not travel.
            if row["key"].as_str().is_none_or(|key| key.starts_with(prefix)) {
                body.push('\n');
                body.push_str(&row.to_string());
            }
        }
    }
    let client = Client::new(&args.remote)?;
    let mut job = client.lines("/v1/imports", body.into()).map_err(|(failure, _)| failure)?;
    let path = format!("/v1/imports/{}", text(&job["id"]));
    let bar = Bar::new();
    bar.begin(if args.dry_run { "planning" } else { "importing" }, None);
    let (mut pause, mut shown) = (Duration::from_millis(200), 0);
    while matches!(job["state"].as_str(), Some("waiting" | "running")) {
        std::thread::sleep(pause);
        pause = (pause * 2).min(LONGEST_PAUSE);
        job = client.json(Method::GET, &path, None)?;
        let looked = job["progress"]["objects"]["objects"].as_u64().unwrap_or_default();
        bar.advance(looked.saturating_sub(shown));
        shown = looked;
    }
    bar.finish();
    out.value(&job)?;
    show(&job, out)?;
    let left = |what: &str| job["progress"][what]["objects"].as_u64().unwrap_or_default();
    let not_done = left("refused") + left("conflicts") + left("failed");
    match (job["state"].as_str(), not_done, left("kept")) {
        (Some("done"), 0, 0) => Ok(()),
        (Some("done"), 0, kept) => Err(Failure::Check(format!("{kept} objects are imported, but still at the source, too"))),
        (Some("done"), some, _) if args.dry_run => Err(Failure::Check(format!("{some} objects would not be imported"))),
        (Some("done"), some, _) => Err(Failure::Check(format!("{some} objects could not be imported"))),
        (state, ..) => {
            let why = match text(&job["progress"]["stopped"]) {
                none if none.is_empty() => String::new(),
                some => format!(": {some}"),
            };
            Err(Failure::Check(format!("the import is {}{why}", state.unwrap_or("lost"))))
        }
    }
}

fn show(job: &Value, out: &mut Output<'_>) -> Result<(), Failure> {
    let progress = &job["progress"];
    let mut countries = Table::new(["COUNTRIES", "OBJECTS", "BYTES"]);
    for placed in progress["countries"].as_array().into_iter().flatten() {
        countries.row([text(&placed["countries"]), text(&placed["records"]["objects"]), text(&placed["records"]["bytes"])]);
    }
    if !countries.is_empty() {
        out.table(&countries)?;
    }
    let mut counts = Vec::new();
    let imported = if job["dry_run"] == true { "would be imported" } else { "imported" };
    let words = [
        ("imported", imported),
        ("present", "there already"),
        ("refused", "refused"),
        ("conflicts", "in conflict"),
        ("failed", "failed"),
        ("deleted", "removed at the source"),
        ("kept", "not removed at the source"),
    ];
    for (name, word) in words {
        let tally = &progress[name];
        if name == "imported" || tally["objects"].as_u64().unwrap_or_default() > 0 {
            counts.push(format!("{} objects, {} bytes {word}", text(&tally["objects"]), text(&tally["bytes"])));
        }
    }
    out.line(format!("{}; {} looked at", counts.join("; "), text(&progress["objects"]["objects"])))?;
    if progress["left"].as_array().is_some_and(|left| !left.is_empty()) {
        out.table(&table(&progress["left"], &[("KEY", "key"), ("", "why"), ("REASON", "reason")]))?;
    }
    Ok(())
}

/// The rows of a map: lines of JSON, or CSV whose first line names its columns: `key`, `subject` and attributes.
fn rows(content: &str) -> Result<Vec<Value>, String> {
    if content.trim_start().starts_with('{') {
        let lines = (1..).zip(content.lines()).filter(|(_, line)| !line.trim().is_empty());
        return lines
            .map(|(number, line)| serde_json::from_str(line).map_err(|error| format!("line {number}: {error}")))
            .collect();
    }
    let mut records = csv::records(content)?.into_iter();
    let Some((_, head)) = records.next() else { return Ok(Vec::new()) };
    let head: Vec<String> = head.iter().map(|name| name.trim().to_owned()).collect();
    if !head.iter().any(|name| name == "key") {
        return Err("the first line names the columns: `key`, `subject`, and attributes such as `residence`".to_owned());
    }
    let row = |(line, fields): (usize, Vec<String>)| {
        if fields.len() != head.len() {
            return Err(format!("line {line}: {} fields where the first line names {}", fields.len(), head.len()));
        }
        let (mut row, mut attributes) = (Map::new(), Map::new());
        for (name, value) in head.iter().zip(fields).filter(|(_, value)| !value.is_empty()) {
            let to = if matches!(name.as_str(), "key" | "subject") { &mut row } else { &mut attributes };
            to.insert(name.clone(), value.into());
        }
        row.insert("attributes".to_owned(), attributes.into());
        Ok(Value::Object(row))
    };
    records.map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_comes_as_csv_or_as_lines_of_json() {
        let expected = [
            json!({ "key": "a, b", "subject": "ali", "attributes": { "residence": "PK" } }),
            json!({ "key": "c", "subject": "amna", "attributes": {} }),
        ];
        assert_eq!(rows("key,subject,residence\n\"a, b\",ali,PK\nc,amna,\n").unwrap(), expected);
        let lines: String = expected.iter().map(|row| format!("{row}\n\n")).collect();
        assert_eq!(rows(&lines).unwrap(), expected);
        assert!(rows("").unwrap().is_empty());
    }

    #[test]
    fn a_map_that_cannot_be_read_tells_where() {
        for (wrong, said) in [("a,ali\n", "names the columns"), ("key,subject\na\n", "line 2"), ("{}\n{\n", "line 2")] {
            assert!(rows(wrong).unwrap_err().contains(said), "{wrong}");
        }
    }
}
