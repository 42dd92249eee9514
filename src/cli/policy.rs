//! `domicile policy check | test | explain | reload`.

pub(super) mod explain;

use http::Method;
use serde_json::{Value, json};

use super::{
    Failure, Output, Table,
    args::{PolicyFolder, RemoteArgs},
    client::Client,
    output::text,
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

/// A table of the objects of a JSON list.
pub(super) fn table(items: &Value, columns: &[(&'static str, &str)]) -> Table {
    let mut table = Table::new(columns.iter().map(|(heading, _)| *heading).collect::<Vec<_>>());
    for item in items.as_array().into_iter().flatten() {
        table.row(columns.iter().map(|(_, field)| text(&item[*field])));
    }
    table
}
