//! The commands. Each file holds one; all print through [`Output`] and end with an exit code: 0 ok, 1 failed check, 2 usage,
//! 3 could not reach.

mod args;
mod client;
mod csv;
pub mod demo;
mod erase;
mod export;
mod export_keys;
mod import;
mod keys;
mod ledger;
mod ledger_names;
mod locate;
mod output;
mod plan;
mod policy;
mod policy_diff;
mod population;
mod progress;
mod rebuild;
mod recipients;
mod relocate;
mod revisions;
mod serve;
mod session;
mod site;
mod subject;
mod table;
mod unseal;
mod verify;

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::Parser;

pub use args::{Cli, Command, RemoteArgs};
pub use output::{Failure, Output};
pub use table::Table;

use args::{
    IndexCommand, KeysCommand, LedgerCommand, PolicyCommand, PopulationCommand, SessionCommand, SiteCommand, SubjectCommand,
};

/// Reads the command line, does what it says and tells how it ended.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let json = cli.json;
    let stdout = io::stdout();
    let mut writer = io::BufWriter::new(stdout.lock());
    let result = run(&cli.command, &mut Output::new(&mut writer, json)).and_then(|()| Ok(writer.flush()?));
    drop(writer);
    match result {
        Ok(()) => ExitCode::SUCCESS,
        // `domicile … | head` is no failure.
        Err(Failure::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(failure) => {
            let _ = writeln!(io::stderr(), "domicile: {}", output::harmless(&failure.to_string()));
            ExitCode::from(failure.exit_code())
        }
    }
}

/// Carries out one command.
///
/// # Errors
/// Whatever ends the command without success.
pub fn run(command: &Command, out: &mut Output<'_>) -> Result<(), Failure> {
    match command {
        Command::Serve(args) => serve::run(args, out),
        Command::Demo(args) => demo::run(args, out),
        Command::Policy(PolicyCommand::Check(args)) => policy::check(args, out),
        Command::Policy(PolicyCommand::Test(args)) => policy::test(args, out),
        Command::Policy(PolicyCommand::Explain(args)) => policy::explain::run(args, out),
        Command::Policy(PolicyCommand::Reload(remote)) => policy::reload(remote, out),
        Command::Policy(PolicyCommand::Plan(args)) => plan::run(args, out),
        Command::Policy(PolicyCommand::History(args)) => revisions::history(args, out),
        Command::Policy(PolicyCommand::Show(args)) => revisions::show(args, out),
        Command::Policy(PolicyCommand::Diff(args)) => policy_diff::run(args, out),
        Command::Policy(PolicyCommand::Approve(args)) => revisions::approve(args, out),
        Command::Policy(PolicyCommand::Reject(args)) => revisions::reject(args, out),
        Command::Policy(PolicyCommand::Rollback(args)) => revisions::roll_back(args, out),
        Command::Subject(SubjectCommand::Set(args)) => subject::set(args, out),
        Command::Subject(SubjectCommand::Get(args)) => subject::get(args, out),
        Command::Subject(SubjectCommand::Import(args)) => subject::import(args, out),
        Command::Subject(SubjectCommand::Erase(args)) => erase::run(args, out),
        Command::Subject(SubjectCommand::RotateKey { id, remote }) => keys::rotate_subject(id, remote, out),
        Command::Where(args) => locate::run(args, out),
        Command::Site(SiteCommand::Check { now, remote }) => site::check(*now, remote, out),
        Command::Site(SiteCommand::Init { site, remote }) => site::init(site, remote, out),
        Command::Keys(KeysCommand::List(remote)) => keys::list(remote, out),
        Command::Keys(KeysCommand::Rotate(args)) => keys::rotate(args, out),
        Command::Keys(KeysCommand::Export(args)) => export_keys::run(args, out),
        Command::Keys(KeysCommand::Recipients(command)) => recipients::run(command, out),
        Command::Session(SessionCommand::Create(args)) => session::create(args, out),
        Command::Ledger(LedgerCommand::Verify(args)) => ledger::verify(args, out),
        Command::Ledger(LedgerCommand::Names(args)) => ledger_names::run(args, out),
        Command::Ledger(LedgerCommand::Export(args)) => ledger::export(args, out),
        Command::Ledger(LedgerCommand::Key(remote)) => ledger::key(remote, out),
        Command::Ledger(LedgerCommand::Prove(args)) => ledger::prove(args, out),
        Command::Verify(args) => verify::run(args, out),
        Command::Relocate(args) => relocate::run(args, out),
        Command::Import(args) => import::run(args, out),
        Command::Index(IndexCommand::Rebuild(args)) => rebuild::run(args, None, out),
        Command::Index(IndexCommand::Export { output, remote }) => export::run(output, remote, out),
        Command::Index(IndexCommand::Import { file, into }) => rebuild::run(into, Some(file), out),
        Command::Population(PopulationCommand::Export(args)) => population::export(args, out),
        Command::Population(PopulationCommand::Verify { file }) => population::verify(file, out),
        Command::Population(PopulationCommand::Sample(args)) => population::sample(args, out),
        Command::Order(_) => Err(Failure::NotBuilt("order")),
        Command::Unseal(args) => unseal::run(args, out),
    }
}

/// `s3://bucket/key`, split; the key may be empty.
fn s3_target(text: &str) -> Result<(&str, &str), Failure> {
    let wrong = || Failure::Usage(format!("`{text}` must be s3://bucket/key"));
    let rest = text.strip_prefix("s3://").ok_or_else(wrong)?;
    match rest.split_once('/') {
        Some((bucket, key)) if !bucket.is_empty() => Ok((bucket, key)),
        None if !rest.is_empty() => Ok((rest, "")),
        _ => Err(wrong()),
    }
}
