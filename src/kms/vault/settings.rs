//! What a provider over Transit must be told.

use std::{path::PathBuf, time::Duration};

use secrecy::SecretString;

/// Where a Transit key is, and how to be let at it.
#[derive(Debug, Clone)]
pub struct VaultSettings {
    /// `https://host[:port]`; plain `http` to this machine alone.
    pub address: String,
    /// The namespace, where the server has such.
    pub namespace: Option<String>,
    /// The path under which the engine is mounted, without slashes around it.
    pub mount: String,
    /// The key's name there.
    pub name: String,
    /// How to be let in.
    pub login: VaultLogin,
    /// PEM of the authorities that the server's certificate is held against; the system's when absent.
    pub ca: Option<String>,
    /// The id of the cluster that must answer; any may when absent.
    pub cluster: Option<String>,
    /// How long one call may take, connecting included.
    pub timeout: Duration,
}

/// How the server knows us.
#[derive(Debug, Clone)]
pub enum VaultLogin {
    /// A token in a file; read again when the file changes.
    TokenFile(PathBuf),
    /// A token that stays as it is.
    Token(SecretString),
    /// A role of the AppRole method; the secret id is read again at each login.
    AppRole {
        /// The path under which the method is mounted.
        mount: String,
        /// Not secret.
        role_id: String,
        /// Holds the secret id.
        secret_id_file: PathBuf,
    },
}

impl VaultSettings {
    /// The usual mount of the engine.
    pub const DEFAULT_MOUNT: &str = "transit";
    /// The usual mount of the AppRole method.
    pub const DEFAULT_ROLE_MOUNT: &str = "approle";
    /// How long a call may take when nothing else is said.
    pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(2);
}
