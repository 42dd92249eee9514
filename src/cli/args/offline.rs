//! Arguments of the commands that need key files and no gateway.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::types::{BucketName, Country, SubjectId, VersionId};

/// `unseal`
#[derive(Debug, Clone, Args)]
#[group(id = "which", required = true, multiple = false, args = ["record", "all", "list"])]
pub struct UnsealArgs {
    /// The record: the file of its manifest blob, or `s3://bucket/key` to look for it among the blobs.
    #[arg(value_name = "MANIFEST")]
    pub record: Option<String>,
    /// Everything that the keys open, below the folder given with --output.
    #[arg(long, requires = "output")]
    pub all: bool,
    /// Only say which records the keys open, and whether all of their blobs are there.
    #[arg(long, conflicts_with = "output")]
    pub list: bool,
    /// The folder with the blobs: an `fs` site's as it lies, or what was fetched from a bucket; several may lie below it.
    #[arg(long, value_name = "DIR")]
    pub blobs: PathBuf,
    /// The keys.
    #[command(flatten)]
    pub keys: OpeningKeys,
    /// Where to write; nothing is overwritten. Without it one record goes to standard output once it has been verified whole.
    #[arg(long, short, value_name = "PATH")]
    pub output: Option<PathBuf>,
    /// A file with the key of the record's client (SSE-C): 32 bytes, or base64 of them.
    #[arg(long, value_name = "FILE")]
    pub customer_key: Option<PathBuf>,
    /// Another version than the latest, with s3://.
    #[arg(long, value_name = "ID", conflicts_with_all = ["all", "list"])]
    pub version_id: Option<VersionId>,
    /// With --all: every version, not only the latest.
    #[arg(long, requires = "all")]
    pub versions: bool,
    /// With --all: go on where an earlier run came to.
    #[arg(long, requires = "all")]
    pub resume: bool,
}

/// What opens blobs.
#[derive(Debug, Clone, Default, Args)]
pub struct OpeningKeys {
    /// The keyring, which opens all of its countries; it is only read.
    #[arg(
        long,
        value_name = "FILE",
        requires = "identity",
        required_unless_present = "subject_key",
        conflicts_with = "subject_key"
    )]
    pub keyring: Option<PathBuf>,
    /// An identity that opens the keyring.
    #[arg(long, value_name = "FILE", requires = "keyring")]
    pub identity: Option<PathBuf>,
    /// A file written by `keys export`.
    #[arg(long, value_name = "FILE")]
    pub subject_key: Option<PathBuf>,
}

/// `keys export`
#[derive(Debug, Clone, Args)]
#[group(id = "whose", required = true, multiple = false, args = ["subject", "bucket", "manifest"])]
pub struct ExportKeysArgs {
    /// A keyring.
    #[command(flatten)]
    pub keyring: KeyringArgs,
    /// The folder with the blobs, among which the wrapped keys lie.
    #[arg(long, value_name = "DIR")]
    pub blobs: PathBuf,
    /// The keys of a subject: they open all of its records, and nothing else.
    #[arg(long, value_name = "ID")]
    pub subject: Option<SubjectId>,
    /// The keys of a bucket's records that belong to no subject.
    #[arg(long, value_name = "NAME")]
    pub bucket: Option<BucketName>,
    /// The key of one record, by the file of its manifest blob: the least that can be given away.
    #[arg(long, value_name = "FILE")]
    pub manifest: Option<PathBuf>,
    /// Only keys for this country. Can be given several times.
    #[arg(long = "country", value_name = "CC")]
    pub countries: Vec<Country>,
    /// Where to write; mode 0600, nothing is overwritten.
    #[arg(long, short, value_name = "FILE")]
    pub output: PathBuf,
}

/// A keyring and what opens it.
#[derive(Debug, Clone, Args)]
pub struct KeyringArgs {
    /// The keyring.
    #[arg(long, value_name = "FILE")]
    pub keyring: PathBuf,
    /// An identity that opens it.
    #[arg(long, value_name = "FILE")]
    pub identity: PathBuf,
}

/// `keys recipients …`
#[derive(Debug, Subcommand)]
pub enum RecipientsCommand {
    /// Show whose identities open the keyring.
    List(KeyringArgs),
    /// Let another identity open the keyring too.
    Add {
        /// The recipient, `age1…`, as `age-keygen` shows it.
        #[arg(required_unless_present = "generate", conflicts_with = "generate")]
        recipient: Option<String>,
        /// Make a new identity in this file, mode 0600, and add it.
        #[arg(long, value_name = "FILE")]
        generate: Option<PathBuf>,
        /// A keyring.
        #[command(flatten)]
        keyring: KeyringArgs,
    },
    /// Write the keyring without one of its recipients. Copies of the file from before stay open to it.
    Remove {
        /// The recipient, `age1…`.
        recipient: String,
        /// A keyring.
        #[command(flatten)]
        keyring: KeyringArgs,
    },
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use crate::cli::Cli;

    fn parses(line: &str) -> bool {
        Cli::try_parse_from(std::iter::once("domicile").chain(line.split(' '))).is_ok()
    }

    #[test]
    fn unseal_wants_one_thing_and_one_kind_of_key() {
        let ring = "--keyring k --identity i";
        for right in [
            format!("unseal m --blobs b {ring}"),
            format!("unseal s3://b/k --version-id null --blobs b {ring} --customer-key c --output o"),
            "unseal m --blobs b --subject-key s".to_owned(),
            format!("unseal --list --blobs b {ring}"),
            format!("unseal --all --blobs b {ring} --output o --versions --resume --customer-key c"),
        ] {
            assert!(parses(&right), "{right}");
        }
        for wrong in [
            format!("unseal --blobs b {ring}"),
            format!("unseal m --all --blobs b {ring} --output o"),
            format!("unseal --all --blobs b {ring}"),
            format!("unseal --all --blobs b {ring} --output o --version-id null"),
            "unseal m --blobs b".to_owned(),
            "unseal m --blobs b --keyring k".to_owned(),
            "unseal m --blobs b --identity i".to_owned(),
            format!("unseal m --blobs b {ring} --subject-key s"),
        ] {
            assert!(!parses(&wrong), "{wrong}");
        }
    }

    #[test]
    fn one_thing_is_exported_at_a_time() {
        let common = "--keyring k --identity i --blobs b --output o";
        assert!(parses(&format!("keys export {common} --subject s --country PK --country SG")));
        assert!(parses(&format!("keys export {common} --manifest m")));
        assert!(!parses(&format!("keys export {common}")));
        assert!(!parses(&format!("keys export {common} --subject s --bucket bbb")));
        assert!(parses("keys recipients add --generate f --keyring k --identity i"));
        assert!(!parses("keys recipients add --keyring k --identity i"));
        assert!(!parses("keys recipients add age1x --generate f --keyring k --identity i"));
    }
}
