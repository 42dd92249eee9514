//! The commands for the subject directory.

use std::path::PathBuf;

use clap::Args;

use super::{RemoteArgs, pair};
use crate::cli::subject::Format;

/// `subject set`
#[derive(Debug, Clone, Args)]
pub struct SubjectSetArgs {
    /// The subject, as the application names it.
    pub id: String,
    /// Attributes such as `residence=PK`.
    #[arg(required = true, value_name = "NAME=VALUE", value_parser = pair)]
    pub attributes: Vec<(String, String)>,
    /// From when on they hold: a day (its first moment, UTC) or an RFC 3339 time, past or to come. Now, when it is not given.
    #[arg(long, value_name = "DATE")]
    pub effective: Option<String>,
    /// Why, for auditors.
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// How to reach the gateway.
    #[command(flatten)]
    pub remote: RemoteArgs,
}

/// `subject get`
#[derive(Debug, Clone, Args)]
pub struct SubjectGetArgs {
    /// The subject.
    pub id: String,
    /// What held at this day or time.
    #[arg(long, value_name = "TIME")]
    pub at: Option<String>,
    /// By what had been said until this day or time.
    #[arg(long, value_name = "TIME")]
    pub known_at: Option<String>,
    /// How to reach the gateway.
    #[command(flatten)]
    pub remote: RemoteArgs,
}

/// `subject import`
#[derive(Debug, Clone, Args)]
pub struct SubjectImportArgs {
    /// The file; `-` is standard input.
    pub file: PathBuf,
    /// How it is written; by its name, CSV when that ends in `.csv`.
    #[arg(long, value_enum)]
    pub format: Option<Format>,
    /// From when on lines hold that do not say so themselves: a day or a time.
    #[arg(long, value_name = "DATE")]
    pub effective: Option<String>,
    /// Why, of lines that do not say so themselves.
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// Only say what would be set.
    #[arg(long)]
    pub dry_run: bool,
    /// Go on where the last import of this file stopped.
    #[arg(long)]
    pub resume: bool,
    /// Write lines that are refused to this file, to be corrected and imported.
    #[arg(long, value_name = "FILE")]
    pub bad: Option<PathBuf>,
    /// How to reach the gateway.
    #[command(flatten)]
    pub remote: RemoteArgs,
}
