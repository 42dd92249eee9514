//! The arguments of `policy history | show | diff | approve | reject | rollback`.

use std::path::PathBuf;

use clap::Args;

use super::RemoteArgs;

/// `policy history`
#[derive(Debug, Clone, Args)]
pub struct PolicyHistoryArgs {
    /// How many entries to show.
    #[arg(long, default_value_t = 50)]
    pub limit: usize,
    /// Only entries before this number.
    #[arg(long, value_name = "NUMBER")]
    pub before: Option<u64>,
    /// How to reach the gateway.
    #[command(flatten)]
    pub remote: RemoteArgs,
}

/// `policy show`
#[derive(Debug, Clone, Args)]
pub struct PolicyShowArgs {
    /// The set's revision, or at least eight digits of it.
    pub revision: String,
    /// Write its files to this folder, which must not be there yet or be empty.
    #[arg(long, value_name = "DIR")]
    pub write: Option<PathBuf>,
    /// How to reach the gateway.
    #[command(flatten)]
    pub remote: RemoteArgs,
}

/// `policy diff`
#[derive(Debug, Clone, Args)]
pub struct PolicyDiffArgs {
    /// A revision, or with a second folder a policy folder; by default what is in force.
    pub from: Option<String>,
    /// A revision or a policy folder; by default what is proposed, else what the gateway's folder holds.
    pub to: Option<String>,
    /// A policy folder here to compare with.
    #[arg(long, value_name = "DIR", conflicts_with = "to")]
    pub policies: Option<PathBuf>,
    /// Compare two folders here without a gateway; by itself when both are folders.
    #[arg(long, requires = "from", requires = "to")]
    pub offline: bool,
    /// How to reach the gateway.
    #[command(flatten)]
    pub remote: RemoteArgs,
}

/// `policy approve`, `policy reject`, `policy rollback`
#[derive(Debug, Clone, Args)]
pub struct PolicyVerdictArgs {
    /// The set's revision, or at least eight digits of it.
    pub revision: String,
    /// Why, for the history.
    #[arg(long, value_name = "TEXT")]
    pub comment: Option<String>,
    /// How to reach the gateway.
    #[command(flatten)]
    pub remote: RemoteArgs,
}
