//! How a country's key at AWS KMS is reached.

use std::{ops::RangeInclusive, time::Duration};

use secrecy::SecretString;

/// `[[key]] provider = "aws-kms"`
#[derive(Debug, Clone)]
pub struct AwsKmsSettings {
    /// The region that holds the key. It is in the key's country: whoever reads the configuration has checked it.
    pub region: String,
    /// The alias of the primary version's key, `alias/` included.
    pub alias: String,
    /// `https://host[:port]` of a private endpoint; AWS's own when absent.
    pub endpoint: Option<String>,
    /// Who the gateway is there.
    pub access_key_id: String,
    /// The secret half.
    pub secret_access_key: SecretString,
    /// Days that AWS waits before it destroys a version: until then an erasure that needs it is not complete.
    pub deletion_window_days: u8,
    /// How long one attempt at a request may take.
    pub timeout: Duration,
}

impl AwsKmsSettings {
    /// What AWS allows.
    pub const DELETION_WINDOW: RangeInclusive<u8> = 7..=30;
    /// The shortest wait there is.
    pub const DEFAULT_DELETION_WINDOW: u8 = 7;
    /// How long one attempt at a request may take when nothing else is said.
    pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);
}
