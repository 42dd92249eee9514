//! `domicile policy check | test | explain | reload`.

use std::collections::BTreeMap;

use http::Method;
use serde_json::{Value, json};

use super::{
    Failure, Output, Table,
    args::{ExplainArgs, PolicyFolder, RemoteArgs},
    client::Client,
    output::text,
    s3_target,
};
use crate::app::policies;
use crate::config::PolicySource;
use crate::diagnostics::{Diagnostic, Severity};
use crate::policy::PolicySet;

/// Reports every mistake and warning of a policy folder.
pub(super) fn check(folder: &PolicyFolder, out: &mut Output<'_>) -> Result<(), Failure> {
    let set = read(folder, out)?;
    let diagnostics = [set.warnings(), &set.unsupported()].concat();
    report(&diagnostics, out)?;
    let mistakes = diagnostics.iter().filter(|diagnostic| diagnostic.severity == Severity::Error).count();
    out.value(&json!({
        "ok": mistakes == 0, "revision": set.revision(), "instruments": set.instruments().len(), "diagnostics": diagnostics,
    }))?;
    if mistakes > 0 {
        return Err(Failure::Check(format!("{mistakes} mistakes")));
    }
    out.line(format!("ok: {} instruments, revision {}", set.instruments().len(), set.revision()))
}

/// Runs the golden cases of a policy folder.
pub(super) fn test(folder: &PolicyFolder, out: &mut Output<'_>) -> Result<(), Failure> {
    let report = read(folder, out)?.run_cases();
    out.value(&report)?;
    let failed = report.cases.iter().filter(|case| case.problem.is_some()).count();
    for case in &report.cases {
        match &case.problem {
            None => out.line(format!("ok    {}", case.name))?,
            Some(problem) => {
                out.line(format!("FAIL  {} ({}:{}): {problem}", case.name, case.origin.file, case.origin.line))?;
            }
        }
    }
    if failed > 0 {
        return Err(Failure::Check(format!("{failed} of {} cases failed", report.cases.len())));
    }
    out.line(format!("{} cases passed", report.cases.len()))
}

/// Asks a running gateway what it would decide.
pub(super) fn explain(args: &ExplainArgs, out: &mut Output<'_>) -> Result<(), Failure> {
    let (bucket, key) = s3_target(&args.target)?;
    let words = |pairs: &[(String, String)]| pairs.iter().cloned().collect::<BTreeMap<_, _>>();
    let mut body = json!({ "bucket": bucket, "key": key, "metadata": words(&args.metadata), "tags": words(&args.tags) });
    if let (Some(principal), Some(fields)) = (&args.principal, body.as_object_mut()) {
        fields.insert("principal".to_owned(), json!(principal));
    }
    let answer = Client::new(&args.remote)?.json(Method::POST, "/v1/explain", Some(&body))?;
    out.value(&answer)?;
    tree(&answer, 0, out)
}

/// Makes a running gateway read its policies again.
pub(super) fn reload(remote: &RemoteArgs, out: &mut Output<'_>) -> Result<(), Failure> {
    let answer = Client::new(remote)?.json(Method::POST, "/v1/policies/reload", None)?;
    out.value(&answer)?;
    super::revisions::standing(&answer, out)
}

fn read(folder: &PolicyFolder, out: &mut Output<'_>) -> Result<PolicySet, Failure> {
    let source = match &folder.folder {
        Some(folder) => PolicySource::Folder(folder.clone()),
        None => policies::default_source(),
    };
    let files = policies::files(&source).map_err(|error| Failure::Usage(error.to_string()))?;
    PolicySet::parse(&files).map_err(|mistakes| {
        let count = mistakes.len();
        let printed = report(&mistakes, out).and_then(|()| out.value(&json!({ "ok": false, "diagnostics": mistakes })));
        printed.err().unwrap_or_else(|| Failure::Check(format!("{count} mistakes")))
    })
}

fn report(diagnostics: &[Diagnostic], out: &mut Output<'_>) -> Result<(), Failure> {
    diagnostics.iter().try_for_each(|diagnostic| out.line(diagnostic.to_string()))
}

/// An explanation as an indented outline: one line a fact, tables where a list holds flat objects.
fn tree(value: &Value, depth: usize, out: &mut Output<'_>) -> Result<(), Failure> {
    let indent = "  ".repeat(depth);
    match value {
        Value::Object(fields) => fields.iter().try_for_each(|(name, value)| match value {
            Value::Null => Ok(()),
            Value::Array(items) if items.is_empty() => Ok(()),
            Value::Array(items) if items.iter().any(Value::is_object) => {
                out.line(format!("{indent}{name}:"))?;
                tree(value, depth + 1, out)
            }
            Value::Object(inner) if inner.values().any(|value| value.is_object() || value.is_array()) => {
                out.line(format!("{indent}{name}:"))?;
                tree(value, depth + 1, out)
            }
            _ => out.line(format!("{indent}{name}: {}", text(value))),
        }),
        Value::Array(items) => items.iter().try_for_each(|item| match item {
            Value::Object(_) => {
                out.line(format!("{indent}-"))?;
                tree(item, depth + 1, out)
            }
            _ => out.line(format!("{indent}- {}", text(item))),
        }),
        _ => out.line(format!("{indent}{}", text(value))),
    }
}

/// A table of the objects of a JSON list.
pub(super) fn table(items: &Value, columns: &[(&'static str, &str)]) -> Table {
    let mut table = Table::new(columns.iter().map(|(heading, _)| *heading).collect::<Vec<_>>());
    for item in items.as_array().into_iter().flatten() {
        table.row(columns.iter().map(|(_, field)| text(&item[*field])));
    }
    table
}
