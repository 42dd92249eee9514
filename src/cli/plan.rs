//! `domicile policy plan`.

use std::collections::BTreeMap;

use http::Method;
use serde_json::{Value, json};

use super::{Failure, Output, Table, args::PlanArgs, client::Client, output::text, policy::table};
use crate::app::policies;
use crate::config::PolicySource;

/// Asks a running gateway what a policy set would move.
pub(super) fn run(args: &PlanArgs, out: &mut Output<'_>) -> Result<(), Failure> {
    let body = match &args.policies {
        None => json!({}),
        Some(folder) => {
            let files = policies::files(&PolicySource::Folder(folder.clone()));
            let files = files.map_err(|error| Failure::Usage(error.to_string()))?;
            let files: BTreeMap<String, String> = files.into_iter().map(|file| (file.path, file.text)).collect();
            json!({ "policies": files })
        }
    };
    let plan = Client::new(&args.remote)?.json(Method::POST, "/v1/policies/plan", Some(&body))?;
    out.value(&plan)?;
    show(&plan, out)
}

/// A plan as tables.
pub(super) fn show(plan: &Value, out: &mut Output<'_>) -> Result<(), Failure> {
    let mut moves = Table::new(["FROM", "TO", "OBJECTS", "BYTES", "ASKED FOR BY", "UNTIL"]);
    for way in plan["moves"].as_array().into_iter().flatten() {
        let instruments = askers(way);
        let (objects, bytes) = (text(&way["records"]["objects"]), text(&way["records"]["bytes"]));
        moves.row([text(&way["from"]), text(&way["to"]), objects, bytes, instruments, until(way)]);
    }
    if !moves.is_empty() {
        out.table(&moves)?;
    }
    let count = |part: &Value| format!("{} objects, {} bytes", text(&part["objects"]), text(&part["bytes"]));
    out.line(format!(
        "revision {}: {} of {} would move",
        text(&plan["revision"]),
        count(&plan["moving"]),
        count(&plan["records"])
    ))?;
    if plan["refused"]["objects"].as_u64() != Some(0) {
        out.line(format!("no place for {}:", count(&plan["refused"])))?;
        let columns = [("BUCKET", "bucket"), ("KEY", "key"), ("VERSION", "version"), ("REASON", "reason")];
        out.table(&table(&plan["refusals"], &columns))?;
    }
    Ok(())
}

/// Who asks for a way.
pub(super) fn askers(way: &Value) -> String {
    match text(&way["instruments"]) {
        none if none.is_empty() => "(default)".to_owned(),
        some => some,
    }
}

/// The day by which it has to be done.
pub(super) fn until(way: &Value) -> String {
    let deadline = text(&way["deadline"]);
    if way["overdue"] == true { format!("{deadline} (overdue)") } else { deadline }
}
