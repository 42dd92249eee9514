//! Arguments of `ledger names`.

use std::path::PathBuf;

use clap::Args;

use crate::types::{BucketName, ObjectKey, SubjectId};

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
