//! Whether a bucket keeps what a write or a delete replaces.

use serde::{Deserialize, Serialize};

/// A bucket's versioning state. Deleting with a second factor (`MfaDelete`) is not supported: requests that ask for it are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum Versioning {
    /// Never turned on: a write replaces, a delete removes. Once left, this state cannot be returned to.
    #[default]
    Off,
    /// Every write makes a version, every delete without a version id a delete marker.
    Enabled,
    /// Writes and deletes replace the `null` version; other versions are kept.
    Suspended,
}

impl Versioning {
    /// Whether versioning was ever turned on, so that there may be versions besides the current one.
    pub const fn was_ever_on(self) -> bool {
        !matches!(self, Self::Off)
    }

    /// As S3 writes it; `None` for [`Versioning::Off`], which has no word.
    pub const fn as_str(self) -> Option<&'static str> {
        match self {
            Self::Off => None,
            Self::Enabled => Some("Enabled"),
            Self::Suspended => Some("Suspended"),
        }
    }
}
