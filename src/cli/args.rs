//! The command line.

mod ledger;
mod offline;
mod policies;
mod population;
mod subject;
mod upkeep;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use super::demo::DemoArgs;

pub(super) use ledger::{LedgerCommand, LedgerExportArgs, LedgerNamesArgs, LedgerVerifyArgs, ProveArgs};
pub(super) use offline::{ExportKeysArgs, KeyringArgs, OpeningKeys, RecipientsCommand, UnsealArgs};
pub(super) use policies::{PolicyDiffArgs, PolicyHistoryArgs, PolicyShowArgs, PolicyVerdictArgs};
pub(super) use population::{PopulationCommand, PopulationExportArgs, PopulationFilter, PopulationSampleArgs};
pub(super) use subject::{SubjectGetArgs, SubjectImportArgs, SubjectSetArgs};
pub(super) use upkeep::{ImportArgs, RelocateArgs, VerifyArgs};

/// A data-residency storage gateway: S3 in front, every record sealed and stored in the country its policy requires.
#[derive(Debug, Parser)]
#[command(version, about, max_term_width = 110, arg_required_else_help = true)]
pub struct Cli {
    /// Print JSON instead of tables.
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Commands of the first level.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the gateway; without a configuration, a self-contained installation under `domicile-data/`.
    Serve(ServeArgs),
    /// Show in a minute what the gateway does, in a temporary folder.
    Demo(DemoArgs),
    /// Check, test, explain, plan and reload policies.
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Set and get what is known of subjects.
    #[command(subcommand)]
    Subject(SubjectCommand),
    /// Show where records live and why.
    Where(WhereArgs),
    /// Hold what lies at the sites against the index, in both directions (scrub).
    Verify(VerifyArgs),
    /// Move records that the policy in force wants elsewhere.
    Relocate(RelocateArgs),
    /// Import the objects of a plain S3 bucket.
    Import(ImportArgs),
    /// Rebuild, export and import the index.
    #[command(subcommand)]
    Index(IndexCommand),
    /// Prepare and check sites.
    #[command(subcommand)]
    Site(SiteCommand),
    /// List and rotate country keys.
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Make temporary S3 credentials.
    #[command(subcommand)]
    Session(SessionCommand),
    /// Verify, prove and export the tamper-evident log.
    #[command(subcommand)]
    Ledger(LedgerCommand),
    /// Export all records with count and root, and draw samples of them.
    #[command(subcommand)]
    Population(PopulationCommand),
    /// Takedowns, holds and disclosures.
    Order(RemoteArgs),
    /// Open sealed blobs with a keyring or exported keys alone: no gateway, no index, no network.
    Unseal(UnsealArgs),
}

/// How to reach a running gateway.
#[derive(Debug, Clone, Default, Args)]
pub struct RemoteArgs {
    /// The admin API.
    #[arg(long, env = "DOMICILE_ADMIN_URL", default_value = "http://127.0.0.1:9001", value_name = "URL")]
    pub url: String,
    /// A bearer token; by default the operator's of the installation in `domicile-data/`. Better given in the environment.
    #[arg(long, env = "DOMICILE_ADMIN_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    pub token: Option<String>,
    /// PEM of a private certificate authority to trust instead of the system's.
    #[arg(long, env = "DOMICILE_ADMIN_CA", value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// Where the default installation keeps its token files.
    #[arg(long, default_value = "domicile-data", value_name = "DIR")]
    pub data_dir: PathBuf,
}

