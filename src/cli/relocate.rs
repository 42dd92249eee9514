//! `domicile relocate`.

use std::time::Duration;

use http::Method;
use serde_json::{Map, Value, json};

use super::{
    Failure, Output, Table,
    args::RelocateArgs,
    client::Client,
    output::text,
    plan::{self, askers, until},
    policy::table,
};

/// The longest pause between two looks at a relocation: each is a question that the ledger keeps.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Orders a relocation and waits for its end. Whoever goes away does not stop it.
pub(super) fn run(args: &RelocateArgs, out: &mut Output<'_>) -> Result<(), Failure> {
    let mut order = Map::new();
    let said = [
        ("bucket", json!(args.bucket)),
        ("prefix", json!(args.prefix)),
        ("subject", json!(args.subject)),
        ("bytes_per_second", json!(args.bytes_per_second)),
        ("requests_per_second", json!(args.requests_per_second)),
        ("dry_run", json!(args.dry_run)),
    ];
    order.extend(said.into_iter().filter(|(_, value)| !value.is_null()).map(|(name, value)| (name.to_owned(), value)));
    let client = Client::new(&args.remote)?;
    let mut job = client.json(Method::POST, "/v1/relocations", Some(&Value::Object(order)))?;
    let path = format!("/v1/relocations/{}", text(&job["id"]));
    let mut pause = Duration::from_millis(200);
    while matches!(job["state"].as_str(), Some("waiting" | "running")) {
        std::thread::sleep(pause);
        pause = (pause * 2).min(LONGEST_PAUSE);
        job = client.json(Method::GET, &path, None)?;
        if pause == LONGEST_PAUSE {
            out.line(format!("relocation {}: {}", text(&job["id"]), moved(&job)))?;
            out.flush()?;
        }
    }
    out.value(&job)?;
    if args.dry_run && job["state"] == "done" {
        return plan::show(&job["plan"], out);
    }
    // What was planned and what was done, way by way, against the day by which it has to be.
    let mut ways = Table::new(["FROM", "TO", "OBJECTS", "BYTES", "OF", "ASKED FOR BY", "UNTIL"]);
    let same = |one: &Value, other: &Value| ["from", "to", "instruments"].iter().all(|part| one[part] == other[part]);
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let (planned, done) = (list(&job["plan"]["moves"]), list(&job["progress"]["ways"]));
    for way in &planned {
        let moved = done.iter().find(|moved| same(moved, way)).map_or(&Value::Null, |moved| &moved["records"]);
        let count = |name: &str| moved[name].as_u64().unwrap_or_default().to_string();
        let of = text(&way["records"]["objects"]);
        ways.row([text(&way["from"]), text(&way["to"]), count("objects"), count("bytes"), of, askers(way), until(way)]);
    }
    // What came to be moved only after the plan.
    for way in done.iter().filter(|way| !planned.iter().any(|planned| same(planned, way))) {
        let (objects, bytes) = (text(&way["records"]["objects"]), text(&way["records"]["bytes"]));
        ways.row([text(&way["from"]), text(&way["to"]), objects, bytes, String::new(), askers(way), String::new()]);
    }
    if !ways.is_empty() {
        out.table(&ways)?;
    }
    out.line(moved(&job))?;
    let failed = job["progress"]["failed"].as_u64().unwrap_or_default();
    if failed > 0 {
        let columns = [("BUCKET", "bucket"), ("KEY", "key"), ("VERSION", "version"), ("REASON", "reason")];
        out.table(&table(&job["progress"]["failures"], &columns))?;
        return Err(Failure::Check(format!("{failed} records could not be moved")));
    }
    match job["state"].as_str() {
        Some("done") => Ok(()),
        _ => Err(Failure::Check(format!("the relocation is {}", text(&job["state"])))),
    }
}

fn moved(job: &Value) -> String {
    let progress = &job["progress"];
    let (moved, looked) = (&progress["moved"], &progress["records"]["objects"]);
    format!("{} objects, {} bytes moved; {} looked at", text(&moved["objects"]), text(&moved["bytes"]), text(looked))
}
