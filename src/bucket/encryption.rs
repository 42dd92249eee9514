//! Server-side encryption as S3 words it. Every record is sealed under its country's key whatever a bucket says.

use serde::{Deserialize, Serialize};

use crate::bucket::SettingError;

/// How objects are encrypted at rest unless a request says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Encryption {
    /// The algorithm.
    pub algorithm: Algorithm,
    /// Whether an S3 Bucket Key is used: kept and answered, without meaning for [`Algorithm::Aes256`].
    pub bucket_key: bool,
}

/// An algorithm of server-side encryption.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum Algorithm {
    /// SSE-S3.
    #[default]
    Aes256,
}

impl Algorithm {
    /// As S3 writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Aes256 => "AES256",
        }
    }

    /// Reads S3's word. `aws:kms` and `aws:kms:dsse` are refused with [`SettingError::NotImplemented`]: keys are the country's.
    pub fn parse(text: &str) -> Result<Self, SettingError> {
        match text {
            "AES256" => Ok(Self::Aes256),
            "aws:kms" | "aws:kms:dsse" => Err(SettingError::NotImplemented(
                "Keys of AWS KMS are not used here: each country's records are sealed under that country's own key; use AES256."
                    .into(),
            )),
            _ => Err(SettingError::Malformed("The encryption algorithm must be AES256.".into())),
        }
    }
}