/// `serve`
#[derive(Debug, Clone, Args)]
pub struct ServeArgs {
    /// The configuration; by default `domicile.toml` when it is there.
    #[arg(long, short, env = "DOMICILE_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where the installation without a configuration keeps its data.
    #[arg(long, default_value = "domicile-data", conflicts_with = "config", value_name = "DIR")]
    pub data_dir: PathBuf,
    /// Where the installation without a configuration serves S3.
    #[arg(long, default_value = "127.0.0.1:9000", conflicts_with = "config", value_name = "ADDRESS")]
    pub s3: std::net::SocketAddr,
    /// Where the installation without a configuration serves the admin API.
    #[arg(long, default_value = "127.0.0.1:9001", conflicts_with = "config", value_name = "ADDRESS")]
    pub admin: std::net::SocketAddr,
    /// Read and check the configuration, then stop.
    #[arg(long)]
    pub check: bool,
    /// Serve an index that was imported without some of its sites. What only they know can be overwritten for good.
    #[arg(long)]
    pub accept_imported: bool,
}

/// A policy folder.
#[derive(Debug, Clone, Args)]
pub struct PolicyFolder {
    /// The folder with `gateway.toml`; by default `policies/` when it is there, else the policies built in.
    pub folder: Option<PathBuf>,
}

