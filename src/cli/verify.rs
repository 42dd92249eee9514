//! `domicile verify`.

use std::time::Duration;

use http::Method;
use serde_json::{Map, Value, json};

use super::{Failure, Output, args::VerifyArgs, client::Client, output::text, policy::table, progress::Bar};
use crate::recovery::Progress;

/// The longest pause between two looks at a scrub: each is a question that the ledger keeps.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Orders a scrub and waits for its end. Whoever goes away does not stop it.
pub(super) fn run(args: &VerifyArgs, out: &mut Output<'_>) -> Result<(), Failure> {
    let client = Client::new(&args.remote)?;
    if args.findings {
        return findings(&client.json(Method::GET, "/v1/findings", None)?, out);
    }
    let mut order = Map::new();
    let sample = args.one_in.map(|one_in| json!({ "seed": args.seed, "one_in": one_in }));
    let said = [
        ("bucket", json!(args.bucket)),
        ("prefix", json!(args.prefix)),
        ("subject", json!(args.subject)),
        ("deep", json!(args.deep)),
        ("repair", json!(args.repair)),
        ("sample", json!(sample)),
        ("bytes_per_second", json!(args.bytes_per_second)),
        ("requests_per_second", json!(args.requests_per_second)),
    ];
    order.extend(said.into_iter().filter(|(_, value)| !value.is_null()).map(|(name, value)| (name.to_owned(), value)));
    let mut job = client.json(Method::POST, "/v1/scrubs", Some(&Value::Object(order)))?;
    let path = format!("/v1/scrubs/{}", text(&job["id"]));
    let (bar, mut phase, mut seen) = (Bar::new(), String::new(), 0);
    let mut pause = Duration::from_millis(100);
    while matches!(job["state"].as_str(), Some("waiting" | "running")) {
        std::thread::sleep(pause);
        pause = (pause * 2).min(LONGEST_PAUSE);
        job = client.json(Method::GET, &path, None)?;
        let progress = &job["progress"];
        let now = text(&progress["phase"]);
        if now != phase {
            bar.begin(&format!("verifying {now}"), None);
            phase = now;
        }
        let blobs = progress["blobs"].as_u64().unwrap_or_default();
        bar.advance(blobs.saturating_sub(seen));
        seen = blobs;
    }
    bar.finish();
    out.value(&job)?;
    show(&job, out)
}

fn show(job: &Value, out: &mut Output<'_>) -> Result<(), Failure> {
    let progress = &job["progress"];
    let listed = progress["listed"].as_array().is_some_and(|listed| !listed.is_empty());
    if listed {
        out.table(&table(&progress["listed"], &COLUMNS))?;
    }
    let (records, blobs) = (text(&progress["records"]["objects"]), text(&progress["blobs"]));
    let how = if job["deep"] == true { "every byte opened" } else { "heads and lengths" };
    out.line(format!("{records} records, {blobs} blobs looked at: {how}"))?;
    let count = |name: &str| progress[name].as_u64().unwrap_or_default();
    if count("repaired") > 0 {
        out.line(format!("{} put right", count("repaired")))?;
    }
    for reason in progress["reasons"].as_array().into_iter().flatten() {
        out.line(format!("not looked at: {}", text(reason)))?;
    }
    if let Some(behind) = progress["behind"].as_str() {
        out.line(behind)?;
    }
    if job["state"] != "done" {
        return Err(Failure::Check(format!("the scrub is {}", text(&job["state"]))));
    }
    let found = progress["findings"].as_object();
    let total: u64 = found.into_iter().flatten().filter_map(|(_, count)| count.as_u64()).sum();
    if total > 0 {
        let classes = found.into_iter().flatten().map(|(class, count)| format!("{} {class}", text(count)));
        return Err(Failure::Check(format!("{total} findings: {}", classes.collect::<Vec<_>>().join(", "))));
    }
    if count("unchecked") > 0 {
        return Err(Failure::Check(format!("{} could not be looked at", count("unchecked"))));
    }
    if count("blobs") == 0 && records == "0" {
        return out.line("nothing was there to look at");
    }
    out.line("nothing is wrong")
}

const COLUMNS: [(&str, &str); 6] =
    [("CLASS", "class"), ("SITE", "site"), ("NAME", "name"), ("BUCKET", "bucket"), ("KEY", "key"), ("DETAIL", "detail")];

/// What stands from this and earlier scrubs.
fn findings(answer: &Value, out: &mut Output<'_>) -> Result<(), Failure> {
    out.value(answer)?;
    match answer["findings"].as_array().map(Vec::len) {
        None | Some(0) => out.line("nothing stands"),
        Some(some) => {
            out.table(&table(&answer["findings"], &COLUMNS))?;
            Err(Failure::Check(format!("{some} findings stand")))
        }
    }
}
