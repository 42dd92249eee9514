//! How a country's key in a security module is reached.

use std::{path::PathBuf, time::Duration};

use secrecy::SecretString;

/// `[[key]] provider = "pkcs11"`
#[derive(Debug, Clone)]
pub struct Pkcs11Settings {
    /// The maker's library. It is code that runs in this process.
    pub module: PathBuf,
    /// The token that holds the key.
    pub token: Pkcs11Token,
    /// What the labels of its versions begin with: `<label>-v1`, `<label>-v2`.
    pub label: String,
    /// Lets the user in.
    pub pin: SecretString,
    /// Sessions, and with them threads, that are in use at a time.
    pub sessions: usize,
    /// How long one operation may take, waiting for a session included.
    pub timeout: Duration,
}

/// How a token is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pkcs11Token {
    /// By its label, in whatever slot it is.
    Label(String),
    /// By its slot's number, whatever token is in it.
    Slot(u64),
}

impl Pkcs11Settings {
    /// Sessions when nothing else is said.
    pub const DEFAULT_SESSIONS: usize = 8;
    /// How long an operation may take when nothing else is said.
    pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);
}