/// `policy check`
#[derive(Debug, Clone, Args)]
pub struct PolicyCheckArgs {
    /// What to check.
    #[command(flatten)]
    pub folder: PolicyFolder,
    /// A configuration to hold the policies against: whether every country has a site and a key, and where the gateway processes.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// `policy test`
#[derive(Debug, Clone, Args)]
pub struct PolicyTestArgs {
    /// What to test.
    #[command(flatten)]
    pub folder: PolicyFolder,
    /// Show for every rule a case in which it holds and one in which it does not.
    #[arg(long)]
    pub coverage: bool,
    /// Fail when a rule is not shown by cases.
    #[arg(long)]
    pub require_coverage: bool,
}

/// `policy …`
#[derive(Debug, Subcommand)]
pub enum PolicyCommand {
    /// Read a policy folder and report every mistake, clashes and rules without effect among them. Needs no gateway.
    Check(PolicyCheckArgs),
    /// Run the golden cases of a policy folder and tell which rules they show. Needs no gateway.
    Test(PolicyTestArgs),
    /// Ask a running gateway where a record would go and why.
    Explain(ExplainArgs),
    /// Show which records a changed policy would move.
    Plan(PlanArgs),
    /// Make a running gateway read its policies again.
    Reload(RemoteArgs),
    /// Show which policy sets were in force or proposed, when, by whom and why.
    History(PolicyHistoryArgs),
    /// Show the files of a policy set that was ever in force or proposed.
    Show(PolicyShowArgs),
    /// Show by example which decisions two policy sets take differently. Exit code 1 when there is one.
    Diff(PolicyDiffArgs),
    /// Put in force a policy set that somebody else has proposed.
    Approve(PolicyVerdictArgs),
    /// Drop a proposed policy set.
    Reject(PolicyVerdictArgs),
    /// Put an earlier policy set back in force, whatever the folder holds.
    Rollback(PolicyVerdictArgs),
}

/// `policy explain`
#[derive(Debug, Clone, Args)]
pub struct ExplainArgs {
    /// `s3://bucket/key` that would be written.
    pub target: String,
    /// The principal that would write it; by default the gateway's only one.
    #[arg(long)]
    pub principal: Option<String>,
    /// User metadata of the request.
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    pub metadata: Vec<(String, String)>,
    /// Tags of the request.
    #[arg(long = "tag", value_name = "NAME=VALUE", value_parser = pair)]
    pub tags: Vec<(String, String)>,
    /// How to reach the gateway.
    #[command(flatten)]
    pub remote: RemoteArgs,
}

/// `policy plan`
#[derive(Debug, Clone, Args)]
pub struct PlanArgs {
    /// The folder with the policies to plan for; by default those in force.
    #[arg(long, value_name = "DIR")]
    pub policies: Option<PathBuf>,
    /// How to reach the gateway.
    #[command(flatten)]
    pub remote: RemoteArgs,
}

/// `subject …`
#[derive(Debug, Subcommand)]
pub enum SubjectCommand {
    /// Set what is known of a subject, replacing what was known before.
    Set(SubjectSetArgs),
    /// Show what is known of a subject, or was at a time, and what has been said of it.
    Get(SubjectGetArgs),
    /// Set many subjects from a file: lines of {"id": "…", "attributes": {"residence": "PK"}}, or CSV whose first line names the columns.
    Import(SubjectImportArgs),
    /// Erase a subject for good: its keys in every country, its records in all versions, what is known of it.
    Erase(EraseArgs),
    /// Give a subject's keys a new generation in every country: for new records. What is stored keeps the one before.
    RotateKey {
        /// The subject.
        id: String,
        /// How to reach the gateway.
        #[command(flatten)]
        remote: RemoteArgs,
    },
}

/// `where`
#[derive(Debug, Clone, Args)]
#[group(id = "what", required = true, multiple = false, args = ["target", "subject", "country"])]
pub struct WhereArgs {
    /// `s3://bucket/key`, or `s3://bucket/prefix*` for many.
    pub target: Option<String>,
    /// Every record of a subject.
    #[arg(long, value_name = "ID")]
    pub subject: Option<String>,
    /// Every record with a copy in a country.
    #[arg(long, value_name = "CC")]
    pub country: Option<String>,
    /// Where a key was at that time (RFC 3339), as the ledger tells, also of versions that are gone since.
    #[arg(long, value_name = "TIME", requires = "target", conflicts_with = "history")]
    pub at: Option<String>,
    /// The whole story of a key, as the ledger tells it.
    #[arg(long, requires = "target")]
    pub history: bool,
    /// How many records to show.
    #[arg(long, default_value_t = 100)]
    pub limit: usize,
    /// How to reach the gateway.
    #[command(flatten)]
    pub remote: RemoteArgs,
}

/// `index …`
#[derive(Debug, Subcommand)]
pub enum IndexCommand {
    /// Rebuild the index of a stopped gateway from its sites and its keyring. The sites are only read.
    Rebuild(IndexRebuildArgs),
    /// Write the index of a running gateway to a sealed file, as it is at one moment.
    Export {
        /// Where to write; the file is there only once it is whole.
        #[arg(long, short, value_name = "FILE")]
        output: PathBuf,
        /// How to reach the gateway.
        #[command(flatten)]
        remote: RemoteArgs,
    },
    /// Read the index of a stopped gateway from an export, and from its sites what they were told since. The sites are only read.
    Import {
        /// A file written by `index export`.
        file: PathBuf,
        /// Where to read it into.
        #[command(flatten)]
        into: IndexRebuildArgs,
    },
}

/// `index rebuild`, and where `index import` reads to
#[derive(Debug, Clone, Args)]
pub struct IndexRebuildArgs {
    /// The configuration; by default `domicile.toml` when it is there.
    #[arg(long, short, env = "DOMICILE_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The data folder of an installation without a configuration.
    #[arg(long, default_value = "domicile-data", conflicts_with = "config", value_name = "DIR")]
    pub data_dir: PathBuf,
    /// Only say what would be found.
    #[arg(long)]
    pub dry_run: bool,
    /// A site to do without: what only it holds will be missing.
    #[arg(long, value_name = "SITE")]
    pub without: Vec<crate::types::SiteId>,
    /// What is missing is lost for good. Otherwise the journal is not compacted, and no stray blob removed, until a rebuild finds it.
    #[arg(long)]
    pub accept_loss: bool,
    /// Begin with nothing, also when an earlier try was broken off and could be gone on with.
    #[arg(long)]
    pub anew: bool,
}

/// `site …`
#[derive(Debug, Subcommand)]
pub enum SiteCommand {
    /// Take a site of the configuration into service now, and make its marker: for a bucket that has just been created.
    Init {
        /// The site.
        site: crate::types::SiteId,
        /// How to reach the gateway.
        #[command(flatten)]
        remote: RemoteArgs,
    },
    /// Show which sites answer and what was found at them; fails when one does not answer or an alarm stands.
    Check {
        /// Look at every site now instead of showing what was last seen.
        #[arg(long)]
        now: bool,
        /// How to reach the gateway.
        #[command(flatten)]
        remote: RemoteArgs,
    },
}

/// `keys …`
#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// Show every country's key versions.
    List(RemoteArgs),
    /// Begin a new version of a country's key and wrap all subject keys with it. No data is written again.
    Rotate(RotateArgs),
    /// Write the keys of one subject, bucket or record to a file, to open its blobs elsewhere. Off-line, with the keyring.
    Export(ExportKeysArgs),
    /// Show and change whose identities open a keyring. Off-line, with one of them.
    #[command(subcommand)]
    Recipients(RecipientsCommand),
}

