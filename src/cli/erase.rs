//! `domicile subject erase`.

use std::{
    io::{self, BufRead, IsTerminal, Write},
    time::Duration,
};

use http::Method;
use serde_json::{Value, json};

use super::{
    Failure, Output,
    args::EraseArgs,
    client::{Client, encode},
    output::text,
};

/// The longest pause between two looks at an erasure: each is a question that the ledger keeps.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Erases a subject and says how it stands; where asked, waits until it is complete.
pub(super) fn run(args: &EraseArgs, out: &mut Output<'_>) -> Result<(), Failure> {
    let client = Client::new(&args.remote)?;
    if !args.yes {
        confirm(&args.id)?;
    }
    let body = json!({ "now": args.now });
    let mut erasure = client.json(Method::POST, &format!("/v1/subjects/{}/erase", encode(&args.id)), Some(&body))?;
    let path = format!("/v1/erasures/{}", text(&erasure["id"]));
    let mut pause = Duration::from_millis(100);
    let mut told = String::new();
    while args.wait && erasure["state"] != "complete" {
        let now = said(&erasure);
        if now != told {
            out.line(&now)?;
            out.flush()?;
            told = now;
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(LONGEST_PAUSE);
        erasure = client.get(&path)?;
    }
    out.value(&erasure)?;
    out.line(said(&erasure))
}

fn said(erasure: &Value) -> String {
    let what = match (erasure["state"].as_str(), erasure["step"].as_str()) {
        (Some("complete"), _) => "complete: nothing opens anything of the subject any more",
        (_, Some("sweep")) => "pending: the keys are destroyed; the records go",
        _ => "pending: the records are gone; old copies of the sites open until the country keys before are destroyed",
    };
    format!("erasure {}: {what}", text(&erasure["id"]))
}

/// Asks whoever sits at the terminal.
fn confirm(id: &str) -> Result<(), Failure> {
    if !io::stdin().is_terminal() {
        return Err(Failure::Usage("an erasure cannot be taken back: give --yes".to_owned()));
    }
    let mut asked = io::stderr();
    write!(asked, "This destroys every record of the subject in every country and cannot be taken back.\nIts id once more: ")?;
    asked.flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    match answer.trim_end_matches(['\r', '\n']) == id {
        true => Ok(()),
        false => Err(Failure::Usage("that is another id: nothing was erased".to_owned())),
    }
}
