//! `domicile policy check | test | explain | reload`.

pub(super) mod explain;

use http::Method;
use serde_json::{Value, json};

use super::{
    Failure, Output, Table,
    args::{PolicyCheckArgs, PolicyFolder, PolicyTestArgs, RemoteArgs},
    client::Client,
    output::text,
};
use crate::app::{available, policies};
use crate::clock::{Clock, SystemClock};
use crate::config::{Config, PolicySource};
use crate::diagnostics::{Diagnostic, Severity};
use crate::policy::{CoveredRule, PolicySet};

/// Reports every mistake and warning of a policy folder, also held against a configuration.
pub(super) fn check(args: &PolicyCheckArgs, out: &mut Output<'_>) -> Result<(), Failure> {
    let set = read(&args.folder, out)?;
    let today = SystemClock.now().to_datetime().date();
    let beside = match &args.config {
        Some(file) => set.check(&available(&super::serve::read(file, out)?)),
        None => Vec::new(),
    };
    let mut diagnostics = [set.warnings(), &beside, &set.analyse(today)].concat();
    diagnostics.sort_by(|a, b| (&a.file, a.line, a.column).cmp(&(&b.file, b.line, b.column)));
    report(&diagnostics, out)?;
    let mistakes = diagnostics.iter().filter(|diagnostic| diagnostic.severity == Severity::Error).count();
    out.value(&json!({
        "ok": mistakes == 0, "revision": set.revision(), "instruments": set.instruments().len(), "diagnostics": diagnostics,
    }))?;
    if mistakes > 0 {
        return Err(Failure::Check(counted(mistakes)));
    }
    let warnings = match diagnostics.len() {
        0 => String::new(),
        1 => ", 1 warning".to_owned(),
        many => format!(", {many} warnings"),
    };
    out.line(format!("ok: {} instruments, revision {}{warnings}", set.instruments().len(), set.revision()))
}

/// Runs the golden cases of a policy folder and tells which rules they show.
pub(super) fn test(args: &PolicyTestArgs, out: &mut Output<'_>) -> Result<(), Failure> {
    let set = read(&args.folder, out)?;
    let (report, coverage) = (set.run_cases(), set.coverage());
    out.value(&json!({ "cases": report.cases, "coverage": coverage.rules }))?;
    let failed = report.cases.iter().filter(|case| case.problem.is_some()).count();
    for case in &report.cases {
        match &case.problem {
            None => out.line(format!("ok    {}", case.name))?,
            Some(problem) => {
                out.line(format!("FAIL  {} ({}:{}): {problem}", case.name, case.origin.file, case.origin.line))?;
            }
        }
    }
    let shown = |rule: &&CoveredRule| args.coverage || !rule.is_covered();
    let mut table = Table::new(["INSTRUMENT", "RULE", "LINE", "HOLDS IN", "FAILS IN"]);
    for rule in coverage.rules.iter().filter(shown) {
        let case = |case: &Option<String>| case.clone().unwrap_or_else(|| "NO CASE".to_owned());
        let fails = if rule.can_fail { case(&rule.fails) } else { "-".to_owned() };
        table.row([rule.instrument.to_string(), rule.rule.clone(), rule.origin.line.to_string(), case(&rule.holds), fails]);
    }
    if !table.is_empty() {
        out.line("")?;
        out.table(&table)?;
        out.line("")?;
    }
    let covered = coverage.rules.iter().filter(|rule| rule.is_covered()).count();
    if failed > 0 {
        return Err(Failure::Check(format!("{failed} of {} cases failed", report.cases.len())));
    }
    out.line(format!("{} cases passed; they show {covered} of {} rules", report.cases.len(), coverage.rules.len()))?;
    if args.require_coverage && !coverage.is_complete() {
        return Err(Failure::Check(format!("{} rules are not shown by cases", coverage.rules.len() - covered)));
    }
    Ok(())
}

/// Makes a running gateway read its policies again.
pub(super) fn reload(remote: &RemoteArgs, out: &mut Output<'_>) -> Result<(), Failure> {
    let answer = Client::new(remote)?.json(Method::POST, "/v1/policies/reload", None)?;
    out.value(&answer)?;
    super::revisions::standing(&answer, out)
}

/// Reports what a start with this configuration would find wrong in its policies.
pub(super) fn hold_against(config: &Config, out: &mut Output<'_>) -> Result<(), Failure> {
    let set = parse(&config.policies, out)?;
    let mut mistakes = set.check(&available(config));
    mistakes.retain(|diagnostic| diagnostic.severity == Severity::Error);
    if mistakes.is_empty() {
        return Ok(());
    }
    report(&mistakes, out)?;
    out.value(&mistakes)?;
    Err(Failure::Usage(format!("the policies have {} for this configuration", counted(mistakes.len()))))
}

fn counted(mistakes: usize) -> String {
    if mistakes == 1 { "a mistake".to_owned() } else { format!("{mistakes} mistakes") }
}

fn read(folder: &PolicyFolder, out: &mut Output<'_>) -> Result<PolicySet, Failure> {
    let source = match &folder.folder {
        Some(folder) => PolicySource::Folder(folder.clone()),
        None => policies::default_source(),
    };
    parse(&source, out)
}

fn parse(source: &PolicySource, out: &mut Output<'_>) -> Result<PolicySet, Failure> {
    let files = policies::files(source).map_err(|error| Failure::Usage(error.to_string()))?;
    PolicySet::parse(&files).map_err(|mistakes| {
        let count = mistakes.len();
        let printed = report(&mistakes, out).and_then(|()| out.value(&json!({ "ok": false, "diagnostics": mistakes })));
        printed.err().unwrap_or_else(|| Failure::Check(counted(count)))
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