/// `subject erase`
#[derive(Debug, Clone, Args)]
pub struct EraseArgs {
    /// The subject.
    pub id: String,
    /// Do not ask. It cannot be taken back.
    #[arg(long)]
    pub yes: bool,
    /// Destroy the old versions of country keys at once, not together with those of other erasures.
    #[arg(long)]
    pub now: bool,
    /// Wait until it is complete.
    #[arg(long)]
    pub wait: bool,
    /// How to reach the gateway.
    #[command(flatten)]
    pub remote: RemoteArgs,
}

/// `keys rotate`
#[derive(Debug, Clone, Args)]
pub struct RotateArgs {
    /// The key, as the configuration names it.
    pub id: String,
    /// Destroy the versions before when nothing is wrapped by them any more: old copies of the country's sites stay shut then.
    #[arg(long)]
    pub destroy_old: bool,
    /// Give every subject key under it a new generation too: for new records. What is stored keeps the one before.
    #[arg(long)]
    pub subject_keys: bool,
    /// How to reach the gateway.
    #[command(flatten)]
    pub remote: RemoteArgs,
}

/// `session …`
#[derive(Debug, Subcommand)]
pub enum SessionCommand {
    /// Lend a principal's rights, or a part of them, for a time. With --json, as the `credential_process` of AWS SDKs prints it.
    Create(SessionArgs),
}

/// `session create`
#[derive(Debug, Clone, Args)]
pub struct SessionArgs {
    /// The principal.
    #[arg(long)]
    pub principal: String,
    /// For how long, such as `15m` or `1h`; 36 hours at the most.
    #[arg(long = "for", value_name = "SPAN", default_value = "1h")]
    pub life: crate::config::Span,
    /// Only in this bucket; `*` stands for any run of characters. Can be given several times, as the next two.
    #[arg(long = "bucket", value_name = "PATTERN")]
    pub buckets: Vec<String>,
    /// Only keys that begin with this.
    #[arg(long = "prefix", value_name = "PREFIX")]
    pub prefixes: Vec<String>,
    /// Only this: `read`, `write`, `list` or `delete`.
    #[arg(long, value_delimiter = ',')]
    pub allow: Vec<String>,
    /// How to reach the gateway.
    #[command(flatten)]
    pub remote: RemoteArgs,
}

/// `name=value`
fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(format!("`{text}` must be NAME=VALUE")),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_tree_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn where_wants_exactly_one_thing() {
        for right in [&["where", "s3://b/k"][..], &["where", "--country", "PK"], &["where", "--subject", "s"]] {
            assert!(Cli::try_parse_from([&["domicile"], right].concat()).is_ok(), "{right:?}");
        }
        for wrong in [&["where"][..], &["where", "s3://b/k", "--country", "PK"]] {
            assert!(Cli::try_parse_from([&["domicile"], wrong].concat()).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn attributes_are_pairs() {
        assert_eq!(pair("residence=PK"), Ok(("residence".to_owned(), "PK".to_owned())));
        assert!(pair("residence").is_err() && pair("=PK").is_err());
    }
}
