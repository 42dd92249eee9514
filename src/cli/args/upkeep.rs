//! The commands for long work: moving, verifying and importing records.

use std::path::PathBuf;

use clap::Args;

use super::RemoteArgs;

/// `relocate`
#[derive(Debug, Clone, Args)]
pub struct RelocateArgs {
    /// Only records in this bucket.
    #[arg(long)]
    pub bucket: Option<String>,
    /// Only keys that begin so.
    #[arg(long, requires = "bucket")]
    pub prefix: Option<String>,
    /// Only the data of this subject.
    #[arg(long, value_name = "ID")]
    pub subject: Option<String>,
    /// Move at most so many bytes a second.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub bytes_per_second: Option<u64>,
    /// Move at most so many records a second.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub requests_per_second: Option<u64>,
    /// Only show what would move.
    #[arg(long)]
    pub dry_run: bool,
    /// How to reach the gateway.
    #[command(flatten)]
    pub remote: RemoteArgs,
}

/// `verify`
#[derive(Debug, Clone, Args)]
pub struct VerifyArgs {
    /// Open every byte, not the heads alone.
    #[arg(long)]
    pub deep: bool,
    /// Put right what can safely be: damaged copies from sound ones, and what no record needs goes.
    #[arg(long)]
    pub repair: bool,
    /// Only records in this bucket.
    #[arg(long)]
    pub bucket: Option<String>,
    /// Only keys that begin so.
    #[arg(long, requires = "bucket")]
    pub prefix: Option<String>,
    /// Only the data of this subject.
    #[arg(long, value_name = "ID")]
    pub subject: Option<String>,
    /// Only one record in N, drawn by the seed.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub one_in: Option<u64>,
    /// Draws the sample; the same seed draws the same.
    #[arg(long, value_name = "N", default_value_t = 0, requires = "one_in")]
    pub seed: u64,
    /// Read at most so many bytes a second.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub bytes_per_second: Option<u64>,
    /// Look at most at so many blobs a second.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub requests_per_second: Option<u64>,
    /// Only show what earlier scrubs found and is not put right.
    #[arg(long, conflicts_with_all = ["deep", "repair", "bucket", "subject", "one_in"])]
    pub findings: bool,
    /// How to reach the gateway.
    #[command(flatten)]
    pub remote: RemoteArgs,
}

/// `import`
#[derive(Debug, Clone, Args)]
pub struct ImportArgs {
    /// `s3://bucket/prefix` at the source.
    pub from: String,
    /// The source, as the gateway's configuration names it.
    #[arg(long, value_name = "ID")]
    pub source: String,
    /// The bucket to write to. Keys stay as they are; with `BUCKET/PREFIX`, that stands in the place of the source's prefix.
    #[arg(long, value_name = "BUCKET[/PREFIX]")]
    pub to: String,
    /// The principal in whose name objects are written; by default the gateway's only one.
    #[arg(long, value_name = "ID")]
    pub principal: Option<String>,
    /// Where keys at the source name the subject, such as `users/{subject}/**`.
    #[arg(long, value_name = "TEMPLATE")]
    pub subject_template: Option<String>,
    /// CSV with the columns `key`, `subject` and attributes, or lines of {"key", "subject", "attributes"}; `-` is standard input.
    #[arg(long, value_name = "FILE")]
    pub map: Option<PathBuf>,
    /// Remove each object at the source, once its record has been read back from its sites.
    #[arg(long)]
    pub delete_source: bool,
    /// Replace other objects that are at a key already.
    #[arg(long)]
    pub overwrite: bool,
    /// Import at most so many bytes a second.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub bytes_per_second: Option<u64>,
    /// Import at most so many objects a second.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub requests_per_second: Option<u64>,
    /// Only show what would be imported, where it would be, and what would be refused.
    #[arg(long)]
    pub dry_run: bool,
    /// How to reach the gateway.
    #[command(flatten)]
    pub remote: RemoteArgs,
}
