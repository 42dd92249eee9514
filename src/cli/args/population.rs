//! What `domicile population` takes.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::RemoteArgs;

/// `population …`
#[derive(Debug, Subcommand)]
pub enum PopulationCommand {
    /// Write all records, or those of a question, as they are at one moment, with their count, bytes and root.
    Export(PopulationExportArgs),
    /// Hold an NDJSON export against its own count, bytes and root. Needs no gateway.
    Verify {
        /// The file.
        file: PathBuf,
    },
    /// Draw records by a seed, each with proof that its entry is in the ledger.
    Sample(PopulationSampleArgs),
}

/// Which records of the population.
#[derive(Debug, Clone, Default, Args)]
pub struct PopulationFilter {
    /// Of a bucket.
    #[arg(long)]
    pub bucket: Option<String>,
    /// With keys in it that begin so.
    #[arg(long, requires = "bucket")]
    pub prefix: Option<String>,
    /// Of a subject.
    #[arg(long, value_name = "ID")]
    pub subject: Option<String>,
    /// With a copy in a country.
    #[arg(long, value_name = "CC")]
    pub country: Option<String>,
    /// With a copy at a site.
    #[arg(long)]
    pub site: Option<String>,
    /// Bound by an instrument.
    #[arg(long, value_name = "ID")]
    pub instrument: Option<String>,
}

/// `population export`
#[derive(Debug, Clone, Args)]
pub struct PopulationExportArgs {
    /// Where to write; the file is there only once it is whole.
    #[arg(long, short, value_name = "FILE")]
    pub output: PathBuf,
    /// How.
    #[arg(long, default_value = "ndjson", value_parser = ["ndjson", "csv", "parquet"])]
    pub format: String,
    /// Which records.
    #[command(flatten)]
    pub filter: PopulationFilter,
    /// How to reach the gateway.
    #[command(flatten)]
    pub remote: RemoteArgs,
}

/// `population sample`
#[derive(Debug, Clone, Args)]
pub struct PopulationSampleArgs {
    /// Any text; the same draws the same records.
    #[arg(long)]
    pub seed: String,
    /// How many.
    #[arg(long, short, default_value_t = 25)]
    pub n: usize,
    /// Which records.
    #[command(flatten)]
    pub filter: PopulationFilter,
    /// How to reach the gateway.
    #[command(flatten)]
    pub remote: RemoteArgs,
}
