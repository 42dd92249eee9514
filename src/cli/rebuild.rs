//! `domicile index rebuild | import`.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::{Failure, Output, Table, args::IndexRebuildArgs, progress::Bar};
use crate::app::{Installation, RebuildError, RebuildOrder, Rebuilt, close_to_others, rebuild};
use crate::audit::FromExport;
use crate::config::{Config, SystemEnvironment};
use crate::index::ExportError;
use crate::recovery::{Rebuild, RecoveryError};

/// What is shown of a long list.
const SHOWN: usize = 20;

/// Rebuilds the index, from nothing or from an export.
pub(super) fn run(args: &IndexRebuildArgs, export: Option<&PathBuf>, out: &mut Output<'_>) -> Result<(), Failure> {
    close_to_others().map_err(|error| Failure::Check(format!("cannot keep memory private: {error}")))?;
    let config = configuration(args)?;
    let order = RebuildOrder {
        dry_run: args.dry_run,
        without: args.without.clone(),
        export: export.cloned(),
        accept_loss: args.accept_loss,
        anew: args.anew,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let bar = Bar::new();
    let outcome = runtime.block_on(rebuild(&config, &order, &bar));
    bar.finish();
    let Rebuilt { report, replaced } = outcome.map_err(|error| match error {
        RebuildError::Recovery(RecoveryError::Site { .. }) => Failure::Unreachable(error.to_string()),
        RebuildError::NoSuchSite(_) | RebuildError::Recovery(RecoveryError::Export(ExportError::NotAnExport)) => {
            Failure::Usage(error.to_string())
        }
        other => Failure::Check(other.to_string()),
    })?;
    out.value(&json!({ "report": report, "gap": report.has_gap(), "replaced": replaced }))?;
    show(&report, out)?;
    if let Some(replaced) = replaced {
        out.line(format!("the index that was there is kept in `{}`", replaced.display()))?;
    }
    if export.is_some() && !args.without.is_empty() {
        out.line("the index lacks what the sites left out know since the export: `serve` wants --accept-imported, and the journal is not compacted")?;
    }
    if report.has_gap() {
        return Err(Failure::Check("the journal has gaps: what is missing is named above, and in the ledger".to_owned()));
    }
    Ok(())
}

fn configuration(args: &IndexRebuildArgs) -> Result<Config, Failure> {
    let present = Path::new("domicile.toml");
    if let Some(file) = args.config.as_deref().or_else(|| present.exists().then_some(present)) {
        return Config::load(file, &SystemEnvironment).map_err(|mistakes| {
            let mistakes: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
            Failure::Usage(format!("`{}` cannot be used:\n{}", file.display(), mistakes.join("\n")))
        });
    }
    if !args.data_dir.exists() {
        return Err(Failure::Usage(format!("there is no installation in `{}`", args.data_dir.display())));
    }
    let nowhere = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    let installation = Installation::open(&args.data_dir, nowhere, nowhere, &SystemEnvironment);
    installation.map(|installation| installation.config).map_err(|error| Failure::Usage(error.to_string()))
}

fn show(report: &Rebuild, out: &mut Output<'_>) -> Result<(), Failure> {
    if let Some(export) = &report.exported {
        let FromExport { number, ended, entries } = export;
        out.line(format!(
            "the export is of {ended}, commit {number}, with {entries} ledger entries; since then the sites were told:"
        ))?;
    }
    if report.resumed > 0 {
        out.line(format!("went on with a try that was broken off: {} pieces of the journal had been read", report.resumed))?;
    }
    let mut table = Table::new(["COUNTRY", "SEGMENTS", "REACHES", "KNOWN OF", ""]);
    for chain in &report.chains {
        let state = if chain.is_behind() { "its end is missing" } else { "whole" };
        let (segments, reaches, known) = (chain.segments.to_string(), chain.reaches.to_string(), chain.known.to_string());
        table.row([chain.country.to_string(), segments, reaches, known, state.to_owned()]);
    }
    out.table(&table)?;
    let verb = if report.dry_run { "would restore" } else { "restored" };
    let Rebuild { records, markers, buckets, ledger_entries, .. } = report;
    out.line(format!("{verb} {buckets} buckets, {records} records, {markers} delete markers, {ledger_entries} ledger entries"))?;
    let adopted = &report.adopted;
    out.line(format!(
        "beside the journal: {} records and {} subject keys taken in, {} blobs left where they are",
        adopted.records, adopted.subject_keys, adopted.leftovers
    ))?;
    if report.ledger_entries_lost > 0 {
        out.line(format!("missing: {} ledger entries", report.ledger_entries_lost))?;
    }
    if report.without_parts > 0 {
        out.line(format!("missing: the part tables of {} records, which cannot be read", report.without_parts))?;
    }
    for (what, list) in [("journal", &report.unreadable), ("blob", &adopted.unreadable)] {
        for item in list.iter().take(SHOWN) {
            out.line(format!("unreadable {what}: {item}"))?;
        }
        if let Some(more) = list.len().checked_sub(SHOWN).filter(|more| *more > 0) {
            out.line(format!("… and {more} more"))?;
        }
    }
    Ok(())
}
