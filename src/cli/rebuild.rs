//! `domicile index rebuild`.

use std::path::Path;

use serde_json::json;

use super::{Failure, Output, Table, args::IndexRebuildArgs, progress::Bar};
use crate::app::{Installation, RebuildError, RebuildOrder, Rebuilt, close_to_others, rebuild};
use crate::config::{Config, SystemEnvironment};
use crate::recovery::{Rebuild, RecoveryError};

/// What is shown of a long list.
const SHOWN: usize = 20;

pub(super) fn run(args: &IndexRebuildArgs, out: &mut Output<'_>) -> Result<(), Failure> {
    close_to_others().map_err(|error| Failure::Check(format!("cannot keep memory private: {error}")))?;
    let config = configuration(args)?;
    let order = RebuildOrder { dry_run: args.dry_run, without: args.without.clone(), accept_loss: args.accept_loss };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let bar = Bar::new();
    let outcome = runtime.block_on(rebuild(&config, &order, &bar));
    bar.finish();
    let Rebuilt { report, replaced } = outcome.map_err(|error| match error {
        RebuildError::Recovery(RecoveryError::Site { .. }) => Failure::Unreachable(error.to_string()),
        RebuildError::NoSuchSite(_) => Failure::Usage(error.to_string()),
        other => Failure::Check(other.to_string()),
    })?;
    out.value(&json!({ "report": report, "gap": report.has_gap(), "replaced": replaced }))?;
    show(&report, out)?;
    if let Some(replaced) = replaced {
        out.line(format!("the index that was there is kept in `{}`", replaced.display()))?;
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
