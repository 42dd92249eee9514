//! `ledger …`: what it takes.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::RemoteArgs;
use crate::types::{BucketName, ObjectKey, SubjectId};

/// `ledger …`
#[derive(Debug, Subcommand)]
pub enum LedgerCommand {
    /// Check an export, or the ledger of a stopped gateway, for edits, gaps, reordering and truncation. Needs no gateway.
    Verify(LedgerVerifyArgs),
    /// Prove where a version of an object lives and why, in a file that is verified offline.
    Prove(ProveArgs),
    /// What entries call a subject or a key, from the data folder of a stopped gateway and its keyring.
    Names(LedgerNamesArgs),
    /// Write every entry as one line of JSON, and the head as the last line; or bring a folder of static files up to date.
    Export(LedgerExportArgs),
    /// Show the key that verifies the ledger's checkpoints.
    Key(RemoteArgs),
}

/// `ledger prove`
#[derive(Debug, Clone, Args)]
pub struct ProveArgs {
    /// `s3://bucket/key`
    pub target: String,
    /// The version; the current one by default.
    #[arg(long, value_name = "ID")]
    pub version: Option<String>,
    /// The number of entries of a checkpoint that is held: the proof shows that its own continues it.
    #[arg(long, value_name = "SIZE")]
    pub from: Option<u64>,
    /// Where to write; standard output by default.
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// How to reach the gateway.
    #[command(flatten)]
    pub remote: RemoteArgs,
}

/// `ledger export`
#[derive(Debug, Args)]
pub struct LedgerExportArgs {
    /// The first entry.
    #[arg(long, default_value_t = 0, conflicts_with = "tiles")]
    pub from: u64,
    /// Where to write; standard output by default.
    #[arg(long, short, value_name = "FILE", conflicts_with = "tiles")]
    pub output: Option<PathBuf>,
    /// A folder that holds the ledger as static files (C2SP tlog-tiles). One that has a part of it gets the rest.
    #[arg(long, value_name = "DIR")]
    pub tiles: Option<PathBuf>,
    /// How to reach the gateway.
    #[command(flatten)]
    pub remote: RemoteArgs,
}

/// `ledger verify`
#[derive(Debug, Clone, Default, Args)]
pub struct LedgerVerifyArgs {
    /// A file or folder written by `ledger export`; `-` is standard input.
    #[arg(required_unless_present_any = ["data_dir", "proof"], conflicts_with = "data_dir")]
    pub file: Option<PathBuf>,
    /// The data folder of a stopped gateway, to verify in place.
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// The keyring, to check that the stored head is the gateway's; by default the one in the data folder, when it is there.
    #[arg(long, value_name = "FILE", requires = "data_dir", requires = "identity")]
    pub keyring: Option<PathBuf>,
    /// The identity that opens the keyring.
    #[arg(long, value_name = "FILE", requires = "keyring")]
    pub identity: Option<PathBuf>,
    /// A head noted earlier, which the ledger must contain.
    #[arg(long, value_name = "SIZE:ROOT")]
    pub head: Vec<String>,
    /// A checkpoint kept elsewhere, which the ledger must contain: the signed note that `/v1/ledger/checkpoint` answers with.
    #[arg(long, value_name = "FILE")]
    pub checkpoint: Vec<PathBuf>,
    /// The key that signs the ledger's checkpoints, as `ledger key` shows it.
    #[arg(long, value_name = "KEY")]
    pub vkey: Option<String>,
    /// The key of a witness that must have cosigned a checkpoint of the ledger; of a folder only.
    #[arg(long, value_name = "KEY", conflicts_with = "data_dir")]
    pub witness: Vec<String>,
    /// A file written by `ledger prove`: verify it, against the file or folder or a checkpoint where one is given.
    #[arg(long, value_name = "FILE", requires = "vkey", conflicts_with_all = ["data_dir", "head", "witness"])]
    pub proof: Option<PathBuf>,
    /// The answer of `/v1/ledger/proof?from&to`: that the earlier of the proof's checkpoint and yours goes on to the later.
    #[arg(long, value_name = "FILE", requires = "proof", requires = "checkpoint")]
    pub consistency: Option<PathBuf>,
}

/// `ledger names`
#[derive(Debug, Clone, Default, Args)]
pub struct LedgerNamesArgs {
    /// The data folder of a stopped gateway.
    #[arg(long, value_name = "DIR", default_value = "domicile-data")]
    pub data_dir: PathBuf,
    /// The keyring; by default the one in the data folder.
    #[arg(long, value_name = "FILE", requires = "identity")]
    pub keyring: Option<PathBuf>,
    /// The identity that opens the keyring.
    #[arg(long, value_name = "FILE", requires = "keyring")]
    pub identity: Option<PathBuf>,
    /// The subject; with a key, whose the key was.
    #[arg(long, value_name = "ID", required_unless_present = "key")]
    pub subject: Option<SubjectId>,
    /// The bucket of the key.
    #[arg(long, value_name = "NAME", requires = "key")]
    pub bucket: Option<BucketName>,
    /// The key.
    #[arg(long, value_name = "KEY", requires = "bucket")]
    pub key: Option<ObjectKey>,
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::Cli;

    #[test]
    fn a_ledger_is_in_a_file_or_a_folder() {
        let verify = ["domicile", "ledger", "verify"];
        for right in [&["export"][..], &["--data-dir", "d"], &["--data-dir", "d", "--keyring", "k", "--identity", "i"]] {
            assert!(Cli::try_parse_from([&verify[..], right].concat()).is_ok(), "{right:?}");
        }
        for wrong in
            [&[][..], &["export", "--data-dir", "d"], &["--data-dir", "d", "--keyring", "k"], &["export", "--identity", "i"]]
        {
            assert!(Cli::try_parse_from([&verify[..], wrong].concat()).is_err(), "{wrong:?}");
        }
    }
}
