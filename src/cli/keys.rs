//! `domicile keys list | rotate`.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};

use super::{
    Failure, Output, Table,
    args::{RemoteArgs, RotateArgs},
    client::{Client, encode},
    output::text,
};

/// The longest pause between two looks at a renewal: each is a question that the ledger keeps.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Shows every country's key versions.
pub(super) fn list(remote: &RemoteArgs, out: &mut Output<'_>) -> Result<(), Failure> {
    let answer = Client::new(remote)?.get("/v1/keys")?;
    out.value(&answer)?;
    let mut table = Table::new(["KEY", "COUNTRY", "PROVIDER", "UP", "VERSION", "STATE", "CREATED", "DAYS", "SUBJECT KEYS"]);
    for key in answer["keys"].as_array().into_iter().flatten() {
        for version in key["versions"].as_array().into_iter().flatten() {
            table.row([
                text(&key["id"]),
                text(&key["country"]),
                text(&key["provider"]),
                text(&key["up"]),
                text(&version["id"]),
                text(&version["state"]),
                text(&version["created"]),
                text(&version["age_days"]),
                text(&version["wraps"]),
            ]);
        }
    }
    out.table(&table)?;
    for key in answer["keys"].as_array().into_iter().flatten().filter(|key| key["trouble"].is_string()) {
        out.line(text(&key["trouble"]))?;
    }
    Ok(())
}

/// Orders the renewal of a country's key and waits for its end. Whoever goes away does not stop it.
pub(super) fn rotate(args: &RotateArgs, out: &mut Output<'_>) -> Result<(), Failure> {
    let client = Client::new(&args.remote)?;
    let body = json!({ "destroy_old": args.destroy_old, "subject_keys": args.subject_keys });
    let mut job = client.json(Method::POST, &format!("/v1/keys/{}/rotate", encode(&args.id)), Some(&body))?;
    let path = format!("/v1/rotations/{}", text(&job["id"]));
    let mut pause = Duration::from_millis(100);
    while matches!(job["state"].as_str(), Some("waiting" | "running")) {
        std::thread::sleep(pause);
        pause = (pause * 2).min(LONGEST_PAUSE);
        job = client.get(&path)?;
    }
    out.value(&job)?;
    out.line(said(&job))?;
    let failed = job["progress"]["failed"].as_u64().unwrap_or_default();
    match job["state"].as_str() {
        Some("done") if failed == 0 => Ok(()),
        Some("done") => Err(Failure::Check(format!("{failed} subject keys could not be wrapped again: rotate again to go on"))),
        _ => match job["failure"].as_str() {
            Some(why) => Err(Failure::Check(format!("the renewal broke off: {why}; rotate again to go on once that is mended"))),
            None => Err(Failure::Check(format!("the renewal is {}: rotate again to go on", text(&job["state"])))),
        },
    }
}

/// Gives a subject's keys a new generation.
pub(super) fn rotate_subject(id: &str, remote: &RemoteArgs, out: &mut Output<'_>) -> Result<(), Failure> {
    let answer = Client::new(remote)?.json(Method::POST, &format!("/v1/subjects/{}/rotate-key", encode(id)), None)?;
    out.value(&answer)?;
    let keys = answer["keys"].as_array().map_or(0, Vec::len);
    out.line(format!("{keys} keys have a new generation; records from now on are under it, those of before stay under theirs"))
}

fn said(job: &Value) -> String {
    let progress = &job["progress"];
    let (version, rewrapped) = (text(&progress["version"]), text(&progress["rewrapped"]));
    let new = if progress["new"] == true { "new" } else { "already there" };
    let versions = |name: &str| match progress[name].as_array() {
        Some(versions) if !versions.is_empty() => format!("; {name}: {}", text(&progress[name])),
        _ => String::new(),
    };
    let gone = versions("destroyed") + &versions("destroying");
    let renewed = progress["subject_keys"].as_u64().map_or_else(String::new, |count| format!("; {count} subject keys renewed"));
    format!("key {}: version {version} is {new}; {rewrapped} subject keys wrapped again{renewed}{gone}", text(&job["key"]))
}
